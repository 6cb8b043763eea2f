"""`evaluate` and `load_split`: a similarity matrix that is there already."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xbench.api.result import Result
from xbench.data.loading import choose_protocol
from xbench.data.loading import load_split as _load_split
from xbench.data.recognition import Recognition
from xbench.data.split import Caption, Split, Video
from xbench.errors import DataError, UsageError
from xbench.metrics.measures import Measure
from xbench.pipeline.matrix import score_scores
from xbench.pipeline.options import EVALUATE, read
from xbench.pipeline.plan import data_folders, plan_scores
from xbench.terms import DEFAULT_METRICS, Post, Ties, V2TRule

if TYPE_CHECKING:
    import torch


def evaluate(
    similarity: "NDArray[Any] | torch.Tensor",
    *,
    split: Split | None = None,
    caption_to_video: Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_] | None = None,
    v2t: V2TRule = "group-max",
    ties: Ties | str = Ties.AVERAGE,
    metrics: str | Sequence[str | Measure] = DEFAULT_METRICS,
    post: Post = "none",
    bank: str | Path | None = None,
    force: bool = False,
    label: str | None = None,
    name: str = "similarity",
    distance: bool = False,
    first: "NDArray[Any] | torch.Tensor | None" = None,
    k: int | None = None,
) -> Result:
    """Compute the metrics of a similarity matrix [T, V], rows captions, columns videos, higher is closer.

    similarity: NumPy array or torch tensor of real numbers, on any device. Give one of `split` (from
    `load_split`; then the result is comparable where the split is) and `caption_to_video`, the index of each
    row's video, int [T], or a mask that is true for it, bool [T, V]. v2t: the video-to-text rule, for
    `caption_to_video` only. metrics, post, force: as for `run`. bank: for `qbnorm`, a file with the scores of
    the bank's captions, [B, V]. name: what the record calls the scores. label: what to call the result.
    distance: they are distances, lower is closer. first: the matrix [T, V] of a first stage, higher
    is closer; then only the scores of the `k` (128) candidates that it finds are looked at.

    Raises DataError when the shape does not fit, when ranks are worse than guesses, or when a score is NaN or
    infinite (unless ties are `reference`), UsageError when not exactly one of the two is given.
    """
    if (split is None) == (caption_to_video is None):
        raise UsageError("xbench.evaluate needs either split or caption_to_video: give one of them.")
    settings: dict[str, Any] = {"v2t": v2t, "ties": ties, "metrics": metrics, "post": post, "name": name}
    settings |= {"label": label, "distance": distance, "bank": bank, "force": force, "k": k}
    matrix = _as_matrix(similarity)
    recognition = None if split else Recognition(None, (), ("the matrix was scored without a protocol",))
    split = split or _anonymous_split(caption_to_video, matrix.shape, read(EVALUATE, settings)["v2t"])
    plan = plan_scores(settings, split, recognition, None if first is None else _as_matrix(first))
    return Result.of(score_scores(matrix, plan)[-1])


def load_split(dataset: str, annotations: str | Path | None = None, protocol: str | None = None) -> Split:
    """Load a protocol's captions and videos: `split.captions[i].text`, `split.caption_to_video` int64 [T].

    annotations: a folder of the published files, `hf:OWNER/NAME`, or a file; see `xbench run --annotations`.
    Default: below $XBENCH_DATA. Raises DataError for wrong or missing files, UsageError for unknown names.
    """
    chosen = choose_protocol(dataset, protocol)
    folder, _ = data_folders(
        chosen.benchmark, None if annotations is None else Path(annotations), None, needs_videos=False
    )
    return _load_split(chosen.benchmark, folder, protocol)


def _as_matrix(similarity: Any) -> Any:
    """Return scores as a NumPy array or a torch tensor without gradient, [T, V] real numbers."""
    _refuse_masked(similarity, "similarity")
    scores = similarity.detach() if hasattr(similarity, "detach") else np.asarray(similarity)
    floating = getattr(scores.dtype, "is_floating_point", None)  # torch; NumPy's dtypes have a kind
    real = floating if floating is not None else scores.dtype.kind in "fiu"
    if scores.ndim != 2 or not real:
        raise DataError(
            "similarity must be two-dimensional and of real numbers, rows captions, columns videos; it has "
            f"shape {tuple(scores.shape)} and dtype {scores.dtype}"
        )
    return scores


def _owners(caption_to_video: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the column of each row's video, int [T]."""
    _refuse_masked(caption_to_video, "caption_to_video")
    owners = np.asarray(caption_to_video)
    if owners.dtype == bool and owners.ndim == 2:
        if owners.shape != shape or not (owners.sum(axis=1) == 1).all():
            raise UsageError(
                f"caption_to_video is a mask of shape {owners.shape}: it must have that of similarity, "
                f"{shape}, and be true once in each row."
            )
        return np.nonzero(owners)[1]
    if owners.ndim != 1 or owners.dtype.kind not in "iu":
        raise UsageError("caption_to_video must be one integer for each row: the column of its video.")
    return owners


def _refuse_masked(array: Any, name: str) -> None:
    """Raise DataError for a NumPy array whose own mask hides entries: they would be read all the same."""
    hidden = int(np.ma.getmaskarray(array).sum()) if isinstance(array, np.ma.MaskedArray) else 0
    if hidden:
        raise DataError(
            f"{hidden} of the {array.size} entries of {name} are masked, and every pair must have a score: "
            f"fill them with what they should count as, e.g. {name}.filled(-1.0)."
        )


def _anonymous_split(caption_to_video: Any, shape: Sequence[int], v2t: V2TRule) -> Split:
    owners, videos = _owners(caption_to_video, (shape[0], shape[1])), shape[1]
    captions = tuple(Caption(f"caption {row}", int(video)) for row, video in enumerate(owners))
    return Split("custom", "custom", tuple(Video(str(index)) for index in range(videos)), captions, v2t)
