"""A run's work on other processes: items are encoded there into the shared cache, blocks counted there.

A run with workers goes the same way as one without: it finds in the cache what they encoded, and adds up what
they counted.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xbench.engine.grid import Tile
from xbench.engine.pool import Bench, Pool
from xbench.engine.store import Store
from xbench.engine.units import Block, Tensors
from xbench.errors import ModelError
from xbench.pipeline.features import VideoJob, text_key, video_key
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.worker import ModelOrder, ScoringOrder, probe, write_order
from xbench.progress import say
from xbench.scorers.base import Scorer, VideoInput
from xbench.scorers.catalog import ResolvedModel
from xbench.storage import scratch

if TYPE_CHECKING:
    from xbench.pools.ray import Ready

_VIDEOS, _TEXTS = 4, 32
"""Items of one unit."""


class Remote:
    """Workers that hold the model of a run."""

    def __init__(self, workers: Any, folder: Path, store: Store) -> None:
        """workers: see `pools.ray.Workers`; folder: shared by all, for this run alone."""
        self._workers, self.folder, self._store = workers, folder, store

    def encode_videos(
        self, jobs: Sequence[VideoJob], wants: VideoInput, on_done: Callable[[int], None]
    ) -> int:
        """Encode the videos that the store lacks, each once; return how many."""
        missing = {video_key(job, wants): job for job in jobs}
        chosen = [job for key, job in missing.items() if not self._store.has("video", key)]
        path = self.folder / "jobs"
        path.write_bytes(pickle.dumps(chosen))
        parts = [(start, min(start + _VIDEOS, len(chosen))) for start in range(0, len(chosen), _VIDEOS)]
        for _, done in self._workers.ask("videos", parts, str(path)):
            on_done(done)
        self._store.refresh()
        return len(chosen)

    def encode_texts(self, texts: Sequence[str], on_done: Callable[[int], None]) -> int:
        """Encode the texts that the store lacks; return how many."""
        chosen = [text for text in texts if not self._store.has("text", text_key(text))]
        parts = [tuple(chosen[start : start + _TEXTS]) for start in range(0, len(chosen), _TEXTS)]
        for _, done in self._workers.ask("texts", parts):
            on_done(done)
        self._store.refresh()
        return len(chosen)

    def pool(self, order: ScoringOrder) -> Callable[[Bench], Pool]:
        """Return where the units of a scoring are carried out."""
        path = write_order(self.folder / "scoring", order)
        return lambda bench: _Shared(self._workers, path)


class _Shared:
    """A pool of workers."""

    def __init__(self, workers: Any, order: Path) -> None:
        self._workers, self._order = workers, str(order)

    def right(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, Tensors]]:
        return self._workers.ask("right", tiles, self._order)  # type: ignore[no-any-return]

    def count(
        self, blocks: Iterable[Block], right: NDArray[np.float32], *, scores: bool
    ) -> Iterator[tuple[Block, Tensors]]:
        shared = self._workers.share(right)
        return self._workers.ask("count", blocks, self._order, shared, scores)  # type: ignore[no-any-return]


@contextmanager
def remote(scorer: Scorer, wants: VideoInput, plan: RunPlan, store: Store) -> Iterator[Remote]:
    """Start the workers that a plan asks for.

    Raises UsageError when there is no Ray or no cluster, ModelError when a worker computes other bits than
    this process and that was not allowed.
    """
    from xbench.pools import ray

    assert isinstance(plan.model, ResolvedModel)
    assert plan.cache is not None
    assert plan.ray is not None
    order = ModelOrder(
        request=plan.model.request,
        threads=plan.threads,
        sampling=plan.sampling,
        use_damaged=plan.allow_damaged,
        decoders=plan.workers,
        store=(store.root.absolute(), store.name, dict(store.identity)),
        folder=Path.cwd(),
    )
    plan.cache.mkdir(parents=True, exist_ok=True)
    with (
        scratch(plan.cache.absolute()) as folder,
        ray.workers(
            "xbench.pipeline.worker:Worker",
            write_order(folder / "model", order),
            judge(probe(scorer, wants), mixed=plan.mixed_devices),
            address=plan.ray,
            devices=plan.devices,
            threads=plan.threads,
        ) as workers,
    ):
        say(f"{plan.split.benchmark}: starting {len(workers)} workers on Ray")
        workers.wait()
        yield Remote(workers, folder, store)


def judge(own: str, *, mixed: bool) -> "Callable[[Ready], None]":
    """Return what refuses a worker whose probe is not `own`, or tells of each such machine once."""
    told: set[str] = set()

    def accept(ready: "Ready") -> None:
        if ready.probe == own or ready.node in told:
            return
        what = (
            f"The worker on {ready.node} computes other last bits than this process: another kind of CPU or "
            "GPU, or other versions of libraries."
        )
        broken = "ties between items that different devices scored may break."
        if not mixed:
            raise ModelError(f"{what} Leave that node out, or allow it with --mixed-devices: {broken}")
        told.add(ready.node)
        say(f"{what} With it {broken}")

    return accept
