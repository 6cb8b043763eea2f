"""Scoring a benchmark's pairs on a GPU: the fused kernels, tiles of torch operations, the published loop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu_timing import Rates, forget_peak, peak_gb, seconds, wait
from benchmarks.pairs import WIDTH, flop_of_a_pair, random_state
from benchmarks.reference import Encoded, block_logits
from xbench.scorers.clip.towers import unit
from xbench.scorers.weights import State
from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.dispatch import Similarity, Tiles, similarity_on
from xbench.terms import Precision

BLOCK = 512
"""Texts and videos of a block, as the scorer asks for them on a GPU."""
COMPARED = 500
"""Texts and videos whose logits and ranks are compared between precisions."""
PATIENCE = 10.0
"""Seconds after which a rival is stopped; its rate is that of the pairs it has scored by then."""

Block = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Sentences [T, D], words [T, W, D], videos [V, D] and frames [V, F, D], L2-normalised."""


@dataclass(frozen=True)
class Size:
    """A benchmark's distinct texts and videos, a checkpoint's words and frames, the scripts' blocks."""

    name: str
    texts: int
    videos: int
    words: int
    frames: int
    script: tuple[int, ...]
    """`--batch_size_val` of the published scripts for ViT-B/16 and ViT-B/32."""

    @property
    def flop(self) -> int:
        """Floating point operations that a pair cannot do without."""
        return flop_of_a_pair(self.words, self.frames)


SIZES = (
    Size("msrvtt/1ka", 1000, 1000, 32, 12, (40,)),
    Size("msvd/test", 22285, 670, 32, 12, (64, 96)),
    Size("didemo/paragraph", 1004, 1004, 64, 64, (8, 24)),
    Size("activitynet/val1-paragraph", 4917, 4917, 64, 64, (16,)),
)


def scoring(size: Size, precision: Precision, device: torch.device, rates: Rates) -> dict[str, Any]:
    """Score all pairs; say how fast, and how far logits and ranks are from those of torch in float32."""
    aosm, block = Aosm(random_state(size.words, size.frames)).to(device).requires_grad_(False), features(size)
    similarity = similarity_on(device, aosm, precision)
    compared: Block = tuple(part[:COMPARED] for part in block)  # type: ignore[assignment]
    logits = similarity(*compared).cpu()  # the first call compiles and chooses a tile
    exact = Tiles(aosm, device, "fp32")(*compared).cpu()
    forget_peak(device)
    cold = seconds(lambda: score(similarity, block), device)
    warm = seconds(lambda: score(similarity, block), device, times=3)
    pairs = size.texts * size.videos
    tflops = pairs * size.flop / warm / 1e12
    return {
        "benchmark": size.name,
        "way": f"{similarity.settings.get('similarity', 'torch')}, {precision}",
        "cold s": cold,
        "warm s": warm,
        "pairs/s": pairs / warm,
        "pairs": pairs,
        "TFLOP/s": tflops,
        "of product rate": tflops / rates[precision],
        "peak GB": peak_gb(device),
        "largest logit change": (logits - exact).abs().max().item(),
        "ranks changed": (ranks(logits) != ranks(exact)).float().mean().item(),
    }


def rivals(size: Size, device: torch.device) -> list[dict[str, Any]]:
    """Score what can be scored in some seconds by torch operations and by the published loop, in float32."""
    state = random_state(size.words, size.frames)
    aosm, block = Aosm(state).to(device).requires_grad_(False), features(size)
    tiles = Tiles(aosm, device, "fp32")
    score(tiles, block, patience=0.0)
    rows = [_rate(size, "torch, fp32", *_timed(lambda: score(tiles, block, patience=PATIENCE), device))]
    for script in size.script:
        loop = _PublishedLoop(state, size, block, device, script)
        loop.run(patience=0.0)
        way = f"published loop, blocks of {script}"
        rows.append(_rate(size, way, *_timed(lambda loop=loop: loop.run(PATIENCE), device)))
    return rows


def beside_published(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a benchmark's rows with how many times as fast each is as the published loop's best script."""
    published = max(row["pairs/s"] for row in rows if row["way"].startswith("published"))
    return [row | {"x published": row["pairs/s"] / published} for row in rows]


@torch.inference_mode()
def score(similarity: Similarity, block: Block, patience: float = float("inf")) -> int:
    """Score block by block, the scores copied to the host, until patience ends; return how many pairs."""
    sentence, words, video, frames = block
    start, pairs = time.perf_counter(), 0
    for row in range(0, len(sentence), BLOCK):
        for column in range(0, len(video), BLOCK):
            rows, columns = slice(row, row + BLOCK), slice(column, column + BLOCK)
            pairs += similarity(sentence[rows], words[rows], video[columns], frames[columns]).cpu().numel()
            if time.perf_counter() - start > patience:
                return pairs
    return pairs


class _PublishedLoop:
    """Blocks of the script's size, the scores copied to the host after each, as `eval_epoch` does."""

    def __init__(self, state: State, size: Size, block: Block, device: torch.device, script: int) -> None:
        self._state = {name: tensor.to(device) for name, tensor in state.items()}
        sentence, words, _, frames = (part.to(device) for part in block)
        mask = torch.ones(frames.shape[:2], dtype=torch.bool, device=device)
        self._encoded, self._script = Encoded(sentence, words, frames, mask), script

    @torch.inference_mode()
    def run(self, patience: float) -> int:
        """Score until patience ends; return how many pairs."""
        start, pairs = time.perf_counter(), 0
        for text in range(0, len(self._encoded.sentences), self._script):
            for video in range(0, len(self._encoded.frames), self._script):
                texts, videos = slice(text, text + self._script), slice(video, video + self._script)
                pairs += block_logits(self._encoded.part(texts, videos), self._state).cpu().numel()
                if time.perf_counter() - start > patience:
                    return pairs
        return pairs


def features(size: Size) -> Block:
    """Return random texts and videos in host memory, each text a little nearer to one video than to most."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(size.videos, size.frames, WIDTH, generator=generator)
    words = torch.randn(size.texts, size.words, WIDTH, generator=generator)
    video = frames.mean(dim=1)
    own = video[torch.arange(size.texts) % size.videos]
    sentence = own / own.std() + torch.randn(size.texts, WIDTH, generator=generator) * 4
    return unit(sentence), unit(words), unit(video), unit(frames)


def ranks(logits: torch.Tensor) -> torch.Tensor:
    """Return the number of videos [T] that score higher than a text's own."""
    own = logits[torch.arange(len(logits)), torch.arange(len(logits)) % logits.shape[1]]
    return (logits > own[:, None]).sum(dim=1)


def _timed(run: Callable[[], int], device: torch.device) -> tuple[int, float, float | None]:
    forget_peak(device)
    wait(device)
    start = time.perf_counter()
    pairs = run()
    wait(device)
    return pairs, time.perf_counter() - start, peak_gb(device)


def _rate(size: Size, way: str, pairs: int, taken: float, peak: float | None) -> dict[str, Any]:
    return {
        "benchmark": size.name,
        "way": way,
        "pairs/s": pairs / taken,
        "pairs": pairs,
        "TFLOP/s": pairs * size.flop / taken / 1e12,
        "peak GB": peak,
    }
