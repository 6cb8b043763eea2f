"""`xbench report`: one result as a page, or two side by side."""

from functools import partial
from pathlib import Path

import click

from xbench.errors import DataError, UsageError, os_errors
from xbench.pipeline.options import count

_path = click.Path(path_type=Path)
_EXPLAINED = 20


@click.command("report")
@click.argument("results", nargs=-1, required=True, metavar="RESULT [OTHER ...]", type=_path)
@click.option(
    "-o",
    "--output",
    type=_path,
    help="Where to write the page; of two results the folder.  [default: report.html, or report/]",
)
@click.option(
    "--explain",
    "explained",
    metavar="N",
    help="Say for the N worst captions (at most 20) why what they retrieved has its score.",
)
@click.option(
    "--similarity",
    type=_path,
    multiple=True,
    help="The run's matrix (.npy); of two results given twice.  [default: what the run was told by "
    "--save-similarity]",
)
@click.option(
    "--figures",
    "charts",
    type=_path,
    metavar="DIR",
    help="Write the charts there as SVG, several results in one; a page only if -o is given.",
)
@click.option("--annotations", type=_path, help="For the captions.  [default: as for the run]")
@click.option("--videos", type=_path, help="For frames of the videos.  [default: as for the run]")
@click.option("--checkpoint", type=_path, help="For --explain.  [default: as for the run]")
def command(
    *,
    results: tuple[Path, ...],
    output: Path | None,
    explained: str | None,
    similarity: tuple[Path, ...],
    charts: Path | None,
    annotations: Path | None,
    videos: Path | None,
    checkpoint: Path | None,
) -> None:
    """Show a RESULT (JSON file with its .npz) as one HTML file, for people who look rather than read.

    Recall curve, ranks, both directions, every query to search and sort, the worst and some random ones with
    the frames that were scored and what was retrieved, the similarity matrix, hubs. With OTHER, a result over
    the same queries: rank against rank, the queries that one of the two wins, both retrievals side by side,
    and the page of each. What is not at hand is left out, and the page says how to get it.
    """
    from xbench.pipeline.explaining import ModelOptions
    from xbench.pipeline.plan import require_writable
    from xbench.pipeline.reporting import Wanted, figures_of, report
    from xbench.reports.record.files import read

    with_page = charts is None or output is not None
    _require_fitting(len(results), len(similarity), with_page=with_page)
    wanted = Wanted(
        annotations=annotations,
        videos=videos,
        similarity=similarity,
        explained=_most(explained),
        model=ModelOptions(checkpoint=checkpoint),
    )
    place, as_folder = _place(output, several=len(results) > 1) if with_page else (None, False)
    measured = [read(path) for path in results]
    if charts is not None:
        require_writable(charts, "The figures")
        _write_all(figures_of(measured, wanted), charts)
        click.echo(f"Wrote the figures to {charts}", err=True)
    if place is not None:
        click.echo(f"Wrote {_write(report(measured, wanted), place, as_folder=as_folder)}", err=True)


def _require_fitting(results: int, matrices: int, *, with_page: bool) -> None:
    if (with_page and results > 2) or matrices > results:
        raise UsageError(
            "report shows one result, or two side by side, each with one --similarity at most; --figures"
            " takes more of them."
        )


def _most(explained: str | None) -> int:
    """Read how many captions are to be explained."""
    many = 0 if explained is None else count("--explain", explained)
    if many > _EXPLAINED:
        raise UsageError(f"--explain {many}: give at most {_EXPLAINED}, as many as the page shows.")
    return many


def _place(output: Path | None, *, several: bool) -> tuple[Path, bool]:
    """Return where pages go, and whether that is a folder. Raises DataError when it cannot be written to."""
    from xbench.pipeline.plan import require_writable

    place = output or Path("report" if several else "report.html")
    as_folder = several or place.is_dir()
    if as_folder and place.is_file():
        raise DataError(f"{place} is a file, and two results make a folder of pages: name another path.")
    require_writable(place if as_folder else place.parent, "The page")
    return place, as_folder


def _write(pages: dict[str, str], place: Path, *, as_folder: bool) -> Path:
    """Write the pages, by name, into a folder, or the only one to a file. The first is where one begins."""
    from xbench.storage import write_atomically

    if as_folder:
        _write_all(pages, place)
        return place / next(iter(pages))
    with os_errors(DataError, f"cannot write {place}"):
        write_atomically(place, next(iter(pages.values())).encode())
    return place


def _write_all(files: dict[str, str], folder: Path) -> None:
    """Write files by name into a folder, the first one last."""
    from xbench.storage import within, write_atomically

    with os_errors(DataError, f"cannot write {folder}"):
        for name, content in reversed(files.items()):
            within(folder, partial(write_atomically, folder / name, content.encode()))
