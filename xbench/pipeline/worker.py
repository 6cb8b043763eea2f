"""What a worker of a pool does: the units of a run, from a file that says where everything is.

The file holds names, paths, keys and indices only. Features go through the cache folder, which all share.
"""

import hashlib
import os
import pickle
import platform
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.engine.encoding import FeatureTable
from xbench.engine.grid import Grid, Tile
from xbench.engine.ledger import Ledger
from xbench.engine.packs import raw
from xbench.engine.pool import Bench
from xbench.engine.store import Lodged, Store
from xbench.engine.units import Block, Queries, Scoring, Tensors
from xbench.errors import ModelError, UsageError
from xbench.pipeline.features import VideoJob, encode_texts, encode_videos
from xbench.sampling import FrameRule
from xbench.scorers.base import Features, Scorer, VideoInput
from xbench.scorers.catalog import ModelRequest, resolve
from xbench.scorers.declared import sampling_fault
from xbench.scorers.verify.inputs import most_frames, noise_videos
from xbench.storage import scratch, write_atomically
from xbench.terms import V2TRule

_PROBED = 64
"""Texts and videos of the probe tile."""


@dataclass(frozen=True)
class ModelOrder:
    """How a worker builds its model, and where features are kept."""

    request: ModelRequest
    threads: int
    sampling: FrameRule | None
    use_damaged: bool
    decoders: int
    """Threads that decode ahead."""
    store: tuple[Path, str, dict[str, Any]]
    """Root, name and identity of the store."""
    folder: Path
    """The current folder of the run, which relative paths start from."""


@dataclass(frozen=True)
class ScoringOrder:
    """What is scored: the keys of features in the store, and how the scoring is cut."""

    texts: tuple[str, ...]
    videos: tuple[str, ...]
    queries: Queries
    v2t: V2TRule
    memory: int
    ledger: Path


def write_order(path: Path, order: ModelOrder | ScoringOrder) -> Path:
    """Write an order for workers to read; its name changes with its content."""
    content = pickle.dumps(order)
    path = path.with_name(f"{path.name}-{hashlib.sha256(content).hexdigest()[:16]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path


_OF_THE_MACHINE = {"device", "gpu", "gpu_libraries", "versions"}
"""Parts of an identity that a probe judges, and --mixed-devices may allow."""


class Worker:
    """Holds a built model and does what it is asked."""

    def __init__(self, order: Path, device: str) -> None:
        """order: the path of a ModelOrder; device: cpu, or cuda for the GPU that this process sees."""
        self._order: ModelOrder = pickle.loads(order.read_bytes())
        with suppress(OSError):
            os.chdir(self._order.folder)
        torch.set_num_threads(self._order.threads)
        torch.set_grad_enabled(False)
        model = resolve(replace(self._order.request, device=device)).build()
        assert isinstance(model, Scorer)
        self._scorer = model
        self._wants = wants(model, self._order.sampling)
        self._store = Store(*self._order.store)
        self._benches: dict[str, Bench] = {}
        self._jobs: dict[str, list[VideoJob]] = {}

    def probe(self) -> str:
        """Return the hash of what this worker computes from inputs that are the same everywhere."""
        self._require_same_model()
        return probe(self._scorer, self._wants)

    def _require_same_model(self) -> None:
        """Raise ModelError unless this machine has the model that the run's features are kept under."""
        asked, own = self._order.store[2], dict(self._scorer.identity or {})
        other = [name for name in own.keys() - _OF_THE_MACHINE if asked.get(name, own[name]) != own[name]]
        if asked and other:
            raise ModelError(
                f"The worker on {platform.node()} has another model than this process: its "
                f"{', '.join(sorted(other))} differ. Give every machine the same files and the same code."
            )

    def videos(self, part: tuple[int, int], jobs: str) -> int:
        """Encode some of the videos of a file of jobs into the store; return how many."""
        if jobs not in self._jobs:
            self._jobs[jobs] = pickle.loads(Path(jobs).read_bytes())
        chosen = self._jobs[jobs][slice(*part)]
        encode_videos(
            self._scorer,
            self._store,
            chosen,
            wants=self._wants,
            use_damaged=self._order.use_damaged,
            workers=self._order.decoders,
            on_done=lambda count: None,
        )
        self._store.close()
        return len(chosen)

    def texts(self, texts: tuple[str, ...]) -> int:
        """Encode some texts into the store; return how many."""
        encode_texts(self._scorer, self._store, texts, lambda count: None)
        self._store.close()
        return len(texts)

    def right(self, tile: Tile, order: str) -> Tensors:
        """Score the right pairs of a tile."""
        return self._bench(order).right(tile)

    def count(self, block: Block, order: str, right: NDArray[np.float32], scores: bool) -> Tensors:
        """Count a block."""
        return self._bench(order).count(block, right, scores=scores)

    def _bench(self, path: str) -> Bench:
        if path not in self._benches:
            order: ScoringOrder = pickle.loads(Path(path).read_bytes())
            self._store.refresh()
            self._benches = {path: bench(self._scorer, self._store, order)}
        return self._benches[path]


def bench(scorer: Scorer, store: Store, order: ScoringOrder) -> Bench:
    """Return what carries out the units of a scoring."""
    texts = FeatureTable(Lodged(store, "text", key) for key in order.texts)
    videos = FeatureTable(Lodged(store, "video", key) for key in order.videos)
    grid = Grid(scorer, texts, videos, order.memory // 2)
    return Bench(Scoring(grid, order.queries, order.v2t, order.memory // 4), Ledger(order.ledger))


def wants(scorer: Scorer, sampling: FrameRule | None) -> VideoInput:
    """What the scorer wants to see of a video, with the sampling that the user asked for.

    Raises UsageError for one that this scorer cannot be given.
    """
    own = scorer.video_input
    if sampling is None:
        return own
    asked = replace(own, sampling=sampling)
    if what := sampling_fault(asked):
        raise UsageError(f"--sampling {sampling} does not go with {scorer.name}: {what} Name another one.")
    return asked


def probe(scorer: Scorer, wants: VideoInput) -> str:
    """Return the hash of a video's and a text's features and of a tile, of inputs that are always the same.

    Where it differs, another kind of machine or another version of a library computes.
    """
    with torch.inference_mode():
        text, video = made_up(scorer, wants)
        height, width = (min(side, _PROBED) for side in scorer.block)
        tile = scorer.similarity(spread(text, height), spread(video, width))
    digest = hashlib.sha256()
    for tensor in (*video.values(), *text.values(), tile):
        digest.update(raw(tensor))
    return digest.hexdigest()


def made_up(scorer: Scorer, wants: VideoInput) -> tuple[Features, Features]:
    """Encode a text and a video of noise, always the same."""
    with scratch() as folder:
        video = noise_videos(wants, [most_frames(wants)], 0, folder).encode(scorer)
    return scorer.encode_texts(["a probe of what is computed here"]), video


def spread(features: Features, count: int) -> Features:
    """Repeat an item, each time scaled a little differently, as so many items."""
    scale = torch.linspace(0.5, 1.0, count)
    return {
        name: tensor.float().cpu().mul(scale.view(-1, *[1] * (tensor.dim() - 1))).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor.expand(count, *tensor.shape[1:]).contiguous()
        for name, tensor in features.items()
    }
