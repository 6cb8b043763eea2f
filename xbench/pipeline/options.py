"""The options of an evaluation: the one table of names, defaults and refusals behind command line and API.

Names are the API's keywords; `--save-similarity` is `save_similarity`. Values are read here, whichever door
they come through, so that both refuse the same with the same words.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.errors import UsageError, did_you_mean, require_choice
from xbench.sampling import FrameRule, frame_rule
from xbench.terms import (
    DEFAULT_METRICS,
    MatrixRows,
    PixelRule,
    Post,
    Precision,
    Setting,
    Ties,
    V2TRule,
    choices,
)

_LABEL = 80
Reader = Callable[[str, Any], Any]
"""(flag, value) -> the value as a plan has it. Raises UsageError."""


@dataclass(frozen=True)
class Option:
    """One option: what it is without being given, and how a given value is read."""

    read: Reader
    default: Any = None
    words: tuple[str, ...] = ()
    """What there is to choose from, where it is a choice."""
    per_benchmark: bool = False
    """The command line takes it as [BENCHMARK=]VALUE."""
    of_videos: bool = False
    """Means nothing where no video is decoded."""
    of_model: bool = False
    """About a model given by name; a model object has its own."""
    is_setting: bool = True
    """The record keeps it among its settings."""


def read(table: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every option of a table: as given, else (and for None) its default.

    Raises UsageError for a value that an option cannot have.
    """
    found = {}
    for name, option in table.items():
        value = option.default if given.get(name) is None else given[name]
        found[name] = None if value is None else option.read(flag(name), value)
    return found


def told_apart(
    table: Mapping[str, Option], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the values that differ from the defaults from those that do not, as JSON has them."""
    defaults = read(table, {})
    settings = [name for name in table if table[name].is_setting]
    passed = {name: _json(values[name]) for name in settings if values[name] != defaults[name]}
    return passed, {name: _json(values[name]) for name in settings if name not in passed}


def flag(name: str) -> str:
    """Return an option as messages name it, whichever door it came through."""
    return f"--{name.replace('_', '-')}"


def split_by_benchmark(option: str, values: Sequence[str], benchmarks: Sequence[str]) -> dict[str, str]:
    """Split repeatable `[BENCHMARK=]VALUE` values into one value per benchmark.

    A value without a benchmark is for the only one that runs; so is a path that exists, whatever stands
    before its `=`. Raises UsageError otherwise, for a benchmark that does not run, and for two values of one.
    """
    found: dict[str, str] = {}
    for value in values:
        name, separator, rest = value.partition("=")
        if not separator or not name.isidentifier() or (name not in benchmarks and Path(value).exists()):
            if len(benchmarks) > 1:
                raise UsageError(
                    f"{option} {value}: several benchmarks run: say for which one, e.g. "
                    f"{option} {benchmarks[0]}={value}"
                )
            name, rest = benchmarks[0], value
        if name not in benchmarks:
            raise UsageError(
                f"{option} {value}: {name!r} is not a benchmark of this run.{did_you_mean(name, benchmarks)}"
            )
        if name in found:
            raise UsageError(f"{option} is given twice for {name}, {found[name]} and {rest}: keep one.")
        found[name] = rest
    return found


def key_values(option: str, values: Iterable[str]) -> dict[str, str]:
    """Split repeatable `KEY=VALUE` values. Raises UsageError for one without a key, and for two of a key."""
    pairs: dict[str, str] = {}
    for value in values:
        key, separator, rest = value.partition("=")
        if not separator or not key.isidentifier():
            raise UsageError(f"{option} {value}: write {option} key=value.")
        if key in pairs:
            raise UsageError(f"{option} gives {key} twice, {pairs[key]} and {rest}: keep one.")
        pairs[key] = rest
    return pairs


def _text(option: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{option}: expected a text, not {value!r}.")
    return value


def label(option: str, value: Any) -> str:
    """Read what a result is called: a line that fits a table. Raises UsageError for another."""
    if not isinstance(value, str) or len(value) > _LABEL or not value.isprintable():
        raise UsageError(f"{option}: expected one line of at most {_LABEL} characters, not {value!r}.")
    return value.strip()


def _path(option: str, value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise UsageError(f"{option}: expected a path, not {value!r}.")
    from xbench.storage import user_path

    return user_path(value)


def _text_or_path(option: str, value: Any) -> str:
    return _text(option, str(value) if isinstance(value, Path) else value)


def _flag(option: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{option} is either given or not: expected True or False, not {value!r}.")
    return value


def count(option: str, value: Any) -> int:
    """A whole number from 1 on; the command line gives it as text."""
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise UsageError(f"{option} {value}: expected a whole number, 1 or more.")
    return number


def _amount(option: str, value: Any) -> int:
    """Bytes. `nan` and `inf`, which pass a comparison or a missing bound, are none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 1:
        raise UsageError(f"{option}: expected a finite amount above 0.")
    return int(value)


def _mapping(option: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{option}: expected names and their values, not {value!r}.")
    return dict(value)


def _measures(option: str, value: Any) -> Any:
    from xbench.metrics.measures import parse_measures

    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ",".join(str(measure) for measure in value)
    return parse_measures(_text(option, value))


def _ties(option: str, value: Any) -> Ties:
    require_choice("The tie policy", value, choices(Ties))
    return Ties[value.upper()]


def _frame_rule(option: str, value: Any) -> FrameRule:
    return frame_rule(value)


def _cluster(option: str, value: Any) -> str:
    name = _text(option, value)
    if name not in ("local", "auto") and not re.fullmatch(r"(ray://)?[^\s/:]+:\d{1,5}", name):
        raise UsageError(
            f"{option} {name!r} is no cluster: leave it empty for a local one, or give HOST:PORT."
        )
    return name


def _devices(option: str, value: Any) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else list(value)
    for name in given:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", str(name)):
            raise UsageError(
                f"{option}: there is no device {name!r}. Write cuda:0,cuda:1, or cpu for each worker."
            )
    return tuple(map(str, given))


def _of(what: str, term: Any, **more: Any) -> Option:
    """An option that is a choice."""
    words = choices(term)

    def read(option: str, value: Any) -> str:
        require_choice(what, value, words)
        return str(value)

    return Option(read, words=words, **more)


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


SCORED = {
    "ties": Option(_ties, Ties.AVERAGE.value, words=choices(Ties)),
    "metrics": Option(_measures, DEFAULT_METRICS),
    "post": _of("The post-processing", Post, default="none"),
    "bank": Option(_path),
    "force": Option(_flag, False),
    "v2t": _of("The video-to-text rule", V2TRule),
    "label": Option(label, is_setting=False),
}
"""How scores become numbers, and what these are called: options of everything that gives a record."""

_DATA = {
    "dataset": Option(_text),
    "annotations": Option(_path, per_benchmark=True),
    "protocol": Option(_text),
}

RUN = (
    {
        "model": Option(_text, "xclip"),
        "model_args": Option(_mapping, of_model=True),
        "checkpoint": Option(_path, per_benchmark=True, of_model=True),
        "clip": Option(_text, of_model=True),
        "text_features": Option(_path, per_benchmark=True, of_model=True),
        "video_features": Option(_path, per_benchmark=True, of_model=True),
    }
    | _DATA
    | {
        "videos": Option(_path, per_benchmark=True, of_videos=True),
        "miniature": Option(_flag, False),
        "bpe": Option(_path, of_model=True),
        "device": Option(_text, "auto", of_model=True),
        "precision": _of("The precision", Precision, of_model=True),
        "threads": Option(count, 1),
        "ray": Option(_cluster, is_setting=False),
        "devices": Option(_devices, is_setting=False),
        "mixed_devices": Option(_flag, False),
        "workers": Option(count, 2, of_videos=True),
        "memory": Option(_amount),
        "limit": Option(count),
        "allow_missing": Option(_flag, False),
        "allow_damaged": Option(_flag, False, of_videos=True),
        "sampling": Option(_frame_rule, of_videos=True),
        "pixels": _of("The pixel rule", PixelRule, default="published", of_videos=True),
        "cache": Option(_flag, True),
        "cache_dir": Option(_path),
        "save_similarity": Option(_path),
        "rerank": Option(_text),
        "first": Option(_text_or_path),
        "first_args": Option(_mapping),
        "rows": _of("The side", MatrixRows),
        "k": Option(count),
    }
    | SCORED
)
"""The options of `xbench run` and `xbench.run`."""

SCORE = (
    {"similarity": Option(_path)}
    | _DATA
    | {
        "rows": _of("The side", MatrixRows),
        "row_ids": Option(_path),
        "column_ids": Option(_path),
        "backbone": Option(_text),
        "source": Option(_text),
        "setting": _of("The setting", Setting),
        "distance": Option(_flag, False),
        "first": Option(_text_or_path),
        "k": Option(count),
    }
    | SCORED
)
"""The options of `xbench score`."""

EVALUATE = SCORED | {
    "name": Option(_text, "similarity"),
    "v2t": _of("The video-to-text rule", V2TRule, default="group-max"),
    "distance": Option(_flag, False),
    "k": Option(count),
}
"""The options of `xbench.evaluate`, beside the scores and what they are scores of."""
