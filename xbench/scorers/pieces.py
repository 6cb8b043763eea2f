"""A block of pairs in pieces of one shape: bounded memory, and scores that do not depend on a pair's place.

A float product's last bits change with its shape, and a gallery holds copies: two videos that are one, or two
captions of one wording, must tie wherever they stand. So every piece is filled up to the same size.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from xbench.scorers.base import Features

Videos = TypeVar("Videos")


def filled(part: torch.Tensor, count: int) -> torch.Tensor:
    """Repeat the first item of a part [n, ...] behind it until there are `count`."""
    missing = count - len(part)
    return torch.cat([part, part[:1].expand(missing, *part.shape[1:])]) if missing else part


def in_pieces(
    text: Features,
    video: Features,
    shape: tuple[int, int],
    prepare: Callable[[Features], Videos],
    score: Callable[[Features, Videos], torch.Tensor],
) -> torch.Tensor:
    """Return the scores float32 [T, V] of a block, whose features are on one device.

    shape: (texts, videos) of a piece. prepare does once what the videos of a piece cost; score gives its
    scores. Both get as many items as `shape` says, the last pieces filled up.
    """
    texts, videos = (len(next(iter(side.values()))) for side in (text, video))
    scores = torch.empty(texts, videos, device=next(iter(video.values())).device)
    for columns, some in _parts(video, videos, shape[1]):
        prepared = prepare(some)
        for rows, few in _parts(text, texts, shape[0]):
            scores[rows, columns] = score(few, prepared)[
                : rows.stop - rows.start, : columns.stop - columns.start
            ]
    return scores


def _parts(features: Features, count: int, size: int) -> Iterator[tuple[slice, Features]]:
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        yield part, {name: filled(tensor[part], size) for name, tensor in features.items()}
