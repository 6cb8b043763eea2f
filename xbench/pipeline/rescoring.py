"""Scoring a sample of a result's queries again, from the video files, and holding it against its counts.

Nothing that a record says is executed or opened: it names its model and its options, and whoever verifies
says where weights and files lie.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import distinct, score_strips
from xbench.errors import DataError, ModelError, UsageError
from xbench.metrics.bounds import t2v_bounds, v2t_bounds
from xbench.metrics.counts import Ints
from xbench.metrics.ranking import CaptionGroups
from xbench.pipeline import options
from xbench.pipeline.features import encode_texts
from xbench.pipeline.gallery import contents_of
from xbench.pipeline.plan import RunPlan, info_of, plan_runs
from xbench.pipeline.ranking import Workplace, memory_of
from xbench.pipeline.record import computing_threads
from xbench.pipeline.run import describe, encode_gallery, memory_of_contents, open_store, open_videos
from xbench.pipeline.worker import wants as wants_of
from xbench.progress import stage
from xbench.registry.checkpoints import checkpoints
from xbench.registry.datasets import known_benchmarks
from xbench.registry.scorers import SHIPPED
from xbench.reports.check.proving import Finding
from xbench.reports.check.rescored import Compared, Numbers, Way, allowed_of, findings_of, way_of
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery, keys_of_captions, keys_of_videos
from xbench.reports.record.schema import Fingerprint, Record, reranking, unscored
from xbench.scorers.base import Scorer
from xbench.scorers.catalog import ResolvedModel, find
from xbench.scorers.device import check_precision, find_device, gpu_memory_errors
from xbench.scorers.weights import may_be_hub_id
from xbench.storage import file_sha256

RETAKEN = (
    *("model", "model_args", "protocol", "precision", "limit", "allow_damaged", "sampling", "pixels"),
    "threads",
)
"""Options that are taken from a record, for they change scores."""
PLACES = frozenset({"checkpoint", "clip", "text_features", "video_features", "bpe", "annotations", "videos"})
"""Options that whoever verifies gives: where things lie."""
NO_MATTER = frozenset(
    {
        *("dataset", "miniature", "v2t", "allow_missing", "device", "ray", "devices", "mixed_devices"),
        *("workers", "memory", "cache", "cache_dir", "save_similarity", "ties", "metrics", "label"),
        *("post", "bank", "force"),
        *("rerank", "first", "first_args", "rows", "k"),
    }
)
"""Options that change no raw score, or that the record tells elsewhere; two stages are refused as such."""
_OF_MACHINE = {"device", "precision", "threads", "cpu", "gpu", "gpu_libraries", "versions", "encoder"}
"""What a result and its verification may differ in; the tolerance is for that."""
_OF_PLACE = {"source", "clip", "weights", "similarity", "similarity_tile", "computing"}
"""Settings that name files and what computes; identities hold hashes of the files."""
_OF_RESULTS = {"checkpoint", "annotations", "videos"}
"""Options that are given for several results: lists."""
_SHOWN = 2

_FEWEST = 10
"""So many captions are drawn at least: the range of their scores is what the tolerance is a part of."""


@dataclass(frozen=True)
class Order:
    """What is to be scored again. gallery: against all videos, not only those of the sample."""

    queries: int
    seed: int
    gallery: bool


@dataclass(frozen=True)
class Sample:
    """Some captions of what was scored, and the others of their videos.

    split: with these captions, and with their videos or all. captions: int64 [t], the places of the captions
    among all. videos: int64 [s], the places of their videos.
    """

    split: Split
    captions: Ints
    videos: Ints


def rescore(measured: Measurement, given: Mapping[str, Any], order: Order) -> tuple[list[Finding], Numbers]:
    """Encode a sample of a result's queries and their videos again, and compare with what it stores.

    given: where data and weights lie here, as keywords of `xbench.run`; `checkpoint` is a list of files, of
    which the one is taken that the record names. Returns findings, and the numbers behind them.

    Raises UsageError for what must be given and is not, DataError and ModelError for what cannot be scored
    again or is of something else.
    """
    record = measured.record
    _require_scores_of_a_model(record)
    plan = plan_of(record, given)
    scored = _scored_split(plan, record, measured.counts)
    sample = choose_sample(scored, order)
    _require_files(plan, sample)
    with computing_threads(plan.threads), gpu_memory_errors():
        scorer = _build(plan)
        other = _differences(scorer, plan, record, own_precision="precision" in given)
        if other:
            raise ModelError(
                f"the model here is another than the record's: {'; '.join(other[:_SHOWN])}. Give the same"
                " model"
            )
        scores = _score(scorer, replace(plan, split=sample.split))
    allowed = allowed_of(scores, _ways(record, scorer))
    found = list(_compare(measured.counts, scored, sample, scores, allowed))
    numbers: Numbers = {
        "seed": order.seed,
        "captions": len(sample.captions),
        "videos": len(sample.split.videos),
        "allowed": allowed,
        "largest": max(each.largest for each in found),
        "undecided": int(np.count_nonzero(found[0].undecided)),
    }
    files = "" if all(each.is_right for each in found) else _files(record, plan)
    how = f"seed {order.seed}, {way_of(*_ways(record, scorer))}{files}"
    return findings_of(found, numbers, how, whole=order.gallery), numbers


def require_usable(given: Mapping[str, Any]) -> None:
    """Raise UsageError for what is wrong of the options of `rescore` whatever the result.

    What one result lacks of them, as its weights among several, is found when it is scored.
    """
    options.read(options.RUN, {name: value for name, value in given.items() if name not in _OF_RESULTS})
    device = torch.device(find_device(given.get("device", "auto")))
    if "precision" in given:
        check_precision(given["precision"], device)
    for file in map(Path, given.get("checkpoint") or ()):
        if not file.exists() and not may_be_hub_id(str(file)):
            raise UsageError(f"--checkpoint {file}: there is no such file. Check the path.")
    if given.get("model") not in {None, *checkpoints().checkpoints}:
        with suppress(ModelError):  # of code that cannot be loaded: each result that needs it tells
            find(given["model"])


def plan_of(record: Record, given: Mapping[str, Any]) -> RunPlan:
    """Return the plan by which a record's scores are computed here.

    Code is never taken from a record: a model that does not come with xbench is named by whoever verifies.
    """
    _refuse_two_stages(record)
    said = record.settings.defaulted | record.settings.passed
    asked: dict[str, Any] = {name: said[name] for name in RETAKEN if said.get(name) is not None}
    here = {name: value for name, value in given.items() if value is not None and name != "checkpoint"}
    if "model" not in here:
        _require_known_model(str(asked.get("model", options.RUN["model"].default)))
    if record.benchmark not in known_benchmarks():
        raise UsageError(f"--dataset: {record.benchmark} is a benchmark of its user's: give its YAML file.")
    asked |= {"dataset": record.benchmark, "v2t": record.protocol.v2t, "miniature": record.miniature} | here
    asked |= {"cache": "cache_dir" in here, "allow_missing": True}
    if asked.get("precision") == "tf32" and find_device(asked.get("device", "auto")) == "cpu":
        asked["precision"] = "fp32"
    files = [Path(file) for file in given.get("checkpoint") or ()]
    (plan,) = plan_runs([asked | {"checkpoint": _checkpoint(record, files)}])
    return plan


def choose_sample(scored: Split, order: Order) -> Sample:
    """Draw captions without replacement by the seed, and take all captions of their videos."""
    owners = scored.caption_to_video
    count = min(max(order.queries, _FEWEST), len(owners))
    drawn = np.random.default_rng(order.seed).choice(len(owners), count, replace=False)
    videos = np.unique(owners[drawn])
    captions = np.flatnonzero(np.isin(owners, videos))
    if order.gallery:
        split = replace(scored, captions=tuple(scored.captions[index] for index in captions))
    else:
        chosen = {scored.videos[index].id for index in videos}
        split = scored.without(video.id for video in scored.videos if video.id not in chosen)
    return Sample(split, captions, videos)


def _require_scores_of_a_model(record: Record) -> None:
    """Raise DataError for scores of which nothing can be computed again, or not from a sample."""
    _refuse_two_stages(record)
    said = record.settings.passed
    if "similarity" in said or "model" not in record.settings.defaulted | said:
        raise DataError(
            f"its scores come from a matrix ({said.get('similarity', 'in memory')}), not from a model that "
            "xbench ran: there is nothing to encode again. It proves its counts and no more; ask for a "
            "record of `xbench run`"
        )
    if "text_features" in said or "video_features" in said:
        raise DataError(
            "its scores come from saved features, not from a model that xbench ran: there is nothing to "
            "encode again. Ask for a record of `xbench run`"
        )
    other = [name for name in said if name in options.RUN and name not in {*RETAKEN, *PLACES, *NO_MATTER}]
    if other:
        raise DataError(
            f"it was made with {', '.join(map(options.flag, other))}, which is not scored again here: give a "
            "result without"
        )
    if record.post_processing != "none":
        raise DataError(
            f"its scores are post-processed ({record.post_processing}), which a sample does not give. Give"
            " the "
            "raw record of the same run"
        )


def _refuse_two_stages(record: Record) -> None:
    """Raise DataError for scores that no model gives alone."""
    if record.reranked is not None:
        raise DataError(
            f"its scores are of two stages ({reranking(record.reranked)}), and a sample does not give the "
            "candidates: its counts prove its numbers. Ask for the record of its first stage"
        )


def _require_known_model(name: str) -> None:
    if name not in SHIPPED and name not in checkpoints().checkpoints:
        raise UsageError(
            f"The record's model {name} does not come with xbench, and code that a record names is not run: "
            "look at it, then give it as --model."
        )


def _checkpoint(record: Record, files: Sequence[Path]) -> Path | None:
    """The weights that a record names, a file by its sha256. None: the model brings its own."""
    wanted = record.checkpoint
    passed = record.settings.passed.get("checkpoint")
    if wanted is None:
        return _whole_model(files) if passed else None
    if not files and (record.miniature or not passed):
        return None
    if not files:
        raise UsageError(
            f"--rescore needs the weights: give --checkpoint FILE, {wanted.file} with the sha256"
            f" {wanted.sha256}."
        )
    hashes = {}
    for file in files:
        if file.is_file():  # folders and hub ids are of another result, see `_whole_model`
            hashes[file_sha256(file)] = file
    if wanted.sha256 not in hashes:
        own = [f"{file.name} {sha256[:12]}..." for sha256, file in hashes.items()]
        given = ", ".join([*own, *(f"{file} (no file)" for file in files if not file.is_file())])
        raise ModelError(
            f"the record names weights with the sha256 {wanted.sha256[:12]}... ({wanted.file}); --checkpoint"
            f" gives others, {given}: give those"
        )
    return hashes[wanted.sha256]


def _whole_model(files: Sequence[Path]) -> Path:
    """The folder or hub id of a model that is no one file; its identity tells whether it is the record's."""
    found = [file for file in files if not file.is_file()]
    if len(found) != 1:
        raise UsageError(
            f"The weights of this record are no single file, and --checkpoint names {len(found)} folders or "
            "hub ids: give the one that its model was loaded from."
        )
    return found[0]


def _scored_split(plan: RunPlan, record: Record, counts: PerQuery) -> Split:
    """The videos and captions that were scored. Raises DataError when the record's are others."""
    if record.protocol.fingerprint != Fingerprint(**asdict(plan.split.fingerprint())):
        raise DataError(
            f"the annotations here are not those of the record: {len(plan.split.captions)} captions of "
            f"{len(plan.split.videos)} videos, the record's fingerprint is of another content. Give"
            " --annotations"
            " those of the run"
        )
    scored = plan.split.without(unscored(record))
    ids, owners = [video.id for video in scored.videos], scored.caption_to_video
    captions = keys_of_captions([each.text for each in scored.captions], [ids[owner] for owner in owners])
    if not (
        np.array_equal(keys_of_videos(ids), counts.video_keys)
        and np.array_equal(captions, counts.caption_keys)
        and np.array_equal(owners, counts.caption_to_video)
    ):
        raise DataError(
            "its counts are of other captions or videos than those of its protocol: measure again"
        )
    return scored


def _require_files(plan: RunPlan, sample: Sample) -> None:
    if plan.found is None:
        raise DataError("its model reads no videos: leave --rescore out, there is nothing to encode again")
    gone = [video.id for video in sample.split.videos if video.id not in plan.found.paths]
    if gone:
        raise DataError(
            f"{len(gone)} of the {len(sample.split.videos)} videos to encode have no file in {plan.videos}: "
            f"{', '.join(gone[:_SHOWN])}. Put them there, or point --videos elsewhere"
        )


def _build(plan: RunPlan) -> Scorer:
    scorer = plan.model.build() if isinstance(plan.model, ResolvedModel) else plan.model
    if not isinstance(scorer, Scorer):
        raise DataError("its model encodes nothing: leave --rescore out, there is nothing to score again")
    return scorer


def _differences(scorer: Scorer, plan: RunPlan, record: Record, *, own_precision: bool) -> list[str]:
    """What the record says of its model that is not so here, where both say anything.

    own_precision: whoever verifies chose another; so does a machine without tf32.
    """
    here = describe(scorer, info_of(plan.model), plan, wants_of(scorer, plan.sampling))
    pairs = [
        ("checkpoint", record.checkpoint and record.checkpoint.sha256,
         here.checkpoint and here.checkpoint.sha256),
        ("name", record.scorer.name, here.scorer.name),
        ("published name", record.scorer.published, record.scorer.published and here.scorer.published),
        *([] if record.scorer.zero_shot is None
          else [("zero-shot setting", record.scorer.zero_shot, here.scorer.zero_shot)]),
        *([] if own_precision or record.precision == "tf32"
          else [("precision", record.precision, here.precision)]),
        *_pairs(record.scorer.settings, here.scorer.settings, _OF_MACHINE | _OF_PLACE),
        *_pairs(record.scorer.identity or {}, here.scorer.identity or {}, _OF_MACHINE),
    ]  # fmt: skip
    return [f"its {name} is {own}, the record says {said}" for name, said, own in pairs if said != own]


def _pairs(said: Mapping[str, Any], own: Mapping[str, Any], apart: set[str]) -> list[tuple[str, Any, Any]]:
    shared = (said.keys() & own.keys()) - apart
    return [(name, said[name], own[name]) for name in sorted(shared)]


def _score(scorer: Scorer, plan: RunPlan) -> NDArray[np.float32]:
    """Score the captions of a plan's split against its videos: float32 [t, v]."""
    wants, place, split = wants_of(scorer, plan.sampling), Workplace(), plan.split
    with open_store(scorer, plan) as store:
        gallery = open_videos(scorer, wants, store, plan)
        by_id, _ = encode_gallery(scorer, wants, store, gallery, plan=plan, place=place)
        features = [by_id[video.id].features for video in split.videos if video.id in by_id]
        given = [each for each in features if each is not None]
        if len(given) < len(split.videos):
            raise DataError(
                f"{len(split.videos) - len(given)} videos give no frame here and did for the record:"
                " replace them"
            )
        texts, rows = distinct([caption.text for caption in split.captions], split.caption_to_video)
        with stage(f"{split.benchmark}: encoding captions", len(texts), "texts") as advance:
            table = encode_texts(scorer, store, texts, advance)
        strips = score_strips(scorer, table, FeatureTable(given), memory=memory_of(plan))
        scores = np.concatenate([strip.numpy() for _, strip in strips], axis=1)
    return np.asarray(scores[rows])


def _ways(record: Record, scorer: Scorer) -> tuple[Way, Way]:
    """How a record's scores were computed, and how they are here."""
    here = scorer.settings
    return (record.precision, record.device), (str(here.get("precision", "")), str(here.get("device", "")))


def _files(record: Record, plan: RunPlan) -> str:
    """Whether other files can be why: those of a record that tells are known by their content."""
    if record.videos.contents is None or plan.found is None:
        return ""
    own = contents_of(plan.found, memory_of_contents(plan))
    return ", the very video files" if own == record.videos.contents else ", other video files than there"


def _compare(
    counts: PerQuery, scored: Split, sample: Sample, scores: NDArray[np.float32], allowed: float
) -> Iterator[Compared]:
    owners = sample.split.caption_to_video
    margin, videos = 2 * allowed, len(counts.video_keys)  # both scores may have moved
    captions = len(sample.captions)
    yield Compared(
        "t2v",
        counts.t2v.take(sample.captions),
        t2v_bounds(scores, owners, margin),
        np.full(captions, videos - 1),
        sample.captions,
        allowed,
    )
    groups = CaptionGroups(scored.caption_to_video)
    positions = groups.positions(sample.videos)
    rivals = np.full(len(positions), len(groups.videos) - 1)
    if scored.v2t == "any-caption" and not groups.single:
        rivals = groups.captions - groups.sizes[positions]
    bounds = v2t_bounds(scores, owners, scored.v2t, margin)
    yield Compared("v2t", counts.v2t.take(positions), bounds, rivals, sample.videos, allowed)
