"""Options that several commands share, and what the record keeps of them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from xbench.errors import UsageError, did_you_mean
from xbench.terms import DEFAULT_METRICS, Post, Ties, choices

F = TypeVar("F", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """A range of numbers; `nan` and `inf`, which pass a comparison or a missing bound, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or fail as click's types do."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print the record as JSON on stdout, and nothing else."
)
ties_option: Callable[[F], F] = click.option(
    "--ties",
    type=click.Choice(choices(Ties)),
    default=Ties.AVERAGE.value,
    help="How equal scores are ranked; reference counts as the published code does (NOT COMPARABLE).",
)
metrics_option: Callable[[F], F] = click.option(
    "--metrics",
    default=DEFAULT_METRICS,
    metavar="LIST",
    help="E.g. R@1,R@50,MdR,MnR,MRR,nDCG@10,RSum.",
)
post_option: Callable[[F], F] = click.option(
    "--post",
    type=click.Choice(choices(Post)),
    default="none",
    help="dsl adds a row with dual softmax, which looks at the whole test set (never comparable with raw).",
)


def given_and_default(ctx: click.Context) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that the user gave and those left at their defaults, as JSON values."""
    given: dict[str, Any] = {}
    default: dict[str, Any] = {}
    for name, value in ctx.params.items():
        left = ctx.get_parameter_source(name) in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        (default if left else given)[name] = _json(value)
    return given, default


def per_benchmark(option: str, values: Sequence[str], benchmarks: Sequence[str]) -> dict[str, Path]:
    """Split repeatable `[BENCHMARK=]PATH` values into one path per benchmark.

    A value without a benchmark is for the only one that runs. Raises UsageError otherwise, for a benchmark
    that does not run, and for two values of one.
    """
    paths: dict[str, Path] = {}
    for value in values:
        name, separator, rest = value.partition("=")
        if not separator or not name.isidentifier():
            if len(benchmarks) > 1:
                raise UsageError(
                    f"{option} {value}: several benchmarks run, so say for which one, e.g. "
                    f"{option} {benchmarks[0]}={value}"
                )
            name, rest = benchmarks[0], value
        if name not in benchmarks:
            raise UsageError(
                f"{option} {value}: {name!r} is not a benchmark of this run.{did_you_mean(name, benchmarks)}"
            )
        if name in paths:
            raise UsageError(f"{option} is given twice for {name}: {paths[name]} and {rest}")
        paths[name] = Path(rest).expanduser()
    return paths


def key_values(option: str, values: Sequence[str]) -> dict[str, str]:
    """Split repeatable `KEY=VALUE` values. Raises UsageError for one without a key, and for two of a key."""
    pairs: dict[str, str] = {}
    for value in values:
        key, separator, rest = value.partition("=")
        if not separator or not key.isidentifier():
            raise UsageError(f"{option} {value}: write {option} key=value.")
        if key in pairs:
            raise UsageError(f"{option} gives {key} twice: {pairs[key]} and {rest}.")
        pairs[key] = rest
    return pairs


def _json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_json(item) for item in value] if isinstance(value, tuple) else value
