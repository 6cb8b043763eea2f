"""What a scorer declares."""

import json
from collections.abc import Mapping
from typing import Any

from xbench.scorers.base import VideoInput
from xbench.scorers.verify.trial import BrokenError, Trial


def declaration(trial: Trial) -> str:
    """Name, settings, identity, block and video input are of the right types and stay what they are."""
    scorer = trial.scorer
    if not isinstance(scorer.name, str) or not scorer.name or "/" in scorer.name:
        raise BrokenError(f"name is {scorer.name!r}: it must be a text without a slash.")
    _require_json("settings", scorer.settings)
    if scorer.identity is not None:
        _require_json("identity", scorer.identity)
    block = scorer.block
    if len(block) != 2 or not all(isinstance(side, int) and side > 0 for side in block):
        raise BrokenError(f"block is {block!r}: it must be two positive integers, (texts, videos).")
    if scorer.block != block or scorer.identity != scorer.identity:
        raise BrokenError("block or identity changes from one look to the next.")
    wants = scorer.video_input
    if not isinstance(wants, VideoInput):
        raise BrokenError(f"video_input is a {type(wants).__name__}, not a VideoInput.")
    if wants.max_frames < 1 or wants.size < 1 or wants.sampling not in ("published", "uniform"):
        raise BrokenError(f"{wants} asks for no frame, no pixel or an unknown sampling.")
    cached = "no cache (identity None)" if scorer.identity is None else "cached under its identity"
    return f"{scorer.name}, blocks of {block[0]} x {block[1]}, {wants.max_frames} frames, {cached}"


def _require_json(what: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise BrokenError(f"{what} is a {type(value).__name__}, not a dict.")
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BrokenError(f"{what} holds what JSON cannot: {error}.") from error
