"""`xbench models`: which models there are, and whether one keeps the contract."""

import json
from pathlib import Path
from typing import Any

import click

from xbench.cli.options import FiniteRange, json_option
from xbench.errors import ModelError, UsageError, did_you_mean
from xbench.pipeline.options import key_values
from xbench.terms import Precision, choices

_file = click.Path(path_type=Path, dir_okay=False)


@click.group("models")
def command() -> None:
    """The models that xbench can evaluate, your own included."""


@command.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List the models that have a name: those that come with xbench, plugins, named checkpoints."""
    from xbench.cli.models_text import inventory, listing

    click.echo(json.dumps(inventory(), indent=2) if as_json else listing())


@command.command("show")
@click.argument("name", metavar="NAME")
def show_model(name: str) -> None:
    """Show a model and its options, a named checkpoint, or a file that checkpoints.yaml lists."""
    from xbench.cli.models_text import describe_listed, describe_model, describe_named
    from xbench.registry.checkpoints import checkpoints
    from xbench.scorers.catalog import find, is_shipped

    known = checkpoints()
    listed = known.clip | known.vocabulary
    if name in known.checkpoints and not is_shipped(name):
        click.echo(describe_named(name, known.checkpoints[name]))
    elif name in listed:
        click.echo(describe_listed(name, listed[name]))
    else:
        origin = "comes with xbench" if is_shipped(name) else "your own"
        click.echo(describe_model(name, find(name), origin))


@command.command("fetch")
@click.argument("name", metavar="NAME")
def fetch_weights(name: str) -> None:
    """Fetch what checkpoints.yaml lists under NAME into the cache, check its sha256, and print its path."""
    from xbench.registry.checkpoints import checkpoints
    from xbench.registry.download import fetched
    from xbench.scorers.named import place

    known = checkpoints()
    listed = known.clip | known.vocabulary
    entry = known.checkpoints.get(name)
    if entry is None and name not in listed:
        raise UsageError(
            f"checkpoints.yaml lists no {name!r}.{did_you_mean(name, {*known.checkpoints, *listed})}"
        )
    if entry is not None and entry.hub is not None:
        click.echo(_from_hub(entry.hub))
        return
    where = name if entry is None else place(name, entry)
    if where is None:
        raise UsageError(
            f"The entry {name} of checkpoints.yaml names no weights, so there is nothing to fetch: pass"
            " yours."
        )
    if where in listed:
        where = str(fetched(listed[where], "Download it by hand, and pass its path."))
    click.echo(where)


@command.command("pin")
@click.argument("name", metavar="NAME")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Pin this file although another one is pinned.")
def pin_file(name: str, file: Path, replace: bool) -> None:
    """Pin FILE, which you downloaded by hand, to the checkpoint NAME by its sha256, and print that.

    For checkpoints whose publisher gives no hash. From then on NAME runs, and only with this content.
    """
    from xbench.registry.pins import pins_file
    from xbench.scorers.named import pin_weights

    pin = pin_weights(name, file, replace=replace)
    click.echo(f"{pin.sha256}  {pin.file}")
    click.echo(f"{name} is that file from now on, by {pins_file()}.", err=True)


@command.command("verify", context_settings={"show_default": True})
@click.argument("name", metavar="NAME|FILE.py:CLASS|MODULE:CLASS")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="As for `xbench run`, the rest too.")
@click.option("--clip", metavar="PATH|HUB_ID")
@click.option("--bpe", type=_file)
@click.option("--precision", type=click.Choice(choices(Precision)))
@click.option("--device", default="auto")
@click.option("--model-args", multiple=True, metavar="KEY=VALUE")
@click.option(
    "--tolerance",
    type=FiniteRange(min=0, min_open=True),
    default=1e-3,
    help="Largest deviation that passes, as a part of the largest value. Half precision may need more.",
)
def verify_model(name: str, model_args: tuple[str, ...], tolerance: float, **options: Any) -> None:
    """Tell whether a model keeps the contract of a scorer, on made-up texts and videos.

    Shapes, finite values, long texts, one-frame and padded videos, the same features twice and in any batch,
    the same scores in any block and order, and from saved features, no knowledge of noise. Exit code 4 when
    a promise is broken.
    """
    from xbench.scorers.catalog import ModelRequest, resolve
    from xbench.scorers.features import PrecomputedFeatures
    from xbench.scorers.verify import verify

    request = ModelRequest(name, args=key_values("--model-args", model_args), **options)
    model = resolve(request).build()
    if isinstance(model, PrecomputedFeatures):
        raise UsageError(
            "--model features encodes nothing, so there is nothing to verify: name a model that does."
        )
    failed = 0
    for check in verify(model, tolerance):
        click.echo(str(check))
        failed += check.passed is False
    if failed:
        raise ModelError(f"{name} breaks {failed} of the promises above: mend them as docs/scorers.md tells.")
    click.echo(f"{name} keeps the contract.")


def _from_hub(hub_id: str) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return str(snapshot_download(hub_id))
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{hub_id} cannot be fetched: {str(error).splitlines()[0]}. Check the id and the network, and"
            " try again."
        ) from error
