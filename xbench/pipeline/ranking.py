"""The flow from features to counts: every caption against every video, both ways."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xbench.engine.encoding import FeatureTable
from xbench.engine.pool import Bench, InProcess, Pool
from xbench.engine.similarity import rank, save_matrix, score_strips
from xbench.engine.store import key_of, scorings
from xbench.engine.units import Queries
from xbench.metrics.counts import Counts
from xbench.metrics.dsl import dsl_counts
from xbench.metrics.qbnorm import QueryBank, qbnorm_t2v_counts
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.record import Clock, CountsByPost, code_digest, computing
from xbench.pipeline.remote import Remote
from xbench.pipeline.worker import ScoringOrder
from xbench.progress import stage
from xbench.reports.record.schema import Reranked
from xbench.scorers.base import PairScorer, source_file
from xbench.storage import scratch
from xbench.terms import V2TRule

_ABANDONED_SECONDS = 7 * 24 * 3600
_STAGES = {"dsl": "dual softmax", "qbnorm": "query bank"}


@dataclass
class Workplace:
    """Where a run does its work, and what it leaves there until its record is made."""

    clock: Clock = field(default_factory=Clock)
    remote: Remote | None = None
    """Workers, where the run has any."""
    ledgers: list[Path] = field(default_factory=list)
    """Folders of finished units."""
    reranked: Reranked | None = None
    """What a second stage did, where there was one."""

    def tidy(self) -> None:
        """Remove what is needed no more once there is a record."""
        for folder in self.ledgers:
            shutil.rmtree(folder, ignore_errors=True)


def rank_both_ways(
    scorer: PairScorer,
    texts: FeatureTable,
    videos: FeatureTable,
    queries: Queries,
    v2t: V2TRule,
    *,
    plan: RunPlan,
    place: Workplace,
    bank: FeatureTable | None = None,
) -> CountsByPost:
    """Rank and return the (t2v, v2t) counts, raw and with the post-processing that is asked for.

    bank: the features of the captions that QB-Norm normalises by. Saves the matrix when that is asked for;
    post-processing needs it too. What a killed run counted is counted again only for a matrix.
    """
    ledger = ledger_of(scorer, (texts, videos), queries, plan, place)
    with scratch() as folder:
        matrix = plan.save_similarity or (folder / "similarity.npy" if plan.post != "none" else None)
        with place.clock("score"), ExitStack() as stack:
            on_scores = None
            if matrix is not None:
                on_scores = stack.enter_context(save_matrix(matrix, len(queries.row), len(videos)))
            raw = rank(
                scorer,
                texts,
                videos,
                queries,
                v2t,
                memory=memory_of(plan),
                ledger=ledger,
                pool=_pool((texts, videos), queries, plan, place, ledger),
                on_scores=on_scores,
                on_pairs=stack.enter_context(_told("scoring", texts, videos, plan)),
            )
        if matrix is None or plan.post == "none":
            return {"none": raw}
        with place.clock(_STAGES[plan.post]):
            normal = None if bank is None else _query_bank(scorer, bank, videos, plan)
            return {"none": raw, plan.post: _post_processed(matrix, queries, raw, normal, plan)}


def _told(
    title: str, texts: FeatureTable, videos: FeatureTable, plan: RunPlan
) -> AbstractContextManager[Callable[[int], None]]:
    """Show the pairs of a stage."""
    return stage(f"{plan.split.benchmark}: {title}", len(texts) * len(videos), "pairs")


def _post_processed(
    matrix: Path, queries: Queries, raw: tuple[Counts, Counts], bank: QueryBank | None, plan: RunPlan
) -> tuple[Counts, Counts]:
    scores = np.load(matrix, mmap_mode="r")
    if bank is None:
        return dsl_counts(scores, queries.video, plan.split.v2t, force=plan.force)
    return qbnorm_t2v_counts(scores, queries.video, bank), raw[1]


def _query_bank(scorer: PairScorer, bank: FeatureTable, videos: FeatureTable, plan: RunPlan) -> QueryBank:
    found = QueryBank(len(bank), len(videos))
    with _told("scoring the bank", bank, videos, plan) as advance:
        strips = score_strips(scorer, bank, videos, memory=memory_of(plan), on_pairs=advance)
        for columns, strip in strips:
            found.add(strip, columns)
    return found


def _pool(
    tables: tuple[FeatureTable, FeatureTable],
    queries: Queries,
    plan: RunPlan,
    place: Workplace,
    ledger: Path | None,
) -> Callable[[Bench], Pool]:
    if place.remote is None or ledger is None:
        return InProcess
    texts, videos = (table.keys for table in tables)
    order = ScoringOrder(texts, videos, queries, plan.split.v2t, memory_of(plan), ledger.absolute())
    return place.remote.pool(order)


def memory_of(plan: RunPlan) -> int:
    """Return the bytes that scoring may take."""
    return plan.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def ledger_of(
    scorer: PairScorer,
    tables: tuple[FeatureTable, FeatureTable],
    queries: Queries,
    plan: RunPlan,
    place: Workplace,
    **more: Any,
) -> Path | None:
    """Return the folder of this scoring's finished units; None where they cannot outlive the run.

    Its name is the hash of all that changes a count. more: what else does.
    """
    if plan.cache is None or scorer.identity is None:
        return None if place.remote is None else place.remote.folder / "units"
    parent = scorings(plan.cache)
    for left in parent.glob("*"):
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    name = key_of(
        identity=dict(scorer.identity),
        settings={name: str(value) for name, value in scorer.settings.items()},
        computing=computing(plan.threads, str(scorer.settings.get("device", "cpu"))),
        block=scorer.block,
        features=[table.digest() for table in tables],
        queries=[queries.row.tolist(), queries.video.tolist(), plan.split.v2t],
        code=code_digest(source_file(scorer)),
        mixed=plan.mixed_devices,
        **more,
    )
    place.ledgers.append(parent / name)
    return parent / name
