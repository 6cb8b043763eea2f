"""What happens in a clip: actors on a backdrop, their acts one after another, and how all looks at a time.

Lengths are in parts of the picture's height; x runs from 0 to 1 over the central square, y downwards.
"""

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["left", "right", "up", "down", "grow", "shrink", "appear", "vanish", "turn", "bounce", "rest"]

MOVES: tuple[Kind, ...] = ("left", "right", "up", "down")
OPPOSITE: dict[Kind, Kind] = {
    "left": "right",
    "right": "left",
    "up": "down",
    "down": "up",
    "grow": "shrink",
    "shrink": "grow",
    "appear": "vanish",
    "vanish": "appear",
}
RADIUS = {"small": 0.105, "big": 0.19, "": 0.145}
SMALLEST, LARGEST = 0.08, 0.21
NEAR, FAR = 0.2, 0.8


@dataclass(frozen=True)
class Actor:
    """A shape with its home on the picture. `size` is empty where the size is not told because it changes."""

    shape: str
    colour: str
    size: Literal["small", "big", ""]
    x: float
    y: float


@dataclass(frozen=True)
class Act:
    """What one actor does between two times in seconds. `colour` is what a `turn` turns to."""

    actor: int
    kind: Kind
    start: float = 0.0
    end: float = 0.0
    colour: str = ""


@dataclass(frozen=True)
class Scene:
    """A clip before it is drawn. `variant` (0 to 7) picks the backdrop's details, which no caption tells."""

    backdrop: str
    actors: tuple[Actor, ...]
    acts: tuple[Act, ...]
    seconds: int
    variant: int = 0

    def meaning(self) -> tuple[object, ...]:
        """Return what a caption can tell of the scene: equal for scenes that no caption can tell apart."""
        actors = tuple((a.shape, a.colour, a.size) for a in self.actors)
        acts = tuple((a.actor, a.kind, a.colour) for a in self.acts)
        places = tuple(place(a) for i, a in enumerate(self.actors) if rests(self, i))
        return (self.backdrop, actors, acts, places)


@dataclass(frozen=True)
class Look:
    """How an actor looks at one time. `turned` is how far its colour has turned to `towards`, 0 to 1."""

    x: float
    y: float
    radius: float
    opacity: float
    colour: str
    towards: str
    turned: float


def rests(scene: Scene, actor: int) -> bool:
    """Say whether the actor does nothing, or nothing but rest, so that its place can be told."""
    return all(act.kind == "rest" for act in scene.acts if act.actor == actor)


def place(actor: Actor) -> str:
    """Return the words for an actor's home: `middle`, or one of the four corners."""
    if abs(actor.x - 0.5) < 0.15 and abs(actor.y - 0.5) < 0.15:
        return "middle"
    return f"{'top' if actor.y < 0.5 else 'bottom'} {'left' if actor.x < 0.5 else 'right'}"


def look(scene: Scene, index: int, time: float) -> Look:
    """Return how actor `index` looks at `time` seconds: its home look, changed by its acts so far.

    An act sets where a change begins as well as where it ends, so the first act on a property also says what
    it is before: a shape that moves to the left starts on the right.
    """
    actor = scene.actors[index]
    home = Look(actor.x, actor.y, RADIUS[actor.size], 1.0, actor.colour, actor.colour, 0.0)
    acts = [act for act in scene.acts if act.actor == index]
    for act in reversed(acts):
        home = _apply(home, act, 0.0)
    for act in acts:
        if time >= act.start:
            home = _apply(home, act, min(1.0, (time - act.start) / (act.end - act.start)))
    return home


def _apply(now: Look, act: Act, done: float) -> Look:
    """Set what the act changes to its state when the part `done` of it is over."""
    match act.kind:
        case "left" | "right":
            now = replace(
                now, x=_between(FAR, NEAR, done) if act.kind == "left" else _between(NEAR, FAR, done)
            )
        case "up" | "down":
            now = replace(now, y=_between(FAR, NEAR, done) if act.kind == "up" else _between(NEAR, FAR, done))
        case "grow":
            now = replace(now, radius=_between(SMALLEST, LARGEST, done))
        case "shrink":
            now = replace(now, radius=_between(LARGEST, SMALLEST, done))
        case "appear" | "vanish":
            shown = min(1.0, max(0.0, 2.0 * done - 0.5))
            now = replace(now, opacity=shown if act.kind == "appear" else 1.0 - shown)
        case "turn":
            now = replace(now, towards=act.colour, turned=done)
        case "bounce":
            now = replace(now, y=_bounced(now.y, act, done) if 0.0 < done < 1.0 else now.y)
        case "rest":
            pass
    return now


def _between(start: float, end: float, done: float) -> float:
    return start + (end - start) * done


def _bounced(y: float, act: Act, done: float) -> float:
    """Height during a bounce: an arc in about two and a half seconds, a lower one near the top."""
    arcs = max(1, round((act.end - act.start) / 2.5))
    part = (done * arcs) % 1.0
    return y - (0.26 if y > 0.4 else 0.15) * 4.0 * part * (1.0 - part)
