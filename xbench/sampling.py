"""Which frames of a clip are taken, as a value: a rule by name, what it needs, and what short clips get.

Written as text wherever a user or a scorer names one: `published`, `uniform`, `fps=2`, `every=1`,
`segments=8x4`, `none`, and behind it `+repeat-last` and `+windows=3` or not. The arithmetic is in
`video/positions.py`.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeGuard, get_args

from xbench.errors import UsageError, did_you_mean

RuleName = Literal["published", "uniform", "fps", "every", "segments", "none"]
REPEAT_LAST = "repeat-last"
_EXAMPLES = ("published", "uniform", "fps=2", "every=1", "segments=8x4", "none")
_WINDOWS = ("windows=3", "windows=10s", "windows=10s/5s")
_MOST = 100_000
"""Frames of one clip, and frames a second: what is more is a slip of the keyboard."""
_SECONDS = r"\d{1,6}(?:\.\d+)?"
_SHORTEST = 0.1
"""Seconds of a window, and of a step between two."""


@dataclass(frozen=True)
class Windows:
    """Parts of a clip, in each of which the rule is applied as to a clip of its own: one view each.

    count: so many equal ones, side by side. Or seconds: of that length, one every `step` seconds (None: side
    by side), until one reaches the clip's end, where it is cut. Raises ValueError for neither or both.
    """

    count: int | None = None
    seconds: float | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        """Hold the numbers against each other."""
        if (self.count is None) == (self.seconds is None) or (self.step is not None and self.seconds is None):
            raise ValueError("windows have a count, or seconds and perhaps a step")
        if self.count is not None and not (_is_whole(self.count) and 0 < self.count <= _MOST):
            raise ValueError(f"windows={self.count}: expected a whole number from 1 on, at most {_MOST:,}")
        sides = [side for side in (self.seconds, self.step) if side is not None]
        if not all(_is_number(side) and _SHORTEST <= side <= _MOST for side in sides):
            raise ValueError(f"windows of {_SHORTEST:g} to {_MOST:,} seconds are cut, not others")

    def __str__(self) -> str:
        """Return them as they are written."""
        if self.seconds is None:
            return f"windows={self.count}"
        step = "" if self.step is None else f"/{_shortest(self.step)}s"
        return f"windows={_shortest(self.seconds)}s{step}"


@dataclass(frozen=True)
class FrameRule:
    """How frames are picked; at most `max_frames` of a clip (`VideoInput`), whatever the rule.

    name: `published`, one a second as the published code does, cut evenly to max_frames; `uniform`, the
    middle of each of max_frames equal parts, every frame of a shorter clip; `fps`, the frame shown at each
    1/amount second, by the time stamps, each frame once, cut evenly; `every`, frames 0, n, 2n, ... where n is
    round(amount x the average rate), 1 at least, cut evenly; `segments`, of each of `parts` equal parts the
    `each` neighbouring frames in its middle. repeat_last: of a clip that has fewer, the last frame (of a
    segment, of the clip) is repeated until there are max_frames, of segments parts x each; they count as
    frames like the others. windows: the rule is applied in each of several parts of the clip, its views.
    `none`: no frame is decoded, for a scorer that opens the file itself.

    Raises ValueError for numbers that a rule does not have or cannot have.
    """

    name: RuleName = "published"
    amount: float | None = None
    parts: int | None = None
    each: int | None = None
    repeat_last: bool = False
    windows: Windows | None = None

    def __post_init__(self) -> None:
        """Hold the numbers against the rule."""
        if self.name not in get_args(RuleName):
            raise ValueError(f"there is no rule {self.name!r}.{did_you_mean(str(self.name), names())}")
        if (self.amount is not None) != (self.name in ("fps", "every")):
            raise ValueError(f"{self.name} {'has no' if self.amount is not None else 'needs an'} amount")
        if self.amount is not None and not (_is_number(self.amount) and 0 < self.amount <= _MOST):
            raise ValueError(f"{self.name}={self.amount}: expected a number above 0, at most {_MOST:,}")
        if not isinstance(self.repeat_last, bool) or not isinstance(self.windows, Windows | None):
            raise ValueError("repeat_last is True or False, windows are Windows(...) or None")
        if self.name == "published" and self.windows:
            raise ValueError("the published code knows no windows: take fps=1 in them")
        if self.name == "none" and (self.repeat_last or self.windows):
            raise ValueError("none takes no frame: there is nothing to repeat and nothing in a window")
        sides = (self.parts, self.each)
        if self.name != "segments":
            if sides != (None, None):
                raise ValueError(f"{self.name} has no parts")
        elif not all(_is_whole(side) and side > 0 for side in sides) or (self.frames or 0) > _MOST:
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
        more = [REPEAT_LAST] if self.repeat_last else []
        return "+".join([own, *more, *([str(self.windows)] if self.windows else [])])


def names() -> tuple[str, ...]:
    """Return a way of writing each rule, for help and messages."""
    return (*_EXAMPLES, f"uniform+{REPEAT_LAST}", *(f"uniform+{windows}" for windows in _WINDOWS))


def frame_rule(said: "str | FrameRule") -> FrameRule:
    """Read a rule from its text; a rule is returned as it is. Raises UsageError for what is none."""
    if isinstance(said, FrameRule):
        return said
    if not isinstance(said, str):
        raise UsageError(f"The sampling is a {type(said).__name__}: expected one of {', '.join(names())}.")
    first, *more = said.split("+")
    name, equals, number = first.partition("=")
    known = {example.partition("=")[0]: example for example in _EXAMPLES}
    repeats = more[:1] == [REPEAT_LAST]
    behind = more[1:] if repeats else more
    sound = len(behind) <= 1 and all(text.startswith("windows=") for text in behind)
    if name not in known or bool(equals) != ("=" in known[name]) or not sound:
        mine = [text for text in names() if text.startswith("uniform+")]
        wants = (
            [known[name], *(text.replace("uniform", known[name]) for text in mine)]
            if name in known
            else names()
        )
        raise UsageError(f"There is no sampling {said!r}.{did_you_mean(said, wants)}")
    try:
        windows = _windows(behind[0].removeprefix("windows=")) if behind else None
        return FrameRule(name, *_numbers(name, number), repeats, windows)  # type: ignore[arg-type]
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


def _windows(text: str) -> Windows:
    """Read `3`, `10s` or `10s/5s`."""
    if re.fullmatch(r"\d{1,6}", text):
        return Windows(int(text))
    sides = re.fullmatch(rf"({_SECONDS})s(?:/({_SECONDS})s)?", text)
    if sides is None:
        raise ValueError(f"write {', '.join(_WINDOWS)} or the like")
    return Windows(seconds=float(sides[1]), step=None if sides[2] is None else float(sides[2]))


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shortest(number: float) -> str:
    """Return a number without what says nothing: 2 for 2.0, all digits of 29.97002997."""
    return str(int(number)) if number == int(number) else repr(float(number))
