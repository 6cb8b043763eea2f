"""`xbench sweep`: choose among checkpoints on a validation set, and score the chosen one once."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import metrics_option, option, ray_options, run_keywords, ties_option
from xbench.errors import DataError, explain

if TYPE_CHECKING:
    from xbench.pipeline.sweep import Rule
    from xbench.reports.record.files import Measurement


@click.command("sweep", context_settings={"show_default": True})
@option("model", metavar="NAME", help="As for `xbench run`, the rest too.")
@click.option("--model-args", multiple=True, metavar="KEY=VALUE")
@click.option("--dataset", required=True, metavar="NAME", help="One benchmark.")
@click.option(
    "--checkpoint",
    "patterns",
    multiple=True,
    required=True,
    metavar="PATTERN",
    help="The candidates, e.g. 'runs/*/pytorch_model.bin.*'. Repeatable.",
)
@click.option(
    "--select",
    default="val",
    metavar="val|test|PROTOCOL",
    help="What they are compared on. test marks the result: chosen on test among N.",
)
@click.option("--by", default="t2v.R@1", metavar="DIRECTION.MEASURE", help="By what the best is chosen.")
@click.option("--annotations", metavar="DIR", help="Annotation files of both protocols.")
@click.option("--videos", metavar="DIR", help="Video files of both protocols.")
@option("protocol", metavar="ID", help="What the chosen one is scored on.  [default: the usual one]")
@option("miniature", help="Small rendered benchmarks.")
@option("bpe", metavar="FILE", help="CLIP's vocabulary.")
@option("device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
@option("precision", help="Of the computation.")
@option("workers", metavar="N", help="Threads that decode ahead.")
@option("threads", metavar="N", help="In which a CPU computes; changes last bits.")
@ray_options("Candidates side by side on a Ray cluster, one a worker; alone, on the GPUs here, else cores.")
@option("memory", metavar="GIB", help="For scoring; changes no number.")
@option("limit", metavar="N", help="Score only the first N videos (NOT COMPARABLE).")
@option("allow_missing", help="Score without missing videos (NOT COMPARABLE).")
@option("allow_damaged", help="Score damaged videos with the frames they have (NOT COMPARABLE).")
@option("sampling", metavar="RULE", help="Which frames are taken, as for `xbench run`.")
@metrics_option
@ties_option
@click.option("--output", type=click.Path(path_type=Path), default=Path("results"), help="Folder of records.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Draw the curve into a file.")
@option("cache_dir", metavar="DIR", help="[default: $XBENCH_CACHE, else ~/.cache/xbench]")
@click.option("--no-cache", is_flag=True, help="Keep no features after the sweep.")
def command(
    *,
    patterns: tuple[str, ...],
    select: str,
    by: str,
    output: Path,
    svg: Path | None,
    protocol: str | None,
    **options: Any,
) -> None:
    """Score every checkpoint on the validation set, choose the best, and score that once on the test set.

    The records of all candidates stand in OUTPUT/candidates, and the chosen one's says how many were tried,
    by what and on what. Stopped, the same command goes on from there. Videos are decoded once for all.
    """
    from xbench.cli.printing import show_tables
    from xbench.pipeline import sweep
    from xbench.pipeline.plan import plan_runs
    from xbench.reports.record.schema import Selection

    rule, given = sweep.read_rule(by), run_keywords(options)
    on = sweep.protocol_of_selection(given["dataset"], select, protocol)
    files = sweep.find_candidates(patterns)
    rule.require_among(given.get("metrics"))
    plans = sweep.plan_sweep(given, files, on, output)
    last = {**given, "protocol": protocol}
    plan_runs([{**last, "checkpoint": files[0]}])  # what the test set lacks should be known at once
    found = sweep.compare_candidates(plans, output / sweep.CANDIDATES)
    best = rule.best(found)
    plan = None if select == "test" else plan_runs([{**last, "checkpoint": files[found.index(best)]}])[0]
    _show_candidates(found, rule, best, on)
    _draw(svg, found, rule, best)
    chosen = sweep.decide(best, plan, Selection(tried=len(found), by=str(rule), on=on), output)
    click.echo(f"Saved {chosen.path}", err=True)
    show_tables([chosen.record])


def _show_candidates(found: Sequence["Measurement"], rule: "Rule", best: "Measurement", on: str) -> None:
    from xbench.reports.curve import render_candidates

    click.echo(render_candidates(found, rule.direction, rule.measure, found.index(best), on))
    click.echo()


def _draw(svg: Path | None, found: Sequence["Measurement"], rule: "Rule", best: "Measurement") -> None:
    if svg is None:
        return
    from xbench.reports.curve import curve_svg
    from xbench.storage import write_atomically

    picture = curve_svg(found, rule.direction, rule.measure, found.index(best))
    try:
        write_atomically(svg, picture.encode())
    except OSError as error:
        raise DataError(f"cannot write {svg}: {explain(error)}") from error
    click.echo(f"Wrote {svg}", err=True)
