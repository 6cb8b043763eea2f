"""Measurements saved and shown: tables on stdout, or the records as JSON and nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from xbench.reports.published.difference import diff
from xbench.reports.published.text import render_difference
from xbench.reports.record.files import Measurement, save, to_json
from xbench.reports.record.schema import Record
from xbench.reports.record.text import render, render_many


def save_and_say(measured: Measurement, folder: Path) -> Record:
    """Save a record with its per-query counts, and say where."""
    path, saved = save(measured.record, measured.counts, folder)
    click.echo(f"Saved {path}", err=True)
    return saved


def show_json(results: Sequence[Record]) -> None:
    """Print one record, or an array of several."""
    if len(results) == 1:
        click.echo(to_json(results[0]), nl=False)
        return
    click.echo(json.dumps([json.loads(to_json(result)) for result in results], indent=2, ensure_ascii=False))


def show_tables(results: Sequence[Record]) -> None:
    """Print the metrics of one result, or one table of several."""
    click.echo(render(results[0]) if len(results) == 1 else render_many(results))


def show_differences(results: Sequence[Record]) -> None:
    """Print the difference from the paper's numbers where there is one to speak of."""
    for result in results:
        if result.comparable:
            click.echo()
            click.echo(render_difference(diff(result)))
    if not all(result.comparable for result in results):
        click.echo(
            "No difference from published numbers is shown for what is not comparable; `xbench diff RESULT` "
            "shows it all the same.",
            err=True,
        )
