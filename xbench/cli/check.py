"""`xbench check`: the gate for CI."""

import os
from pathlib import Path

import click

from xbench.cli.options import FiniteRange
from xbench.errors import DataError, RegressionError, explain


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
    help="How much worse a metric may be, e.g. t2v.R@1=0.5; R@1=0.5 is for both directions. Repeatable; then"
    " only these metrics are checked.  [default: every metric of the baseline, no drop]",
)
@click.option(
    "--significance",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    metavar="ALPHA",
    help="A drop fails only if it is also significant at this level (needs the .npz of both results).",
)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML here.")
def command(
    result: Path, baseline: str, limits: tuple[str, ...], significance: float | None, junit: Path | None
) -> None:
    """Check a RESULT (JSON file) against a baseline; for a training repository's CI.

    Exit code 0: no metric is worse than allowed. 1: at least one is, or is missing. 2: the two did not score
    the same thing. 3: a file is missing or damaged, or a result that is not comparable was to be checked
    against published numbers. Improvement never fails. With $GITHUB_STEP_SUMMARY set, the table is appended
    there.
    """
    from xbench.reports.check.gates import Verdict, parse_limits
    from xbench.reports.check.regression import check_against_published, check_against_run
    from xbench.reports.check.text import conclusion, render_junit, render_markdown, render_verdict
    from xbench.reports.record.files import read
    from xbench.storage import write_atomically

    asked = parse_limits(limits)
    verdict: Verdict
    if baseline == "published" or baseline.startswith("published:"):
        choice = baseline.removeprefix("published").removeprefix(":")
        verdict = check_against_published(read(result).record, result.name, choice, asked, significance)
    else:
        if not Path(baseline).exists():
            raise DataError(f"--baseline {baseline}: no such file; give an earlier result, or `published`")
        verdict = check_against_run(read(result), read(Path(baseline)), asked, significance)
    click.echo(render_verdict(verdict))
    summary = None
    try:
        if junit is not None:
            write_atomically(junit, render_junit(verdict))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as stream:
                stream.write(render_markdown(verdict))
    except OSError as error:
        where = junit if summary is None else summary
        raise DataError(f"cannot write the outcome to {where}: {explain(error)}") from error
    if verdict.failures:
        raise RegressionError(conclusion(verdict))
