"""Which scenes there are: single ones, and fours that differ only in a direction or the order of events."""

from collections.abc import Sequence

from xbench.data.benchmarks.stand_in import Style
from xbench.miniature.backdrop import BACKDROPS
from xbench.miniature.colour import PALETTE
from xbench.miniature.dice import Dice
from xbench.miniature.drawing import SHAPES
from xbench.miniature.scene import MOVES, OPPOSITE, Act, Actor, Kind, Scene

Step = tuple[int, Kind]
"""Which actor does what; a turn's colour is settled with the cast."""
Group = list[Scene]

CORNERS = ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))
MIDDLE = (0.5, 0.5)
CHANGES: tuple[Kind, ...] = ("grow", "shrink", "turn")
LONELY: tuple[Kind, ...] = (*MOVES, *MOVES, *CHANGES, "appear", "vanish", "bounce", "rest", "rest")
LAST: tuple[Kind, ...] = ("appear", "vanish", "bounce", *CHANGES)


def single(dice: Dice, style: Style) -> Scene:
    """Return one scene; in most of them a gallery may also hold its opposites."""
    if not style.long and dice.chance(0.4):
        return _one_act(dice, style)
    return dice.pick(four(dice, style))


def four(dice: Dice, style: Style) -> Group:
    """Return four scenes that differ only in the direction of a motion or the order of events."""
    kinds = (_long_orders, _long_turns) if style.long else (_directions, _orders, _turns, _entries)
    return dice.pick(kinds)(dice, style)


def gallery(seed: str, style: Style, groups: int, singles: int) -> list[tuple[int, Scene]]:
    """Return (group number, scene), no two scenes of equal meaning; a single scene has the group -1."""
    dice = Dice(seed)
    seen: set[tuple[object, ...]] = set()
    scenes: list[tuple[int, Scene]] = []
    while groups or singles:
        several = four(dice, style) if groups else [single(dice, style)]
        meanings = {scene.meaning() for scene in several}
        if meanings & seen or len(meanings) < len(several):
            continue
        seen |= meanings
        scenes += [(groups - 1 if groups else -1, scene) for scene in several]
        groups, singles = (groups - 1, singles) if groups else (0, singles - 1)
    return dice.sample(scenes, len(scenes))


def _one_act(dice: Dice, style: Style) -> Scene:
    kind = dice.pick(LONELY)
    home = dice.pick((MIDDLE, *CORNERS)) if kind == "rest" else MIDDLE
    return _stage(dice, style, [home], [((0, kind),)])[0]


def _directions(dice: Dice, style: Style) -> Group:
    """One shape moves in one of four directions, half of the time with a resting witness in a corner."""
    homes = [MIDDLE, dice.pick(CORNERS)] if dice.chance(0.5) else [MIDDLE]
    return _stage(dice, style, homes, [((0, kind),) for kind in MOVES])


def _orders(dice: Dice, style: Style) -> Group:
    """One shape moves and changes, or changes and moves, in one direction or the other."""
    move, change = dice.pick(MOVES), dice.pick(CHANGES)
    plans = [
        steps
        for way in (move, OPPOSITE[move])
        for steps in (((0, way), (0, change)), ((0, change), (0, way)))
    ]
    return _stage(dice, style, [MIDDLE], plans)


def _turns(dice: Dice, style: Style) -> Group:
    """Two shapes move the same way, one after the other."""
    move = dice.pick(MOVES)
    plans = [((first, way), (1 - first, way)) for way in (move, OPPOSITE[move]) for first in (0, 1)]
    return _stage(dice, style, _lanes(dice, move), plans)


def _entries(dice: Dice, style: Style) -> Group:
    """Two shapes appear or vanish, one after the other."""
    ways: tuple[Kind, ...] = ("appear", "vanish")
    plans = [((first, way), (1 - first, way)) for way in ways for first in (0, 1)]
    return _stage(dice, style, _lanes(dice, dice.pick(MOVES)), plans)


def _long_orders(dice: Dice, style: Style) -> Group:
    """As `_orders`, and then another shape does something."""
    move, change, last = dice.pick(MOVES), dice.pick(CHANGES), dice.pick(LAST)
    plans = [
        (*steps, (1, last))
        for way in (move, OPPOSITE[move])
        for steps in (((0, way), (0, change)), ((0, change), (0, way)))
    ]
    return _stage(dice, style, _lanes(dice, move), plans)


def _long_turns(dice: Dice, style: Style) -> Group:
    """As `_turns`, and then one of the two changes."""
    move, last = dice.pick(MOVES), dice.pick((*CHANGES, "vanish"))
    plans = [
        ((first, way), (1 - first, way), (0, last)) for way in (move, OPPOSITE[move]) for first in (0, 1)
    ]
    return _stage(dice, style, _lanes(dice, move), plans)


def _lanes(dice: Dice, move: Kind) -> list[tuple[float, float]]:
    """Homes of two actors whose ways do not cross when both move along `move`."""
    across = move in ("left", "right")
    return dice.sample([(0.5, 0.26), (0.5, 0.74)] if across else [(0.26, 0.5), (0.74, 0.5)], 2)


def _stage(
    dice: Dice, style: Style, homes: Sequence[tuple[float, float]], plans: Sequence[tuple[Step, ...]]
) -> Group:
    """Cast the actors, choose the backdrop and the length once, and lay the steps of each plan in time."""
    shapes, colours = dice.sample(tuple(SHAPES), len(homes)), dice.sample(tuple(PALETTE), len(homes) + 1)
    resized = {actor for steps in plans for actor, kind in steps if kind in ("grow", "shrink")}
    cast = tuple(
        Actor(
            shapes[i],
            colours[i],
            "" if i in resized else "small" if homes[i] in CORNERS else dice.pick(("small", "big")),
            x + dice.between(-0.03, 0.03),
            y + dice.between(-0.03, 0.03),
        )
        for i, (x, y) in enumerate(homes)
    )
    backdrop, variant = dice.pick(tuple(BACKDROPS)), dice.below(8)
    seconds = style.shortest + dice.below(style.longest - style.shortest + 1)
    return [Scene(backdrop, cast, _timed(steps, seconds, colours[-1]), seconds, variant) for steps in plans]


def _timed(steps: tuple[Step, ...], seconds: int, turned: str) -> tuple[Act, ...]:
    """Give each step its equal part of the clip, with a short rest around it."""
    slot = seconds / len(steps)
    return tuple(
        Act(actor, kind, (i + 0.08) * slot, (i + 0.92) * slot, turned if kind == "turn" else "")
        for i, (actor, kind) in enumerate(steps)
    )
