"""Score a similarity matrix that was computed elsewhere: the flow from the ranks on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xbench.data.split import Split
from xbench.errors import DataError
from xbench.metrics.counts import to_numpy
from xbench.metrics.dsl import dsl_counts
from xbench.metrics.qbnorm import qbnorm_t2v_counts
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.metrics.reranking import TwoStages, second_scores
from xbench.pipeline.bank import bank_of, read_scores
from xbench.pipeline.first_scores import counts_of, first_in_memory, read_first
from xbench.pipeline.matrix_file import MatrixFile, read_matrix
from xbench.pipeline.plan import ScoresPlan
from xbench.pipeline.record import Clock, CountsByPost, Scoring, Seen, make_records
from xbench.pipeline.trust import judge_order, known_sides
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import Checkpoint, ScorerRecord
from xbench.storage import file_sha256

_TURNED = {
    False: "higher must be closer. Are these distances? Then say so: --distance (distance=True).",
    True: "as distances, lower must be closer. Are these similarities? Then leave --distance out.",
}


def score_matrix(plan: ScoresPlan) -> list[Measurement]:
    """Rank the scores in a file (.npy, .npz, .safetensors, torch).

    Raises DataError and UsageError when it holds no matrix of the protocol (see `read_matrix`), and DataError
    as `score_scores` does.
    """
    assert plan.file is not None
    path = plan.file.path
    matrix, facts = read_matrix(plan.file, plan.split)
    checkpoint = Checkpoint(file=path.name, sha256=file_sha256(path))
    return score_scores(matrix, plan, checkpoint, facts)


def score_scores(
    matrix: Any, plan: ScoresPlan, file: Checkpoint | None = None, facts: Mapping[str, Any] | None = None
) -> list[Measurement]:
    """Rank scores [T, V] (NumPy or torch, real numbers): raw first, then post-processed.

    file and facts: where they were read from, and how.

    Raises DataError when its shape is not the split's, when its ranks are worse than guesses, and when a
    score is not finite (unless ties are counted as the published code does).
    """
    split = plan.split
    _check_shape(tuple(matrix.shape), split, plan.name)
    dtype = str(matrix.dtype)
    if plan.distance:
        matrix = as_similarity(matrix)
    clock = Clock()
    if plan.first is not None:
        return _score_second(matrix, plan, _scoring(plan, dtype, file, facts), clock)
    with clock("rank"):
        owners = split.caption_to_video
        counts: CountsByPost = {"none": (t2v_counts(matrix, owners), v2t_counts(matrix, owners, split.v2t))}
        if plan.post == "dsl":
            counts["dsl"] = dsl_counts(matrix, owners, split.v2t, force=plan.force)
        if plan.bank is not None:
            scores = read_scores(plan.bank.path, split)
            bank = bank_of(as_similarity(scores) if plan.distance else scores)
            counts["qbnorm"] = qbnorm_t2v_counts(matrix, owners, bank), counts["none"][1]
    known = frozenset() if facts is None else known_sides(facts)
    trust = judge_order(counts["none"][0], split, known, turned=_TURNED[plan.distance])
    scoring = _scoring(plan, dtype, file, facts)
    return make_records(plan, Seen(split, trust=trust), scoring, counts, clock.seconds)


def _score_second(matrix: Any, plan: ScoresPlan, scoring: Scoring, clock: Clock) -> list[Measurement]:
    """Rank by two matrices: candidates by the first stage's, each caption's own row in the second's."""
    assert plan.first is not None
    split, source = plan.split, plan.first.source
    with clock("candidates"):
        first = (
            read_first(source, split) if isinstance(source, MatrixFile) else first_in_memory(source, split)
        )
        captions = np.arange(len(split.captions))
        stages = TwoStages(first.matrix, captions, split.caption_to_video, split.v2t, plan.first.k)
    with clock("rank"):
        counts, reranked = counts_of(stages, second_scores(to_numpy(matrix), stages), first)
    described = replace(scoring, reranked=reranked)
    return make_records(plan, Seen(split, trust=first.trust), described, counts, clock.seconds)


def _scoring(
    plan: ScoresPlan, dtype: str, file: Checkpoint | None, facts: Mapping[str, Any] | None
) -> Scoring:
    return Scoring(_scorer(plan, dtype, facts or {}), file, precision=dtype)


def _scorer(plan: ScoresPlan, dtype: str, facts: Mapping[str, Any]) -> ScorerRecord:
    """What is said of the scores and of the model that gave them."""
    said = {"backbone": plan.backbone, "source": plan.source, "distance": plan.distance or None}
    settings = {"similarity": plan.name, "dtype": dtype, **facts}
    settings |= {name: value for name, value in said.items() if value is not None}
    zero_shot = None if plan.setting is None else plan.setting == "zero-shot"
    return ScorerRecord(name=plan.name, settings=settings, zero_shot=zero_shot)


def as_similarity(distances: Any) -> Any:
    """Turn distances (NumPy or torch) into scores: larger into lower ones, equal into equal ones."""
    if getattr(distances.dtype, "kind", "f") == "f":
        return -distances
    return -1 - distances if distances.dtype.kind == "i" else distances.max() - distances


def _check_shape(shape: tuple[int, ...], split: Split, name: str) -> None:
    expected = (len(split.captions), len(split.videos))
    if shape != expected:
        turned = " It is the other way round: transpose it." if shape == expected[::-1] else ""
        raise DataError(
            f"{name} has shape {shape}, but {split.protocol} needs {expected}: rows captions, columns "
            f"videos, in the protocol's order.{turned}"
        )
