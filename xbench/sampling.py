"""Which frames of a clip are taken, as a value: a rule by name, what it needs, and what short clips get.

Written as text wherever a user or a scorer names one: `published`, `uniform`, `fps=2`, `every=1`,
`segments=8x4`, each with `+repeat-last` behind it or not. The arithmetic is in `video/positions.py`.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from xbench.errors import UsageError, did_you_mean

RuleName = Literal["published", "uniform", "fps", "every", "segments"]
REPEAT_LAST = "repeat-last"
_EXAMPLES = ("published", "uniform", "fps=2", "every=1", "segments=8x4")
_MOST = 100_000
"""Frames of one clip, and frames a second: what is more is a slip of the keyboard."""


@dataclass(frozen=True)
class FrameRule:
    """How frames are picked; at most `max_frames` of a clip (`VideoInput`), whatever the rule.

    name: `published`, one a second as the published code does, cut evenly to max_frames; `uniform`, the
    middle of each of max_frames equal parts, every frame of a shorter clip; `fps`, the frame shown at each
    1/amount second, by the time stamps, each frame once, cut evenly; `every`, frames 0, n, 2n, ... where n is
    round(amount x the average rate), 1 at least, cut evenly; `segments`, of each of `parts` equal parts the
    `each` neighbouring frames in its middle. repeat_last: of a clip that has fewer, the last frame (of a
    segment, of the clip) is repeated until there are max_frames, of segments parts x each; they count as
    frames like the others.

    Raises ValueError for numbers that a rule does not have or cannot have.
    """

    name: RuleName = "published"
    amount: float | None = None
    parts: int | None = None
    each: int | None = None
    repeat_last: bool = False

    def __post_init__(self) -> None:
        """Hold the numbers against the rule."""
        if self.name not in get_args(RuleName):
            raise ValueError(f"there is no rule {self.name!r}.{did_you_mean(str(self.name), names())}")
        if (self.amount is not None) != (self.name in ("fps", "every")):
            raise ValueError(f"{self.name} {'has no' if self.amount is not None else 'needs an'} amount")
        if self.amount is not None and not 0 < self.amount <= _MOST:
            raise ValueError(f"{self.name}={self.amount}: expected a number above 0, at most {_MOST:,}")
        sides = (self.parts, self.each)
        if self.name != "segments":
            if sides != (None, None):
                raise ValueError(f"{self.name} has no parts")
        elif not all(isinstance(side, int) and side > 0 for side in sides) or (self.frames or 0) > _MOST:
            raise ValueError(f"segments needs two whole numbers from 1 on, {_MOST:,} frames in all")

    @property
    def frames(self) -> int | None:
        """How many frames the rule takes of a long clip by itself; None: as many as max_frames lets it."""
        return None if self.parts is None or self.each is None else self.parts * self.each

    def __str__(self) -> str:
        """Return it as it is written; equal rules give equal texts."""
        own: str = self.name
        if self.amount is not None:
            own = f"{self.name}={_shortest(self.amount)}"
        elif self.frames is not None:
            own = f"{self.name}={self.parts}x{self.each}"
        return f"{own}+{REPEAT_LAST}" if self.repeat_last else own


def names() -> tuple[str, ...]:
    """Return a way of writing each rule, for help and messages."""
    return (*_EXAMPLES, f"uniform+{REPEAT_LAST}")


def frame_rule(said: "str | FrameRule") -> FrameRule:
    """Read a rule from its text; a rule is returned as it is. Raises UsageError for what is none."""
    if isinstance(said, FrameRule):
        return said
    if not isinstance(said, str):
        raise UsageError(f"The sampling is a {type(said).__name__}: expected one of {', '.join(names())}.")
    first, *more = said.split("+")
    name, equals, number = first.partition("=")
    known = {example.partition("=")[0]: example for example in _EXAMPLES}
    if name not in known or bool(equals) != ("=" in known[name]) or more not in ([], [REPEAT_LAST]):
        wants = [known[name], f"{known[name]}+{REPEAT_LAST}"] if name in known else names()
        hint = did_you_mean(said, wants)
        raise UsageError(f"There is no sampling {said!r}.{hint}")
    try:
        return FrameRule(name, *_numbers(name, number), repeat_last=bool(more))  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(
            f"The sampling {said!r} is none: {error}. Write one of {', '.join(names())}."
        ) from error


def _numbers(name: str, text: str) -> tuple[float | None, int | None, int | None]:
    """Return amount, parts and each of a rule whose number is written as `text`."""
    if name == "segments":
        sides = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
        if sides is None:
            raise ValueError("write segments=PARTSxFRAMES, as in segments=8x4")
        return None, int(sides[1]), int(sides[2])
    if not text:
        return None, None, None
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise ValueError("expected a finite number behind the =")
    return amount, None, None


def _shortest(number: float) -> str:
    """Return a number without what says nothing: 2 for 2.0, all digits of 29.97002997."""
    return str(int(number)) if number == int(number) else repr(float(number))
