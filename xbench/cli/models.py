"""`xbench models`: which models there are, and whether one keeps the contract."""

from pathlib import Path
from typing import Any

import click

from xbench.cli.options import key_values
from xbench.errors import ModelError, UsageError

_file = click.Path(path_type=Path, dir_okay=False)


@click.group("models")
def command() -> None:
    """The models that xbench can evaluate, your own included."""


@command.command("verify", context_settings={"show_default": True})
@click.argument("name", metavar="NAME|FILE.py:CLASS|MODULE:CLASS")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="As for `xbench run`, the rest too.")
@click.option("--clip", metavar="PATH|HUB_ID")
@click.option("--bpe", type=_file)
@click.option("--precision", type=click.Choice(["fp32", "fp16", "bf16"]), default="fp32")
@click.option("--device", default="auto")
@click.option("--model-args", multiple=True, metavar="KEY=VALUE")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, min_open=True),
    default=1e-3,
    help="Largest deviation that passes, as a part of the largest value. Half precision may need more.",
)
def verify_model(name: str, model_args: tuple[str, ...], tolerance: float, **options: Any) -> None:
    """Tell whether a model keeps the contract of a scorer, on three made-up texts and videos.

    Shapes, finite values, long texts, one-frame and padded videos, the same features twice and in any batch,
    the same scores in any block and order, and from saved features. Exit code 4 when a promise is broken.
    """
    from xbench.scorers.catalog import ModelRequest, build
    from xbench.scorers.features import PrecomputedFeatures
    from xbench.scorers.verify import verify

    model = build(ModelRequest(name, args=key_values("--model-args", model_args), **options))
    if isinstance(model, PrecomputedFeatures):
        raise UsageError("--model features encodes nothing, so there is nothing to verify.")
    failed = 0
    for check in verify(model, tolerance):
        click.echo(str(check))
        failed += check.passed is False
    if failed:
        raise ModelError(
            f"{name} breaks {failed} of the promises above. docs/scorers.md tells what they mean."
        )
    click.echo(f"{name} keeps the contract.")
