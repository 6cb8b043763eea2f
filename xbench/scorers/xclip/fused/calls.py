"""The kernels as functions of tensors."""

import torch

from xbench.scorers.xclip.fused.kernel import fine_kernel, grain_kernel
from xbench.scorers.xclip.fused.parts import Parts, padded_length
from xbench.scorers.xclip.fused.tuning import GRAIN, Tile


def add_grain(
    out: torch.Tensor, left: Parts, right: Parts, matrix: torch.Tensor, last: float, *, by_right: bool
) -> None:
    """Add the similarities of left [N, L, D] and right [M, D], pooled over L, to out float32.

    out is [N, M], or [M, N] with `by_right`. matrix: [parts, A, A], see `mixing`. last: how many equal
    entries the last of the L stands for.
    """
    (_, lefts, length, width), rights = left.data.shape, right.data.shape[1]
    rows = matrix.shape[-1]
    tile, items, others = GRAIN, max(1, GRAIN.rows // rows), GRAIN.columns
    strides = (1, lefts) if by_right else (rights, 1)
    grain_kernel[(_programs(lefts, items) * _programs(rights, others),)](
        *(left.data, right.data, matrix, out, lefts, rights, last, left.unit * right.unit, *strides),
        L=length,
        WIDTH=width,
        A=rows,
        I=items,
        J=others,
        **_how(left, tile),
    )


def fine(
    out: torch.Tensor,
    before: torch.Tensor,
    words: Parts,
    local: Parts,
    mats: tuple[torch.Tensor, torch.Tensor],
    *,
    last: float,
    scale: float,
    tile: Tile,
) -> None:
    """Set out to scale (before + the fine grain), float32 [T, V], of words [T, W, D] and M f [V, K, D].

    mats: P and P2 [2, parts, A, A], Q and Q2 [2, parts, B, B], see `mixing`. last: how many equal frames the
    last of the K stands for.
    """
    (_, texts, length, width), (videos, slots) = words.data.shape, local.data.shape[1:3]
    rows, columns = padded_length(length), padded_length(slots)
    items, others = max(1, tile.rows // rows), max(1, tile.columns // columns)
    fine_kernel[(_programs(texts, items) * _programs(videos, others),)](
        *(words.data, local.data, *mats, before, out, texts, videos, last, words.unit * local.unit, scale),
        L=length,
        R=slots,
        WIDTH=width,
        A=rows,
        B=columns,
        I=items,
        J=others,
        **_how(words, tile),
    )


def _how(factors: Parts, tile: Tile) -> dict[str, int | bool]:
    data = factors.data
    return {
        "DEPTH": min(tile.depth, data.shape[-1] & -data.shape[-1]),
        "SPLIT": len(data) == 2,
        "WIDEN": data.device.type == "cpu",
        "num_warps": tile.warps,
        "num_stages": tile.stages,
    }


def _programs(count: int, at_once: int) -> int:
    return -(-count // at_once)
