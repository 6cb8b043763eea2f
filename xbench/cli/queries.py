"""`xbench queries`: the queries behind a number, as a list."""

from pathlib import Path

import click

from xbench.pipeline.options import count
from xbench.terms import Direction, choices

_path = click.Path(path_type=Path)


@click.command("queries", context_settings={"show_default": True})
@click.argument("result", type=_path)
@click.option(
    "--direction", type=click.Choice(choices(Direction)), default="t2v", help="What is searched for."
)
@click.option("--worst", default="20", metavar="N", help="How many, the worst first.")
@click.option(
    "--against",
    type=_path,
    metavar="OTHER",
    help="Another result over the same queries: lists those that one of the two ranks better, the largest "
    "difference first; `lead` is by how many ranks RESULT is better.",
)
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="E.g. 'rank > 10', 'rank < other', 'tied > 0', 'caption ~ dog'. Repeatable: all must hold.",
)
@click.option("--format", "style", type=click.Choice(["text", "csv", "jsonl"]), default="text")
@click.option("--annotations", type=_path, help="For the captions.  [default: as for the run]")
@click.option("--similarity", type=_path, help="The run's matrix, for what was found instead.")
def command(
    *,
    result: Path,
    direction: Direction,
    worst: str,
    against: Path | None,
    where: tuple[str, ...],
    style: str,
    annotations: Path | None,
    similarity: Path | None,
) -> None:
    """List queries of RESULT (JSON file with its .npz): caption, video, rank, score, what was found instead.

    What is not at hand is left out, and stderr says how to get it.
    """
    from xbench.pipeline.material import find_places, gather_texts
    from xbench.reports.queries import list_queries, read_condition, render_queries
    from xbench.reports.record.files import read

    most, conditions = count("--worst", worst), [read_condition(text) for text in where]
    measured = read(result)
    material = gather_texts(measured, find_places(measured.record, annotations, None, similarity))
    other = None if against is None else read(against)
    rows = list_queries(measured, material, direction, against=other, where=conditions, most=most)
    for line in material.missing:
        click.echo(line, err=True)
    click.echo(render_queries(rows, style))  # type: ignore[arg-type]  # click.Choice checked it
