"""`xbench score`: the metrics of a similarity matrix that you already have."""

from pathlib import Path
from typing import Any

import click

from xbench.cli.options import given_and_default, json_option, ties_option


@click.command("score", context_settings={"show_default": True})
@click.argument("similarity", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dataset", required=True, metavar="NAME", help="msrvtt, msvd, lsmdc, didemo or activitynet.")
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="Annotation files.  [default: $XBENCH_DATA/<Benchmark>]",
)
@click.option("--protocol", metavar="ID", help="E.g. msrvtt/1ka.  [default: the benchmark's usual one]")
@ties_option
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also save a result record in this folder.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Compute the metrics of SIMILARITY.npy: rows captions, columns videos, in the protocol's order."""
    from xbench.cli.jobs import matrix_request
    from xbench.pipeline.matrix import score_matrix
    from xbench.reports.store import save, to_json
    from xbench.reports.text import render

    request = matrix_request(options, *given_and_default(ctx))
    result, per_query = score_matrix(options["similarity"], request)
    if options["output"] is not None:
        path, result = save(result, per_query, options["output"])
        click.echo(f"Saved {path}", err=True)
    click.echo(to_json(result) if options["as_json"] else render(result), nl=not options["as_json"])
