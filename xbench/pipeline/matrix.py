"""Score a similarity matrix that was computed elsewhere: the flow from the ranks on."""

from collections.abc import Mapping
from typing import Any

from xbench.data.split import Split
from xbench.errors import DataError
from xbench.metrics.dsl import dsl_counts
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.pipeline.matrix_file import read_matrix
from xbench.pipeline.plan import MatrixPlan, Plan
from xbench.pipeline.record import Clock, CountsByPost, Evaluated, Scoring, Seen, make_records
from xbench.reports.record.schema import Checkpoint, ScorerRecord
from xbench.storage import file_sha256


def score_matrix(plan: MatrixPlan) -> list[Evaluated]:
    """Rank the scores in a file (.npy, .npz, .safetensors, torch).

    Raises DataError and UsageError when it holds no matrix of the protocol (see `read_matrix`), and DataError
    as `score_scores` does.
    """
    path = plan.file.path
    matrix, facts = read_matrix(plan.file, plan.split)
    checkpoint = Checkpoint(file=path.name, sha256=file_sha256(path))
    return score_scores(matrix, plan, name=path.stem, file=checkpoint, facts=facts)


def score_scores(
    matrix: Any,
    plan: Plan,
    *,
    name: str,
    file: Checkpoint | None = None,
    facts: Mapping[str, Any] | None = None,
) -> list[Evaluated]:
    """Rank a similarity matrix [T, V] (NumPy or torch, real numbers): raw first, then post-processed.

    name: what the record calls the scores; file and facts: where they were read from, and how.

    Raises DataError when its shape is not the split's, and when a score is not finite (unless ties are
    counted as the published code does).
    """
    split = plan.split
    _check_shape(tuple(matrix.shape), split, name)
    clock = Clock()
    with clock("rank"):
        owners = split.caption_to_video
        counts: CountsByPost = {"none": (t2v_counts(matrix, owners), v2t_counts(matrix, owners, split.v2t))}
        if plan.post == "dsl":
            counts["dsl"] = dsl_counts(matrix, owners)
    settings: dict[str, Any] = {"similarity": name, "dtype": str(matrix.dtype), **(facts or {})}
    scoring = Scoring(ScorerRecord(name=name, settings=settings), file, precision=str(matrix.dtype))
    return make_records(plan, Seen(split), scoring, counts, clock.seconds)


def _check_shape(shape: tuple[int, ...], split: Split, name: str) -> None:
    expected = (len(split.captions), len(split.videos))
    if shape != expected:
        turned = " It is the other way round: transpose it." if shape == expected[::-1] else ""
        raise DataError(
            f"{name} has shape {shape}, but {split.protocol} needs {expected}: rows captions, columns "
            f"videos, in the protocol's order.{turned}"
        )
