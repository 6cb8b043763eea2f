"""Why pairs of a result have their scores: its model again, over the features that its run cached."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from xbench.engine.store import Store
from xbench.errors import DataError, ModelError, UsageError
from xbench.metrics.explanation import Explanation
from xbench.pipeline.features import encode_texts, encode_videos, is_stored
from xbench.pipeline.gallery import open_gallery, refuse_faulty
from xbench.pipeline.ids import named_captions, without_extensions
from xbench.pipeline.material import Places, recorded
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.record import computing_threads
from xbench.pipeline.rescoring import plan_of
from xbench.pipeline.run import memory_of_contents, open_store
from xbench.pipeline.worker import wants as wants_of
from xbench.progress import stage
from xbench.reports.page.findings import Material
from xbench.reports.page.why import Why
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import Record
from xbench.scorers.base import Explains, Features, Scorer, explains, share_of
from xbench.scorers.catalog import Model, ResolvedModel
from xbench.scorers.finding import MEND
from xbench.storage import cache_dir

Pair = tuple[int, int]
"""A caption and a video, as they stand in the run."""

_EXACT, _RELATIVE = 1e-4, 1e-6
"""By how much parts may miss a score that was computed in float32 on a CPU."""


@dataclass(frozen=True)
class ModelOptions:
    """Where the model of a result is, where its record does not tell or is not to be believed."""

    model: str | None = None
    checkpoint: Path | None = None
    bpe: Path | None = None
    cache_dir: Path | None = None
    device: str | None = None


def find_pair(measured: Measurement, material: Material, caption: str, video: str | None) -> Pair:
    """Return the pair that a user names; the video is the caption's own where none is named.

    A caption: its text, VIDEO#N, its video's id where every video has one, or #N, the number that `xbench
    queries` tells. Raises DataError when captions are not at hand, UsageError for a name that is not there.
    """
    captions, ids = _texts(measured, material)
    owners = measured.counts.caption_to_video
    known = named_captions(captions, [ids[owner] for owner in owners])
    known |= {f"#{number}": number for number in range(len(owners))}
    if caption not in known:
        raise UsageError(
            f"--caption: none of the {len(owners)} captions is called {caption!r}. Give its text, VIDEO#N,"
            " or #N with the number that `xbench queries --format csv` lists."
        )
    row = known[caption]
    if video is None:
        return row, int(owners[row])
    names = {name: index for index, name in enumerate(ids)}
    stems = dict(zip(without_extensions(ids), names.values(), strict=True))
    if video not in names | stems:
        raise UsageError(
            f"--video: none of the {len(ids)} videos is called {video!r}. Give an id as `xbench queries`"
            " lists them."
        )
    return row, (stems | names)[video]


def explain_pairs(
    measured: Measurement,
    material: Material,
    places: Places,
    pairs: Sequence[Pair],
    where: ModelOptions | None = None,
) -> list[Why]:
    """Return what the scores of pairs are made of. material: with captions and ids; the matrix if at hand.

    What is not in the cache is encoded again. Raises UsageError for a scorer that cannot tell, ModelError and
    DataError when model or videos are not at hand, or give another score than the one that was saved.
    """
    texts = _texts(measured, material)
    plan = _plan(measured, places, where or ModelOptions())
    assert isinstance(plan.model, ResolvedModel)
    with computing_threads(plan.threads):
        model = plan.model.build()
        scorer = _require_explains(model)
        # The right pair's score stands beside every result: it tells whether this is the model that ran.
        proofs = [(caption, int(measured.counts.caption_to_video[caption])) for caption, _ in pairs]
        wanted = list(dict.fromkeys([*pairs, *proofs]))
        with open_store(scorer, plan) as store:
            features = _Features(scorer, store, plan, texts, wanted)
            found = {pair: _explain(scorer, features, measured, material, pair) for pair in wanted}
    return [found[pair] for pair in pairs]


def _texts(measured: Measurement, material: Material) -> tuple[Sequence[str], Sequence[str]]:
    """Return captions and video ids. Raises DataError, saying how to get them, when they are not at hand."""
    if material.captions is None or material.video_ids is None:
        raise DataError(
            f"{measured.file} cannot be explained without its captions: give --annotations DIR. "
            + " ".join(material.missing)
        )
    return material.captions, material.video_ids


class _Explaining(Scorer, Explains, Protocol):
    """A scorer that can tell."""


def _plan(measured: Measurement, places: Places, where: ModelOptions) -> RunPlan:
    """The plan by which the run encoded, over its cache."""
    record = measured.record
    settings = {**record.settings.defaulted, **record.settings.passed}
    if "model" not in settings:
        raise UsageError(
            f"{measured.file} was made from scores, which do not tell why they are so: give a result that a"
            " model made (`xbench run`)."
        )
    if record.reranked is not None:
        raise UsageError(
            f"{measured.file} was made in two stages, and its scores are of the one or the other: give the"
            " record of one of them, made without --rerank."
        )
    checkpoint = where.checkpoint or recorded(record, "checkpoint")
    if checkpoint is None and settings.get("checkpoint"):
        raise ModelError(
            f"{settings['checkpoint']}, the weights of {measured.file}, is not there: give --checkpoint FILE."
        )
    given = {
        "model": where.model,
        "checkpoint": [checkpoint] if checkpoint else [],
        "clip": settings.get("clip"),
        "bpe": where.bpe or recorded(record, "bpe"),
        "device": where.device or settings.get("device"),
        "cache_dir": _cache_of(record, where) if settings.get("cache", True) else None,
    }
    if not record.miniature:
        given |= {"annotations": places.annotations.path, "videos": places.videos.path}
    return replace(plan_of(record, given), mixed_devices=bool(settings.get("mixed_devices")))


def _cache_of(record: Record, where: ModelOptions) -> Path:
    """The cache folder of the run; one that only a record names if it is one, for features may be written."""
    said = recorded(record, "cache_dir")
    return where.cache_dir or (said if said and (said / "features").is_dir() else cache_dir())


def _require_explains(model: Model) -> _Explaining:
    if not explains(model):
        raise UsageError(
            f"{model.name} cannot say what a score is made of: it has no explain(). Write one as"
            " xbench.scorers.base.Explains has it, or explain a result of X-CLIP."
        )
    return model  # type: ignore[return-value]  # a Scorer, for it is in the catalog


class _Features:
    """The features of the captions and videos of some pairs, and the seconds of each video's frames."""

    def __init__(
        self,
        scorer: Scorer,
        store: Store,
        plan: RunPlan,
        names: tuple[Sequence[str], Sequence[str]],
        pairs: Sequence[Pair],
    ) -> None:
        """names: the captions and video ids of the run."""
        texts = list(dict.fromkeys(names[0][caption] for caption, _ in pairs))
        ids = [names[1][video] for video in dict.fromkeys(video for _, video in pairs)]
        with stage("explaining", len(texts) + len(ids), "captions and videos") as advance:
            self._texts = encode_texts(scorer, store, texts, advance)
            self._rows = {text: row for row, text in enumerate(texts)}
            self._videos = dict(_encoded(scorer, store, plan, ids, advance))

    def text(self, caption: str) -> Features:
        """Those of a caption."""
        row = self._rows[caption]
        return self._texts.rows(row, row + 1)

    def video(self, name: str) -> tuple[Features, tuple[float, ...]]:
        """Those of a video, and the seconds at which its frames were taken."""
        return self._videos[name]


def _encoded(
    scorer: Scorer, store: Store, plan: RunPlan, ids: Sequence[str], advance: Callable[[int], None]
) -> Iterator[tuple[str, tuple[Features, tuple[float, ...]]]]:
    wants = wants_of(scorer, plan.sampling)
    assert plan.found is not None  # a scorer that encodes
    gone = [name for name in ids if name not in plan.found.paths]
    if gone:
        raise DataError(f"There is no file of {gone[0]} in {plan.videos}: give --videos DIR.")
    few = plan.split.without(video.id for video in plan.split.videos if video.id not in ids)
    gallery = open_gallery(
        few,
        plan.found,
        lambda job: is_stored(store, job, wants),
        lambda done: None,
        pixels=plan.pixels,
        memory=memory_of_contents(plan),
    )
    refuse_faulty(gallery.unreadable, few, allowed=False)
    encoded = encode_videos(
        scorer,
        store,
        gallery.jobs,
        wants=wants,
        use_damaged=plan.allow_damaged,
        workers=plan.workers,
        on_done=advance,
    )
    for job, each in zip(gallery.jobs, encoded, strict=True):
        if each.features is None:
            raise DataError(f"{job.video.id} is damaged: {each.info['damage']['cause']}. Replace {job.path}.")
        fps = each.info["looks"]["fps"]
        yield job.video.id, (each.features.load(), tuple(index / fps for index in each.info["source"]))


def _explain(
    scorer: _Explaining, features: _Features, measured: Measurement, material: Material, pair: Pair
) -> Why:
    captions, ids = _texts(measured, material)
    caption, name = captions[pair[0]], ids[pair[1]]
    text, (video, seconds) = features.text(caption), features.video(name)
    found = scorer.explain(caption, text, video)
    faults = found.faults() if isinstance(found, Explanation) else [f"it is a {type(found).__name__}"]
    if found.grids and found.frames < len(seconds):
        faults.append(f"it has {found.frames} frames, the video {len(seconds)}")
    if faults:
        raise ModelError(f"explain of {scorer.name} gives what cannot be shown: {faults[0]}. {MEND}")
    similarity = float(scorer.similarity(text, video)[0, 0])
    if not _agree(scorer, found.score, similarity):
        raise ModelError(
            f"explain of {scorer.name} does not add up: its parts give {found.score:.6g} for {caption!r} and"
            f" {name}, its similarity is {similarity:.6g}. {MEND}"
        )
    stored = _stored(measured, material, pair)
    if stored is not None and not _agree(scorer, found.score, stored):
        raise DataError(
            f"{measured.file} holds the score {stored:.6g} for {caption!r} and {name}, but its model gives"
            f" {found.score:.6g} here. Give the weights and videos that it was run with, and install the"
            " versions that it names (`xbench show`)."
        )
    own = int(measured.counts.caption_to_video[pair[0]]) == pair[1]
    return Why(*pair, caption, name, own, found.folded(len(seconds)), seconds, stored)


def _stored(measured: Measurement, material: Material, pair: Pair) -> float | None:
    """The score of a pair as the run saved it, before post-processing; None where it is not at hand."""
    if material.similarity is not None:
        return float(material.similarity[pair])
    own = int(measured.counts.caption_to_video[pair[0]]) == pair[1]
    raw = measured.record.post_processing == "none"
    return float(measured.counts.t2v.right[pair[0]]) if own and raw else None


def _agree(scorer: Scorer, score: float, other: float) -> bool:
    """Whether two computations of a score differ by no more than rounding does."""
    settings = scorer.settings
    exact = settings.get("precision", "fp32") == "fp32" and str(settings.get("device", "cpu")) == "cpu"
    limit = max(_EXACT, _RELATIVE * abs(other)) if exact else share_of(scorer) * max(1.0, abs(other))
    return abs(score - other) <= limit
