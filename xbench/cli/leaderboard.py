"""`xbench leaderboard`: results and published claims, ranked."""

from functools import partial
from pathlib import Path

import click

from xbench.errors import DataError, UsageError, os_errors
from xbench.terms import Direction, Layout, choices

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".tex": "latex", ".csv": "csv", ".txt": "text"}


@click.command("leaderboard")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write it here; a folder gets the board with the page and the record of every result.",
)
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only this benchmark. Repeatable.")
@click.option("--protocol", "protocols", multiple=True, metavar="ID", help="Only this protocol. Repeatable.")
@click.option("--direction", type=click.Choice(choices(Direction)), help="Only this one.  [default: both]")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "csv", "md", "latex", "html", "model-index"]),
    help="model-index is the YAML of a Hugging Face model card.  [default: by the ending of -o, else text]",
)
@click.option("--metrics", metavar="LIST", help="Only these, e.g. R@1,MdR; the first ranks.  [default: all]")
@click.option(
    "--layout",
    type=click.Choice(choices(Layout)),
    help="Of LaTeX: a table per protocol, or one of all benchmarks for a paper.  [default: boards]",
)
@click.option("--include-published", is_flag=True, help="Show published claims beside the results.")
@click.option("--comparable-only", is_flag=True, help="Leave out what is NOT COMPARABLE.")
def command(
    *,
    results: tuple[Path, ...],
    output: Path | None,
    datasets: tuple[str, ...],
    protocols: tuple[str, ...],
    direction: str | None,
    style: str | None,
    metrics: str | None,
    layout: Layout | None,
    include_published: bool,
    comparable_only: bool,
) -> None:
    """Rank RESULTS (JSON files, or folders of them) by protocol and direction.

    Measured results carry their 95% interval and date, claims their source. The best row is marked, and so
    is what was measured and is not significantly worse. HTML is one file that sorts and filters offline, or
    with `-o DIR` a folder that can be published as it is.
    """
    from xbench.metrics.measures import parse_measures
    from xbench.registry.datasets import benchmark, protocol
    from xbench.reports.board.boards import Filter
    from xbench.reports.board.formats import render_leaderboard
    from xbench.reports.record.files import read_all
    from xbench.reports.record.schema import DIRECTIONS
    from xbench.reports.site import links_from, write_site

    ids = [benchmark(name).id for name in datasets]
    for name in protocols:
        protocol(name)
    directions = [side for side in DIRECTIONS if direction in (None, side)]
    measures = parse_measures(metrics) if metrics else ()
    choice = Filter(ids, protocols, directions, comparable_only, measures)
    as_folder = output is not None and _is_folder(output, style)
    style = "html" if as_folder else style or _style_of(output)
    if layout is not None and style != "latex":
        raise UsageError(f"--layout is of LaTeX, and this is {style}: give --format latex")
    measured, skipped = read_all(results)
    for reason in skipped:
        click.echo(f"Skipped: {reason}", err=True)
    published = {"include_published": include_published}
    if output is not None and as_folder:
        click.echo(f"Wrote {write_site(output, measured, choice, **published)}", err=True)
        return
    links = partial(links_from, Path() if output is None else output.parent)
    _show(
        render_leaderboard(measured, style, choice, links=links, layout=layout or "boards", **published),
        output,
    )


def _show(text: str, output: Path | None) -> None:
    """Print it, or write it to a file."""
    from xbench.storage import write_atomically

    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    with os_errors(DataError, f"cannot write {output}"):
        write_atomically(output, text.encode())
    click.echo(f"Wrote {output}", err=True)


def _is_folder(output: Path, style: str | None) -> bool:
    """Whether a path asks for a folder: it is one, or has no ending and no format is named."""
    if style not in (None, "html"):
        return False
    return output.is_dir() or (style is None and not output.suffix and not output.exists())


def _style_of(output: Path | None) -> str:
    """Return the format that a file's ending asks for, text without a file."""
    if output is None:
        return "text"
    try:
        return _SUFFIXES[output.suffix.lower()]
    except KeyError:
        raise UsageError(f"-o {output}: choose the --format, or end it in {', '.join(_SUFFIXES)}") from None
