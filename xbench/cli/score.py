"""`xbench score`: the metrics of a similarity matrix that you already have."""

from pathlib import Path
from typing import Any

import click

from xbench.cli.options import given_and_default, json_option, metrics_option, post_option, ties_option
from xbench.errors import UsageError
from xbench.terms import MatrixRows, choices

_file = click.Path(path_type=Path, dir_okay=False)


@click.command("score", context_settings={"show_default": True})
@click.argument("similarity", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dataset", required=True, metavar="NAME", help="msrvtt, msvd, lsmdc, didemo or activitynet.")
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="Annotation files.  [default: $XBENCH_DATA/<Benchmark>]",
)
@click.option(
    "--rows",
    type=click.Choice(choices(MatrixRows)),
    help="What the rows are, where shape and ids do not tell: a square matrix without ids needs it.",
)
@click.option("--transpose", is_flag=True, help="The same as --rows videos: the matrix is V x T.")
@click.option(
    "--row-ids",
    type=_file,
    help="The id of each row: .txt (one on each line), .json or .npy. A caption's id is its video's where "
    "every video has one, else VIDEO#N, or its text. Ids may also stand in the file, as row_ids.",
)
@click.option("--column-ids", type=_file, help="The id of each column, as for --row-ids.")
@click.option("--protocol", metavar="ID", help="E.g. msrvtt/1ka.  [default: the benchmark's usual one]")
@metrics_option
@post_option
@ties_option
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also save a result record in this folder.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Compute the metrics of the scores in SIMILARITY: .npy, .npz, .safetensors, or a torch file.

    Higher is closer. Without ids, captions and videos stand in the protocol's order.
    """
    from xbench.cli.jobs import matrix_request
    from xbench.cli.show import save_outcome, show_json, show_tables
    from xbench.pipeline.matrix import score_matrix
    from xbench.pipeline.matrix_file import MatrixFile

    request = matrix_request(options, *given_and_default(ctx))
    if options["transpose"] and options["rows"] == "captions":
        raise UsageError("--transpose says that the rows are videos, --rows that they are captions.")
    file = MatrixFile(
        options["similarity"],
        "videos" if options["transpose"] else options["rows"],
        options["row_ids"],
        options["column_ids"],
    )
    results = [
        save_outcome(outcome, options["output"]) if options["output"] is not None else outcome[0]
        for outcome in score_matrix(file, request)
    ]
    if options["as_json"]:
        show_json(results)
    else:
        show_tables(results)
