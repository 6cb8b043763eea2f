"""Results as the `model-index` of a Hugging Face model card."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from xbench.errors import UsageError
from xbench.metrics.measures import parse_measure
from xbench.registry.datasets import protocols
from xbench.reports.board.distinct import distinct
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import DIRECTIONS, Metric, Record, is_own, model_name, protocol_of
from xbench.terms import Direction

_TASKS = {
    "t2v": {"type": "text-to-video-retrieval", "name": "Text-to-video retrieval"},
    "v2t": {"type": "video-to-text-retrieval", "name": "Video-to-text retrieval"},
}


def model_index(results: Sequence[Measurement], directions: Sequence[Direction] = DIRECTIONS) -> str:
    """Return the YAML to paste into the card's metadata: a model per scorer and label, its results below it.

    A result that is not comparable says so in the name of its dataset. Raises UsageError for two results of
    one model on one data set: a card has one value for it.
    """
    models: dict[str, dict[str, Measurement]] = {}
    for measurement in (once.measurement for once in distinct(results)):
        name, protocol = model_name(measurement.record), protocol_of(measurement.record)
        other = models.setdefault(name, {}).setdefault(protocol, measurement)
        if other is not measurement:
            raise UsageError(
                f"{other.file} and {measurement.file} are both of {name} on {protocol}, and a card has one"
                " value for a model and a data set: give one of them, or tell them apart with `xbench label`"
            )
    index = [{"name": name, "results": _entries(by, directions)} for name, by in models.items()]
    return yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True, width=100)


def _entries(by_protocol: Mapping[str, Measurement], directions: Sequence[Direction]) -> list[dict[str, Any]]:
    records = [measurement.record for measurement in by_protocol.values()]
    return [_entry(record, side) for record in records for side in directions if side in record.metrics]


def _entry(record: Record, side: Direction) -> dict[str, Any]:
    title = protocol_of(record) if is_own(record) else record.protocol.title or protocol_of(record)
    doubts = "" if record.comparable else f" (NOT COMPARABLE: {'; '.join(record.not_comparable_because)})"
    return {
        "task": dict(_TASKS[side]),  # a copy, or YAML makes it an anchor
        "dataset": {
            "name": f"{title}{doubts}",
            "type": record.benchmark,
            "config": protocol_of(record),
            **_split(record),
        },
        "metrics": [_metric(name, metric) for name, metric in record.metrics[side].items()],
    }


def _split(record: Record) -> dict[str, str]:
    """The split that the protocol is; of own content nobody knows."""
    known = None if is_own(record) else protocols().get(record.protocol.matched or "")
    return {} if known is None else {"split": "validation" if known.validation else "test"}


def _metric(name: str, metric: Metric) -> dict[str, Any]:
    measure = parse_measure(name)
    digits = measure.digits + 2
    found: dict[str, Any] = {"type": measure.hub_type, "name": name, "value": round(metric.value, digits)}
    if metric.low is not None and metric.high is not None:
        found["args"] = {"confidence_interval_95": [round(metric.low, digits), round(metric.high, digits)]}
    return found
