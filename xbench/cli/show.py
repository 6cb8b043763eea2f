"""`xbench show`: everything that a saved result says."""

from pathlib import Path

import click


@click.command("show")
@click.argument("result", type=click.Path(path_type=Path, dir_okay=False))
def command(result: Path) -> None:
    """Show all of RESULT (JSON file): numbers, what was scored by what and how, and every reason in full.

    Tables and boards name two videos of a long list; here all stand that are missing, damaged or different.
    """
    from xbench.reports.record.files import read
    from xbench.reports.record.text import render_whole

    click.echo(render_whole(read(result).record))
