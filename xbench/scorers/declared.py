"""What a scorer declares, held against what a run can use, before anything is encoded."""

import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from xbench.errors import ModelError, UsageError
from xbench.sampling import frame_rule
from xbench.scorers.base import VideoInput, whereabouts
from xbench.scorers.finding import MEND, what_failed

MEMBERS = ("name", "video_input", "identity", "settings", "block")
METHODS = {
    "encode_texts": ("texts",),
    "encode_videos": ("frames", "mask"),
    "similarity": ("text", "video"),
}
"""Name -> what it is called with."""


def require_declared(scorer: Any) -> None:
    """Raise ModelError, naming class, file and line, for what no run could use."""
    fault = next(faults(scorer), None)
    if fault is not None:
        member, what = fault
        raise ModelError(f"{whereabouts(scorer, member)}: {what} {MEND}")


def faults(scorer: Any) -> Iterator[tuple[str, str]]:
    """Yield the members of a scorer that are not as the contract has them, each with what is wrong.

    The members are there.
    """
    for member, look in _LOOKS.items():
        try:
            what = look(getattr(scorer, member))
        except Exception as error:
            what = f"{member} cannot be read: {what_failed(error)}."
        if what:
            yield member, what
    for method, given in METHODS.items():
        try:
            inspect.signature(getattr(scorer, method)).bind(*given)
        except TypeError as error:
            yield method, f"{method} is called with ({', '.join(given)}): {error}."
        except ValueError:  # compiled code has no signature to look at
            continue


def _name(name: Any) -> str:
    sound = isinstance(name, str) and name and "/" not in name
    return "" if sound else f"name is {name!r}: it must be a text without a slash."


def _block(block: Any) -> str:
    pair = isinstance(block, tuple | list) and len(block) == 2
    sound = pair and all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in block)
    return "" if sound else f"block is {block!r}: it must be two positive integers, (texts, videos)."


def _json(what: str, *, optional: bool = False) -> Callable[[Any], str]:
    def look(value: Any) -> str:
        if value is None and optional:
            return ""
        if not isinstance(value, Mapping):
            return f"{what} is a {type(value).__name__}, not a dict."
        try:
            json.dumps(dict(value), allow_nan=False)
        except (TypeError, ValueError) as error:
            return f"{what} holds what JSON cannot: {error}."
        return ""

    return look


def _video_input(wants: Any) -> str:
    if not isinstance(wants, VideoInput):
        return f"video_input is a {type(wants).__name__}, not a VideoInput."
    for side in ("max_frames", "size"):
        value = getattr(wants, side)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            return f"video_input has {side} {value!r}: it must be a whole number from 1 on."
    if what := sampling_fault(wants):
        return f"video_input: {what}"
    for name in ("mean", "std"):
        if not _is_rgb(getattr(wants, name)) or (name == "std" and 0 in wants.std):
            return (
                f"video_input has {name} {getattr(wants, name)!r}: it must be three numbers, of R, G and B."
            )
    if wants.frame_transform is not None and not callable(wants.frame_transform):
        return f"video_input has a frame_transform that is a {type(wants.frame_transform).__name__}."
    return ""


def sampling_fault(wants: VideoInput) -> str:
    """Return why the sampling of a scorer's video input cannot be carried out; empty where it can."""
    try:
        rule = frame_rule(wants.sampling)
    except UsageError as error:
        return str(error)
    if rule.frames is not None and rule.frames > wants.max_frames:
        return f"{rule} takes {rule.frames} frames, and max_frames is {wants.max_frames}."
    return ""


def _is_rgb(values: Any) -> bool:
    try:
        return len(values) == 3 and all(math.isfinite(value) for value in values)
    except TypeError:
        return False


_LOOKS: dict[str, Callable[[Any], str]] = {
    "name": _name,
    "settings": _json("settings"),
    "identity": _json("identity", optional=True),
    "block": _block,
    "video_input": _video_input,
}
