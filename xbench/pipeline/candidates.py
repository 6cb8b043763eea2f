"""The candidates of a sweep measured, one after the other here or side by side on workers.

A worker carries out a candidate's whole run, as this process would; what they share are decoded frames and
the cache of features.
"""

import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from xbench.pipeline.features import KeptFrames
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.record import computing_threads
from xbench.pipeline.remote import judge
from xbench.pipeline.run import Models, run
from xbench.pipeline.worker import probe, wants
from xbench.progress import say, stage
from xbench.reports.record.files import Measurement
from xbench.scorers.base import Scorer
from xbench.scorers.catalog import ResolvedModel, resolve
from xbench.storage import scratch, write_atomically


@dataclass(frozen=True)
class CandidateOrder:
    """What workers of a sweep read: the current folder, which relative paths start from, and the plans."""

    folder: Path
    plans: bytes
    """Pickled, for they are to be read there."""


class CandidateWorker:
    """Carries out plans of an order on one device."""

    def __init__(self, order: Path, device: str) -> None:
        """order: the path of a CandidateOrder; device: cpu, or cuda for the GPU that this process sees."""
        given: CandidateOrder = pickle.loads(order.read_bytes())
        with suppress(OSError):
            os.chdir(given.folder)
        plans: list[RunPlan] = pickle.loads(given.plans)
        self._plans = [_on(plan, device) for plan in plans]

    def probe(self) -> str:
        """Return the hash of what the first candidate gives here for inputs that are the same everywhere."""
        return _probe(self._plans[0])

    def measure(self, index: int) -> Measurement:
        """Carry out a plan."""
        return _measure(self._plans[index])


def measure_all(plans: Sequence[RunPlan]) -> Iterator[tuple[int, Measurement]]:
    """Carry out the plans of candidates, which want the videos of one gallery; yield (index, outcome).

    In order, or with workers as they come. Each video is decoded once for all that want the same frames.
    """
    if not plans:
        return
    if plans[0].ray is not None:
        yield from _side_by_side(plans)
        return
    with scratch() as frames:
        for index, plan in enumerate(plans):
            yield index, _measure(replace(plan, frames=KeptFrames(frames)))


def _side_by_side(plans: Sequence[RunPlan]) -> Iterator[tuple[int, Measurement]]:
    """Measure each candidate on a worker of its own, as many at a time as there are workers."""
    from xbench.pools import ray

    first = plans[0]
    assert first.ray is not None
    assert first.cache is not None  # --ray without a cache is refused
    first.cache.mkdir(parents=True, exist_ok=True)
    with scratch(first.cache.absolute()) as folder:
        shared = [
            replace(plan, ray=None, devices=(), frames=KeptFrames(folder, index / len(plans)))
            for index, plan in enumerate(plans)
        ]
        order = CandidateOrder(Path.cwd(), pickle.dumps(shared))
        write_atomically(folder / "order", pickle.dumps(order))
        with ray.workers(
            "xbench.pipeline.candidates:CandidateWorker",
            folder / "order",
            judge(_probe(first), mixed=first.mixed_devices),
            address=first.ray,
            devices=first.devices,
            threads=first.threads,
            most=len(plans),
        ) as workers:
            say(f"{first.split.benchmark}: {len(plans)} candidates on {len(workers)} workers on Ray")
            with stage(f"{first.split.benchmark}: measuring candidates", len(plans), "candidates") as done:
                for index, measured in workers.ask("measure", range(len(plans))):
                    done(1)
                    yield index, measured


def _measure(plan: RunPlan) -> Measurement:
    return run(Models().of(plan), plan)[0]


def _probe(plan: RunPlan) -> str:
    with computing_threads(plan.threads):
        scorer = Models().of(plan)
        assert isinstance(scorer, Scorer)  # --ray is for models that encode
        return probe(scorer, wants(scorer, plan.sampling))


def _on(plan: RunPlan, device: str) -> RunPlan:
    assert isinstance(plan.model, ResolvedModel)
    return replace(plan, model=resolve(replace(plan.model.request, device=device)))
