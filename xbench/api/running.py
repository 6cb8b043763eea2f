"""`run`: a model on a benchmark."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from xbench.api.result import Result, ties_named
from xbench.data.loading import choose_protocol
from xbench.errors import UsageError
from xbench.metrics.measures import parse_measures
from xbench.pipeline.request import Request
from xbench.pipeline.run import run as _run
from xbench.pipeline.sources import find_sources, miniature_sources, miniature_weights
from xbench.registry.datasets import Protocol
from xbench.scorers.base import Scorer, info_of
from xbench.scorers.catalog import ModelRequest, ResolvedModel, require_scorer, resolve
from xbench.storage import cache_dir as default_cache_dir
from xbench.terms import DEFAULT_METRICS, FrameRule, Post, Precision

TiesName = Literal["average", "optimistic", "pessimistic", "reference"]
"""How equal scores are ranked; see `xbench.metrics.ties.Ties`."""

_MODEL_OPTIONS = (
    "checkpoint",
    "clip",
    "text_features",
    "video_features",
    "model_args",
    "bpe",
    "device",
    "precision",
)


def run(
    model: str | Scorer,
    dataset: str,
    *,
    annotations: str | Path | None = None,
    videos: str | Path | None = None,
    protocol: str | None = None,
    miniature: bool = False,
    checkpoint: str | Path | None = None,
    clip: str | None = None,
    text_features: str | Path | None = None,
    video_features: str | Path | None = None,
    model_args: Mapping[str, Any] | None = None,
    bpe: str | Path | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    batch_size: int | None = None,
    workers: int = 2,
    memory: int | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    allow_damaged: bool = False,
    ties: TiesName = "average",
    metrics: str = DEFAULT_METRICS,
    post: Post = "none",
    sampling: FrameRule | None = None,
    cache: bool = True,
    cache_dir: str | Path | None = None,
    save_similarity: str | Path | None = None,
) -> Result:
    """Evaluate a model on one benchmark, as `xbench run` does; the options are those of the command.

    model: a name (`xclip`), or any object with the members of `xbench.scorers.base.Scorer`. For an object,
    checkpoint, clip, bpe, device and precision are its own business and must be left out; one whose
    `identity` is None is encoded afresh every time.

    The result is not saved: `result.save(folder)` does it.

    precision: None for fp32, or what checkpoints.yaml says of the model.

    post: `dsl` gives the post-processed result, marked as such and not comparable with raw ones.

    Raises UsageError, DataError or ModelError (all XbenchError), with the messages of the command line.
    """
    options = dict(locals())
    passed, defaulted = _recorded(run, options)
    chosen = choose_protocol(dataset, protocol)
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    wanted = _resolved(options, chosen) if isinstance(model, str) else None
    if miniature:
        sources = miniature_sources(chosen.benchmark, folder)
    else:
        needs_videos = wanted is None or wanted.info.needs_videos
        sources = find_sources(chosen.benchmark, _path(annotations), _path(videos), needs_videos=needs_videos)
    request = Request(
        benchmark=chosen.benchmark,
        annotations=sources[0],
        videos=sources[1],
        protocol=protocol,
        limit=limit,
        allow_missing=allow_missing,
        allow_damaged=allow_damaged,
        ties=ties_named(ties),
        measures=parse_measures(metrics),
        post=post,
        sampling=sampling,
        batch_size=batch_size,
        workers=workers,
        memory=memory,
        cache=folder if cache else None,
        save_similarity=_path(save_similarity),
        miniature=miniature,
        passed=passed,
        defaulted=defaulted,
    )
    if wanted is None:
        _refuse_model_options(passed)
        scorer = require_scorer(model, type(model).__name__)
        return Result(*_run(scorer, request, info_of(scorer))[-1])
    return Result(*_run(wanted.build(), request, wanted.info)[-1])


def _resolved(options: Mapping[str, Any], protocol: Protocol) -> ResolvedModel:
    request = ModelRequest(
        name=options["model"],
        checkpoint=_path(options["checkpoint"]),
        clip=options["clip"],
        text_features=_path(options["text_features"]),
        video_features=_path(options["video_features"]),
        args=dict(options["model_args"] or {}),
        bpe=_path(options["bpe"]),
        precision=options["precision"],
        device=options["device"],
        words=protocol.words,
        frames=protocol.frames,
        miniature=miniature_weights() if options["miniature"] else None,
    )
    return resolve(request)


def _refuse_model_options(passed: Mapping[str, Any]) -> None:
    given = [name for name in _MODEL_OPTIONS if name in passed]
    if given:
        raise UsageError(f"{given[0]} is for a model given by name; this model is an object and has its own.")


def _recorded(
    function: Callable[..., Any], options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the options that differ from a function's defaults from those that do not, as JSON values."""
    passed: dict[str, Any] = {}
    defaulted: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        value = options[name]
        same = value is parameter.default or value == parameter.default
        (defaulted if same else passed)[name] = _json(value)
    return passed, defaulted


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)
