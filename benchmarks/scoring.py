"""Scoring beside the published loop and beside the floor, in one run.

    python -m benchmarks.scoring [--small]

The floor is the time of the matrix products that the four similarities cannot do without, at the rate of one
large float32 product measured between the others. The published loop runs as its scripts set it (blocks of
40 at 32 words x 12 frames, of 8 at 64 x 64) and at its best block size. Features are random: time does not
depend on them, except that videos which are half padding are scored in fewer slots.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from benchmarks.figure import Figure
from benchmarks.reference import Encoded, published_scores
from benchmarks.rounds import Seconds, medians, peak_rss_gb
from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.initial import initial_state, random_clip
from xbench.scorers.xclip.sizes import XClipSizes
from xbench.scorers.xclip.temporal import build_temporal, unit
from xbench.scorers.xclip.tiles import similarity

WIDTH = 512
GEMM = (2048, 512, 2048)
FLOOR, WHOLE, HALF, SCRIPT, BEST = "floor", "full videos", "half padding", "script", "best"


@dataclass(frozen=True)
class Case:
    """A checkpoint's words and frames, the published script's block and its best one, and what is wanted."""

    words: int
    frames: int
    script: int
    best: int
    wanted: tuple[float, float]
    """Times as fast as the published loop with its script's block, and with its best one."""

    @property
    def flop(self) -> int:
        """Floating point operations that a pair cannot do without."""
        w, f = self.words, self.frames
        return 2 * (WIDTH * (w * f + w + f + 1) + w * w * f + f * f * w)


CASES = (
    Case(32, 12, script=40, best=500, wanted=(14, 6)),
    Case(64, 64, script=8, best=64, wanted=(40, 7)),
)
SMALL = (Case(32, 12, script=40, best=128, wanted=(14, 6)),)
"""A block that takes no seconds and no gigabytes stands in for the best one."""


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the figures of both cases; all ways of scoring a case are timed in turns.

    Seconds are those of 100,000 pairs, the time of the published loop taken from a few of its blocks.
    """
    for case in SMALL if small else CASES:
        seconds = _measure(case, texts=256 if small else 512, rounds=3 if small else 5)
        size = f"{case.words} words x {case.frames} frames"
        rate = f"floor at {_rate(case, seconds):.0f} GFLOP/s"
        script, best = f"published, block {case.script}", f"published, block {case.best}"
        for name, ours in ((size, WHOLE), (f"{size}, {HALF}", HALF)):
            for rival, theirs, wanted in (
                (script, SCRIPT, case.wanted[0]),
                (best, BEST, case.wanted[1]),
                (FLOOR, FLOOR, 1 / 1.5),
            ):
                yield Figure("scoring", name, seconds[ours], rival, seconds[theirs], wanted, note=rate)


def _measure(case: Case, *, texts: int, rounds: int) -> Seconds:
    """Return the seconds of 100,000 pairs for every way of scoring."""
    setup = _Setup(case, texts)
    left, right = torch.randn(*GEMM[:2]), torch.randn(*GEMM[1:])
    product_pairs = 2 * GEMM[0] * GEMM[1] * GEMM[2] / case.flop
    ways: dict[str, tuple[float, Callable[[], object]]] = {
        FLOOR: (20 * product_pairs, lambda: [left @ right for _ in range(20)]),
        WHOLE: (texts * texts / 2, lambda: setup.xbench(setup.full)),
        HALF: (texts * texts / 2, lambda: setup.xbench(setup.half)),
        SCRIPT: (case.script**2 * 9, lambda: setup.published(3 * case.script, case.script)),
        BEST: (case.best**2, lambda: setup.published(case.best, case.best)),
    }
    with torch.inference_mode():
        seconds = medians({way: run for way, (_, run) in ways.items()}, rounds)
    return {way: seconds[way] * 1e5 / pairs for way, (pairs, _) in ways.items()}


def _rate(case: Case, seconds: Seconds) -> float:
    return case.flop * 1e5 / seconds[FLOOR] / 1e9


class _Setup:
    """Random weights and features of a case: at most `texts` texts and half as many videos for xbench."""

    def __init__(self, case: Case, texts: int) -> None:
        generator = torch.Generator().manual_seed(0)
        clip = ClipSizes(WIDTH, 32, 32, 64, 1, 77, 514, WIDTH, 4)
        self.state = initial_state(random_clip(clip), words=case.words, frames=case.frames, source="random")
        self.temporal = build_temporal(
            XClipSizes(clip, "seqTransf", case.words, case.frames, 4, 77), self.state
        ).requires_grad_(False)
        self.aosm = Aosm(self.state).requires_grad_(False)
        count = max(texts, case.best, 3 * case.script)
        self.texts = texts
        self.sentences = torch.randn(count, WIDTH, generator=generator)
        self.words = torch.randn(count, case.words, WIDTH, generator=generator)
        self.frames = torch.randn(count, case.frames, WIDTH, generator=generator)
        # What xbench's encoders give; the published loop normalises as it scores.
        self.normalised = unit(self.sentences), unit(self.words), unit(self.frames.mean(dim=1))
        self.full, self.half = unit(self.frames), unit(self.frames)
        self.half[:, case.frames // 2 - 1 :] = self.half[0, 0].clone()

    def published(self, texts: int, block: int) -> torch.Tensor:
        sentences, words, frames = (part[:texts] for part in (self.sentences, self.words, self.frames))
        mask = torch.ones(frames.shape[:2], dtype=torch.bool)
        return published_scores(Encoded(sentences, words, frames, mask), self.temporal, self.state, block)

    def xbench(self, frames: torch.Tensor) -> torch.Tensor:
        video, frames = self.normalised[2][: self.texts // 2], frames[: self.texts // 2]
        sentences, words = (part[: self.texts] for part in self.normalised[:2])
        return similarity(self.aosm, sentences, words, video, frames)


def main() -> None:
    """Print the figures."""
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; seconds of 100,000 pairs")
    for figure in figures(small="--small" in sys.argv):
        print(
            f"{figure.name:36} {figure.seconds:7.3f}   {figure.rival:22} {figure.rival_seconds:8.3f}"
            f"   ratio {figure.ratio:7.2f}, wanted {figure.wanted:.2f}   {figure.note}"
        )
    print(f"peak memory {peak_rss_gb():.1f} GB")


if __name__ == "__main__":
    main()
