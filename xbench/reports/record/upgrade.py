"""Records of other versions: older ones are brought forward, newer ones are read as far as they can be.

Within a schema version a reader takes fields that it does not know, unless the record lists them in
`must_understand`: those change what its numbers mean.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from xbench.errors import DataError
from xbench.reports.record.schema import SCHEMA_VERSION, Record

Raw = dict[str, Any]

_OF_FILES = {
    "annotations": "annotations",
    "videos": "videos",
    "checkpoints": "checkpoint",
    "text_features": "text_features",
    "video_features": "video_features",
}
"""Options of version 1 that were lists of [BENCHMARK=]PATH, and what each is called now."""
_NOT_SETTINGS = ("as_json", "dry_run")


def upgrade(raw: Mapping[str, Any], name: str) -> Raw:
    """Return a record of any version that is known here as one of today; `name` is for messages.

    Raises DataError for what is no record, for a version that is not known here, and for a record with a
    field that must be understood and is not known here.
    """
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version is None:
        raise DataError(
            f"{name} is no result of xbench, it has no schema_version: give one that `xbench run` wrote"
        )
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise DataError(
            f"{name} has schema version {version!r}; this xbench reads the versions 1 to {SCHEMA_VERSION}:"
            " use the xbench that wrote it, or a newer one"
        )
    found = dict(raw)
    for step in range(version, SCHEMA_VERSION):
        found = _STEPS[step](found)
    _require_understood(found.pop("must_understand", []), name)
    return found


def _require_understood(names: Any, name: str) -> None:
    known = set(field_names(Record))
    listed = names if isinstance(names, list) else [names]
    if unknown := [str(each) for each in listed if str(each) not in known]:
        raise DataError(
            f"{name} was made with {', '.join(unknown)}, which changes what its numbers mean and is not known"
            " here: use a newer xbench"
        )


def field_names(part: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the names of all fields of a record's part, those of its parts as `ties.policy`."""
    for name, field in part.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *get_args(field.annotation)):  # a part, or a part that may be absent
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from field_names(kind, f"{prefix}{name}.")


def _from_1(raw: Raw) -> Raw:
    """Version 2 has the settings of its own benchmark, parsed, under the keywords of `xbench.run`."""
    settings, benchmark = raw.get("settings"), raw.get("benchmark")
    if isinstance(settings, dict) and isinstance(benchmark, str):
        parts = {
            part: _parsed(values, benchmark) for part, values in settings.items() if isinstance(values, dict)
        }
        raw = {**raw, "settings": {**settings, **parts}}
    return {**raw, "schema_version": 2}


_STEPS: dict[int, Callable[[Raw], Raw]] = {1: _from_1}


def _parsed(values: Raw, benchmark: str) -> Raw:
    parsed: Raw = {}
    for name, value in values.items():
        if name in _NOT_SETTINGS:
            continue
        if name == "datasets":
            parsed["dataset"] = benchmark
        elif name == "no_cache":
            parsed["cache"] = not value
        elif name == "model_args" and isinstance(value, list):
            parsed[name] = dict(text.split("=", 1) for text in value) or None
        elif name in _OF_FILES and isinstance(value, list):
            parsed[_OF_FILES[name]] = _path_of(benchmark, value)
        else:
            parsed[name] = value
    return parsed


def _path_of(benchmark: str, values: list[str]) -> str | None:
    """The path of one benchmark among `[BENCHMARK=]PATH`, by the rule of version 1's command line."""
    for value in values:
        name, separator, rest = value.partition("=")
        if not separator or not name.isidentifier():
            return value
        if name == benchmark:
            return rest
    return None
