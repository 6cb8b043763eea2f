"""Small results to test with."""

from typing import Any

import numpy as np

from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Fingerprint, ProtocolRecord, Record, ScorerRecord, Videos
from xbench.reports.record.scoring import scored
from xbench.terms import Ties

HASHES = dict.fromkeys(("ids", "pairs", "pairs_sorted", "pairs_ws_normalised_sorted"), "0" * 64)


def per_query(queries: int = 40, captions: int = 1, seed: int = 0) -> PerQuery:
    """Counts of a random matrix with some ties, `captions` per video."""
    owner = np.repeat(np.arange(queries), captions)
    random = np.random.default_rng(seed)
    similarity = np.round(random.standard_normal((len(owner), queries)), 1).astype(np.float32)
    similarity[np.arange(len(owner)), owner] += 1.5
    texts = [f"caption {index}" for index in range(len(owner))]
    ids = [f"video{index}" for index in range(queries)]
    return PerQuery.of(t2v_counts(similarity, owner), v2t_counts(similarity, owner), owner, texts, ids)


def result(counts: PerQuery | None = None, **changes: Any) -> Record:
    """A result of X-CLIP on a set of the size of `counts`; `changes` replace fields of the record."""
    counts = counts or per_query()
    ties = changes.pop("policy", Ties.AVERAGE)
    resamples = changes.pop("resamples", 0)
    numbers = scored(counts.t2v, counts.v2t, counts.caption_to_video, ties=ties, resamples=resamples)
    fields: dict[str, Any] = {
        "created": "2026-01-02T03:04:05Z",
        "benchmark": "msrvtt",
        "protocol": ProtocolRecord(
            requested="msrvtt/1ka",
            matched="msrvtt/1ka",
            fingerprint=Fingerprint(videos=len(counts.v2t), captions=len(counts.t2v), **HASHES),
        ),
        "videos": Videos(wanted=len(counts.v2t), scored=len(counts.v2t)),
        "comparable": not changes.get("not_comparable_because"),
        "scorer": ScorerRecord(name="xclip", settings={"backbone": "ViT-B/32"}),
        **numbers,
    }
    return Record(**{**fields, **changes})
