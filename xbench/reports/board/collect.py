"""The records in files and folders."""

from collections.abc import Sequence
from pathlib import Path

from xbench.errors import DataError
from xbench.reports.compare.pairing import Saved, load_saved


def collect(paths: Sequence[Path]) -> tuple[list[Saved], list[str]]:
    """Return the records of files and of folders, and why files are left out.

    Raises DataError for a path that does not exist, a named file that is no record, and when there is none.
    """
    found: list[Saved] = []
    skipped: list[str] = []
    for path in paths:
        if not path.is_dir():
            found.append(load_saved(path))
            continue
        for file in sorted(path.glob("*.json")):
            try:
                found.append(load_saved(file))
            except DataError as error:
                skipped.append(str(error))
    if not found:
        places = ", ".join(map(str, paths))
        raise DataError(f"there is no result of xbench in {places}" + "".join(f"; {r}" for r in skipped))
    once, again = _once(found)
    return once, skipped + again


def _once(found: Sequence[Saved]) -> tuple[list[Saved], list[str]]:
    """Keep a record that stands at several paths once: a second row of it would be no second result."""
    first: dict[str, Saved] = {}
    again = []
    for saved in found:
        known = first.setdefault(saved.result.model_dump_json(), saved)
        if known is not saved:
            again.append(f"{saved.path} is the same record as {known.path}")
    return list(first.values()), again
