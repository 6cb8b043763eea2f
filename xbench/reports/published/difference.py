"""A result beside the published numbers of its model: value, claim, difference, and what forbids it."""

from dataclasses import dataclass
from typing import Any

from xbench.metrics.measures import parse_measure
from xbench.registry.datasets import benchmark
from xbench.reports.published.claims import Claim, PublishedRow, models, published_model_of, published_rows
from xbench.reports.record.schema import DIRECTIONS, Record, scoring_reasons
from xbench.terms import Direction, Ties


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
        tuple(m for m in models(of_benchmark) if m != name),
    )


def _order(record: Record) -> Any:
    backbone = record.scorer.setting("backbone")
    return lambda each: (len(each.reasons), each.claim.backbone != backbone, each.claim.backbone)


def _compare(record: Record, entry: PublishedRow) -> AgainstClaim:
    rows = [_row(record, entry, side, name) for side in DIRECTIONS for name in record.metrics.get(side, {})]
    return AgainstClaim(
        entry.claim,
        tuple(rows),
        tuple(reasons_against(record, entry.claim) + _doubts(record, entry.claim)),
        tuple(_caveats(entry.claim)),
        tuple(entry.sources),
    )


def _row(record: Record, entry: PublishedRow, side: Direction, name: str) -> AgainstValue:
    metric, claimed = record.metrics[side][name], entry.value(side, name)
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
            for other in entry.contradictions(side, name)
        ),
    )


def reasons_against(record: Record, claim: Claim, backbone: str | None = None) -> list[str]:
    """Return why a claim is of something else than the result.

    backbone: the one to look for, where it is not that of the result.
    """
    reasons = []
    own = "its miniature" if record.miniature else record.protocol.matched or "no known protocol"
    if claim.protocol != own:
        reasons.append(f"the claim is for {claim.protocol}, the result for {own}")
    backbone = backbone or record.scorer.setting("backbone")
    if claim.backbone != backbone:
        reasons.append(
            f"the claim is for {claim.backbone}, the result for {backbone or 'an unknown backbone'}"
        )
    if claim.post_processing != record.post_processing:
        reasons.append(
            f"post-processing: {claim.post_processing} for the claim, {record.post_processing} for the result"
        )
    if record.scorer.name.endswith("zeroshot") != (claim.setting == "zero-shot"):
        own_setting = "zero-shot" if record.scorer.name.endswith("zeroshot") else "fine-tuned"
        reasons.append(f"the claim is {claim.setting}, the result {own_setting}")
    variant = record.scorer.setting("variant")
    if claim.model == "X-CLIP" and variant not in (None, "seqTransf"):
        reasons.append(f"the claim is for seqTransf, the result for {variant}")
    return reasons


def _doubts(record: Record, claim: Claim) -> list[str]:
    """Why the result stands beside no claim at all; post-processing is no doubt if the claim has the same."""
    shared = scoring_reasons(Ties.AVERAGE, record.post_processing)
    excused = shared if claim.post_processing == record.post_processing else []
    return [reason for reason in record.not_comparable_because if reason not in excused]


def _caveats(claim: Claim) -> list[str]:
    caveats = []
    if claim.protocol_basis != "stated":
        basis = (
            "assumed: the source does not say it"
            if claim.protocol_basis == "assumed"
            else "read from the code"
        )
        caveats.append(f"protocol {claim.protocol} is {basis}")
    if claim.train_split:
        caveats.append(f"trained on the {claim.train_split} split; a checkpoint does not tell what it saw")
    return caveats


def _notes(own: list[PublishedRow]) -> list[str]:
    """What datasets.yaml remarks about a model's claims, once."""
    said = [
        remark.text
        for claim in dict.fromkeys(entry.claim for entry in own)
        for remark in benchmark(claim.benchmark).remarks
        if remark.model == claim.model and remark.backbone in (None, claim.backbone)
    ]
    return list(dict.fromkeys(said))
