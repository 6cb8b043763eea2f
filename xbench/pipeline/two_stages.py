"""A run of two stages: the first's scores, and the ranks that the second makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.engine.encoding import FeatureTable
from xbench.engine.reranking import score_candidates
from xbench.engine.units import Queries
from xbench.errors import DataError
from xbench.metrics.ranking import t2v_counts
from xbench.metrics.reranking import TwoStages
from xbench.pipeline.estimate import say_how_long
from xbench.pipeline.matrix_file import MatrixFile, read_matrix
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.ranking import Workplace, ledger_of, memory_of
from xbench.pipeline.record import CountsByPost, Scoring
from xbench.pipeline.trust import NO_DOUBT, Trust, judge_order, known_sides
from xbench.progress import stage
from xbench.reports.record.schema import Checkpoint, FirstStageRecord, Reranked
from xbench.scorers.base import Scorer
from xbench.scorers.every_pair import as_second_stage
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
                f"{lacking[0]}: it found no frame in them."
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


def first_of_model(matrix: NDArray[Any], split: Split, scoring: Scoring) -> FirstScores:
    """Return what a model scored. scoring: its description."""
    scorer = scoring.scorer
    record = FirstStageRecord(
        name=scorer.name, settings=scorer.settings, identity=scorer.identity, file=scoring.checkpoint
    )
    return FirstScores(matrix, split, record)


def rerank_both_ways(  # noqa: PLR0917  (as `rank_both_ways`, and the first stage)
    scorer: Scorer,
    texts: FeatureTable,
    videos: FeatureTable,
    queries: Queries,
    split: Split,
    first: FirstScores,
    *,
    plan: RunPlan,
    place: Workplace,
) -> CountsByPost:
    """Score the candidates again and return the (t2v, v2t) counts of both stages; tell how long it will take.

    Pairs that a killed run scored are not scored again. What there was to do is left in `place.reranked`.
    """
    assert plan.first is not None
    with place.clock("candidates"):
        stages = TwoStages(first.of(split), queries.row, queries.video, split.v2t, plan.first.k)
        pairs = len(stages.pairs)
    tables, second = (texts, videos), as_second_stage(scorer)
    ledger = ledger_of(scorer, tables, queries, plan, place, candidates=_told(stages))
    title = f"{split.benchmark}: re-ranking"
    some = videos.rows(0, min(second.block[1], len(videos)))
    say_how_long(second, texts.rows(0, 1), some, pairs, title)
    with place.clock("re-rank"), stage(title, pairs, "pairs") as advance:
        scores = score_candidates(
            second, *tables, stages.by_text(), ledger=ledger, memory=memory_of(plan), on_pairs=advance
        )
    found = stages.counts(scores)
    place.reranked = Reranked(
        k=plan.first.k, first=first.record, pairs=pairs, outside=found.outside, wider=found.wider
    )
    return {"none": (found.t2v, found.v2t)}


def _told(stages: TwoStages) -> Sequence[int]:
    """All that a key needs of the candidates."""
    return [stages.k, *stages.pairs.tolist()]
