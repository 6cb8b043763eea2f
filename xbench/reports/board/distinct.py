"""Which records are one result: a board counts results, not files."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import Reranked, protocol_of

_NOT_OF_THE_RESULT = {"device", "similarity"}
"""Settings of a scorer that say where it ran and what a file was called."""


@dataclass(frozen=True, eq=False)
class Once:
    """A result, and the other records of it."""

    measurement: Measurement
    others: tuple[Measurement, ...] = ()


def distinct(measurements: Iterable[Measurement]) -> list[Once]:
    """Keep the latest record of each result, one with counts before one without, in the order given."""
    grouped: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        grouped.setdefault(_result_of(measurement), []).append(measurement)
    return [_once(same) for same in grouped.values()]


def _once(same: list[Measurement]) -> Once:
    kept = max(same, key=lambda each: (each.per_query is not None, each.record.created))
    return Once(kept, tuple(each for each in same if each is not kept))


def _result_of(measurement: Measurement) -> str:
    """What makes a result the same: scorer, weights, protocol and settings; else the counts themselves."""
    record = measurement.record
    scored = [protocol_of(record), record.post_processing, record.ties.policy.value, record.protocol.v2t]
    if record.reranked is not None:
        scored.append(_first_stage(record.reranked))
    weights = record.checkpoint.sha256 if record.checkpoint else ""
    if record.scorer.identity is not None:
        settings = {k: v for k, v in record.scorer.settings.items() if k not in _NOT_OF_THE_RESULT}
        made: list[object] = [record.scorer.name, record.scorer.identity, settings]
    else:
        counts = record.per_query.sha256 if record.per_query else measurement.file
        made = [record.scorer.name, counts]
    return json.dumps([*scored, weights, *made], sort_keys=True)


def _first_stage(reranked: Reranked) -> str:
    """What makes the candidates of a second stage the same, wherever the first one ran."""
    first = reranked.first
    settings = {name: value for name, value in first.settings.items() if name not in _NOT_OF_THE_RESULT}
    file = first.file.sha256 if first.file else ""
    return json.dumps([reranked.k, first.name, first.identity, settings, file], sort_keys=True)
