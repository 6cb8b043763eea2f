"""The promises of `encode_texts` and `encode_videos`: each returns what it saw, or raises BrokenError."""

import torch

from xbench.scorers.verify.comparing import (
    described,
    deviation,
    items,
    require_shapes,
    rows,
    shapes_of,
    within,
)
from xbench.scorers.verify.trial import TEXTS, BrokenError, Trial

_SAME = 1e-5
"""Largest relative deviation between two equal calls: dropout moves more, the order of additions less."""


def texts(trial: Trial) -> str:
    """Short, long and odd texts give features of one shape."""
    shapes = shapes_of(trial.text, len(TEXTS), "encode_texts")
    require_shapes(trial.scorer.encode_texts(TEXTS[:1]), shapes, "a short text", "a long one")
    return described(trial.text)


def videos(trial: Trial) -> str:
    """Full, padded and one-frame videos give features of one shape."""
    frames, mask = trial.frames
    shapes = shapes_of(trial.video, len(frames), "encode_videos")
    alone = trial.scorer.encode_videos(frames[2:], mask[2:])
    require_shapes(alone, shapes, "a video of one frame", "a batch of longer ones")
    return described(trial.video)


def numbers(trial: Trial) -> str:
    """No feature is NaN or infinite."""
    for side, features in (("text", trial.text), ("video", trial.video)):
        for name, tensor in features.items():
            bad = (~torch.isfinite(tensor)).reshape(len(tensor), -1).any(dim=1)
            if bool(bad.any()):
                raise BrokenError(f"{name} is NaN or infinite for {side} {items(bad)} of {len(bad)}.")
    return "no NaN, nothing infinite"


def twice(trial: Trial) -> str:
    """Two equal calls give equal features."""
    most, name = max(
        deviation(trial.scorer.encode_texts(TEXTS), trial.text),
        deviation(trial.scorer.encode_videos(*trial.frames), trial.video),
    )
    if most > _SAME:
        raise BrokenError(f"{name} moves by {most:.1e} of its size: is the model in eval mode?")
    return f"largest deviation {most:.1e}"


def batches(trial: Trial) -> str:
    """An item's features do not depend on its batch."""
    frames, mask = trial.frames
    seen = [
        deviation(trial.scorer.encode_texts(TEXTS[row : row + 1]), rows(trial.text, slice(row, row + 1)))
        for row in range(len(TEXTS))
    ]
    seen += [
        deviation(
            trial.scorer.encode_videos(frames[row : row + 1], mask[row : row + 1]),
            rows(trial.video, slice(row, row + 1)),
        )
        for row in (1, 2)
    ]
    return within(trial, max(seen), "the features of an item change with its batch")
