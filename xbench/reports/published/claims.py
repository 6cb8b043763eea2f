"""Published numbers: results/published.csv as values. What a source does not give is absent, never zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

from xbench.errors import UsageError, did_you_mean
from xbench.registry.published import published_csv
from xbench.reports.record.schema import ScorerRecord
from xbench.terms import ClaimedPost, ClaimedRule, Direction, choices

Standing = Literal["primary", "secondary"]


@dataclass(frozen=True)
class Claim:
    """What one model claims on one protocol: the values of a row of somebody's table.

    protocol_basis: `stated` by the source, read `from the code`, `assumed`, or `unknown` with a protocol
    BENCHMARK/unknown. train_split: `9k`, `7k` or empty, as for whatever is zero-shot. setting: `fine-tuned`
    or `zero-shot`. post_processing: a value of one never stands beside one of another; post_detail: what is
    known of it. v2t_rule: of its video-to-text values. evaluation: why its evaluation is none of the
    protocol, in a sentence, with a source; empty for most.
    """

    model: str
    backbone: str
    benchmark: str
    protocol: str
    protocol_basis: str
    train_split: str
    setting: str
    post_processing: ClaimedPost
    post_detail: str = ""
    v2t_rule: ClaimedRule = ""
    evaluation: str = ""
    evaluation_url: str = ""


@dataclass(frozen=True)
class Published:
    """One published value. Recalls in percent.

    standing: primary when the model's authors say so themselves (paper, repository), secondary when somebody
    else quotes it. quoted_by tells who. note: what is odd about the value.
    """

    claim: Claim
    direction: Direction
    metric: str
    value: float
    standing: Standing
    quoted_by: str
    source: str
    source_url: str
    note: str = ""


@dataclass(frozen=True)
class PublishedRow:
    """A claim with all values that sources give for it."""

    claim: Claim
    values: tuple[Published, ...]

    @cached_property
    def _by_metric(self) -> dict[tuple[str, str], list[Published]]:
        found: dict[tuple[str, str], list[Published]] = {}
        for value in sorted(self.values, key=lambda value: value.standing != "primary"):
            found.setdefault((value.direction, value.metric), []).append(value)
        return found

    def value(self, direction: str, metric: str) -> Published | None:
        """Return the published value, a primary one where there is any; None where no source gives it."""
        return next(iter(self._by_metric.get((direction, metric), [])), None)

    def contradictions(self, direction: str, metric: str) -> list[Published]:
        """Return the values of other sources that differ from `value`."""
        found = self._by_metric.get((direction, metric), [])
        return [other for other in found[1:] if other.value != found[0].value]

    @property
    def sources(self) -> list[str]:
        """The sources that the values used come from, without repetition."""
        used = [values[0].source for values in self._by_metric.values()]
        return list(dict.fromkeys(used))


@cache
def published_values() -> tuple[Published, ...]:
    """Return all published values, in the order of the file."""
    return tuple(_value(row) for row in published_csv())


def published_rows(
    benchmark: str | None = None,
    model: str | None = None,
    backbone: str | None = None,
    protocol: str | None = None,
    train_split: str | None = None,
) -> list[PublishedRow]:
    """Return the claims, each with its values; of one benchmark, model, ... if given."""
    grouped: dict[Claim, list[Published]] = {}
    for value in published_values():
        claim = value.claim
        if (
            benchmark in (None, claim.benchmark)
            and model in (None, claim.model)
            and backbone in (None, claim.backbone)
            and protocol in (None, claim.protocol)
            and train_split in (None, claim.train_split)
        ):
            grouped.setdefault(claim, []).append(value)
    return [PublishedRow(claim, tuple(values)) for claim, values in grouped.items()]


def models(values: Sequence[PublishedRow]) -> list[str]:
    """Return the models that have claims among `values`, sorted."""
    return sorted({entry.claim.model for entry in values})


def published_model(scorer: str, variant: str | None = None) -> str | None:
    """Return the name under which papers print what a scorer computes; None when they do not.

    For records that do not say it themselves: a scorer's name is that of the papers but for case and
    punctuation, followed by its variant where papers tell several apart.
    """
    known = {_letters(value.claim.model): value.claim.model for value in published_values()}
    name = _letters(scorer.removesuffix("-zeroshot"))
    return known.get(name) or (known.get(name + _letters(variant)) if variant else None)


def published_model_of(scorer: ScorerRecord) -> str | None:
    """Return the name under which papers print what the scorer of a record computes, if they do."""
    return scorer.published or published_model(scorer.name, scorer.setting("variant"))


def find_model(name: str) -> str:
    """Return a published model's name, whatever its case. An unknown one is a UsageError."""
    known = {value.claim.model for value in published_values()}
    found = {model.lower(): model for model in known}.get(name.lower())
    if found is None:
        raise UsageError(f"There are no published numbers of a model {name!r}.{did_you_mean(name, known)}")
    return found


def _value(row: dict[str, str]) -> Published:
    claim = Claim(
        model=row["model"],
        backbone=row["backbone"],
        benchmark=row["dataset"],
        protocol=row["protocol"],
        protocol_basis=row["protocol_basis"],
        train_split=row["train_split"],
        setting=row["setting"],
        post_processing=_word(row, "post_processing", ClaimedPost),
        post_detail=row["post_detail"],
        v2t_rule=_word(row, "v2t_rule", ClaimedRule),
        evaluation=row["evaluation"],
        evaluation_url=row["evaluation_url"],
    )
    direction: Direction = "t2v" if row["direction"] == "t2v" else "v2t"
    standing: Standing = "primary" if row["standing"] == "primary" else "secondary"
    return Published(
        claim,
        direction,
        row["metric"],
        float(row["value"]),
        standing,
        row["quoted_by"],
        row["source"],
        row["source_url"],
        row["note"],
    )


def _word(row: dict[str, str], column: str, term: Any) -> Any:
    if row[column] not in choices(term):
        raise ValueError(f"published.csv: {column} is {row[column]!r}")
    return row[column]


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
