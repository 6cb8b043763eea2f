"""`xbench run`: evaluate a model on one or several benchmarks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import (
    bank_option,
    force_option,
    json_option,
    label_option,
    metrics_option,
    option,
    post_option,
    ray_options,
    run_keywords,
    ties_option,
    v2t_option,
)
from xbench.errors import UsageError

if TYPE_CHECKING:
    from xbench.pipeline.plan import RunPlan


@click.command("run", context_settings={"show_default": True})
@click.option(
    "--model",
    metavar="NAME",
    help="A name (see `xbench models list`), or your own: path/to/file.py:Class, package.module:Class."
    "  [default: xclip]",
)
@click.option(
    "--model-args", multiple=True, metavar="KEY=VALUE", help="An argument of the model. Repeatable."
)
@click.option(
    "--dataset",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A benchmark (see `xbench datasets list`), or all. Repeatable.",
)
@option(
    "checkpoint",
    metavar="FILE",
    help="pytorch_model.bin.N, .pt or .safetensors. With several benchmarks BENCHMARK=FILE, repeatable.",
)
@option("clip", metavar="PATH|HUB_ID", help="CLIP weights, for a model that starts from them.")
@option(
    "text_features",
    metavar="FILE",
    help="For --model features: .npy, .npz, .safetensors or a torch file, with ids or in protocol order.",
)
@option("video_features", metavar="FILE", help="The same, one item for each video.")
@option("annotations", metavar="DIR", help="Annotation files.  [default: $XBENCH_DATA/<Benchmark>]")
@option(
    "videos",
    metavar="DIR",
    help="Video files, searched recursively.  [default: $XBENCH_DATA/<Benchmark>/videos]",
)
@option("protocol", metavar="ID", help="See `xbench datasets show`.  [default: the benchmark's usual one]")
@option("miniature", help="Small rendered benchmarks and a small checkpoint; no download.")
@option("bpe", metavar="FILE", help="CLIP's bpe_simple_vocab_16e6.txt.gz.  [default: $XBENCH_BPE]")
@option("device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
@option(
    "precision",
    help="fp16: CLIP towers in half precision, as the published GPU evaluation has them. tf32: GPUs only."
    "  [default: fp32, or what checkpoints.yaml says of the model]",
)
@option("threads", metavar="N", help="In which a CPU computes; changes last bits.")
@ray_options("Work on a Ray cluster; alone, on one of this machine's GPUs, else CPU cores. The same bits.")
@option("workers", metavar="N", help="Threads that decode ahead.")
@option("memory", metavar="GIB", help="For scoring; changes no number.  [default: 1/4 of RAM]")
@option("limit", metavar="N", help="Score only the first N videos (NOT COMPARABLE).")
@option("allow_missing", help="Score without missing videos (NOT COMPARABLE).")
@option(
    "allow_damaged",
    help="Score damaged videos with the frames they have, without unreadable ones (NOT COMPARABLE).",
)
@metrics_option
@post_option
@bank_option
@force_option
@v2t_option
@option(
    "sampling",
    metavar="RULE",
    help="Which frames are taken: published (one a second, cut uniformly), uniform (the middle of equal "
    "parts), fps=2, every=1, segments=8x4; +repeat-last fills up short clips.  [default: as the model asks]",
)
@option(
    "pixels",
    help="published: colours as OpenCV 4 gives them, with which all published numbers were made; tagged: as "
    "the tags of each file say, which OpenCV 5 follows.",
)
@ties_option
@label_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    help="Folder of the result record.",
)
@option(
    "save_similarity",
    metavar="FILE",
    help="Save the matrix as .npy: rows captions, columns videos, protocol order. One benchmark only.",
)
@option(
    "rerank",
    metavar="NAME",
    help="The second of two stages, in place of --model: scores the candidates of --first again (NOT "
    "COMPARABLE with rows of one stage).",
)
@option(
    "first",
    metavar="FILE|MODEL",
    help="What finds the candidates: a similarity matrix, as --save-similarity writes it or with ids; or a "
    "model.",
)
@click.option(
    "--first-args",
    multiple=True,
    metavar="KEY=VALUE",
    help="For a model as --first: checkpoint, clip, bpe, precision, or an argument of the model. Repeatable.",
)
@option("rows", help="What the rows of --first FILE are, where shape and ids do not tell.")
@option("k", metavar="N", help="Candidates of each query, and what ties with the last.  [default: 128]")
@option("cache_dir", metavar="DIR", help="[default: $XBENCH_CACHE, else ~/.cache/xbench]")
@click.option("--no-cache", is_flag=True, help="Keep no features after the run.")
@click.option("--dry-run", is_flag=True, help="Check data, checkpoint and protocol; encode nothing.")
@json_option
def command(*, output: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Evaluate a model on a benchmark.

    Reads the annotations, finds and decodes the videos, encodes both sides (cached), scores every pair, and
    writes a result record with the difference from the paper's numbers.
    """
    if dry_run and as_json:
        raise UsageError("--dry-run makes no record, so there is no JSON to print: leave --json out.")
    from xbench.pipeline.plan import by_benchmark, plan_runs

    each = by_benchmark(run_keywords(options))
    if dry_run:
        _show_plans(plan_runs(each))
        return
    _carry_out(plan_runs(each, output), output, as_json=as_json)


def _carry_out(plans: Sequence["RunPlan"], output: Path, *, as_json: bool) -> None:
    """Save each record as soon as it is there, and print one table or the JSON."""
    from xbench.cli.printing import save_and_say, show_differences, show_json, show_tables
    from xbench.pipeline.run import run_all

    records = [save_and_say(measured, output) for measured in run_all(plans)]
    if as_json:
        show_json(records)
    else:
        show_tables(records)
        show_differences(records)


def _show_plans(plans: Sequence["RunPlan"]) -> None:
    """Do everything that comes before encoding, and say what was found."""
    from xbench.pipeline.run import look

    for plan, scorer, found in look(plans):
        split = plan.split
        click.echo(f"{split.protocol}: {len(split.captions)} captions, {len(split.videos)} videos, {found}")
        for line in plan.recognition.notes:
            click.echo(f"  {line}")
        settings = ", ".join(f"{key} {value}" for key, value in scorer.settings.items())
        click.echo(f"  {scorer.name}: {settings}")
    click.echo("Dry run: nothing was encoded or scored.")
