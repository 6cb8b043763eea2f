"""How features and scores are compared and described."""

import math
from typing import Any

import torch

from xbench.scorers.base import Features
from xbench.scorers.verify.broken import BrokenError
from xbench.scorers.verify.trial import Trial

Shapes = dict[str, tuple[Any, ...]]
"""Name -> the dimensions after the first, and the dtype."""


def shapes_of(features: Features, count: int, method: str) -> Shapes:
    """Return what all items have in common, shape and dtype by name. Raises BrokenError for no features."""
    if not isinstance(features, dict) or not features:
        raise BrokenError(
            f"{method} gives a {type(features).__name__}, not a dict of tensors with a name each."
        )
    for name, tensor in features.items():
        if not isinstance(tensor, torch.Tensor):
            raise BrokenError(f"{method} gives {name} as a {type(tensor).__name__}, not a tensor.")
        if tensor.ndim == 0 or len(tensor) != count:
            raise BrokenError(
                f"{method} gives {name} {list(tensor.shape)} for {count} items: the first must be {count}."
            )
    return {name: (*tensor.shape[1:], tensor.dtype) for name, tensor in features.items()}


def require_shapes(features: Features, shapes: Shapes, one: str, other: str) -> None:
    """Raise BrokenError unless features have these shapes; `one` and `other` name the two in the message."""
    found = {name: (*tensor.shape[1:], tensor.dtype) for name, tensor in features.items()}
    if found != shapes:
        raise BrokenError(f"{one} gives {found}, {other} {shapes}: pad, so that all items are alike.")


def described(features: Features) -> str:
    """Return names, shapes and dtypes for a reader."""
    parts = [
        f"{name} {['B', *tensor.shape[1:]]} {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in features.items()
    ]
    return ", ".join(parts).replace("'", "")


def items(bad: torch.Tensor) -> str:
    """Return the positions that are true."""
    return ", ".join(str(int(row)) for row in torch.nonzero(bad).flatten())


def rows(features: Features, which: "slice | torch.Tensor") -> Features:
    """Return some items."""
    return {name: tensor[which] for name, tensor in features.items()}


def deviation(found: Features, expected: Features) -> tuple[float, str]:
    """Return the largest distance of any tensor, and its name."""
    return max((distance(found[name], expected[name]), name) for name in expected)


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest deviation as a part of the largest absolute value."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    size = float(expected.abs().max()) or 1.0
    deviation = float((found - expected).abs().max()) / size
    return math.inf if math.isnan(deviation) else deviation


def within(trial: Trial, seen: tuple[float, str], what: str, least: float = 0.0) -> str:
    """Say how large a deviation is. Raises BrokenError, beginning with `what`, for more than is allowed.

    least: what is allowed however strict the trial is.
    """
    allowed = max(trial.tolerance, least)
    if not seen[0] <= allowed:
        raise BrokenError(f"{what}: {seen[1]} by {seen[0]:.1e} of its size, more than {allowed:.0e}.")
    return f"largest deviation {seen[0]:.1e}, {allowed:.0e} allowed"
