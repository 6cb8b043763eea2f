"""QB-Norm: text-to-video scores normalised by a bank of training captions (arXiv:2112.12777).

A video that many captions of the bank score high is a hub, and hubs push right answers down. A caption's
scores are divided, video by video, by the sum over the bank of exp(BETA * score), which is the inverted
softmax; only where the caption's best video is also the best of some caption of the bank, which the authors
call the dynamic inverted softmax. All other captions keep their scores. BETA and the one video that a bank
caption takes are the authors' (their `dynamic_inverted_softmax.py`, ioanacroi/qb-norm 08119aa: defaults
beta 20, k 1). Everything is done in logarithms, which changes no order within a caption.

Video-to-text would need a bank of training videos; it keeps its raw scores.
"""

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.metrics.counts import Array, Counts, Ints, to_numpy
from xbench.metrics.ranking import check_sizes, chunks, count_block

Floats = NDArray[np.float64]

BETA = 20.0


class QueryBank:
    """What a bank of B captions says about V videos, taken in strip by strip; then the normalisation."""

    def __init__(self, captions: int, videos: int) -> None:
        """captions: B; videos: V."""
        self._log_sums = np.full(videos, np.nan)
        self._best = np.full(captions, -np.inf)
        self._best_video = np.zeros(captions, dtype=np.int64)

    def add(self, strip: Array, columns: slice) -> None:
        """Take in the scores [B, v] of the whole bank against the videos `columns`, in order.

        Raises DataError for scores that are not finite.
        """
        scores = to_numpy(strip).astype(np.float64)
        if not np.isfinite(scores).all():
            raise DataError(
                "The bank's scores hold NaN or infinite values, so there is nothing to divide by: score it"
                " again, in --precision fp32 where it was half precision."
            )
        self._log_sums[columns] = np.logaddexp.reduce(BETA * scores, axis=0)
        at = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), at]
        better = best > self._best
        self._best[better], self._best_video[better] = best[better], at[better] + columns.start

    def t2v(self, scores: Array) -> Floats:
        """Normalise whole rows [t, V] for ranking videos: float64 [t, V], comparable within a row only."""
        rows = to_numpy(scores).astype(np.float64)
        hubs = np.isin(rows.argmax(axis=1), self._best_video)
        return np.where(hubs[:, None], BETA * rows - self._log_sums, rows)


def qbnorm_t2v_counts(similarity: Array, caption_to_video: Ints, bank: QueryBank) -> Counts:
    """Rank the videos for each caption after QB-Norm, in chunks.

    similarity: [T, V]; caption_to_video: int64 [T]. Raises DataError for sizes that do not go together.
    """
    check_sizes(similarity, caption_to_video)
    return Counts.concatenate(
        [
            count_block(bank.t2v(similarity[rows]), caption_to_video[rows])
            for rows in chunks(*similarity.shape)
        ]
    )
