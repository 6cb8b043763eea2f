"""Result files: written whole or not at all, under names that no other run uses; read with clear errors."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xbench.errors import DataError
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import SCHEMA_VERSION, PerQueryFile, Result
from xbench.storage import write_atomically

_SHOWN_PROBLEMS = 3


def save(result: Result, per_query: PerQuery, folder: Path) -> tuple[Path, Result]:
    """Write the record and its per-query counts. Returns the record's path, and the record as written.

    The name holds a hash of the content (`<protocol>_xclip_1f0c7a3e5b.json`), so no run overwrites
    another's. The record comes last: where it stands, its counts are complete. Raises DataError when the
    folder cannot be written to.
    """
    counts = per_query.to_bytes()
    sha256 = hashlib.sha256(counts).hexdigest()
    content = hashlib.sha256(result.model_dump_json().encode() + sha256.encode()).hexdigest()
    stem = f"{_plain(result.protocol.requested)}_{_plain(result.scorer.name)}_{content[:10]}"
    written = result.model_copy(update={"per_query": PerQueryFile(file=f"{stem}.npz", sha256=sha256)})
    path = folder / f"{stem}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{stem}.npz", counts)
        write_atomically(path, to_json(written).encode())
    except OSError as error:
        raise DataError(f"cannot write the result to {folder}: {error.strerror or error}") from error
    return path, written


def to_json(result: Result) -> str:
    """Return the record as it stands in its file."""
    return json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> Result:
    """Read a record. Raises DataError for a missing or damaged file and for one that is no record."""
    try:
        raw: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read the result {path}: {error.strerror or error}") from error
    except ValueError as error:
        hint = "; give the .json file beside it" if path.suffix == ".npz" else ""
        raise DataError(f"{path} is no JSON, or a damaged one ({error}){hint}") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version is None:
        raise DataError(f"{path} is no result of xbench: it has no schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema version {version!r}; this xbench reads version {SCHEMA_VERSION}:"
            " use the xbench that wrote it, or a newer one"
        )
    try:
        return Result.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise DataError(f"{path} is no valid result of xbench: {_problems(error)}") from error


def load_per_query(path: Path, result: Result) -> PerQuery:
    """Read the counts that belong to the record at `path`.

    Raises DataError when they are missing, or are not those that the record names.
    """
    if result.per_query is None:
        raise DataError(f"{path} names no file of per-query counts, so it cannot be used here")
    file = path.parent / Path(result.per_query.file).name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {file}, the per-query counts of {path.name}: {error.strerror or error}. The two"
            " files belong together: copy both"
        ) from error
    if hashlib.sha256(content).hexdigest() != result.per_query.sha256:
        raise DataError(f"{file} is not the file that {path.name} names (another sha256): it was changed")
    return PerQuery.from_bytes(content, str(file))


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-.") or "unnamed"


def _problems(error: ValidationError) -> str:
    found = [f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors()]
    more = f" (and {len(found) - _SHOWN_PROBLEMS} more)" if len(found) > _SHOWN_PROBLEMS else ""
    return "; ".join(found[:_SHOWN_PROBLEMS]) + more
