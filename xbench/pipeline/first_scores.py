"""The scores of a first stage, wherever they are from, and the ranks that a second makes of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.errors import DataError
from xbench.metrics.counts import to_numpy
from xbench.metrics.ranking import t2v_counts
from xbench.metrics.reranking import TwoStages
from xbench.pipeline.matrix_file import MatrixFile, read_matrix
from xbench.pipeline.record import CountsByPost, Scoring
from xbench.pipeline.trust import NO_DOUBT, Trust, judge_order, known_sides
from xbench.reports.record.schema import Checkpoint, FirstStageRecord, Reranked
from xbench.storage import file_sha256

_TURNED = "higher must be closer. --first takes similarities: turn distances round before you save them."


@dataclass(frozen=True)
class FirstScores:
    """What the first stage gave: scores [T, V] of a split, and what the record says of them."""

    matrix: NDArray[Any]
    split: Split
    record: FirstStageRecord
    trust: Trust = NO_DOUBT

    def of(self, scored: Split) -> NDArray[Any]:
        """Return the scores of a part of the split. Raises DataError for a video that has none."""
        if scored.videos == self.split.videos and scored.captions == self.split.captions:
            return self.matrix
        columns = {video.id: column for column, video in enumerate(self.split.videos)}
        lacking = [video.id for video in scored.videos if video.id not in columns]
        if lacking:
            raise DataError(
                f"The first stage has no scores of {len(lacking)} videos that the second can see, e.g. "
                f"{lacking[0]}: it found no frame in them. Leave them out of both, or replace the files."
            )
        kept = np.array([columns[video.id] for video in scored.videos])
        of_kept = np.flatnonzero(np.isin(self.split.caption_to_video, kept))
        return np.asarray(self.matrix[np.ix_(of_kept, kept)])


def read_first(file: MatrixFile, split: Split) -> FirstScores:
    """Read the scores of a saved matrix.

    Raises DataError and UsageError when it is none of the split, and when it ranks worse than guesses do.
    """
    matrix, facts = read_matrix(file, split)
    trust = judge_order(t2v_counts(matrix, split.caption_to_video), split, known_sides(facts), turned=_TURNED)
    checkpoint = Checkpoint(file=file.path.name, sha256=file_sha256(file.path))
    settings = {"dtype": str(matrix.dtype), **facts}
    return FirstScores(
        matrix, split, FirstStageRecord(name=file.path.stem, settings=settings, file=checkpoint), trust
    )


def first_in_memory(matrix: Any, split: Split) -> FirstScores:
    """Return scores [T, V] (NumPy or torch) as a first stage.

    Raises DataError when the shape is not the split's, and when they rank worse than guesses do.
    """
    scores = to_numpy(matrix)
    expected = (len(split.captions), len(split.videos))
    if scores.shape != expected:
        raise DataError(f"first has shape {scores.shape}: it must have that of the second stage, {expected}.")
    counts = t2v_counts(scores, split.caption_to_video)
    trust = judge_order(counts, split, frozenset(), turned=_TURNED)
    return FirstScores(
        scores, split, FirstStageRecord(name="first", settings={"dtype": str(scores.dtype)}), trust
    )


def first_of_model(matrix: NDArray[Any], split: Split, scoring: Scoring, trust: Trust) -> FirstScores:
    """Return what a model scored. scoring: its description; trust: what its ranks say."""
    scorer = scoring.scorer
    record = FirstStageRecord(
        name=scorer.name, settings=scorer.settings, identity=scorer.identity, file=scoring.checkpoint
    )
    return FirstScores(matrix, split, record, trust)


def counts_of(stages: TwoStages, scores: NDArray[Any], first: FirstScores) -> tuple[CountsByPost, Reranked]:
    """Return the counts of both stages, and what the record says of them. scores: [P], of all pairs."""
    found = stages.counts(scores)
    told = Reranked(
        k=stages.k,
        first=first.record,
        pairs=len(stages.pairs),
        outside=found.outside,
        wider=found.wider,
    )
    return {"none": (found.t2v, found.v2t)}, told
