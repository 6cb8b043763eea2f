"""Perform the jobs of `xbench run` and show what came out."""

from collections.abc import Sequence
from pathlib import Path

import click

from xbench.cli.jobs import Job
from xbench.cli.show import save_outcome, show_differences, show_json, show_tables
from xbench.errors import DataError
from xbench.pipeline.precomputed import match_features
from xbench.pipeline.run import check, checkpoint_record, find_files, load, run
from xbench.scorers.catalog import Model, ModelRequest, build, check_request
from xbench.scorers.features import PrecomputedFeatures


def perform(jobs: Sequence[Job], output: Path, *, as_json: bool) -> None:
    """Run every job, save each record as soon as it is there, and print one table or the JSON."""
    check_writable(output)
    for job in jobs:  # what is missing for the last benchmark should be known before the first is encoded
        check_request(job.model)
        if job.model.needs_videos:
            find_files(job.request)
    built = _Models()
    results = []
    for job in jobs:
        scorer = built.get(job.model)
        outcomes = run(scorer, job.request, checkpoint_record(job.model.checkpoint))
        results += [save_outcome(outcome, output) for outcome in outcomes]
    if as_json:
        show_json(results)
    else:
        show_tables(results)
        show_differences(results)


def dry_run(jobs: Sequence[Job]) -> None:
    """Do everything that comes before encoding, and say what was found."""
    built = _Models()
    for job in jobs:
        check_request(job.model)
        scorer = built.get(job.model)
        if isinstance(scorer, PrecomputedFeatures):
            split, recognition = load(job.request)
            match_features(scorer, split, job.request)
            found = f"features in {scorer.texts.path} and {scorer.videos.path}"
        else:
            split, recognition, gallery = check(job.request)
            found = f"{len(gallery.jobs)} files open in {job.request.videos}"
        click.echo(f"{split.protocol}: {len(split.captions)} captions, {len(split.videos)} videos, {found}")
        for line in recognition.notes:
            click.echo(f"  {line}")
        settings = ", ".join(f"{key} {value}" for key, value in scorer.settings.items())
        click.echo(f"  {scorer.name}: {settings}")
    click.echo("Dry run: nothing was encoded or scored.")


def check_writable(folder: Path) -> None:
    """Raise DataError now if the record could not be written at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".xbench-writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(f"No result can be written to {folder}: {error.strerror or error}.") from error


class _Models:
    """Builds a model once when several benchmarks share it; holds one at a time."""

    def __init__(self) -> None:
        self._built: tuple[ModelRequest, Model] | None = None

    def get(self, request: ModelRequest) -> Model:
        if self._built is None or self._built[0] != request:
            self._built = None  # free the last one before the next is loaded
            self._built = request, build(request)
        return self._built[1]
