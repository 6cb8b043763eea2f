"""`xbench compare`: whether saved runs differ by more than chance."""

from pathlib import Path

import click

from xbench.errors import UsageError


@click.command("compare")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--metrics", metavar="LIST", help="E.g. R@1,R@100,MdR.  [default: those of the first record]")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "md", "latex", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
def command(results: tuple[Path, ...], metrics: str | None, style: str) -> None:
    """Compare RESULTS (JSON files with their .npz): every other one with the first.

    They must have scored the same captions and videos. Per metric and direction: the difference, its 95%
    interval, a p-value, which run wins how many queries, and how large a difference this benchmark can
    resolve at all. Needs nothing but the saved files.
    """
    from xbench.metrics.measures import parse_measures
    from xbench.reports.compare.paired import compare
    from xbench.reports.record.files import read

    if len(results) < 2:
        raise UsageError("Give two results or more: xbench compare A.json B.json")
    measures = parse_measures(metrics) if metrics else None
    comparison = compare([read(path) for path in results], measures)
    click.echo(comparison.render(style))  # type: ignore[arg-type]  # click.Choice checked it
