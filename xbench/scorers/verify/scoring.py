"""The promises of `similarity`: each returns what it saw, or raises BrokenError."""

import torch

from xbench.scorers.base import Features
from xbench.scorers.verify.comparing import distance, rows, within
from xbench.scorers.verify.trial import TEXTS, BrokenError, Trial


def pairs(trial: Trial) -> str:
    """Scores are finite floats [T, V]."""
    scores, shape = trial.scores, (len(TEXTS), len(trial.frames[0]))
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != shape:
        found = list(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise BrokenError(
            f"similarity gives {found} for {shape[0]} texts and {shape[1]} videos, not {list(shape)}."
        )
    if not scores.is_floating_point():
        raise BrokenError(f"similarity gives {scores.dtype}: scores are floats.")
    if not bool(torch.isfinite(scores).all()):
        raise BrokenError("similarity gives NaN or infinite scores.")
    low, high = float(scores.min()), float(scores.max())
    seen = f"{str(scores.dtype).removeprefix('torch.')} from {low:.4g} to {high:.4g}"
    return f"{seen}: all equal, is that meant?" if low == high else seen


def pieces(trial: Trial) -> str:
    """An entry depends on its own text and video only, whatever block it is scored in."""
    parts = [
        torch.cat(
            [
                trial.scorer.similarity(rows(trial.text, slice(t, t + 1)), rows(trial.video, slice(v, v + 1)))
                for v in range(trial.scores.shape[1])
            ],
            dim=1,
        )
        for t in range(trial.scores.shape[0])
    ]
    seen = distance(torch.cat(parts), trial.scores), "score"
    return within(trial, seen, "scores change with the block that they are computed in")


def order(trial: Trial) -> str:
    """Reversed texts and videos give the reversed matrix."""
    backwards = torch.arange(len(TEXTS)).flip(0)
    scores = trial.scorer.similarity(rows(trial.text, backwards), rows(trial.video, backwards))
    seen = distance(scores.flip(0, 1), trial.scores), "score"
    return within(trial, seen, "scores change with the order of texts and videos")


def saved(trial: Trial) -> str:
    """Features survive the cache: scored from the CPU after saving and loading, they give the same."""
    from safetensors.torch import load, save

    def through(features: Features) -> Features:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in features.items()}
        loaded: Features = load(save(plain))
        return loaded

    scores = trial.scorer.similarity(through(trial.text), through(trial.video))
    seen = distance(scores, trial.scores), "score"
    return within(trial, seen, "scores change when features are saved and loaded")
