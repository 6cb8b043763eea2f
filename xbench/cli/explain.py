"""`xbench explain`: why a caption and a video have their score."""

from pathlib import Path

import click

from xbench.errors import DataError, explain

_path = click.Path(path_type=Path)


@click.command("explain")
@click.argument("result", type=_path)
@click.option(
    "--caption",
    required=True,
    metavar="ID",
    help="Its text, VIDEO#N (that video's N-th, from 0), its video's id where every video has one, or #N, "
    "the number that `xbench queries` tells.",
)
@click.option("--video", metavar="ID", help="[default: the caption's own]")
@click.option(
    "--format", "style", type=click.Choice(["text", "svg", "json"]), default="text", show_default=True
)
@click.option("-o", "--output", type=_path, help="Where to write it.  [default: stdout]")
@click.option("--model", metavar="NAME", help="For a model that is code: the record alone runs none.")
@click.option("--checkpoint", type=_path, help="The weights.  [default: as for the run]")
@click.option("--bpe", type=_path, help="The vocabulary.  [default: as for the run]")
@click.option("--device", metavar="NAME", help="[default: as for the run]")
@click.option("--annotations", type=_path, help="For the captions.  [default: as for the run]")
@click.option("--videos", type=_path, help="To know the videos by their files.  [default: as for the run]")
@click.option("--similarity", type=_path, help="The run's matrix, to hold any pair against.")
@click.option("--cache-dir", type=_path, help="Where the features are.  [default: as for the run]")
def command(
    *,
    result: Path,
    caption: str,
    video: str | None,
    style: str,
    output: Path | None,
    annotations: Path | None,
    videos: Path | None,
    similarity: Path | None,
    **model: str | Path | None,
) -> None:
    """Say what the score of a caption and a video in RESULT (JSON file with its .npz) is made of.

    For X-CLIP: the four similarities that the logit is the mean of, those of all words and frames, and the
    attention over both. From the features that the run cached; what is gone is encoded again. The sum is held
    against the score that the run saved.
    """
    from xbench.pipeline.explaining import ModelOptions, explain_pairs, find_pair
    from xbench.pipeline.material import find_places, gather_texts
    from xbench.reports.page.why import render_why
    from xbench.reports.record.files import read
    from xbench.storage import write_atomically

    measured = read(result)
    places = find_places(measured.record, annotations, videos, similarity)
    material = gather_texts(measured, places)
    pair = find_pair(measured, material, caption, video)
    (why,) = explain_pairs(measured, material, places, [pair], ModelOptions(**model))  # type: ignore[arg-type]
    shown = render_why(why, style)  # type: ignore[arg-type]  # click.Choice checked it
    if output is None:
        click.echo(shown)
        return
    try:
        write_atomically(output, f"{shown}\n".encode())
    except OSError as error:
        raise DataError(f"cannot write {output}: {explain(error)}") from error
    click.echo(f"Wrote {output}", err=True)
