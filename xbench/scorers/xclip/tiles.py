"""Scoring a block of texts and videos tile by tile: in cache, in bounded memory, with one result.

Tiles have one shape for a checkpoint, whatever the block's, and what is left at the edges is filled up: an
entry depends on its own text and video and not on who else is scored with it. On a CPU each tile is computed
by one thread and several threads take tiles: that loses no time waiting inside operations, and the result
does not depend on how many threads there are.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import torch

from xbench.scorers.xclip.aosm import Aosm, Videos
from xbench.scorers.xclip.pooling import Scratch

_TEXTS, _VIDEOS = 32, 64
"""Texts whose sentences are compared at once, and videos of a tile."""
_TILE = {"cpu": 1 << 21, "cuda": 1 << 24}
"""Similarities of words and frames that one matrix product gives: few enough to stay in the shared cache,
many enough that reading the features for it costs little."""
_POOLED = {"cpu": 1 << 17, "cuda": 1 << 24}
"""Similarities that are pooled at once: half a megabyte, which stays in a core's own cache; on a GPU all."""
_FOLDED = (2, 4)
"""Videos that are padding in all but a half (a fourth) of their frames are scored with that many slots."""


@dataclass(frozen=True)
class _Part:
    """Up to _VIDEOS videos of a block: where they stand, and what is compared, filled up to _VIDEOS."""

    columns: torch.Tensor
    videos: Videos
    slots: int


@torch.inference_mode()
def similarity(
    aosm: Aosm, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
) -> torch.Tensor:
    """Return the logits float32 [T, V] of texts ([T, D], [T, W, D]) and videos ([V, D], [V, F, D]).

    All L2-normalised and on the device of `aosm`. Scratch memory: 9 MiB for each thread, at 128 words x 128
    frames 12 MiB.
    """
    scores = torch.empty(len(sentence), len(video), device=sentence.device)
    free = _scratch(words.shape[1], frames.shape[1], sentence.device)

    def prepare(group: tuple[int, torch.Tensor]) -> _Part:
        slots, columns = group
        chosen, seen = (_filled(tensor[columns], _VIDEOS) for tensor in (video, frames))
        return _Part(columns, aosm.videos(chosen, seen, slots), slots)

    def score(cell: tuple[int, _Part]) -> None:
        rows, part = slice(cell[0], cell[0] + _TEXTS), cell[1]
        scratch = free.get()
        try:
            scores[rows, part.columns] = _cell(aosm, sentence[rows], words[rows], part, scratch)
        finally:
            free.put(scratch)

    with _workers(sentence.device) as run:
        parts = run(prepare, list(_groups(frames)))
        run(score, [(row, part) for part in parts for row in range(0, len(sentence), _TEXTS)])
    return scores


def _cell(
    aosm: Aosm, sentence: torch.Tensor, words: torch.Tensor, part: _Part, scratch: Scratch
) -> torch.Tensor:
    """Score up to _TEXTS texts against a part."""
    height = _height(words.shape[1], part.slots, words.device)
    total = aosm.of_sentences(_filled(sentence, _TEXTS), part.videos)
    for row in range(0, len(words), height):
        tile = _filled(words[row : row + height], height)
        total[row : row + height] += aosm.of_words(tile, part.videos, scratch)
    return aosm.logits(total)[: len(words), : len(part.columns)]


def _height(words: int, slots: int, device: torch.device) -> int:
    """Texts of a tile: the power of two that keeps it within _TILE, at most _TEXTS."""
    most = _TILE[device.type] // (words * slots * _VIDEOS)
    return min(_TEXTS, 1 << max(0, most.bit_length() - 1))


def _groups(frames: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (slots, columns): the videos by how many slots their frames need, at most _VIDEOS at a time."""
    length = frames.shape[1]
    needed = torch.full((len(frames),), length, device=frames.device)
    for slots in (math.ceil(length / part) for part in _FOLDED):
        needed[(frames[:, slots - 1 :] == frames[:, slots - 1 : slots]).flatten(1).all(dim=1)] = slots
    for slots in torch.unique(needed).tolist():
        for columns in torch.split((needed == slots).nonzero().flatten(), _VIDEOS):
            yield slots, columns


def _filled(part: torch.Tensor, count: int) -> torch.Tensor:
    missing = count - len(part)
    return torch.cat([part, part[:1].expand(missing, *part.shape[1:])]) if missing else part


def _scratch(words: int, frames: int, device: torch.device) -> SimpleQueue[Scratch]:
    """Return scratch memory for the largest tile, once for each thread."""
    one = words * frames * _VIDEOS
    free: SimpleQueue[Scratch] = SimpleQueue()
    for _ in range(torch.get_num_threads() if device.type == "cpu" else 1):
        free.put(Scratch.of(max(one, _TILE[device.type]), max(one, _POOLED[device.type]), device))
    return free


@contextmanager
def _workers(device: torch.device) -> Iterator[Callable[[Callable[[Any], Any], list[Any]], list[Any]]]:
    """Yield a `map` for lists: by as many threads as torch has, each operation in one thread."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield lambda function, items: [function(item) for item in items]
        return
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    try:
        yield lambda function, items: list(pool.map(torch.inference_mode()(function), items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
