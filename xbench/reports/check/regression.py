"""The gate of a training repository's CI: is a result worse than its baseline by more than is allowed?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from xbench.errors import DataError, UsageError
from xbench.metrics.measures import parse_measure
from xbench.metrics.significance import holm
from xbench.reports.check.gates import Gate, Key, Verdict, judge
from xbench.reports.compare.paired import compare
from xbench.reports.compare.pairing import require_same_queries, why_not_the_same
from xbench.reports.published.claims import PublishedRow, find_model, published_model_of, published_rows
from xbench.reports.published.difference import reasons_against, rule_apart
from xbench.reports.record.files import Measurement
from xbench.reports.record.naming import protocol_of
from xbench.reports.record.schema import DIRECTIONS, Record
from xbench.terms import Ties


def check_against_run(
    measured: Measurement, baseline: Measurement, limits: Mapping[Key, float], significance: float | None
) -> Verdict:
    """Check a run against an earlier one over the same queries.

    Without limits every metric of the baseline is checked and no drop is allowed. With a significance, a drop
    fails only if it is also significant at that level, after Holm over the metrics checked. Raises UsageError
    when the two did not score the same queries in the same way.
    """
    reasons = why_not_the_same(baseline.record, measured.record) + _scored_otherwise(
        baseline.record, measured.record
    )
    if reasons:
        raise UsageError(f"{measured.path} cannot be checked against {baseline.path}: {'; '.join(reasons)}")
    if measured.per_query is not None and baseline.per_query is not None:
        require_same_queries(baseline, measured)
    own, old = _values(measured.record), _values(baseline.record)
    gates = [judge(key, old.get(key), own.get(key), limits.get(key, 0.0)) for key in limits or old]
    if not gates:
        raise UsageError(f"{baseline.path} has no metrics to check against")
    if significance is not None:
        if measured.record.ties.policy is Ties.REFERENCE:
            raise UsageError(
                "--significance: under --ties reference a query counts more than once or not at all, so no"
                " test pairs the two; leave --significance out, or score both with --ties average"
            )
        gates = _forgive_chance(gates, _p_values(baseline, measured, gates), significance)
    same = measured.path is not None and measured.path == baseline.path
    notes = ("the result is its own baseline, so this check cannot fail",) if same else ()
    return Verdict(
        protocol_of(measured.record), measured.name, baseline.name, tuple(gates), significance, notes
    )


def check_against_published(
    record: Record, name: str, choice: str, limits: Mapping[Key, float], significance: float | None
) -> Verdict:
    """Check a result against published numbers.

    choice: empty, or `MODEL/BACKBONE` as published. Published rows have no per-query counts, so a drop is
    never forgiven as chance; the result is rounded as papers round. Raises DataError for a result that is not
    comparable, UsageError when there is no claim for its protocol.
    """
    if not record.comparable:
        raise DataError(
            f"{name} is NOT COMPARABLE with published numbers: {'; '.join(record.not_comparable_because)}."
            " Give a result of your own as --baseline FILE"
        )
    entry = _claim(record, choice)
    claimed = _claimed(record, entry)
    own = {
        key: None if value is None else round(value, key[1].digits) for key, value in _values(record).items()
    }
    gates = [judge(key, claimed.get(key), own.get(key), limits.get(key, 0.0)) for key in limits or claimed]
    notes = [f"source: {source}" for source in entry.sources]
    if significance is not None:
        notes.append("published numbers have no per-query counts: every drop beyond its limit fails")
    claim = entry.claim
    if claim.protocol_basis == "assumed":
        notes.append(f"protocol {claim.protocol} is assumed: the source does not say it")
    baseline = f"{claim.model} {claim.backbone}, published"
    return Verdict(protocol_of(record), name, baseline, tuple(gates), None, tuple(notes))


def _claimed(record: Record, entry: PublishedRow) -> dict[Key, float | None]:
    """The values of a claim, primary ones where sources differ, without those of another v2t rule."""
    sides = ("t2v",) if rule_apart(record, entry.claim) else DIRECTIONS
    keys = dict.fromkeys((v.direction, v.metric) for v in entry.values if v.direction in sides)
    used = {key: entry.value(*key) for key in keys}
    return {
        (side, parse_measure(metric)): None if value is None else value.value
        for (side, metric), value in used.items()
    }


def _p_values(baseline: Measurement, measured: Measurement, gates: Sequence[Gate]) -> dict[Key, float]:
    """The one-sided p-value of each metric that both runs have, after Holm: is the run worse?"""
    known = [(gate.direction, gate.measure) for gate in gates if gate.drop is not None]
    if not known:
        return {}
    measures = list(dict.fromkeys(measure for _, measure in known))
    (versus,) = compare([baseline, measured], measures, measured.record.ties.policy).versus
    raw = {(each.direction, each.measure): each.p_worse for each in versus.contrasts}
    return dict(zip(known, holm([raw[key] for key in known]), strict=True))


def _forgive_chance(gates: Sequence[Gate], p_values: Mapping[Key, float], alpha: float) -> list[Gate]:
    judged = []
    for gate in gates:
        p = p_values.get((gate.direction, gate.measure))
        forgiven = p is not None and p >= alpha
        judged.append(replace(gate, p=p, failed_because="" if forgiven else gate.failed_because))
    return judged


def _scored_otherwise(first: Record, second: Record) -> list[str]:
    pairs = {
        "post-processing": (first.post_processing, second.post_processing),
        "ties": (first.ties.policy.value, second.ties.policy.value),
    }
    return [f"{name}: {one} and {other}" for name, (one, other) in pairs.items() if one != other]


def _values(record: Record) -> dict[Key, float | None]:
    return {
        (side, parse_measure(name)): metric.value
        for side in DIRECTIONS
        for name, metric in record.metrics.get(side, {}).items()
    }


def _claim(record: Record, choice: str) -> PublishedRow:
    """The published claim to check against, of the same thing as the result but for what `choice` names."""
    model, _, backbone = choice.partition("/")
    own = published_model_of(record.scorer)
    wanted = find_model(model) if model else own
    wanted_backbone = backbone or record.scorer.setting("backbone")
    of_model = [entry for entry in published_rows(record.benchmark) if entry.claim.model == wanted]
    against = [(entry, reasons_against(record, entry.claim, wanted_backbone)) for entry in of_model]
    if found := [entry for entry, reasons in against if not reasons]:
        return found[0]
    known = sorted(
        {
            f"{entry.claim.model}/{entry.claim.backbone} on {entry.claim.protocol} ({'; '.join(reasons)})"
            for entry, reasons in against
        }
    )
    raise UsageError(
        f"There are no published numbers of {wanted or record.scorer.name} {wanted_backbone or ''} on"
        f" {record.protocol.matched} that are of the same thing as the result. Choose with --baseline"
        f" published:MODEL/BACKBONE." + (f" Known: {', '.join(known)}" if known else "")
    )
