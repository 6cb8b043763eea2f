"""Streamed ranks of random features from mapped files, in a process of its own, so that its peak is its own.

    python -m benchmarks.streaming KIND TEXTS VIDEOS [CAPTIONS [MEMORY]]

KIND: `xclip` (32 words x 12 frames, 512-d); `coarse`, the same features and tiles, but only sentences and
videos are compared, which shows what the engine costs without the model; `vectors`, one of 512 dimensions for
each item. CAPTIONS: of each video. MEMORY: the budget in bytes. Prints JSON.
"""

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.memory import watched
from benchmarks.models import scorer, vit_b32_state
from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import rank
from xbench.engine.store import Kind, Lodged, Store, key_of
from xbench.engine.units import Queries
from xbench.scorers.base import Features, PairScorer
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.features.file import FeatureFile

SHARD = 512
WORDS, FRAMES, WIDTH = 32, 12, 512
SHAPES = {
    "text": {"sentence": (WIDTH,), "words": (WORDS, WIDTH)},
    "video": {"video": (WIDTH,), "frames": (FRAMES, WIDTH)},
    "vectors": {"vectors": (1, WIDTH)},
}


@dataclass(frozen=True)
class Coarse:
    """Sentences against videos, in X-CLIP's tiles."""

    block: tuple[int, int]
    name: str = "coarse"
    identity = None
    settings = {"precision": "fp32"}  # noqa: RUF012

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        return text["sentence"] @ video["video"].T


@dataclass(frozen=True)
class Task:
    """What is ranked: see the module's arguments."""

    kind: str
    texts: int
    videos: int
    captions: int = 1
    memory: int = 1 << 30


def main() -> None:
    kind, *sizes = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="xbench-bench-") as folder:
        print(json.dumps(measure(Task(kind, *map(int, sizes)), Path(folder))))


def measure(task: Task, folder: Path) -> dict[str, float]:
    """Rank both ways; return the seconds, and the own memory in GB: its peak, and what was held before."""
    chosen = _scorer(task.kind, folder)
    single = task.kind == "vectors"
    texts = _stored("vectors" if single else "text", task.texts, folder, seed=0)
    videos = _stored("vectors" if single else "video", task.videos, folder, seed=1)
    rows = np.arange(task.texts)
    spread = task.videos // task.texts  # right pairs lie on the diagonal, however long it is
    queries = Queries(rows, rows * spread if spread else np.minimum(rows // task.captions, task.videos - 1))
    with torch.inference_mode(), watched() as peak:
        before, start = peak.gb, time.perf_counter()
        rank(chosen, texts, videos, queries, "group-max", memory=task.memory)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": peak.gb, "before": before}


def _scorer(kind: str, folder: Path) -> PairScorer:
    if kind == "vectors":
        empty = FeatureFile(folder, "", np.zeros((1, WIDTH), np.float32), None, None)
        return PrecomputedFeatures(empty, empty, "dot")
    model = scorer(vit_b32_state(vision_layers=1), folder)
    return Coarse(model.block) if kind == "coarse" else model


def _stored(side: str, count: int, folder: Path, seed: int) -> FeatureTable:
    """Write random unit vectors, each an entry as those of a run are."""
    store = Store(folder, side, {"seed": seed})
    generator = torch.Generator().manual_seed(seed)
    kind: Kind = "video" if side == "video" else "text"
    shards: list[Lodged] = []
    for start in range(0, count, SHARD):
        rows = min(SHARD, count - start)
        features = {
            name: torch.nn.functional.normalize(torch.randn(rows, *shape, generator=generator), dim=-1)
            for name, shape in SHAPES[side].items()
        }
        if side == "vectors":
            features["mask"] = torch.ones(rows, 1, dtype=torch.bool)
        for row in range(rows):
            key = key_of(side=side, row=start + row)
            one = {name: tensor[row : row + 1] for name, tensor in features.items()}
            store.save(kind, key, one, {})
            shards.append(Lodged(store, kind, key))
    return FeatureTable(shards)


if __name__ == "__main__":
    main()
