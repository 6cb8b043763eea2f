"""`xbench report`: one result as a page."""

from pathlib import Path

import click

from xbench.errors import DataError, explain


@click.command("report")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="Where to write the page.",
)
@click.option(
    "--similarity",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The run's matrix (.npy).  [default: what the run was told by --save-similarity]",
)
@click.option(
    "--annotations", type=click.Path(path_type=Path), help="For the captions.  [default: as for the run]"
)
@click.option(
    "--videos", type=click.Path(path_type=Path), help="For pictures of the videos.  [default: as for the run]"
)
def command(
    *, result: Path, output: Path, similarity: Path | None, annotations: Path | None, videos: Path | None
) -> None:
    """Show a RESULT (JSON file with its .npz) as one HTML file, for people who look rather than read.

    Recall curve, ranks, both directions, the similarity matrix, hubs, and the 20 worst and 20 random captions
    with the videos found for them. What is not at hand is left out, and the page says how to get it.
    """
    from xbench.pipeline.material import find_places, gather
    from xbench.progress import say
    from xbench.reports.page.report import render_report
    from xbench.reports.record.files import read
    from xbench.storage import write_atomically

    measured = read(result)
    places = find_places(measured.record, annotations, videos, similarity)
    say("Reading captions, similarity and videos")
    page = render_report(measured, gather(measured, places))
    try:
        write_atomically(output, page.encode())
    except OSError as error:
        raise DataError(f"cannot write {output}: {explain(error)}") from error
    click.echo(f"Wrote {output}", err=True)
