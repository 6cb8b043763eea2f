"""Record files: written whole or not at all, under names that no other run uses; read with clear errors."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xbench.errors import DataError, explain, os_errors
from xbench.readers import (
    COUNTS_BYTES,
    RECORD_BYTES,
    RECORD_VALUES,
    TooMuchError,
    parse_json,
    read_at_most,
)
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.proof import learned_later, not_checked, require_agreement
from xbench.reports.record.schema import PerQueryFile, Record, model_name
from xbench.reports.record.upgrade import upgrade
from xbench.storage import write_atomically

_SHOWN_PROBLEMS = 3
_LABEL_IN_NAME = 40
_CONTENT = 10
"""Digits of the hash in a name."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """A record with the per-query counts that its numbers were made from, and the file that it stands in.

    per_query: None where the counts are not at hand, `without_counts` says why: then the record is a claim.
    path: None before it is saved. remarks: what of it could not be checked.
    """

    record: Record
    per_query: PerQuery | None
    path: Path | None = None
    without_counts: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of its file, or what it would begin with."""
        return self.path.name if self.path else _stem(self.record)

    @property
    def name(self) -> str:
        """The model and the file, for tables."""
        return f"{model_name(self.record)} ({self.file})"

    @property
    def counts(self) -> PerQuery:
        """The per-query counts. Raises DataError, saying why, when they are not at hand."""
        if self.per_query is None:
            raise DataError(f"{self.without_counts}. Give a result that has its counts beside it.")
        return self.per_query


def save(record: Record, per_query: PerQuery, folder: Path) -> tuple[Path, Record]:
    """Write the record and its per-query counts. Returns the record's path, and the record as written.

    The name holds a hash of the content (`<protocol>_xclip_1f0c7a3e5b.json`), so no run overwrites
    another's. The record comes last: where it stands, its counts are complete. Raises DataError when the
    folder cannot be written to.
    """
    counts = per_query.to_bytes()
    sha256 = hashlib.sha256(counts).hexdigest()
    stem = f"{_stem(record)}_{_content(record, sha256)}"
    written = record.model_copy(update={"per_query": PerQueryFile(file=f"{stem}.npz", sha256=sha256)})
    path = folder / f"{stem}.json"
    with os_errors(DataError, f"cannot write the result to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path.with_suffix(".npz"), counts)
        try:
            write_atomically(path, to_json(written).encode())
        except BaseException:
            if not path.exists():  # else another run has just written the same
                path.with_suffix(".npz").unlink()
            raise
    return path, written


def is_named_by_content(path: Path) -> bool:
    """Whether a saved record's file has the name that `save` gave it; a later label changes the content.

    Raises DataError as `read` does.
    """
    record = _read_record(path)
    return record.per_query is not None and path.stem.endswith(
        f"_{_content(record, record.per_query.sha256)}"
    )


def _content(record: Record, sha256: str) -> str:
    """The hash in a name: of the record and of its counts."""
    bare = record.model_copy(update={"per_query": None})
    return hashlib.sha256(bare.model_dump_json().encode() + sha256.encode()).hexdigest()[:_CONTENT]


def relabel(path: Path, label: str) -> None:
    """Give a saved record another label, and change nothing else: its file keeps its name and its counts.

    Raises DataError when it is no record or cannot be written.
    """
    read(path)
    raw = json.loads(path.read_bytes())
    try:
        write_atomically(
            path, (json.dumps(raw | {"label": label}, indent=2, ensure_ascii=False) + "\n").encode()
        )
    except OSError as error:
        raise DataError(f"cannot write {path}: {explain(error)}") from error


def to_json(record: Record) -> str:
    """Return the record as it stands in its file."""
    return _pretty(record.model_dump(mode="json"))


def _pretty(raw: Any) -> str:
    return json.dumps(raw, indent=2, ensure_ascii=False) + "\n"


def read(path: Path) -> Measurement:
    """Read a record and the counts beside it, as far as they are there, and check one against the other.

    What xbench learned since it was written makes it not comparable, with the reason. Raises DataError when
    the record is missing, damaged, of a version that is not known here or in contradiction to its counts, and
    when these are damaged or not those that it names.
    """
    record = _read_record(path)
    per_query, missing = _read_counts(path, record)
    require_agreement(record, per_query, str(path))
    if learned := learned_later(record, per_query):
        record = record.model_copy(update={"comparable": False, "not_comparable_because": learned})
    return Measurement(record, per_query, path, missing, tuple(not_checked(record)))


def read_all(paths: Sequence[Path]) -> tuple[list[Measurement], list[str]]:
    """Return the records of files and of folders, and why files are left out.

    Raises DataError for a path that does not exist, a named file that is no record, and when there is none.
    """
    found: list[Measurement] = []
    skipped: list[str] = []
    for path in paths:
        if not path.is_dir():
            found.append(read(path))
            continue
        for file in sorted(path.glob("*.json")):
            try:
                found.append(read(file))
            except DataError as error:
                skipped.append(str(error))
    if not found:
        places = ", ".join(map(str, paths))
        raise DataError(
            f"there is no result of xbench in {places}: give a folder that --output wrote to"
            + "".join(f"; {r}" for r in skipped)
        )
    once, again = _once(found)
    return once, skipped + again


def _once(found: Sequence[Measurement]) -> tuple[list[Measurement], list[str]]:
    """Keep a record that stands at several paths once: a second row of it would be no second result."""
    first: dict[str, Measurement] = {}
    again = []
    for measurement in found:
        known = first.setdefault(measurement.record.model_dump_json(), measurement)
        if known is not measurement:
            again.append(f"{measurement.path} is the same record as {known.path}")
    return list(first.values()), again


def _read_counts(path: Path, record: Record) -> tuple[PerQuery | None, str]:
    """The counts that a record names, or why there are none."""
    if record.per_query is None:
        return None, f"{path} names no file of per-query counts, so nothing can be checked or compared by it"
    file = path.parent / Path(record.per_query.file).name
    try:
        content = read_at_most(file, COUNTS_BYTES)
    except FileNotFoundError:
        return None, (f"there is no {file}, the per-query counts of {path.name}: copy both files")
    except OSError as error:
        raise DataError(
            f"cannot read {file}, the per-query counts of {path.name}: {explain(error)}"
        ) from error
    except TooMuchError as error:
        raise DataError(
            f"{file} is no file of per-query counts ({error}): copy it again, or measure again"
        ) from error
    found, named = hashlib.sha256(content).hexdigest(), record.per_query.sha256
    if found != named:
        raise DataError(
            f"{file} is not the file that {path.name} names: it was changed. Its sha256 is {found[:12]}...,"
            f" not {named[:12]}...: copy both files again, or measure again"
        )
    return PerQuery.from_bytes(content, str(file)), ""


def _read_record(path: Path) -> Record:
    try:
        raw: Any = parse_json(read_at_most(path, RECORD_BYTES), values=RECORD_VALUES)
    except OSError as error:
        raise DataError(f"cannot read a result: {explain(error)}") from error
    except ValueError as error:
        hint = "give the .json file beside it" if path.suffix == ".npz" else "copy it again, or measure again"
        raise DataError(f"{path} is no JSON, or a damaged one ({error}): {hint}") from error
    current = upgrade(raw, str(path))
    try:
        return Record.model_validate_json(json.dumps(current))
    except ValidationError as error:
        raise DataError(
            f"{path} is no valid result of xbench: {_problems(error)}. Copy it again, or measure again"
        ) from error


def _stem(record: Record) -> str:
    label = f"_{_plain(record.label)[-_LABEL_IN_NAME:]}" if record.label else ""
    return f"{_plain(record.protocol.requested)}_{_plain(record.scorer.name)}{label}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-.") or "unnamed"


def _problems(error: ValidationError) -> str:
    found = [f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors()]
    more = f" (and {len(found) - _SHOWN_PROBLEMS} more)" if len(found) > _SHOWN_PROBLEMS else ""
    return "; ".join(found[:_SHOWN_PROBLEMS]) + more
