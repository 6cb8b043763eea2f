"""`xbench datasets compress`: small copies of a benchmark's videos."""

import os
from pathlib import Path

import click

from xbench.errors import DataError, UsageError


@click.command("compress")
@click.argument("name", metavar="ID")
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    help="The original video files.  [default: $XBENCH_DATA/<Benchmark>/videos]",
)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Where the copies go.")
@click.option(
    "--workers", type=click.IntRange(1), help="Videos at the same time.  [default: the number of CPU cores]"
)
@click.option(
    "--squeeze-portrait",
    is_flag=True,
    help="Do to videos higher than wide what CLIP4Clip's script does: 240 x 320 becomes 224 x 168.",
)
def command(name: str, videos: Path | None, to: Path, workers: int | None, squeeze_portrait: bool) -> None:
    """Make small copies of the videos: 3 frames a second, smaller side 224, no sound.

    The published code trains and tests on such copies; scores on them differ from the originals'. Copies
    appear whole or not at all, finished ones are kept, and a run that was stopped goes on where it was. Ends
    with exit code 3 when a video cannot be copied; a damaged one is not, since its copy would look sound.
    """
    from xbench.pipeline.copies import plan_copies
    from xbench.progress import stage
    from xbench.registry.datasets import find
    from xbench.registry.folders import default_folders
    from xbench.video.compress import compress
    from xbench.video.reencode import Recipe

    entry, _ = find(name)
    default = default_folders(entry.id)
    folder = videos or (default[1] if default else None)
    if folder is None:
        raise UsageError(f"Where are the videos of {entry.id}? Give --videos DIR or set XBENCH_DATA.")
    jobs = plan_copies(entry.id, folder, to)
    with stage(f"{entry.id}: compressing", len(jobs), "videos") as advance:
        outcomes = compress(
            jobs, Recipe(squeeze_portrait=squeeze_portrait), workers or os.cpu_count() or 1, advance
        )
    counts = {
        state: sum(outcome.state == state for outcome in outcomes) for state in ("made", "kept", "failed")
    }
    for outcome in outcomes:
        if outcome.state == "failed":
            click.echo(f"failed: {outcome.source}: {outcome.cause}")
    click.echo(f"{to}: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    if counts["failed"]:
        raise DataError(
            f"{counts['failed']} of {len(jobs)} videos have no copy; they are listed on stdout. Replace"
            " their files and run this again, or score the originals."
        )
