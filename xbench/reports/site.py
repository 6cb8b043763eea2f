"""A leaderboard with the pages of its results: a folder that opens from disk and can be published."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from urllib.parse import quote

from xbench.errors import DataError, os_errors
from xbench.progress import say
from xbench.reports.board.boards import Filter
from xbench.reports.board.distinct import distinct
from xbench.reports.board.formats import render_leaderboard
from xbench.reports.board.overview import Links, no_links
from xbench.reports.page.findings import Material
from xbench.reports.page.report import render_report
from xbench.reports.record.files import Measurement
from xbench.storage import write_atomically

INDEX = "index.html"
_NOT_HERE = (
    "The captions, the similarity and the videos are not part of a leaderboard: run xbench report on the"
    " record to see them."
)


def links_from(folder: Path, measurement: Measurement) -> Links:
    """Return where a result's record stands, and its page if one does beside it, as seen from a folder."""
    path = measurement.path
    if path is None:
        return no_links(measurement)
    pages = (path.with_suffix(".html"), path.with_suffix("") / INDEX)
    page = next((_address(each, folder) for each in pages if each.is_file()), "")
    return Links(page, _address(path, folder))


def _address(path: Path, folder: Path) -> str:
    """A relative address, in which no name can be a scheme."""
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # on another drive
        return path.resolve().as_uri()
    return quote(f"./{Path(relative).as_posix()}", errors="surrogateescape")


def write_site(
    folder: Path, records: Sequence[Measurement], choice: Filter, *, include_published: bool = False
) -> Path:
    """Write index.html, and in results/ the record of each result shown, with its counts and its page.

    Returns the path of index.html, which is written last. Raises DataError when nothing fits the choice or
    the folder cannot be written to.
    """
    shown = [each for each in records if choice.admits_record(each.record)]
    places = _places(once.measurement for once in distinct(shown))

    def links(measurement: Measurement) -> Links:
        page = places[measurement].with_suffix(".html")
        record = Links(record=_address(places[measurement], Path()))
        return record if measurement.per_query is None else replace(record, page=_address(page, Path()))

    index = render_leaderboard(records, "html", choice, include_published=include_published, links=links)
    say(f"Writing the pages of {len(places)} results to {folder}")
    with os_errors(DataError, f"cannot write the leaderboard to {folder}"):
        for measurement, place in places.items():
            _write_result(folder / place, measurement)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / INDEX, index.encode())
    return folder / INDEX


def _places(measurements: Iterable[Measurement]) -> dict[Measurement, Path]:
    """Where each record goes: results/NAME.json, and where a name is taken a folder deeper."""
    taken: set[Path] = set()
    places = {}
    for measurement in measurements:
        names = [path.name for path in _files(measurement)]
        folder = next(
            folder for folder in _folders(Path("results")) if not {folder / name for name in names} & taken
        )
        taken |= {folder / name for name in names}
        places[measurement] = folder / names[0]
    return places


def _folders(first: Path) -> Iterator[Path]:
    yield first
    yield from (first / str(number) for number in count(2))


def _files(measurement: Measurement) -> list[Path]:
    """The record's file, and that of its counts."""
    assert measurement.path is not None  # it was read from there
    counts = measurement.record.per_query
    beside = [] if counts is None else [measurement.path.parent / Path(counts.file).name]
    return [measurement.path, *(path for path in beside if measurement.per_query is not None)]


def _write_result(target: Path, measurement: Measurement) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    record, *counts = _files(measurement)
    for path in counts:
        write_atomically(target.parent / path.name, path.read_bytes())
    write_atomically(target, record.read_bytes())
    if counts:
        page = render_report(measurement, Material(missing=(_NOT_HERE,)))
        write_atomically(target.with_suffix(".html"), page.encode())
