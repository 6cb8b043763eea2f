"""Perform the jobs of `xbench run` and show what came out."""

from collections.abc import Sequence
from pathlib import Path

import click

from xbench.cli.jobs import Job
from xbench.cli.show import save_outcome, show_differences, show_json, show_tables
from xbench.pipeline.precomputed import match_features
from xbench.pipeline.preflight import check, load, preflight
from xbench.pipeline.request import require_writable
from xbench.pipeline.run import run
from xbench.scorers.catalog import Model, ResolvedModel
from xbench.scorers.features import PrecomputedFeatures


def perform(jobs: Sequence[Job], output: Path, *, as_json: bool) -> None:
    """Run every job, save each record as soon as it is there, and print one table or the JSON."""
    require_writable(output, "The result")
    _preflight(jobs)
    built = _Models()
    results = []
    for job in jobs:
        scorer = built.get(job.model)
        outcomes = run(scorer, job.request, job.model.info)
        results += [save_outcome(outcome, output) for outcome in outcomes]
    if as_json:
        show_json(results)
    else:
        show_tables(results)
        show_differences(results)


def dry_run(jobs: Sequence[Job]) -> None:
    """Do everything that comes before encoding, and say what was found."""
    _preflight(jobs)
    built = _Models()
    for job in jobs:
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


def _preflight(jobs: Sequence[Job]) -> None:
    """What is missing for the last benchmark should be known before the first is encoded."""
    for job in jobs:
        preflight(job.request, needs_videos=job.model.info.needs_videos)


class _Models:
    """Builds a model once when several benchmarks share it; holds one at a time."""

    def __init__(self) -> None:
        self._built: tuple[ResolvedModel, Model] | None = None

    def get(self, model: ResolvedModel) -> Model:
        if self._built is None or self._built[0] != model:
            self._built = None  # free the last one before the next is loaded
            self._built = model, model.build()
        return self._built[1]
