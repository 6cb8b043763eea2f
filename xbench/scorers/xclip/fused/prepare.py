"""What every text and every video costs once, before they meet: factors of the kernels' products."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from xbench.scorers.device import arithmetic, upload
from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.fused.parts import Parts, Products, parts_of

_AT_ONCE = 64
"""Videos whose products with G and M are taken together: always as many, filled up, so that a video's do not
depend on which others come with it."""


@dataclass(frozen=True)
class Texts:
    """T texts."""

    sentence: Parts
    """[T, D]."""
    words: Parts
    """[T, W, D]."""


@dataclass(frozen=True)
class Videos:
    """Videos of a block whose frames need as many slots: the last slot stands for all frames equal to it."""

    columns: torch.Tensor
    """int64 [V]: where they stand in the block."""
    slots: int
    """K."""
    video: Parts
    """[V, D]."""
    coarse: Parts
    """[V, 1, D]: G v."""
    frames: Parts
    """[V, K, D]."""
    local: Parts
    """[V, K, D]: M f."""


def prepare_texts(
    sentence: torch.Tensor, words: torch.Tensor, device: torch.device, products: Products
) -> Texts:
    """Prepare texts ([T, D], [T, W, D]) on a device."""
    return Texts(*(parts_of(upload(tensor, device), products) for tensor in (sentence, words)))


def prepare_videos(aosm: Aosm, video: torch.Tensor, frames: torch.Tensor, products: Products) -> list[Videos]:
    """Prepare videos ([V, D], [V, F, D]) on the device of `aosm`, by how many slots they need."""
    device = aosm.local_mat_weight.device
    video, frames = upload(video, device), upload(frames, device)
    coarse = _times(video[:, None], aosm.global_mat_weight)
    local = _times(frames, aosm.local_mat_weight)
    bounds = _bound(aosm.global_mat_weight), _bound(aosm.local_mat_weight)
    return [
        Videos(
            columns,
            slots,
            parts_of(video[columns], products),
            parts_of(coarse[columns], products, bounds[0]),
            parts_of(frames[columns, :slots], products),
            parts_of(local[columns, :slots], products, bounds[1]),
        )
        for slots, columns in _by_slots(frames)
        if len(columns)
    ]


def _times(vectors: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return matrix times each of float32 [V, L, D], in float32 in every mode."""
    made = []
    with arithmetic("fp32"):
        for part in torch.split(vectors, _AT_ONCE):
            filled = torch.nn.functional.pad(part, (0, 0, 0, 0, 0, _AT_ONCE - len(part)))
            made.append((filled @ matrix.T)[: len(part)])
    return torch.cat(made)


def _bound(matrix: torch.Tensor) -> float:
    """What no entry of the matrix times a vector of length one is above."""
    return math.nextafter(float(torch.linalg.vector_norm(matrix, dim=1).max()), math.inf)


def _by_slots(frames: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (slots, columns): the powers of two that leave out padding, which is equal frames at the end."""
    length = frames.shape[1]
    left = torch.ones(len(frames), dtype=torch.bool, device=frames.device)
    for slots in (1 << power for power in range(4, (length - 1).bit_length())):
        fits = left & (frames[:, slots - 1 :] == frames[:, slots - 1 : slots]).flatten(1).all(dim=1)
        left &= ~fits
        yield slots, fits.nonzero().flatten()
    yield length, left.nonzero().flatten()
