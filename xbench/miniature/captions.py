"""Puts a scene into words, in the manner of each benchmark."""

from collections.abc import Sequence

from xbench.data.benchmarks.stand_in import Voice
from xbench.miniature.dice import Dice
from xbench.miniature.scene import Act, Scene, place, rests

NAMES = {"ball": ("ball", "circle"), "box": ("box", "square")}
SIZES = {"small": ("small", "little"), "big": ("big", "large"), "": ("",)}
WHERE = {
    "night": ("at night",),
    "sea": ("over the sea", "at the sea"),
    "meadow": ("over a meadow", "in a meadow"),
    "desert": ("in the desert",),
    "snow": ("in the snow",),
    "city": ("over the city", "in the city"),
}
MOVING = (("moves", "moving"), ("slides", "sliding"), ("glides", "gliding"), ("drifts", "drifting"))
WAYS = {
    "left": ("left", "to the left"),
    "right": ("right", "to the right"),
    "up": ("up", "upwards"),
    "down": ("down", "downwards"),
}
DOING = {
    "up": (("rises", "rising"),),
    "down": (("sinks", "sinking"),),
    "grow": (("grows", "growing"), ("gets bigger", "getting bigger")),
    "shrink": (("shrinks", "shrinking"), ("gets smaller", "getting smaller")),
    "appear": (("appears", "appearing"), ("shows up", "showing up")),
    "vanish": (("vanishes", "vanishing"), ("disappears", "disappearing")),
    "turn": (("turns {}", "turning {}"), ("becomes {}", "becoming {}")),
    "bounce": (("bounces", "bouncing"), ("hops", "hopping")),
    "rest": (("rests {}", "resting {}"), ("stays {}", "staying {}")),
}


def caption(scene: Scene, voice: Voice, dice: Dice) -> str:
    """Tell a scene of one or two acts in one sentence."""
    names = [_name(scene, i, dice) for i in range(len(scene.actors))]
    told = [_phrase(scene, act, voice, dice) for act in scene.acts]
    where = dice.pick(WHERE[scene.backdrop])
    body = _joined(scene, names, told, voice, dice)
    text = f"{where} {body}" if dice.chance(0.25) else f"{body} {where}"
    return voice.finish(text + _witness(scene, names))


def paragraph(scene: Scene, voice: Voice, dice: Dice) -> list[str]:
    """Tell a scene in one sentence an act, in the order of time."""
    openings = ("", "then ", dice.pick(("at the end ", "finally ")))
    where = dice.pick(WHERE[scene.backdrop])
    sentences, known, previous = [], dict[int, str](), -1
    for i, act in enumerate(scene.acts):
        name = "it" if act.actor == previous else known.get(act.actor) or _name(scene, act.actor, dice)
        if name != "it":
            known[act.actor] = f"the {name.split()[-1]}"
        previous = act.actor
        text = f"{openings[i]}{name} {_phrase(scene, act, voice, dice)}"
        sentences.append(voice.finish(text if i else f"{text} {where}"))
    return sentences


def _joined(scene: Scene, names: Sequence[str], told: Sequence[str], voice: Voice, dice: Dice) -> str:
    """Tell one act, or two in their order: `and then`, `before`, or `after` with the second one first."""
    acts = scene.acts
    first = f"{names[acts[0].actor]} {told[0]}"
    if len(acts) == 1:
        return first
    same = acts[0].actor == acts[1].actor
    how = dice.pick(("then", "then", "first", "before", "after"))
    second = f"{'it' if same else names[acts[1].actor]} {told[1]}"
    if how == "before":
        return f"{first} before {second}"
    if how == "after":
        return f"after {first} {second}"
    if same:
        second = told[1].removeprefix("is ")
    return f"{'first ' if how == 'first' else ''}{first} and then {second}"


def _witness(scene: Scene, names: Sequence[str]) -> str:
    acting = {act.actor for act in scene.acts}
    still = [i for i in range(len(scene.actors)) if i not in acting]
    return "".join(f" with {names[i]} in the {place(scene.actors[i])} corner" for i in still)


def _name(scene: Scene, index: int, dice: Dice) -> str:
    actor = scene.actors[index]
    words = [dice.pick(SIZES[actor.size]), actor.colour, dice.pick(NAMES.get(actor.shape, (actor.shape,)))]
    text = " ".join(word for word in words if word)
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _phrase(scene: Scene, act: Act, voice: Voice, dice: Dice) -> str:
    """The verb of an act with all that belongs to it, in the voice's tense."""
    options = list(DOING.get(act.kind, ()))
    for way in WAYS.get(act.kind, ())[: 1 if voice.brief else 2]:
        options += [(f"{simple} {way}", f"{continuous} {way}") for simple, continuous in MOVING]
    simple, continuous = dice.pick(options)
    text = f"is {continuous}" if voice.continuous else simple
    if act.kind != "rest":
        return text.format(act.colour)
    where = place(scene.actors[act.actor])
    assert rests(scene, act.actor)
    return text.format("in the middle" if where == "middle" else f"in the {where} corner")
