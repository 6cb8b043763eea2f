"""`xbench run`: evaluate a model on one or several benchmarks."""

from pathlib import Path
from typing import Any

import click

from xbench.cli.options import (
    FiniteRange,
    given_and_default,
    json_option,
    metrics_option,
    post_option,
    ties_option,
)
from xbench.errors import UsageError
from xbench.terms import FrameRule, Precision, choices

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)


@click.command("run", context_settings={"show_default": True})
@click.option(
    "--model",
    default="xclip",
    help="A name (see `xbench models list`), or your own: path/to/file.py:Class, package.module:Class.",
)
@click.option(
    "--model-args", multiple=True, metavar="KEY=VALUE", help="An argument of the model. Repeatable."
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    required=True,
    metavar="NAME",
    help="msrvtt, msvd, lsmdc, didemo, activitynet, or all. Repeatable.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="[BENCHMARK=]FILE",
    help="pytorch_model.bin.N, .pt or .safetensors. With several benchmarks BENCHMARK=FILE, repeatable.",
)
@click.option("--clip", metavar="PATH|HUB_ID", help="CLIP weights for xclip-zeroshot.")
@click.option(
    "--text-features",
    multiple=True,
    metavar="[BENCHMARK=]FILE",
    help="For --model features: .npy, .npz, .safetensors or a torch file, with ids or in protocol order.",
)
@click.option(
    "--video-features", multiple=True, metavar="[BENCHMARK=]FILE", help="The same, one item for each video."
)
@click.option(
    "--annotations",
    multiple=True,
    metavar="[BENCHMARK=]DIR",
    help="Annotation files.  [default: $XBENCH_DATA/<Benchmark>]",
)
@click.option(
    "--videos",
    multiple=True,
    metavar="[BENCHMARK=]DIR",
    help="Video files, searched recursively.  [default: $XBENCH_DATA/<Benchmark>/videos]",
)
@click.option("--protocol", metavar="ID", help="E.g. didemo/paragraph.  [default: the benchmark's usual one]")
@click.option(
    "--miniature", is_flag=True, help="Small rendered benchmarks and a small checkpoint; no download."
)
@click.option("--bpe", type=_file, help="CLIP's bpe_simple_vocab_16e6.txt.gz.")
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--precision",
    type=click.Choice(choices(Precision)),
    help="fp16: CLIP towers in half precision, as the published GPU evaluation has them. tf32: GPUs only."
    "  [default: fp32, or what checkpoints.yaml says of the model]",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Videos per encoder call.  [default: 256 frames]"
)
@click.option("--workers", type=click.IntRange(min=1), default=2, help="Threads that decode ahead.")
@click.option(
    "--memory",
    type=FiniteRange(min=0, min_open=True),
    metavar="GIB",
    help="For scoring; changes no number.  [default: 1/4 of RAM]",
)
@click.option("--limit", type=click.IntRange(min=1), help="Score only the first N videos (NOT COMPARABLE).")
@click.option("--allow-missing", is_flag=True, help="Score without missing videos (NOT COMPARABLE).")
@click.option(
    "--allow-damaged",
    is_flag=True,
    help="Score damaged videos with the frames they have, without unreadable ones (NOT COMPARABLE).",
)
@metrics_option
@post_option
@click.option(
    "--sampling",
    type=click.Choice(choices(FrameRule)),
    help="published: one frame a second, cut uniformly; uniform: the middle of equal parts.  "
    "[default: as the model asks]",
)
@ties_option
@click.option("--output", type=_folder, default=Path("results"), help="Folder of the result record.")
@click.option(
    "--save-similarity",
    type=_file,
    help="Save the matrix as .npy: rows captions, columns videos, protocol order. One benchmark only.",
)
@click.option("--cache-dir", type=_folder, help="[default: $XBENCH_CACHE, else ~/.cache/xbench]")
@click.option("--no-cache", is_flag=True, help="Keep no features after the run.")
@click.option("--dry-run", is_flag=True, help="Check data, checkpoint and protocol; encode nothing.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Evaluate a model on a benchmark.

    Reads the annotations, finds and decodes the videos, encodes both sides (cached), scores every pair, and
    writes a result record with the difference from the paper's numbers.
    """
    from xbench.cli.jobs import make_jobs
    from xbench.cli.perform import dry_run, perform

    if options["dry_run"] and options["as_json"]:
        raise UsageError("--dry-run makes no record, so there is no JSON to print: leave --json out.")
    jobs = make_jobs(options, *given_and_default(ctx))
    if options["dry_run"]:
        dry_run(jobs)
    else:
        perform(jobs, options["output"], as_json=options["as_json"])
