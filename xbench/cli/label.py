"""`xbench label`: what saved results are called."""

from pathlib import Path

import click

from xbench.pipeline.options import label


@click.command("label")
@click.argument("result", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("text")
def command(result: Path, text: str) -> None:
    """Call RESULT (JSON file) TEXT in tables, boards, pages and comparisons; empty takes a label away.

    Nothing that was measured is touched, and the files keep their names.
    """
    from xbench.reports.record.files import relabel

    relabel(result, label("The label", text))
    click.echo(f"Labelled {result}", err=True)
