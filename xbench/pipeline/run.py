"""run(): videos and captions of a plan -> features -> similarity -> ranks -> metrics -> record."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from xbench.data.split import Split
from xbench.engine.encoding import Encoded, FeatureTable
from xbench.engine.similarity import distinct
from xbench.engine.store import Store
from xbench.engine.units import Queries
from xbench.errors import DataError, ModelError
from xbench.pipeline.estimate import say_how_long_every_pair_takes
from xbench.pipeline.features import VideoJob, described_input, encode_texts, encode_videos, is_stored
from xbench.pipeline.first_scores import FirstScores, first_of_model, read_first
from xbench.pipeline.gallery import Fault, Gallery, open_gallery, refuse_faulty
from xbench.pipeline.matrix_file import MatrixFile
from xbench.pipeline.plan import RunPlan, info_of
from xbench.pipeline.precomputed import match_features, rank_features
from xbench.pipeline.ranking import Workplace, rank_both_ways
from xbench.pipeline.record import (
    CountsByPost,
    Scoring,
    Seen,
    computing,
    computing_threads,
    make_records,
    slow_bfloat16,
)
from xbench.pipeline.remote import remote
from xbench.pipeline.trust import BOTH, Trust, judge_model, judge_order
from xbench.pipeline.two_stages import rerank_both_ways
from xbench.pipeline.worker import wants as wants_of
from xbench.progress import say, stage
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import Checkpoint, ScorerRecord
from xbench.scorers.base import (
    PairScorer,
    Scorer,
    ScorerInfo,
    VideoInput,
    is_cross_encoder,
    whereabouts,
)
from xbench.scorers.catalog import Model, ResolvedModel
from xbench.scorers.device import gpu_memory_errors
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.weights import WeightFile
from xbench.storage import scratch

_CONTENTS = "contents.json"
"""In the cache folder: which content each file had when it was last read."""
_TURNED = "see that both files are of one model and in the protocol's order, or give ids, which tell."


class Models:
    """Builds a model once when several plans share it; holds one at a time."""

    def __init__(self) -> None:
        self._built: tuple[ResolvedModel, Model] | None = None

    def of(self, plan: RunPlan) -> Model:
        """Return the model of a plan. Raises as building it does."""
        if not isinstance(plan.model, ResolvedModel):
            return plan.model
        if self._built is None or self._built[0] != plan.model:
            self._built = None  # free the last one before the next is loaded
            self._built = plan.model, plan.model.build()
        return self._built[1]


def run_all(plans: Sequence[RunPlan]) -> Iterator[Measurement]:
    """Carry out plans one after the other; see `run`."""
    models = Models()
    for plan in plans:
        yield from run(models.of(plan), plan)


@gpu_memory_errors()
def run(scorer: Model, plan: RunPlan) -> list[Measurement]:
    """Carry out a plan with its model, built: the raw scores first, then the post-processed ones.

    Raises DataError when videos are unreadable or damaged and that was not allowed, and when a score is not
    finite; what was encoded by then is kept in the cache. Raises ModelError when a GPU has too little memory.
    """
    with computing_threads(plan.threads):
        return _run(scorer, plan)


def _run(scorer: Model, plan: RunPlan) -> list[Measurement]:
    place = Workplace()
    info = info_of(plan.model)
    if isinstance(scorer, PrecomputedFeatures):
        scored, captions, videos, missing = match_features(scorer, plan)
        counts = rank_features(scorer, scored, (captions, videos), plan=plan, place=place)
        known = _known(scorer)
        trust = judge_order(counts["none"][0], scored, known, turned=None if known == BOTH else _TURNED)
        seen, described = Seen(scored, missing, trust=trust), describe(scorer, info, plan)
    else:
        wants = wants_of(scorer, plan.sampling)
        describe(scorer, info, plan)  # what no record can hold is told before hours of encoding
        if scorer.settings.get("precision") == "bf16" and slow_bfloat16(str(scorer.settings.get("device"))):
            say(
                "This CPU has no instructions for bfloat16: --precision bf16 will take several times as long."
            )
        if is_cross_encoder(scorer) and plan.first is None:
            say_how_long_every_pair_takes(scorer, wants, plan.split)
        with _first_scores(plan, place) as first:
            seen, counts = _encode_and_rank(scorer, wants, first, plan=plan, place=place)
        described = describe(scorer, info, plan, wants)  # scoring decides what computes
    described = replace(described, reranked=place.reranked)
    records = make_records(plan, seen, described, counts, place.clock.seconds)
    place.tidy()
    return records


@contextmanager
def _first_scores(plan: RunPlan, place: Workplace) -> Iterator[FirstScores | None]:
    """The scores of the first of two stages, read or made by its model; None where there is one stage."""
    if plan.first is None:
        yield None
    elif isinstance(plan.first.source, MatrixFile):
        yield read_first(plan.first.source, plan.split)
    else:
        source = plan.first.source
        with scratch(plan.cache) as folder:
            matrix = folder / "first.npy"
            alone = replace(plan, model=source, first=None, save_similarity=matrix)
            model = source.build() if isinstance(source, ResolvedModel) else source
            assert isinstance(model, Scorer)
            wants = wants_of(model, plan.sampling)
            seen, _ = _encode_and_rank(model, wants, None, plan=alone, place=place)
            described = describe(model, info_of(source), alone, wants)
            yield first_of_model(np.load(matrix, mmap_mode="r"), seen.scored, described, seen.trust)


def look(plans: Sequence[RunPlan]) -> Iterator[tuple[RunPlan, Model, str]]:
    """Do what `run` does before it encodes, and say of each plan and its model what was found.

    All videos are opened before the first model is loaded, for which weights or a vocabulary may be missing.
    Raises as `run` does.
    """
    opened = [
        None
        if plan.found is None
        else len(_open(plan, lambda job: False, remember=isinstance(plan.model, ResolvedModel)).jobs)
        for plan in plans
    ]
    models = Models()
    for plan, files in zip(plans, opened, strict=True):
        scorer = models.of(plan)
        found = f"{files} files open in {plan.videos}"
        if isinstance(scorer, PrecomputedFeatures):
            match_features(scorer, plan)
            found = f"features in {scorer.texts.path} and {scorer.videos.path}"
        elif is_cross_encoder(scorer) and plan.first is None:
            say_how_long_every_pair_takes(scorer, wants_of(scorer, plan.sampling), plan.split)
        yield plan, scorer, found + _look_at_first(plan)


def _look_at_first(plan: RunPlan) -> str:
    """Read or build the first of two stages, and say what it is; empty where there is one stage."""
    if plan.first is None:
        return ""
    source = plan.first.source
    if isinstance(source, MatrixFile):
        name = str(source.path)
        read_first(source, plan.split)
    else:
        name = (source.build() if isinstance(source, ResolvedModel) else source).name
    return f", the first {plan.first.k} of each query by {name}"


def memory_of_contents(plan: RunPlan) -> Path | None:
    """Return the file in which a plan's cache remembers what each video file holds; None without a cache."""
    return None if plan.cache is None else plan.cache / _CONTENTS


def _known(features: PrecomputedFeatures) -> frozenset[str]:
    """The sides whose ids the files tell."""
    files = {"captions": features.texts, "videos": features.videos}
    return frozenset(side for side, file in files.items() if file.ids is not None)


def _encode_and_rank(
    scorer: Scorer, wants: VideoInput, first: FirstScores | None, *, plan: RunPlan, place: Workplace
) -> tuple[Seen, CountsByPost]:
    """Encode and score all. first: what finds the candidates, where the scorer is a second stage."""
    split = plan.split
    with open_store(scorer, plan) as store, ExitStack() as workers:
        with place.clock("open videos"):
            gallery = open_videos(scorer, wants, store, plan)
        if plan.ray is not None:
            with place.clock("start workers"):
                place.remote = workers.enter_context(remote(scorer, wants, plan, store))
        with place.clock("encode videos"):
            by_id, faults = encode_gallery(scorer, wants, store, gallery, plan=plan, place=place)
        features = {video: each.features for video, each in by_id.items() if each.features is not None}
        scored = split.without(video.id for video in split.videos if video.id not in features)
        if not scored.captions:
            raise DataError(
                f"No video of {split.benchmark} gave a frame, so there is nothing to score: replace the"
                " files."
            )
        videos = FeatureTable([features[video.id] for video in scored.videos])
        counts = _score(scorer, store, scored, videos, first, plan=plan, place=place)
    facts = {video: each.info for video, each in by_id.items()}
    trust = judge_model(counts["none"][0], scored, whereabouts(scorer, "similarity"))
    if first is not None:
        trust = Trust((*first.trust.reasons, *trust.reasons), (*first.trust.notes, *trust.notes))
    told = gallery.notes, gallery.reasons, gallery.contents
    return Seen(scored, gallery.missing, faults, facts, *told, trust), counts


@contextmanager
def open_store(scorer: Scorer, plan: RunPlan) -> Iterator[Store]:
    """The feature store of a scorer: in the cache, or in a folder that goes away with the run."""
    with ExitStack() as stack:
        if plan.cache is not None and scorer.identity is not None:
            root, identity = plan.cache, {**scorer.identity, "computing": _computing(scorer, plan)}
            if plan.mixed_devices:
                identity["mixed"] = True
        else:
            root, identity = stack.enter_context(scratch(plan.cache if plan.ray else None)), {}
        yield stack.enter_context(closing(Store(root, scorer.name, identity)))


def open_videos(scorer: Scorer, wants: VideoInput, store: Store, plan: RunPlan) -> Gallery:
    """Open every video of a plan's split. Raises DataError for unreadable ones unless that is allowed."""
    return _open(plan, lambda job: is_stored(store, job, wants), remember=scorer.identity is not None)


def _open(plan: RunPlan, is_known: Callable[[VideoJob], bool], *, remember: bool) -> Gallery:
    split = plan.split
    assert plan.found is not None  # the model needs videos
    with stage(f"{split.benchmark}: opening videos", len(split.videos), "videos") as advance:
        gallery = open_gallery(
            split,
            plan.found,
            is_known,
            advance,
            pixels=plan.pixels,
            memory=memory_of_contents(plan) if remember else None,
        )
    refuse_faulty(gallery.unreadable, split, allowed=plan.allow_damaged)
    return gallery


def encode_gallery(
    scorer: Scorer, wants: VideoInput, store: Store, gallery: Gallery, *, plan: RunPlan, place: Workplace
) -> tuple[dict[str, Encoded], list[Fault]]:
    """Encode the videos of a gallery; return what each id gave, and what is wrong with which.

    Raises DataError for damaged videos unless that is allowed.
    """
    encoded = _encode_videos(scorer, wants, store, gallery, plan=plan, place=place)
    faults = [*gallery.unreadable, *_faults(gallery, encoded)]
    refuse_faulty(faults, plan.split, allowed=plan.allow_damaged)
    return {job.video.id: each for job, each in zip(gallery.jobs, encoded, strict=True)}, faults


def _encode_videos(
    scorer: Scorer, wants: VideoInput, store: Store, gallery: Gallery, *, plan: RunPlan, place: Workplace
) -> list[Encoded]:
    with stage(f"{plan.split.benchmark}: encoding videos", len(gallery.jobs), "videos") as advance:
        told = place.remote.encode_videos(gallery.jobs, wants, advance) if place.remote else 0
        return encode_videos(
            scorer,
            store,
            gallery.jobs,
            wants=wants,
            use_damaged=plan.allow_damaged,
            kept=plan.frames,
            workers=plan.workers,
            on_done=_after(told, advance),
        )


def _after(told: int, advance: Callable[[int], None]) -> Callable[[int], None]:
    """What tells of each item as it is found or encoded here, but for so many that were told of."""
    calls = count()
    return lambda done: advance(done if next(calls) >= told else 0)


def _faults(gallery: Gallery, encoded: list[Encoded]) -> list[Fault]:
    return [
        Fault(job.video.id, **each.info["damage"])
        for job, each in zip(gallery.jobs, encoded, strict=True)
        if each.info.get("damage")
    ]


def _score(
    scorer: Scorer,
    store: Store,
    split: Split,
    videos: FeatureTable,
    first: FirstScores | None,
    *,
    plan: RunPlan,
    place: Workplace,
) -> CountsByPost:
    """Encode the texts and rank both ways."""
    texts, rows = distinct([caption.text for caption in split.captions], split.caption_to_video)
    name = f"{split.benchmark}: encoding captions"
    with place.clock("encode texts"), stage(name, len(texts), "texts") as advance:
        told = place.remote.encode_texts(texts, advance) if place.remote else 0
        text_features = encode_texts(scorer, store, texts, _after(told, advance))
    queries = Queries(rows, split.caption_to_video)
    if first is not None:
        return rerank_both_ways(scorer, text_features, videos, queries, split, first, plan=plan, place=place)
    bank = None if plan.bank is None else _encode_bank(scorer, store, plan.bank.captions, split, place)
    return rank_both_ways(
        scorer, text_features, videos, queries, split.v2t, plan=plan, place=place, bank=bank
    )


def _encode_bank(
    scorer: Scorer, store: Store, captions: Sequence[str], split: Split, place: Workplace
) -> FeatureTable:
    name = f"{split.benchmark}: encoding the bank"
    with place.clock("encode bank"), stage(name, len(captions), "texts") as advance:
        told = place.remote.encode_texts(captions, advance) if place.remote else 0
        return encode_texts(scorer, store, captions, _after(told, advance))


def describe(scorer: PairScorer, info: ScorerInfo, plan: RunPlan, wants: VideoInput | None = None) -> Scoring:
    """Return what a record says of a scorer. Raises ModelError for what JSON cannot hold."""
    more = {} if wants is None else described_input(wants)
    settings = _plain(scorer, "settings", {**scorer.settings, **_computing(scorer, plan), **more})
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


def _computing(scorer: PairScorer, plan: RunPlan) -> dict[str, str | int]:
    return computing(plan.threads, str(scorer.settings.get("device", "cpu")))


def _plain(scorer: PairScorer, what: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a scorer says about itself as JSON has it, tuples as lists."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{what} of {scorer.name} holds what JSON cannot ({error}): give plain values."
        ) from error
    return plain


def _checkpoint(scorer: PairScorer) -> Checkpoint | None:
    """Name the weights in a record; None for a scorer that was not made from one file."""
    file = getattr(scorer, "file", None)
    return Checkpoint(file=file.path.name, sha256=file.sha256) if isinstance(file, WeightFile) else None
