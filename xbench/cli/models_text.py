"""What `xbench models` prints, in about 100 columns."""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from xbench.registry.checkpoints import PLACES, Listed, Named, Reproduces, checkpoints, user_file
from xbench.registry.download import place_of
from xbench.registry.pins import pins_file
from xbench.registry.scorers import SHIPPED
from xbench.reports.published.claims import published_rows
from xbench.scorers.arguments import parameters_of
from xbench.scorers.catalog import find, is_shipped
from xbench.scorers.finding import plugins

_WIDTH = 100
_FLAGS = ("checkpoint", "clip", "bpe", "precision", "device", "text_features", "video_features")


def inventory() -> dict[str, list[dict[str, Any]]]:
    """Return all models that have a name, as JSON values. No plugin is loaded."""
    return {
        "models": [{"name": name, "summary": _summary(find(name))} for name in SHIPPED],
        "plugins": [
            {
                "name": plugin.name,
                "value": plugin.value,
                "package": plugin.package,
                "hidden": is_shipped(plugin.name),
            }
            for plugin in plugins()
        ],
        "checkpoints": [
            {"name": name, **entry.model_dump(mode="json", exclude_none=True)}
            for name, entry in checkpoints().checkpoints.items()
        ],
    }


def listing() -> str:
    """Everything that --model takes, in three tables."""
    found = inventory()
    parts = [
        _table("Models that come with xbench", [(each["name"], each["summary"]) for each in found["models"]])
    ]
    if found["plugins"]:
        rows = [
            (each["name"], each["value"], each["package"], "hidden: xbench has one" if each["hidden"] else "")
            for each in found["plugins"]
        ]
        parts.append(_table("Plugins (not loaded until they are asked for)", rows))
    own = user_file()
    title = f"Checkpoints by name, {own} over the shipped ones" if own else "Checkpoints by name"
    named = checkpoints().checkpoints
    parts.append(_table(title, [(name, *_in_short(entry)) for name, entry in named.items()]))
    parts.append("Your own: --model path/to/file.py:Class or package.module:Class; see docs/scorers.md.")
    return "\n\n".join(parts)


def describe_model(name: str, builder: Callable[..., Any], origin: str) -> str:
    """What a model is and which options it takes."""
    lines = [f"{name} ({origin})", *textwrap.wrap(_summary(builder), _WIDTH)]
    rows = [
        (
            f"--{key.replace('_', '-')}" if key in _FLAGS else f"--model-args {key}=",
            _type(each),
            _default(key, each),
        )
        for key, each in parameters_of(builder).items()
    ]
    return "\n".join([*lines, "", tabulate(rows, headers=["option", "type", "default"], tablefmt="simple")])


def describe_named(name: str, entry: Named) -> str:
    """All that checkpoints.yaml says of an entry, where its weights are, and what it should reproduce."""
    facts: list[tuple[str, str]] = [("scorer", entry.scorer)]
    facts += [(key, str(value)) for key in (*PLACES, "sha256") if (value := getattr(entry, key))]
    facts += [(f"settings.{key}", str(value)) for key, value in entry.settings.items()]
    facts += [(key, value) for key in ("source", "licence", "note") if (value := getattr(entry, key))]
    listed = entry.listed or (checkpoints().clip.get(entry.clip) if entry.clip else None)
    if listed is not None:
        facts.append(("here", _here(place_of(listed))))
    elif entry.file is not None:
        facts.append(("here", _here(Path(entry.file))))
    if entry.by_hand is not None:
        facts.append(("state", _state(name, entry)))
    if entry.reproduces is not None:
        facts += [("reproduces", line) for line in _published(entry.reproduces)]
    return f"{name}\n{tabulate(facts, tablefmt='plain')}"


def describe_listed(name: str, entry: Listed) -> str:
    """All that checkpoints.yaml says of weights or a vocabulary, and whether they are here."""
    facts = [(key, value) for key, value in entry.model_dump().items() if value]
    return f"{name}\n{tabulate([*facts, ('here', _here(place_of(entry)))], tablefmt='plain')}"


def _published(row: Reproduces) -> Iterable[str]:
    """The values of a published row, direction by direction; one line that says so when there is none."""
    found = published_rows(**row.model_dump())
    trained = f", trained on {row.train_split}" if row.train_split else ""
    what = f"{row.model} on {row.benchmark}{f' with {row.backbone}' if row.backbone else ''}{trained}"
    if not found:
        yield f"{what}: results/published.csv has no such row"
    for entry in found:
        for direction in ("t2v", "v2t"):
            metrics = dict.fromkeys(value.metric for value in entry.values)  # several sources may give one
            values = [f"{v.metric} {v.value:g}" for name in metrics if (v := entry.value(direction, name))]
            if values:
                yield f"{what}, {entry.claim.protocol}, {direction}: {', '.join(values)}"


def _in_short(entry: Named) -> tuple[str, str, str]:
    if entry.by_hand is not None:
        return entry.scorer, "by hand, pinned" if entry.file else "by hand, unverified", entry.licence
    place = next((f"{key} {value}" for key in PLACES if (value := getattr(entry, key))), "")
    return entry.scorer, place, entry.licence


def _state(name: str, entry: Named) -> str:
    unverified = "unverified: its publisher gives no hash;"
    if entry.file is None:
        return f"{unverified} download it by hand, then `xbench models pin {name} FILE`"
    return f"{unverified} pinned by you in {pins_file()}"


def _summary(builder: Callable[..., Any]) -> str:
    return (inspect.getdoc(builder) or "").split("\n\n")[0].replace("\n", " ")


def _type(parameter: inspect.Parameter) -> str:
    if parameter.annotation is parameter.empty:
        return ""
    return (
        inspect.formatannotation(parameter.annotation).replace("pathlib._local.", "").replace("pathlib.", "")
    )


def _default(key: str, parameter: inspect.Parameter) -> str:
    if key in ("words", "frames"):
        return "the protocol's"
    if key == "device":
        return "auto"
    return "needed" if parameter.default is parameter.empty else str(parameter.default)


def _here(path: Path) -> str:
    return str(path) if path.exists() else f"not yet; it goes to {path}"


def _table(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    return f"{title}\n{textwrap.indent(tabulate(rows, tablefmt='plain'), '  ')}"
