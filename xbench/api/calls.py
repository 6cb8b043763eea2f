"""`run`, `evaluate` and `load_split`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from xbench.api.result import Result
from xbench.data.loading import choose_protocol
from xbench.data.loading import load_split as _load_split
from xbench.data.protocol import Recognition, recognise
from xbench.data.split import Caption, Split, V2TRule, Video
from xbench.errors import UsageError
from xbench.metrics.ties import Ties
from xbench.pipeline.matrix import record_matrix
from xbench.pipeline.request import Request
from xbench.pipeline.run import checkpoint_record
from xbench.pipeline.run import run as _run
from xbench.pipeline.sources import find_sources, miniature_sources, with_miniature_weights
from xbench.registry.cache import cache_dir as default_cache_dir
from xbench.registry.datasets import Protocol
from xbench.scorers.base import Scorer
from xbench.scorers.catalog import ModelRequest, build

if TYPE_CHECKING:
    import torch

TiesName = Literal["average", "optimistic", "pessimistic", "reference"]
"""How equal scores are ranked; see `xbench.metrics.ties.Ties`."""

_MODEL_OPTIONS = ("checkpoint", "clip", "bpe", "device", "precision")


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
    bpe: str | Path | None = None,
    device: str = "auto",
    precision: Literal["fp32", "fp16", "bf16"] = "fp32",
    batch_size: int | None = None,
    workers: int = 2,
    memory: int | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    allow_damaged: bool = False,
    ties: TiesName = "average",
    cache: bool = True,
    cache_dir: str | Path | None = None,
    save_similarity: str | Path | None = None,
) -> Result:
    """Evaluate a model on one benchmark, as `xbench run` does; the options are those of the command.

    model: a name (`xclip`), or any object with the members of `xbench.scorers.base.Scorer`. For an object,
    checkpoint, clip, bpe, device and precision are its own business and must be left out; one whose
    `identity` is None is encoded afresh every time. The result is not saved: `result.save(folder)` does it.

    Raises UsageError, DataError or ModelError (all XbenchError), with the messages of the command line.
    """
    options = dict(locals())
    passed, defaulted = _recorded(run, options)
    chosen = choose_protocol(dataset, protocol)
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    if miniature:
        sources = miniature_sources(chosen.benchmark, folder)
    else:
        sources = find_sources(chosen.benchmark, _path(annotations), _path(videos))
    request = Request(
        benchmark=chosen.benchmark,
        annotations=sources[0],
        videos=sources[1],
        protocol=chosen.id,
        limit=limit,
        allow_missing=allow_missing,
        allow_damaged=allow_damaged,
        ties=Ties[ties.upper()],
        batch_size=batch_size,
        workers=workers,
        memory=memory,
        cache=folder if cache else None,
        save_similarity=_path(save_similarity),
        miniature=miniature,
        passed=passed,
        defaulted=defaulted,
    )
    if not isinstance(model, str):
        _refuse_model_options(passed)
        return Result(*_run(model, request))
    wanted = _model_request(options, chosen)
    scorer = build(wanted)
    return Result(*_run(scorer, request, checkpoint_record(wanted.checkpoint)))


def evaluate(
    similarity: "NDArray[Any] | torch.Tensor",
    *,
    split: Split | None = None,
    caption_to_video: Sequence[int] | NDArray[np.integer[Any]] | None = None,
    v2t: V2TRule = "group-max",
    ties: TiesName = "average",
    name: str = "similarity",
) -> Result:
    """Compute the metrics of a similarity matrix [T, V], rows captions, columns videos, higher is closer.

    similarity: NumPy array or torch tensor of real numbers, on any device. Give one of `split` (from
    `load_split`; then the result is comparable where the split is) and `caption_to_video`, the index of each
    row's video, int [T]. v2t: the video-to-text rule, for `caption_to_video` only. name: what the record
    calls the scores.

    Raises DataError when the shape does not fit, or when a score is NaN or infinite (unless ties are
    `reference`), UsageError when not exactly one of the two is given.
    """
    if (split is None) == (caption_to_video is None):
        raise UsageError("xbench.evaluate needs either split or caption_to_video.")
    recognition = None
    if split is None:
        assert caption_to_video is not None
        split = _anonymous_split(np.asarray(caption_to_video), similarity.shape[1], v2t)
        recognition = Recognition(None, (), ("the matrix was scored without a protocol",))
    request = Request(split.benchmark, Path(), Path(), split.protocol, ties=Ties[ties.upper()])
    return Result(*record_matrix(similarity, request, split, recognition or recognise(split), name=name))


def load_split(dataset: str, annotations: str | Path | None = None, protocol: str | None = None) -> Split:
    """Load a protocol's captions and videos: `split.captions[i].text`, `split.caption_to_video` int64 [T].

    annotations: a folder of the published files, `hf:OWNER/NAME`, or a file; see `xbench run --annotations`.
    Default: below $XBENCH_DATA. Raises DataError for wrong or missing files, UsageError for unknown names.
    """
    chosen = choose_protocol(dataset, protocol)
    folder, _ = find_sources(chosen.benchmark, _path(annotations), None, needs_videos=False)
    return _load_split(chosen.benchmark, folder, chosen.id)


def _model_request(options: Mapping[str, Any], protocol: Protocol) -> ModelRequest:
    request = ModelRequest(
        name=options["model"],
        checkpoint=_path(options["checkpoint"]),
        clip=options["clip"],
        bpe=_path(options["bpe"]),
        precision=options["precision"],
        device=options["device"],
        words=protocol.words,
        frames=protocol.frames,
    )
    return with_miniature_weights(request) if options["miniature"] else request


def _refuse_model_options(passed: Mapping[str, Any]) -> None:
    given = [name for name in _MODEL_OPTIONS if name in passed]
    if given:
        raise UsageError(f"{given[0]} is for a model given by name; this model is an object and has its own.")


def _anonymous_split(owners: NDArray[Any], videos: int, v2t: V2TRule) -> Split:
    if owners.ndim != 1 or owners.dtype.kind not in "iu":
        raise UsageError("caption_to_video must be one integer for each row: the column of its video.")
    captions = tuple(Caption(f"caption {row}", int(video)) for row, video in enumerate(owners))
    return Split("custom", "custom", tuple(Video(str(index)) for index in range(videos)), captions, v2t)


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
