"""`xbench score`: the metrics of a similarity matrix that you already have."""

from pathlib import Path
from typing import Any

import click

from xbench.cli.options import (
    as_keywords,
    bank_option,
    force_option,
    json_option,
    metrics_option,
    option,
    post_option,
    ties_option,
    v2t_option,
)
from xbench.errors import UsageError


@click.command("score", context_settings={"show_default": True})
@click.argument("similarity", metavar="FILE")
@click.option("--dataset", required=True, metavar="NAME", help="A benchmark: see `xbench datasets list`.")
@click.option("--annotations", metavar="DIR", help="Annotation files.  [default: $XBENCH_DATA/<Benchmark>]")
@option(
    "rows",
    help="What the rows are, where shape and ids do not tell: a square matrix without ids needs it.",
)
@click.option("--transpose", is_flag=True, help="The same as --rows videos: the matrix is V x T.")
@option(
    "row_ids",
    metavar="FILE",
    help="The id of each row: .txt (one on each line), .json or .npy. A caption's id is its video's where "
    "every video has one, else VIDEO#N, or its text. Ids may also stand in the file, as row_ids.",
)
@option("column_ids", metavar="FILE", help="The id of each column, as for --row-ids.")
@option("distance", help="The scores are distances: lower is closer.")
@option(
    "first",
    metavar="FILE",
    help="The matrix of a first stage: SIMILARITY is the second's, of which the candidates' scores are read.",
)
@option("k", metavar="N", help="Candidates of each query, and what ties with the last.  [default: 128]")
@option("protocol", metavar="ID", help="See `xbench datasets show`.  [default: the benchmark's usual one]")
@metrics_option
@post_option
@bank_option
@force_option
@v2t_option
@ties_option
@option("label", metavar="TEXT", help="What to call the result.")
@option("backbone", metavar="NAME", help="Of the model that gave the scores, as papers write it: ViT-B/32.")
@option("setting", help="Whether that model has seen training data of the benchmark.")
@option("source", metavar="TEXT", help="Where the scores come from: an address, a paper, a person.")
@click.option("--output", type=click.Path(path_type=Path), help="Also save a result record in this folder.")
@json_option
def command(*, transpose: bool, output: Path | None, as_json: bool, **options: Any) -> None:
    """Compute the metrics of the scores in SIMILARITY: .npy, .npz, .safetensors, or a torch file.

    Higher is closer, unless --distance says otherwise. Without ids, captions and videos stand in the
    protocol's order; what ranks no better than chance then is NOT COMPARABLE.
    """
    from xbench.cli.printing import save_and_say, show_json, show_tables
    from xbench.pipeline.matrix import score_matrix
    from xbench.pipeline.plan import plan_matrix

    given = as_keywords(options)
    if transpose and given.setdefault("rows", "videos") != "videos":
        raise UsageError(
            "--transpose says that the rows are videos, --rows that they are captions: give one of the two."
        )
    measurements = score_matrix(plan_matrix(given, output))
    records = [each.record if output is None else save_and_say(each, output) for each in measurements]
    if as_json:
        show_json(records)
    else:
        show_tables(records)
