"""What workers on a local Ray cluster gain: one beside two, none beside one. Their start is told apart."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from benchmarks.clips import write_clip
from benchmarks.figure import Figure
from benchmarks.models import vit_b32_state, write_vocabulary
from xbench.data.split import Video
from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import rank
from xbench.engine.store import Kind, Lodged, Store, key_of
from xbench.engine.units import Queries
from xbench.pipeline.features import VideoJob, encode_videos
from xbench.pipeline.record import computing_threads
from xbench.pipeline.remote import Remote
from xbench.pipeline.worker import ModelOrder, ScoringOrder, write_order
from xbench.scorers.base import Scorer
from xbench.scorers.catalog import ModelRequest, resolve
from xbench.video.identity import file_state

PAIRS, CLIPS = 2048, 64
SHAPES: dict[Kind, dict[str, tuple[int, ...]]] = {
    "text": {"sentence": (512,), "words": (32, 512)},
    "video": {"video": (512,), "frames": (12, 512)},
}
PARTS = {"score": f"X-CLIP 32 x 12, {PAIRS:,} x {PAIRS:,}", "encode": f"encode {CLIPS} clips, ViT-B/32"}


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield seconds of one worker beside two, and of none beside one; a small run starts no cluster."""
    if small:
        return
    with tempfile.TemporaryDirectory() as name, computing_threads(1):
        world = World(Path(name))
        seconds = {count: world.measure(count) for count in (0, 1, 2)}
    for part, title in PARTS.items():
        none, one, two = (seconds[count][part] for count in (0, 1, 2))
        note = f"one thread each; two start in {seconds[2]['start']:.0f} s, beside these"
        yield Figure("workers", title, two, "one worker", one, wanted=1.8, steady=False, note=note)
        yield Figure("workers", title, one, "no Ray", none, wanted=1 / 1.05, steady=False)


class World:
    """A checkpoint, clips, and features to score."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        torch.save(vit_b32_state(), folder / "pytorch_model.bin.1")
        self.request = ModelRequest(
            "xclip", folder / "pytorch_model.bin.1", bpe=write_vocabulary(folder), device="cpu"
        )
        model = resolve(self.request).build()
        assert isinstance(model, Scorer)
        self.model = model
        paths = [write_clip(folder / f"{number}.mp4", 12, seed=number) for number in range(6)]
        self.jobs = [
            VideoJob(Video(str(number)), path, f"clip {number}", file_state(path), "published")
            for number, path in zip(range(CLIPS), cycle(paths))
        ]

    def measure(self, workers: int) -> dict[str, float]:
        """Return the seconds of each part, and of the start."""
        store = Store(self.folder / f"cache{workers}", "bench", {})
        texts, videos = self._random(store, "text"), self._random(store, "video")
        queries = Queries(np.arange(PAIRS), np.arange(PAIRS))
        ledger = self.folder / f"units{workers}"
        order = ScoringOrder(texts.keys, videos.keys, queries, "group-max", 1 << 30, ledger)
        seconds, wants = {"start": time.perf_counter()}, self.model.video_input
        with self._remote(workers, store) as remote:
            seconds["start"] = time.perf_counter() - seconds["start"]
            start = time.perf_counter()
            if remote:
                remote.encode_videos(self.jobs, wants, lambda done: None)
            encode_videos(
                self.model,
                store,
                self.jobs,
                wants=wants,
                use_damaged=False,
                workers=2,
                on_done=lambda done: None,
            )
            seconds["encode"] = time.perf_counter() - start
            start = time.perf_counter()
            pool = {"pool": remote.pool(order)} if remote else {}
            rank(self.model, texts, videos, queries, "group-max", ledger=ledger, **pool)  # type: ignore[arg-type]
            seconds["score"] = time.perf_counter() - start
        return seconds

    @contextmanager
    def _remote(self, workers: int, store: Store) -> Iterator[Remote | None]:
        if not workers:
            yield None
            return
        from xbench.pools import ray

        kept = (store.root, store.name, dict(store.identity))
        order = ModelOrder(self.request, 1, None, False, 2, kept, Path.cwd())
        folder = self.folder / f"run{workers}"
        folder.mkdir()
        path, devices = write_order(folder / "model", order), ["cpu"] * workers
        target = "xbench.pipeline.worker:Worker"
        with ray.workers(
            target, path, lambda ready: None, address="local", devices=devices, threads=1
        ) as found:
            found.wait()
            yield Remote(found, folder, store)

    def _random(self, store: Store, kind: Kind) -> FeatureTable:
        generator = torch.Generator().manual_seed(len(kind))
        lodged = []
        for row in range(PAIRS):
            features = {
                name: torch.nn.functional.normalize(torch.randn(1, *shape, generator=generator), dim=-1)
                for name, shape in SHAPES[kind].items()
            }
            lodged.append(Lodged(store, kind, key_of(random=row)))
            store.save(kind, lodged[-1].key, features, {})
        return FeatureTable(lodged)
