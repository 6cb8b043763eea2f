"""Small results to test with, which agree with their counts and with the protocol that they name."""

from dataclasses import replace
from typing import Any

import numpy as np

from xbench.metrics.measures import parse_measures
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.registry.datasets import protocols
from xbench.reports.record.per_query import PerQuery, scored
from xbench.reports.record.schema import Fingerprint, ProtocolRecord, Record, ScorerRecord, Videos
from xbench.terms import Ties

KNOWN = protocols()["msrvtt/1ka"]
assert KNOWN.sha256 is not None
HASHES = KNOWN.sha256.model_dump()
"""Those of msrvtt/1ka, 1,000 videos with a caption each."""


def per_query(queries: int = 1000, captions: int = 1, seed: int = 0, noise: float = 1.0) -> PerQuery:
    """Counts of a random matrix with some ties, `captions` per video."""
    owner = np.repeat(np.arange(queries), captions)
    random = np.random.default_rng(seed)
    similarity = np.round(noise * random.standard_normal((len(owner), queries)), 1).astype(np.float32)
    similarity[np.arange(len(owner)), owner] += 3.0
    texts = [f"caption {index}" for index in range(len(owner))]
    ids = [f"video{index}" for index in range(queries)]
    return PerQuery.of(t2v_counts(similarity, owner), v2t_counts(similarity, owner), owner, texts, ids)


def with_recall(value: float, counts: PerQuery, rank: int = 50) -> PerQuery:
    """Counts with `value` percent of the captions at rank 1, the others at `rank`, without ties."""
    better = np.full(len(counts.t2v), rank - 1)
    better[: round(value * len(better) / 100)] = 0
    return replace(counts, t2v=replace(counts.t2v, better=better, tied=np.zeros_like(better)))


def result(counts: PerQuery | None = None, **changes: Any) -> Record:
    """A result of X-CLIP on a set of the size of `counts`; `changes` replace fields of the record.

    Of 1,000 videos with a caption each it is of msrvtt/1ka, else of one that is not known here.
    """
    counts = counts or per_query()
    ties = changes.pop("policy", Ties.AVERAGE)
    resamples = changes.pop("resamples", 0)
    measures = parse_measures(changes.pop("measures", "R@1,R@5,R@10,MdR,MnR"))
    numbers = scored(
        counts.t2v, counts.v2t, counts.caption_to_video, ties=ties, measures=measures, resamples=resamples
    )
    captions, videos = len(counts.t2v), len(counts.video_keys)
    protocol = "msrvtt/1ka" if captions == videos == KNOWN.captions else "msrvtt/small"
    fields: dict[str, Any] = {
        "created": "2026-01-02T03:04:05Z",
        "benchmark": "msrvtt",
        "protocol": ProtocolRecord(
            requested=protocol,
            matched=protocol,
            fingerprint=Fingerprint(videos=videos, captions=captions, **HASHES),
        ),
        "videos": Videos(wanted=videos, scored=videos),
        "comparable": not changes.get("not_comparable_because"),
        "scorer": ScorerRecord(name="xclip", settings={"backbone": "ViT-B/32"}),
        **numbers,
    }
    return Record(**{**fields, **changes})
