"""Results as the `model-index` of a Hugging Face model card."""

from collections.abc import Sequence
from typing import Any

import yaml

from xbench.metrics.measures import parse_measure
from xbench.registry.datasets import protocols
from xbench.reports.record.naming import is_own, protocol_of
from xbench.reports.record.schema import DIRECTIONS, Metric, Result
from xbench.reports.record.text import model_name
from xbench.terms import Direction

_TASKS = {
    "t2v": {"type": "text-to-video-retrieval", "name": "Text-to-video retrieval"},
    "v2t": {"type": "video-to-text-retrieval", "name": "Video-to-text retrieval"},
}


def model_index(results: Sequence[Result], directions: Sequence[Direction] = DIRECTIONS) -> str:
    """Return the YAML to paste into the card's metadata: one model per scorer, its results below it.

    A result that is not comparable says so in the name of its dataset.
    """
    models: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        entries = models.setdefault(model_name(result), [])
        entries += [_entry(result, side) for side in directions if side in result.metrics]
    index = [{"name": name, "results": entries} for name, entries in models.items()]
    return yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True, width=100)


def _entry(result: Result, side: Direction) -> dict[str, Any]:
    title = protocol_of(result) if is_own(result) else result.protocol.title or protocol_of(result)
    doubts = "" if result.comparable else f" (NOT COMPARABLE: {'; '.join(result.not_comparable_because)})"
    return {
        "task": dict(_TASKS[side]),  # a copy, or YAML makes it an anchor
        "dataset": {
            "name": f"{title}{doubts}",
            "type": result.benchmark,
            "config": protocol_of(result),
            **_split(result),
        },
        "metrics": [_metric(name, metric) for name, metric in result.metrics[side].items()],
    }


def _split(result: Result) -> dict[str, str]:
    """The split that the protocol is; of own content nobody knows."""
    known = None if is_own(result) else protocols().get(result.protocol.matched or "")
    return {} if known is None else {"split": "validation" if known.validation else "test"}


def _metric(name: str, metric: Metric) -> dict[str, Any]:
    measure = parse_measure(name)
    digits = measure.digits + 2
    found: dict[str, Any] = {"type": measure.hub_type, "name": name, "value": round(metric.value, digits)}
    if metric.low is not None and metric.high is not None:
        found["args"] = {"confidence_interval_95": [round(metric.low, digits), round(metric.high, digits)]}
    return found
