"""What a scorer declares, held against what a run can use, before anything is encoded."""

import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from xbench.errors import ModelError, UsageError, did_you_mean
from xbench.sampling import frame_rule
from xbench.scorers.base import VideoInput, whereabouts
from xbench.scorers.finding import MEND, what_failed
from xbench.terms import Crop, choices

MEMBERS = ("name", "video_input", "identity", "settings", "block")
METHODS = {"encode_texts": ("texts",), "similarity": ("text", "video")}
"""Name -> what it is called with. One of `ENCODERS` comes to them."""
ENCODERS = {False: ("encode_videos", ("frames", "mask")), True: ("encode_clips", ("clips",))}
"""Whether a scorer's video input says `clips` -> what encodes videos, and what it is called with."""


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
    for method, given in methods_of(scorer).items():
        try:
            inspect.signature(getattr(scorer, method)).bind(*given)
        except TypeError as error:
            yield method, f"{method} is called with ({', '.join(given)}): {error}."
        except ValueError:  # compiled code has no signature to look at
            continue


def methods_of(scorer: Any) -> dict[str, tuple[str, ...]]:
    """Return what a scorer must have, by what its video input says: name -> what it is called with."""
    try:
        clips = bool(scorer.video_input.clips)
    except Exception:  # told as a fault of that member
        clips = False
    return METHODS | dict([ENCODERS[clips]])


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
    looks = (_counts, _colours, _handing_over, _at_odds, sampling_fault)
    what = next((what for look in looks if (what := look(wants))), "")
    return f"video_input has {what}" if what else ""


def _counts(wants: VideoInput) -> str:
    for side in ("max_frames", "size"):
        value = getattr(wants, side)
        whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if not whole and not (value is None and (wants.clips or (side == "size" and wants.frame_transform))):
            clips = "; None is for scorers that take clips, VideoInput(clips=True)" if value is None else ""
            return f"{side} {value!r}: it must be a whole number from 1 on{clips}."
    return ""


def _colours(wants: VideoInput) -> str:
    for name in ("mean", "std"):
        if not _is_rgb(getattr(wants, name)) or (name == "std" and 0 in wants.std):
            return f"{name} {getattr(wants, name)!r}: it must be three numbers, of R, G and B."
    return ""


def _handing_over(wants: VideoInput) -> str:
    for name in ("as_uint8", "clips"):
        if not isinstance(getattr(wants, name), bool):
            return f"{name} {getattr(wants, name)!r}: it is True or False."
    if wants.crop not in choices(Crop):
        return f"crop {wants.crop!r}.{did_you_mean(str(wants.crop), choices(Crop))}"
    if wants.frame_transform is not None and not callable(wants.frame_transform):
        return f"a frame_transform that is a {type(wants.frame_transform).__name__}."
    return ""


def _at_odds(wants: VideoInput) -> str:
    """Say which two things of a video input do not go together."""
    if wants.frame_transform is not None and (wants.as_uint8 or wants.crop != "centre"):
        own = "as_uint8" if wants.as_uint8 else f"crop {wants.crop!r}"
        return f"{own} and a frame_transform, which gets the frame as it is: leave one of them out."
    if wants.size is None and wants.crop != "centre":
        return f"crop {wants.crop!r} and size None: there is no size to crop to."
    if not wants.clips and wants.crop != "centre":
        return f"crop {wants.crop!r}, which is for scorers that take clips: VideoInput(clips=True)."
    return ""


def sampling_fault(wants: VideoInput) -> str:
    """Return why the sampling of a scorer's video input cannot be carried out; empty where it can."""
    try:
        rule = frame_rule(wants.sampling)
    except UsageError as error:
        return f"no such sampling: {error}"
    if wants.max_frames is not None and (rule.frames or 0) > wants.max_frames:
        return f"{rule} takes {rule.frames} frames, and max_frames is {wants.max_frames}."
    if (rule.windows or rule.name == "none") and not wants.clips:
        return f"{rule} is for scorers that take clips, VideoInput(clips=True)."
    if wants.max_frames is None and not rule.frames and (rule.name == "uniform" or rule.repeat_last):
        return f"{rule} needs max_frames: it tells how many frames are taken."
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
