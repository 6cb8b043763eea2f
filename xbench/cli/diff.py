"""`xbench diff`: a result beside the published numbers of its model."""

from pathlib import Path

import click


@click.command("diff")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="NAME",
    help="Published model to compare with, e.g. CLIP4Clip-meanP.  [default: the result's own]",
)
def command(result: Path, model: str | None) -> None:
    """Compare a RESULT (JSON file) with the published numbers of its model on its benchmark.

    Shows value, published value and difference, and why a published row cannot be compared: its protocol,
    backbone, post-processing or setting. A value that no source gives is shown as not given.
    """
    from xbench.reports.published.claims import find_model
    from xbench.reports.published.difference import diff
    from xbench.reports.published.text import render_difference
    from xbench.reports.record.files import read

    click.echo(render_difference(diff(read(result).record, find_model(model) if model else None)))
