"""`xbench check`: the gate for CI."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xbench.cli.options import FiniteRange
from xbench.errors import DataError, RegressionError, XbenchError, os_errors

if TYPE_CHECKING:
    from xbench.reports.check.gates import Verdict


@click.command("check")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    required=True,
    metavar="FILE|published[:MODEL/BACKBONE]",
    help="An earlier result, or the published numbers of the result's model or of another one.",
)
@click.option(
    "--max-drop",
    "limits",
    multiple=True,
    metavar="METRIC=DROP",
    help="How much worse a metric may be, whatever chance can do, e.g. t2v.R@1=0.5; R@1=0.5 is for both"
    " directions. Repeatable; then only these metrics are checked.  [default: the paired test of every metric"
    " of the baseline, both directions]",
)
@click.option(
    "--significance",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    metavar="ALPHA",
    help="Level of the paired test; with --max-drop, test the metrics without a limit as well."
    "  [default: 0.05]",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write JUnit XML here, also when the check cannot be made.",
)
def command(
    *, result: Path, baseline: str, limits: tuple[str, ...], significance: float | None, junit: Path | None
) -> None:
    """Check a RESULT (JSON file) against a baseline; for a training repository's CI.

    Without --max-drop a metric fails when it is worse by more than chance explains, by a test over pairs of
    the same queries. That is the chance of which queries were drawn, not that of training again. Where one
    side has no per-query counts there is no test, and --max-drop is needed.

    Exit code 0: no metric is worse than allowed. 1: at least one is, or is missing. 2: the two did not score
    the same thing, or there is nothing to test by. 3: a file is missing, damaged or contradicts itself, or a
    result that is not comparable was to be checked against published numbers. Improvement never fails. With
    $GITHUB_STEP_SUMMARY set, the table is appended there; with $GITHUB_ACTIONS, failures are annotated.
    """
    from xbench.reports.check.text import failure, github_error, render_junit_error

    try:
        verdict = _check(result, baseline, limits, significance)
    except XbenchError as error:
        _say_on_github([github_error(error)])
        _write_junit(junit, render_junit_error(error))
        raise
    _report(verdict, junit)
    if verdict.failures:
        raise RegressionError(f"{failure(verdict)}. Mend what fell, or allow more with --max-drop.")


def _check(result: Path, baseline: str, limits: tuple[str, ...], significance: float | None) -> "Verdict":
    from xbench.reports.check.gates import parse_limits
    from xbench.reports.check.regression import check_against_published, check_against_run
    from xbench.reports.record.files import read

    asked = parse_limits(limits)
    if baseline == "published" or baseline.startswith("published:"):
        choice = baseline.removeprefix("published").removeprefix(":")
        return check_against_published(read(result), choice, asked, significance)
    if not Path(baseline).exists():
        raise DataError(f"--baseline {baseline}: no such file; give an earlier result, or `published`")
    return check_against_run(read(result), read(Path(baseline)), asked, significance)


def _report(verdict: "Verdict", junit: Path | None) -> None:
    from xbench.reports.check.text import github_lines, render_junit, render_markdown, render_verdict

    click.echo(render_verdict(verdict))
    _say_on_github(github_lines(verdict))
    _write_junit(junit, render_junit(verdict))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        _append(Path(summary), render_markdown(verdict))


def _say_on_github(lines: Sequence[str]) -> None:
    for line in lines if os.environ.get("GITHUB_ACTIONS") else []:
        click.echo(line)


def _write_junit(path: Path | None, content: bytes) -> None:
    from xbench.storage import write_atomically

    if path is None:
        return
    with os_errors(DataError, "cannot write the outcome"):
        write_atomically(path, content)


def _append(path: Path, text: str) -> None:
    with os_errors(DataError, "cannot write the outcome"), path.open("a", encoding="utf-8") as stream:
        stream.write(text)
