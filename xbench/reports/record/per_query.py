"""The per-query counts beside a record: what comparisons, intervals and other tie policies are made from."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.metrics.counts import Counts, Ints
from xbench.metrics.intervals import RESAMPLES, Summary, summarise
from xbench.metrics.measures import DEFAULT_MEASURES, Measure
from xbench.readers import check_arrays
from xbench.reports.record.schema import Metric, TieRecord
from xbench.terms import Direction, Ties

_FIELDS = ("better", "tied", "right", "nan_rivals")
_DIRECTIONS = ("t2v", "v2t")


@dataclass(frozen=True, eq=False)
class PerQuery:
    """Counts of both directions, and keys by which the queries of two runs are matched.

    t2v: one query per caption. v2t: one per video that has captions, in video order. caption_to_video: int64
    [T]. caption_keys: uint64 [T], of video id and caption; video_keys: uint64 [V], of the video ids. Equal
    keys mean equal queries, whatever their order and the white space in the captions.
    """

    t2v: Counts
    v2t: Counts
    caption_to_video: NDArray[np.int64]
    caption_keys: NDArray[np.uint64]
    video_keys: NDArray[np.uint64]

    @classmethod
    def of(
        cls,
        t2v: Counts,
        v2t: Counts,
        caption_to_video: NDArray[np.int64],
        captions: Sequence[str],
        video_ids: Sequence[str],
    ) -> "PerQuery":
        """Make it from the captions [T] and video ids [V] of the split that was scored."""
        owners = [video_ids[video] for video in caption_to_video]
        return cls(t2v, v2t, caption_to_video, keys_of_captions(captions, owners), keys_of_videos(video_ids))

    def to_bytes(self) -> bytes:
        """Return a compressed npz; equal counts give equal bytes."""
        arrays: dict[str, Any] = {
            f"{side}_{name}": _narrow(getattr(getattr(self, side), name))
            for side in _DIRECTIONS
            for name in _FIELDS
        }
        arrays["nonfinite"] = np.array([self.t2v.nonfinite, self.v2t.nonfinite])
        arrays["caption_to_video"] = _narrow(self.caption_to_video)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, caption_keys=self.caption_keys, video_keys=self.video_keys, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> "PerQuery":
        """Read what `to_bytes` wrote. Raises DataError, naming the file `name`, for anything else."""
        try:
            check_arrays(io.BytesIO(content))
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(
                    t2v=_counts(arrays, 0),
                    v2t=_counts(arrays, 1),
                    caption_to_video=_of_queries(arrays, "caption_to_video", "ui").astype(np.int64),
                    caption_keys=_of_queries(arrays, "caption_keys", "u"),
                    video_keys=_of_queries(arrays, "video_keys", "u"),
                )
        except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"{name} is no file of per-query counts of xbench ({error}): copy it again, or measure again"
            ) from error


def clusters_of(per_query: PerQuery, side: Direction) -> Ints | None:
    """Return the video of each query where videos have several; None where queries are independent."""
    if side == "v2t" or len(per_query.t2v) == len(per_query.v2t):
        return None
    return per_query.caption_to_video


def keys_of_captions(captions: Sequence[str], video_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the key of each caption [T] with the id of its video [T]; white space does not matter."""
    return _keys(
        [f"{video}\t{' '.join(caption.split())}" for video, caption in zip(video_ids, captions, strict=True)]
    )


def keys_of_videos(video_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the key of each video id."""
    return _keys(video_ids)


def _counts(arrays: Any, index: int) -> Counts:
    side = _DIRECTIONS[index]
    integers = {
        name: _of_queries(arrays, f"{side}_{name}", "ui").astype(np.int64)
        for name in _FIELDS
        if name != "right"
    }
    right, nonfinite = _of_queries(arrays, f"{side}_right", "fui"), int(arrays["nonfinite"][index])
    below = [name for name, counts in integers.items() if counts.min() < 0]
    if below:
        raise ValueError(f"{side} {below[0]} counts below 0")
    if not nonfinite and not np.isfinite(right).all():
        raise ValueError(f"right scores of {side} are NaN or infinite, and 0 such scores are counted")
    return Counts(right=right, nonfinite=nonfinite, **integers)


def _of_queries(arrays: Any, name: str, kinds: str) -> NDArray[Any]:
    """Return an array with an entry for each query or item. Raises ValueError for one of another form.

    kinds: of numbers, as dtypes name them; anything else would be believed unread.
    """
    found: NDArray[Any] = arrays[name]
    if found.ndim != 1 or not len(found) or found.dtype.kind not in kinds:
        raise ValueError(f"{name} is {found.dtype} {list(found.shape)}")
    return found


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f":
        return values
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def _keys(lines: Sequence[str]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.sha256(line.encode("utf-8")).digest()[:8] for line in lines)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def scored(
    t2v: Counts,
    v2t: Counts,
    caption_to_video: Ints,
    *,
    ties: Ties = Ties.AVERAGE,
    measures: Sequence[Measure] = DEFAULT_MEASURES,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Return the fields `queries`, `ties` and `metrics` of a Record, metrics with 95% intervals.

    Captions of one video are resampled together. Raises DataError for scores that are not finite, unless ties
    are counted as the published code does.
    """
    several = len(t2v) > len(v2t)
    clusters = caption_to_video if several else None
    summaries: dict[Direction, Summary] = {
        "t2v": summarise(t2v, ties, measures, as_torch=several, clusters=clusters, resamples=resamples),
        "v2t": summarise(v2t, ties, measures, resamples=resamples),
    }
    return {
        "queries": {side: summary.queries for side, summary in summaries.items()},
        "ties": TieRecord(
            policy=ties,
            tied={side: summary.tied for side, summary in summaries.items()},
            vanished={side: summary.vanished for side, summary in summaries.items()},
        ),
        "metrics": {
            side: {str(measure): _metric(summary, measure) for measure in summary.values}
            for side, summary in summaries.items()
        },
    }


def _metric(summary: Summary, measure: Measure) -> Metric:
    interval = summary.intervals.get(measure)
    if interval is None:
        return Metric(value=summary.values[measure])
    return Metric(value=summary.values[measure], low=interval.low, high=interval.high, rough=interval.rough)
