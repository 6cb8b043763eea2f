"""`xbench report`: one result as a page, or two side by side."""

from functools import partial
from pathlib import Path

import click

from xbench.errors import DataError, UsageError, explain
from xbench.pipeline.options import count

_path = click.Path(path_type=Path)
_EXPLAINED = 20


@click.command("report")
@click.argument("results", nargs=-1, required=True, metavar="RESULT [OTHER]", type=_path)
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
@click.option("--annotations", type=_path, help="For the captions.  [default: as for the run]")
@click.option("--videos", type=_path, help="For frames of the videos.  [default: as for the run]")
@click.option("--checkpoint", type=_path, help="For --explain.  [default: as for the run]")
def command(
    *,
    results: tuple[Path, ...],
    output: Path | None,
    explained: str | None,
    similarity: tuple[Path, ...],
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
    from xbench.pipeline.reporting import Wanted, report
    from xbench.reports.record.files import read

    if len(results) > 2 or len(similarity) > len(results):
        raise UsageError("report shows one result, or two side by side, each with one --similarity at most.")
    many = 0 if explained is None else count("--explain", explained)
    if many > _EXPLAINED:
        raise UsageError(f"--explain {many}: give at most {_EXPLAINED}, as many as the page shows.")
    wanted = Wanted(
        annotations=annotations,
        videos=videos,
        similarity=[*similarity, None, None][:2],
        explained=many,
        model=ModelOptions(checkpoint=checkpoint),
    )
    place, as_folder = _place(output, several=len(results) > 1)
    pages = report([read(path) for path in results], wanted)
    click.echo(f"Wrote {_write(pages, place, as_folder=as_folder)}", err=True)


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
    from xbench.storage import within, write_atomically

    try:
        if as_folder:
            for name, page in reversed(pages.items()):
                within(place, partial(write_atomically, place / name, page.encode()))
            return place / next(iter(pages))
        write_atomically(place, next(iter(pages.values())).encode())
    except OSError as error:
        raise DataError(f"cannot write {place}: {explain(error)}") from error
    return place
