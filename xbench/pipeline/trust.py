"""Whether scores that came without ids, or from a model, can be in the order that they are taken to be in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xbench.data.split import Split
from xbench.errors import DataError
from xbench.metrics.chance import FEWEST_VIDEOS, AgainstChance, against_chance
from xbench.metrics.counts import Counts
from xbench.progress import say

BOTH = frozenset({"captions", "videos"})
"""The sides of a matrix: with ids for both there is no order to be wrong."""


@dataclass(frozen=True)
class Trust:
    """What the record says of the order: reasons not to compare the result, and notes."""

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


NO_DOUBT = Trust()


def judge_order(t2v: Counts, split: Split, known: frozenset[str], *, turned: str | None) -> Trust:
    """Judge scores from elsewhere by how their ranks stand against guesses.

    known: the sides whose ids were given. turned: what to ask where ranks are worse than guesses; then it is
    a DataError. None: it is a note, because nothing can be the wrong way round.
    """
    if t2v.nonfinite:
        return NO_DOUBT  # an error, or counted as the published code does: told elsewhere
    found = against_chance(t2v, split.caption_to_video, len(split.videos))
    sides = _sides(known)
    if found.standing == "worse" and turned is not None:
        raise DataError(f"The scores are worse than guesses ({found}): {turned}")
    if found.standing == "chance" and known != BOTH:
        reason = f"no better than chance ({found}): is this the protocol's order? Ids would tell"
        return Trust((reason,), sides)
    if found.standing == "too few" and known != BOTH:
        few = f"{found.videos} videos, below {FEWEST_VIDEOS}, are too few to tell whether this is their order"
        return Trust((), (*sides, few))
    return Trust((), (*sides, *_warned(found, "")))


def judge_model(t2v: Counts, split: Split, similarity: str) -> Trust:
    """Judge scores of a model that encoded the videos itself: no order can be wrong, and the number stays.

    similarity: where its scores are computed, for a message.
    """
    if t2v.nonfinite:
        return NO_DOUBT
    found = against_chance(t2v, split.caption_to_video, len(split.videos))
    return Trust((), _warned(found, f": is a minus forgotten in {similarity}? Higher must mean closer"))


def known_sides(facts: Mapping[str, Any]) -> frozenset[str]:
    """Return the sides that have ids, by what they are. facts: how a matrix was read, see `read_matrix`."""
    captions, videos = ("rows", "columns") if facts["rows"] == "captions" else ("columns", "rows")
    sides = {captions: "captions", videos: "videos"}
    return frozenset(sides[side] for side in facts["ids"])


def _warned(found: AgainstChance, turned: str) -> tuple[str, ...]:
    """Say that scores are at chance or below it, where `turned` is added, and return it as a note."""
    if found.standing not in ("chance", "worse"):
        return ()
    what = "no better than chance" if found.standing == "chance" else "worse than chance"
    note = f"{what} ({found})"
    say(f"Warning: the scores are {note}{turned if found.standing == 'worse' else ''}.")
    return (note,)


def _sides(known: frozenset[str]) -> tuple[str, ...]:
    if len(known) != 1:
        return ()
    (named,) = known
    (other,) = BOTH - known
    return (f"ids were given for the {named} only: the {other} are taken to be in the protocol's order",)
