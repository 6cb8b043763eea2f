"""The gate of a training repository's CI: is a result worse than its baseline by more than is allowed?"""

from collections.abc import Mapping, Sequence

from xbench.errors import DataError, UsageError
from xbench.metrics.measures import parse_measure
from xbench.metrics.significance import ALPHA, holm, resolvable_difference
from xbench.reports.check.gates import Gate, Key, Verdict
from xbench.reports.compare.comparison import Contrast
from xbench.reports.compare.paired import compare
from xbench.reports.compare.pairing import require_same_queries, why_not_the_same
from xbench.reports.published.claims import PublishedRow, find_model, published_model_of, published_rows
from xbench.reports.published.difference import reasons_against, rule_apart
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import DIRECTIONS, Record, protocol_of, reranking
from xbench.terms import Ties

_TWO_SIDED_95 = 1.96


def check_against_run(
    measured: Measurement,
    baseline: Measurement,
    limits: Mapping[Key, float],
    significance: float | None = None,
) -> Verdict:
    """Check a run against an earlier one over the same queries.

    A metric with a limit fails by it alone. Without any limit every metric of the baseline is tested by pairs
    of queries, and fails when it is worse by more than chance explains at the level `significance` (0.05);
    with limits and a significance, those without a limit are. Raises UsageError when the two did not score
    the same queries in the same way, and when a test is to be made that cannot be.
    """
    reasons = why_not_the_same(baseline.record, measured.record)
    reasons += _scored_otherwise(baseline.record, measured.record)
    if reasons:
        raise UsageError(
            f"{measured.file} cannot be checked against {baseline.file}: {'; '.join(reasons)}. Give a"
            " baseline that scored the same in the same way"
        )
    if measured.per_query is not None and baseline.per_query is not None:
        require_same_queries(baseline, measured)
    untested = _why_no_test(measured, baseline)
    _require_limits(limits, significance, untested)
    old = _values(baseline.record)
    if not old:
        raise UsageError(f"{baseline.file} has no metrics to check against: give another baseline")
    decided = [key for key in old if key not in limits] if not limits or significance is not None else []
    contrasts = {} if untested else _contrasts(baseline, measured, [*limits, *decided])
    gates = _gates(measured.record, old, limits, decided, contrasts, significance or ALPHA)
    same = measured.path is not None and measured.path == baseline.path
    notes = ("the result is its own baseline, so this check cannot fail",) if same else ()
    return Verdict(protocol_of(measured.record), measured.name, baseline.name, gates, untested, notes)


def check_against_published(
    measured: Measurement, choice: str, limits: Mapping[Key, float], significance: float | None = None
) -> Verdict:
    """Check a result against published numbers, which have no per-query counts: by limits only.

    choice: empty, or `MODEL/BACKBONE` as published. The result is rounded as papers round. Raises DataError
    for a result that is not comparable, UsageError without limits and when there is no claim for its
    protocol.
    """
    record = measured.record
    if not record.comparable:
        raise DataError(
            f"{measured.file} is NOT COMPARABLE with published numbers:"
            f" {'; '.join(record.not_comparable_because)}. Give a result of your own as --baseline FILE"
        )
    row = _published(record, choice)
    untested = "published numbers have no per-query counts"
    _require_limits(limits, significance, untested)
    claimed = _claimed(record, row)
    gates = [
        Gate(
            *key,
            baseline=claimed.get(key),
            value=None if value is None else round(value, key[1].digits),
            limit=limit,
            resolvable=_resolvable_alone(record, key),
        )
        for key, limit in limits.items()
        for value in [_values(record).get(key)]
    ]
    notes = [f"source: {source}" for source in row.sources]
    claim = row.claim
    if claim.protocol_basis == "assumed":
        notes.append(f"protocol {claim.protocol} is assumed: the source does not say it")
    baseline = f"{claim.model} {claim.backbone}, published"
    return Verdict(protocol_of(record), measured.name, baseline, tuple(gates), untested, tuple(notes))


def _why_no_test(measured: Measurement, baseline: Measurement) -> str:
    if measured.record.ties.policy is Ties.REFERENCE:
        return "under --ties reference a query counts more than once or not at all, so nothing is paired"
    for side, one in (("result", measured), ("baseline", baseline)):
        if one.per_query is None:
            return f"the {side} is a claim without per-query counts: {one.without_counts}"
    return ""


def _require_limits(limits: Mapping[Key, float], significance: float | None, untested: str) -> None:
    if untested and significance is not None:
        raise UsageError(f"--significance: there is no test, because {untested}. Give --max-drop alone")
    if untested and not limits:
        raise UsageError(
            f"there is no test, because {untested}: say how large a drop is allowed, e.g. --max-drop R@1=1"
        )


def _contrasts(baseline: Measurement, measured: Measurement, keys: Sequence[Key]) -> dict[Key, Contrast]:
    measures = list(dict.fromkeys(measure for _, measure in keys))
    (versus,) = compare([baseline, measured], measures, measured.record.ties.policy).versus
    return {(each.direction, each.measure): each for each in versus.contrasts}


def _gates(  # noqa: PLR0917  (each is one side of the check)
    record: Record,
    old: Mapping[Key, float],
    limits: Mapping[Key, float],
    decided: Sequence[Key],
    contrasts: Mapping[Key, Contrast],
    alpha: float,
) -> tuple[Gate, ...]:
    own = _values(record)
    testable = [key for key in decided if key in own]
    adjusted = holm([contrasts[key].p_worse for key in testable]) if testable else []
    p_values = dict(zip(testable, adjusted, strict=True))
    return tuple(
        Gate(
            *key,
            baseline=old.get(key),
            value=own.get(key),
            limit=limits.get(key),
            p=p_values.get(key),
            alpha=alpha if key in p_values else None,
            resolvable=contrasts[key].resolvable if key in contrasts else _resolvable_alone(record, key),
        )
        for key in [*limits, *decided]
    )


def _resolvable_alone(record: Record, key: Key) -> float | None:
    """What a result resolves against a number without counts: by the width of its own interval."""
    metric = record.metrics.get(key[0], {}).get(str(key[1]))
    if metric is None or metric.low is None or metric.high is None:
        return None
    return resolvable_difference((metric.high - metric.low) / (2 * _TWO_SIDED_95))


def _claimed(record: Record, row: PublishedRow) -> dict[Key, float]:
    """The values of a claim, primary ones where sources differ, without those of another v2t rule."""
    sides = ("t2v",) if rule_apart(record, row.claim) else DIRECTIONS
    keys = dict.fromkeys((value.direction, value.metric) for value in row.values if value.direction in sides)
    used = {(side, parse_measure(metric)): row.value(side, metric) for side, metric in keys}
    return {key: value.value for key, value in used.items() if value is not None}


def _scored_otherwise(first: Record, second: Record) -> list[str]:
    pairs = {
        "post-processing": (first.post_processing, second.post_processing),
        "second stage": (_second_stage(first), _second_stage(second)),
        "ties": (first.ties.policy.value, second.ties.policy.value),
    }
    return [f"{name}: {one} and {other}" for name, (one, other) in pairs.items() if one != other]


def _second_stage(record: Record) -> str:
    return "none" if record.reranked is None else reranking(record.reranked)


def _values(record: Record) -> dict[Key, float]:
    return {
        (side, parse_measure(name)): metric.value
        for side in DIRECTIONS
        for name, metric in record.metrics.get(side, {}).items()
    }


def _published(record: Record, choice: str) -> PublishedRow:
    """The published row to check against, of the same thing as the result but for what `choice` names."""
    model, _, backbone = choice.partition("/")
    own = published_model_of(record.scorer)
    wanted = find_model(model) if model else own
    wanted_backbone = backbone or record.scorer.setting("backbone")
    of_model = [row for row in published_rows(record.benchmark) if row.claim.model == wanted]
    against = [(row, reasons_against(record, row.claim, wanted_backbone)) for row in of_model]
    if found := [row for row, reasons in against if not reasons]:
        return found[0]
    known = sorted(
        {
            f"{row.claim.model}/{row.claim.backbone} on {row.claim.protocol} ({'; '.join(reasons)})"
            for row, reasons in against
        }
    )
    raise UsageError(
        f"There are no published numbers of {wanted or record.scorer.name} {wanted_backbone or ''} on"
        f" {record.protocol.matched} that are of the same thing as the result. Choose with --baseline"
        f" published:MODEL/BACKBONE." + (f" Known: {', '.join(known)}" if known else "")
    )
