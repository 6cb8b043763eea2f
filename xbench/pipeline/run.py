"""run(): annotations + videos -> split -> features -> similarity -> ranks -> metrics -> result."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from xbench.data.recognition import Recognition
from xbench.data.split import Split
from xbench.engine.encoding import Encoded
from xbench.engine.similarity import Queries, distinct
from xbench.engine.store import Store
from xbench.engine.table import FeatureTable
from xbench.errors import DataError, ModelError
from xbench.metrics.dsl import require_one_to_one
from xbench.pipeline.features import encode_texts, encode_videos, is_stored
from xbench.pipeline.gallery import Fault, Gallery, open_gallery, refuse_faulty, refuse_missing
from xbench.pipeline.precomputed import match_features, rank_features
from xbench.pipeline.preflight import load
from xbench.pipeline.ranking import rank_both_ways
from xbench.pipeline.record import Clock, Outcome, Rows, Scoring, Seen, make_records
from xbench.pipeline.request import Request
from xbench.progress import stage
from xbench.reports.record.schema import Checkpoint, ScorerRecord
from xbench.scorers.base import UNKNOWN, PairScorer, Scorer, ScorerInfo, VideoInput
from xbench.scorers.batches import gpu_memory_errors
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.weights import WeightFile
from xbench.storage import scratch


@gpu_memory_errors()
def run(scorer: Scorer | PrecomputedFeatures, request: Request, info: ScorerInfo = UNKNOWN) -> list[Outcome]:
    """Evaluate a scorer on one benchmark: the raw outcome first, then the post-processed one, not yet saved.

    info: what the record tells of the scorer beside its settings.

    Raises DataError when videos are missing, unreadable or damaged and that was not allowed, and when a score
    is not finite; what was encoded by then is kept in the cache. Raises UsageError when the post-processing
    makes no sense for the protocol, ModelError when a GPU has too little memory.
    """
    clock = Clock()
    with clock("annotations"):
        split, recognition = load(request)
    if request.post == "dsl":
        require_one_to_one(split.caption_to_video, len(split.videos))
    if isinstance(scorer, PrecomputedFeatures):
        scored, captions, videos, missing = match_features(scorer, split, request)
        rows = rank_features(scorer, scored, (captions, videos), request=request, clock=clock)
        seen, described = Seen(split, recognition, scored, missing), _describe(scorer, info)
    else:
        wants = _wants(scorer, request)
        _describe(scorer, info)  # what no record can hold is told before hours of encoding
        seen, rows = _encode_and_rank(scorer, wants, split, recognition, request=request, clock=clock)
        described = _describe(scorer, info, sampling=wants.sampling)  # scoring decides what computes
    return make_records(request, seen, described, rows, clock.seconds)


def _wants(scorer: Scorer, request: Request) -> VideoInput:
    """What the scorer wants to see of a video, with the sampling that the user asked for."""
    wants = scorer.video_input
    return wants if request.sampling is None else replace(wants, sampling=request.sampling)


def _encode_and_rank(
    scorer: Scorer,
    wants: VideoInput,
    split: Split,
    recognition: Recognition,
    *,
    request: Request,
    clock: Clock,
) -> tuple[Seen, Rows]:
    with _store(scorer, request) as store:
        with clock("open videos"):
            gallery = _open(split, wants, store, request)
        with clock("encode videos"):
            encoded = _encode_videos(scorer, wants, store, gallery, request)
        faults = [*gallery.unreadable, *_faults(gallery, encoded)]
        refuse_faulty(faults, len(split.videos), request)
        by_id = {job.video.id: each for job, each in zip(gallery.jobs, encoded, strict=True)}
        features = {video: each.features for video, each in by_id.items() if each.features is not None}
        scored = split.without(video.id for video in split.videos if video.id not in features)
        if not scored.captions:
            raise DataError(f"No video of {request.benchmark} gave a frame, so there is nothing to score.")
        videos = FeatureTable([features[video.id] for video in scored.videos])
        rows = _score(scorer, store, scored, videos, request=request, clock=clock)
    facts = {video: each.info for video, each in by_id.items()}
    return Seen(split, recognition, scored, gallery.missing, faults, facts, gallery.notes), rows


@contextmanager
def _store(scorer: Scorer, request: Request) -> Iterator[Store]:
    """The feature store of a scorer: in the cache, or in a folder that goes away with the run."""
    if request.cache is not None and scorer.identity is not None:
        yield Store(request.cache, scorer.name, scorer.identity)
        return
    with scratch() as folder:
        yield Store(folder, scorer.name, scorer.identity or {})


def _open(split: Split, wants: VideoInput, store: Store, request: Request) -> Gallery:
    with stage(f"{request.benchmark}: opening videos", len(split.videos), "videos") as advance:
        gallery = open_gallery(split, request.videos, lambda job: is_stored(store, job, wants), advance)
    refuse_missing(gallery.missing, len(split.videos), request)
    refuse_faulty(gallery.unreadable, len(split.videos), request)
    return gallery


def _encode_videos(
    scorer: Scorer, wants: VideoInput, store: Store, gallery: Gallery, request: Request
) -> list[Encoded]:
    with stage(f"{request.benchmark}: encoding videos", len(gallery.jobs), "videos") as advance:
        return encode_videos(
            scorer,
            store,
            gallery.jobs,
            wants=wants,
            use_damaged=request.allow_damaged,
            batch_size=request.batch_size,
            workers=request.workers,
            on_done=advance,
        )


def _faults(gallery: Gallery, encoded: list[Encoded]) -> list[Fault]:
    return [
        Fault(job.video.id, **each.info["damage"])
        for job, each in zip(gallery.jobs, encoded, strict=True)
        if each.info.get("damage")
    ]


def _score(
    scorer: Scorer, store: Store, split: Split, videos: FeatureTable, *, request: Request, clock: Clock
) -> Rows:
    """Encode the texts and rank both ways."""
    name = request.benchmark
    texts, rows = distinct([caption.text for caption in split.captions], split.caption_to_video)
    with clock("encode texts"), stage(f"{name}: encoding captions", len(texts), "texts") as advance:
        text_features = encode_texts(scorer, store, texts, advance)
    queries = Queries(rows, split.caption_to_video)
    return rank_both_ways(scorer, text_features, videos, queries, split.v2t, request=request, clock=clock)


def _describe(scorer: PairScorer, info: ScorerInfo, **more: Any) -> Scoring:
    settings = _plain(scorer, "settings", {**scorer.settings, **more})
    identity = None if scorer.identity is None else _plain(scorer, "identity", scorer.identity)
    return Scoring(
        ScorerRecord(
            name=scorer.name,
            settings=settings,
            identity=identity,
            published=info.published_as(settings),
            zero_shot=info.zero_shot,
        ),
        _checkpoint(scorer),
        precision=str(settings.get("precision", "")),
        device=str(settings.get("device", "")),
    )


def _plain(scorer: PairScorer, what: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a scorer says about itself as JSON has it, tuples as lists."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{what} of {scorer.name} holds what JSON cannot: {error}.") from error
    return plain


def _checkpoint(scorer: PairScorer) -> Checkpoint | None:
    """Name the weights in a record; None for a scorer that was not made from one file."""
    file = getattr(scorer, "file", None)
    return Checkpoint(file=file.path.name, sha256=file.sha256) if isinstance(file, WeightFile) else None
