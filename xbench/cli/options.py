"""Options of the command line, declared from the table that the Python API shares; see pipeline/options.py.

Click takes them as text: the table reads and refuses them, with the words that the API has.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from xbench.pipeline.options import EVALUATE, RUN, SCORE, flag, key_values

F = TypeVar("F", bound=Callable[..., Any])

_TABLE = EVALUATE | SCORE | RUN


class FiniteRange(click.FloatRange):
    """A range of numbers; `nan` and `inf`, which pass a comparison or a missing bound, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or fail as click's types do."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class _OneOf(click.Choice[str]):
    """Shows and completes what there is to choose from."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text as it is: the table refuses it."""
        return value


def option(name: str, *, help: str, metavar: str | None = None) -> Callable[[F], F]:  # noqa: A002
    """Declare an option of the table for a command; help and metavar as click's."""
    known = _TABLE[name]
    more: dict[str, Any] = {"help": help, "default": known.default}
    if isinstance(known.default, bool):
        more["is_flag"] = True
    elif known.words:
        more |= {"type": _OneOf(known.words)}
    else:
        more |= {"type": str, "metavar": f"[BENCHMARK=]{metavar}" if known.per_benchmark else metavar}
    if known.per_benchmark:
        more |= {"multiple": True, "default": ()}
    return click.option(flag(name), name, **more)


json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print the record as JSON on stdout, and nothing else."
)
ties_option: Callable[[F], F] = option(
    "ties",
    help="How equal scores are ranked; reference counts as the published code does (NOT COMPARABLE).",
)
metrics_option: Callable[[F], F] = option(
    "metrics", metavar="LIST", help="E.g. R@1,R@50,MdR,MnR,MRR,nDCG@10,RSum."
)
post_option: Callable[[F], F] = option(
    "post",
    help="dsl adds a row with dual softmax, which looks at the whole test set; qbnorm one normalised by"
    " --bank (never comparable with raw).",
)
bank_option: Callable[[F], F] = option(
    "bank",
    metavar="FILE",
    help="For --post qbnorm: training captions, one on each line or a JSON list; for a matrix, the bank's.",
)
force_option: Callable[[F], F] = option(
    "force", help="--post dsl where videos have several captions, too: its prior is false there."
)
v2t_option: Callable[[F], F] = option(
    "v2t",
    help="How video-to-text counts several captions of a video: against each other video's best one, or every"
    " caption for itself.  [default: the protocol's rule]",
)


label_option: Callable[[F], F] = option(
    "label",
    metavar="TEXT",
    help="What to call the result.  [default: folder and number of the checkpoint, e.g. didemo-b32/4]",
)


def ray_options(what: str) -> Callable[[F], F]:
    """Declare --ray and what goes with it; what: the work that is done there."""

    def decorate(command: F) -> F:
        mixed = option(
            "mixed_devices", help="Let --ray use machines that compute other last bits; ties may break."
        )
        devices = option(
            "devices",
            metavar="LIST",
            help="What of this machine --ray uses: cuda:0,cuda:1; cpu for each worker.",
        )
        ray = click.option("--ray", is_flag=False, flag_value="local", metavar="[HOST:PORT]", help=what)
        return ray(devices(mixed(command)))

    return decorate


def as_keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a command was given as the keywords of the Python API, repeatable options as lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value is not None and value != ()
    }


def run_keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run as the keywords of `xbench.run`."""
    given = as_keywords(options)
    given["cache"] = not given.pop("no_cache")
    for name in ("model_args", "first_args"):
        if name in given:
            given[name] = key_values(flag(name), given[name])
    if "memory" in given:
        given["memory"] = _gibibytes(given["memory"])
    return given


def _gibibytes(value: str) -> Any:
    """Return an amount in bytes; text that is no number as it is, for the table to refuse."""
    try:
        return float(value) * 2**30
    except ValueError:
        return value
