"""A result beside the published numbers of its model: value, claim, difference, and what forbids it."""

from dataclasses import dataclass
from typing import Any

from xbench.metrics.measures import parse_measure
from xbench.registry.datasets import benchmark
from xbench.reports.published.claims import Claim, PublishedRow, models, published_model_of, published_rows
from xbench.reports.record.schema import DIRECTIONS, Record, processing_of, reranking, scoring_reasons
from xbench.terms import Direction, Ties

SMALLER_GALLERY = (
    "a smaller gallery makes every rank better. From the saved ranks of the five miniatures, R@1 (87.5 to"
    " 94.8) rises by 0.0 to 0.1 points when 1% of the videos are gone at random, by 0.4 to 1.2 at 10%, by 2.4"
    " to 6.1 at half, by 4.7 to 11.3 when a tenth is left; more where R@1 is lower (docs/results.md)"
)
"""Measured by `python -m benchmarks.gallery results/miniature/*.json`."""


@dataclass(frozen=True)
class AgainstValue:
    """One number: the result's value and interval, the claim, value minus claim.

    claimed is None where the source gives no value. inside: whether the claim lies in the 95% interval, None
    without an interval.
    """

    direction: Direction
    metric: str
    value: float
    low: float | None
    high: float | None
    claimed: float | None
    standing: str = ""
    rough: bool = False
    """Whether the interval rests on too few queries to be believed."""
    note: str = ""
    """What is odd about the claim."""
    contradicted_by: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """Value minus claim."""
        return None if self.claimed is None else self.value - self.claimed

    @property
    def inside(self) -> bool | None:
        """Whether the claim lies in the result's interval."""
        if self.claimed is None or self.low is None or self.high is None:
            return None
        return self.low <= self.claimed <= self.high


@dataclass(frozen=True)
class AgainstClaim:
    """A result beside one claim. reasons: why the two cannot be compared; caveats: what nobody can check."""

    claim: Claim
    rows: tuple[AgainstValue, ...]
    """Empty where the claim's evaluation is refused."""
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether nothing speaks against the comparison."""
        return not self.reasons


@dataclass(frozen=True)
class Difference:
    """A result beside all claims of one model on its benchmark, the comparable ones first."""

    record: Record
    model: str | None
    """The published model's name; None when papers print nothing of this scorer."""
    comparisons: tuple[AgainstClaim, ...]
    notes: tuple[str, ...]
    effects: tuple[str, ...]
    """By how much what makes the result not comparable was seen to move numbers."""
    others: tuple[str, ...]
    """Models that do have claims on this benchmark."""

    def __str__(self) -> str:
        """Return the tables of `xbench diff`."""
        from xbench.reports.published.text import render_difference

        return render_difference(self)

    def _repr_html_(self) -> str:
        """Return the tables for a notebook."""
        from xbench.reports.published.text import difference_in_notebook

        return difference_in_notebook(self)


def diff(record: Record, model: str | None = None) -> Difference:
    """Set a result beside the published numbers of its model, or of `model`."""
    name = model or published_model_of(record.scorer)
    of_benchmark = published_rows(benchmark=record.benchmark)
    own = [entry for entry in of_benchmark if entry.claim.model == name]
    comparisons = sorted((_compare(record, entry) for entry in own), key=_order(record))
    return Difference(
        record,
        name,
        tuple(comparisons),
        tuple(_notes(own)),
        tuple(effects(record)),
        tuple(m for m in models(of_benchmark) if m != name),
    )


def _order(record: Record) -> Any:
    backbone = record.scorer.setting("backbone")
    return lambda each: (len(each.reasons), each.claim.backbone != backbone, each.claim.backbone)


def _compare(record: Record, entry: PublishedRow) -> AgainstClaim:
    names = [(side, name) for side in DIRECTIONS for name in record.metrics.get(side, {})]
    rows = [_row(record, entry, *each) for each in names if not entry.claim.evaluation]
    other_rule = rule_apart(record, entry.claim) if any(v.direction == "v2t" for v in entry.values) else ""
    return AgainstClaim(
        entry.claim,
        tuple(rows),
        tuple(reasons_against(record, entry.claim) + _doubts(record, entry.claim)),
        (*_caveats(entry.claim), *([other_rule] if other_rule else [])),
        tuple(entry.sources),
    )


def _row(record: Record, entry: PublishedRow, side: Direction, name: str) -> AgainstValue:
    apart = side == "v2t" and rule_apart(record, entry.claim)
    metric, claimed = record.metrics[side][name], None if apart else entry.value(side, name)
    printed = parse_measure(name)
    return AgainstValue(
        side,
        name,
        metric.value,
        metric.low,
        metric.high,
        claimed=None if claimed is None else claimed.value,
        standing="" if claimed is None else claimed.standing,
        rough=metric.rough,
        contradicted_by=tuple(
            f"{printed.format(other.value)} ({other.standing}: {other.source})"
            for other in ([] if apart else entry.contradictions(side, name))
        ),
        note="" if claimed is None else claimed.note,
    )


def rule_apart(record: Record, claim: Claim) -> str:
    """Return why the v2t values of a claim are not set beside those of a result; empty where they can be."""
    if not claim.v2t_rule or claim.v2t_rule == record.protocol.v2t:
        return ""
    rule = f"the v2t rule {claim.v2t_rule}" if claim.v2t_rule != "unknown" else "a v2t rule it does not name"
    return f"the source counts by {rule}, the result by {record.protocol.v2t}: v2t is not set side by side"


def reasons_against(record: Record, claim: Claim, backbone: str | None = None) -> list[str]:
    """Return why a claim is of something else than the result.

    backbone: the one to look for, where it is not that of the result.
    """
    reasons = [f"{claim.evaluation} ({claim.evaluation_url})"] if claim.evaluation else []
    own = "its miniature" if record.miniature else record.protocol.matched or "no known protocol"
    if claim.protocol != own:
        reasons.append(f"the claim is for {claim.protocol}, the result for {own}")
    backbone = backbone or record.scorer.setting("backbone")
    if claim.backbone != backbone:
        reasons.append(
            f"the claim is for {claim.backbone}, the result for {backbone or 'an unknown backbone'}"
        )
    own_processing = processing_of(record)
    if claim.post_processing != own_processing:
        detail = f" ({claim.post_detail})" if claim.post_detail else ""
        reasons.append(
            f"post-processing: {claim.post_processing} for the claim{detail}, {own_processing} for the result"
        )
    elif record.reranked is not None and str(record.reranked.k) not in claim.post_detail:
        reasons.append(
            f"both are of two stages, and the claim does not say that it {reranking(record.reranked)}"
        )
    if record.scorer.is_zero_shot != (claim.setting == "zero-shot"):
        own_setting = "zero-shot" if record.scorer.is_zero_shot else "fine-tuned"
        reasons.append(f"the claim is {claim.setting}, the result {own_setting}")
    variant = record.scorer.setting("variant")
    if claim.model == "X-CLIP" and variant not in (None, "seqTransf"):
        reasons.append(f"the claim is for seqTransf, the result for {variant}")
    return reasons


def _doubts(record: Record, claim: Claim) -> list[str]:
    """Why the result stands beside no claim at all; post-processing is no doubt if the claim has the same."""
    shared = scoring_reasons(Ties.AVERAGE, record.post_processing, record.reranked)
    excused = shared if claim.post_processing == processing_of(record) else []
    return [reason for reason in record.not_comparable_because if reason not in excused]


def _caveats(claim: Claim) -> list[str]:
    caveats = []
    if claim.protocol_basis not in ("stated", "unknown"):
        basis = (
            "assumed: the source does not say it"
            if claim.protocol_basis == "assumed"
            else "read from the code"
        )
        caveats.append(f"protocol {claim.protocol} is {basis}")
    if claim.train_split:
        caveats.append(f"trained on the {claim.train_split} split; a checkpoint does not tell what it saw")
    return caveats


def effects(record: Record) -> list[str]:
    """Return by how much what makes a result not comparable was seen to move numbers, where measured."""
    wanted, scored = record.videos.wanted, record.videos.scored
    limited = record.settings.passed.get("limit") is not None
    if not limited and scored == wanted:
        return []
    return [SMALLER_GALLERY]


def _notes(own: list[PublishedRow]) -> list[str]:
    """What datasets.yaml remarks about a model's claims, once."""
    said = [
        remark.text
        for claim in dict.fromkeys(entry.claim for entry in own)
        for remark in benchmark(claim.benchmark).remarks
        if remark.model == claim.model and remark.backbone in (None, claim.backbone)
    ]
    return list(dict.fromkeys(said))
