"""Scoring beside the published loop and beside the floor, in one run.

    python -m benchmarks scoring [--small]

The floor is the time of the matrix products that the four similarities cannot do without, at the rate of one
large float32 product measured between the others. The published loop runs with the block sizes of its scripts
(`--batch_size_val`) and with larger ones, which suit it better and take gigabytes. Features are random: time
does not depend on them, except that videos which are half padding are scored in fewer slots.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from benchmarks.figure import Figure, versus
from benchmarks.pairs import WIDTH, flop_of_a_pair, random_state
from benchmarks.reference import Encoded, published_scores
from benchmarks.rounds import Seconds, medians
from xbench.scorers.clip.towers import unit
from xbench.scorers.xclip.aosm import Aosm, similarity
from xbench.scorers.xclip.dispatch import Tiles

GEMM = (2048, 512, 2048)
FLOOR, WHOLE, HALF = "floor", "full videos", "half padding"
FEW, EAGER = 8, "the plain operations"
"""Texts and videos of a small input, which is one tile, mostly filled up, so that equal videos tie."""


@dataclass(frozen=True)
class Rival:
    """The published loop with one block size; what is promised of it, if anything."""

    block: int
    whose: str
    wanted: float | None = None

    @property
    def name(self) -> str:
        return f"published, block {self.block} ({self.whose})"

    @property
    def texts(self) -> int:
        """As many videos."""
        return self.block * (3 if self.block < 100 else 1)


@dataclass(frozen=True)
class Case:
    """A checkpoint's words and frames, and the published loop's blocks."""

    words: int
    frames: int
    rivals: tuple[Rival, ...]
    rounds: int


CASES = (
    Case(
        32,
        12,
        (Rival(40, "MSR-VTT", 14), Rival(64, "LSMDC"), Rival(96, "MSVD"), Rival(500, "its best", 6)),
        rounds=5,
    ),
    Case(
        64,
        64,
        (
            Rival(8, "DiDeMo, ViT-B/16", 40),
            Rival(16, "ActivityNet"),
            Rival(24, "DiDeMo"),
            Rival(64, "0.4 GB", 7),
            Rival(256, "4.4 GB"),
        ),
        rounds=3,
    ),
)
SMALL = (Case(32, 12, (Rival(40, "MSR-VTT"), Rival(128, "0.1 GB")), rounds=3),)


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the figures of each case; all ways of scoring a case are timed in turns.

    Seconds are those of 100,000 pairs, the time of the published loop taken from a few of its blocks.
    """
    for case in SMALL if small else CASES:
        seconds = _measure(case, texts=256 if small else 512)
        size = f"{case.words} words x {case.frames} frames"
        rate = flop_of_a_pair(case.words, case.frames) * 1e5 / seconds[FLOOR] / 1e9
        note = f"floor at {rate:.0f} GFLOP/s"
        for name, ours in ((size, WHOLE), (f"{size}, {HALF}", HALF)):
            for rival in case.rivals:
                theirs, wanted = seconds[rival.name], rival.wanted if ours == WHOLE else None
                yield Figure("scoring", name, seconds[ours], rival.name, theirs, wanted)
            yield Figure("scoring", name, seconds[ours], FLOOR, seconds[FLOOR], 1 / 1.5, note=note)
        yield _few(case, rounds=10 if small else 30)


def _few(case: Case, rounds: int) -> Figure:
    setup = _Setup(case, 2 * FEW)
    block = tuple(part[:FEW] for part in (*setup.normalised, setup.full))
    tiles = Tiles(setup.aosm, torch.device("cpu"), "fp32")
    name = f"{FEW} x {FEW} pairs, {case.words} words x {case.frames} frames"
    with torch.inference_mode():
        ours, theirs = lambda: tiles(*block), lambda: setup.aosm(*block)
        return versus("scoring", name, ours, EAGER, theirs, rounds=rounds, steady=False)


def _measure(case: Case, *, texts: int) -> Seconds:
    """Return the seconds of 100,000 pairs for every way of scoring."""
    setup = _Setup(case, texts)
    left, right = torch.randn(*GEMM[:2]), torch.randn(*GEMM[1:])
    product_pairs = 2 * GEMM[0] * GEMM[1] * GEMM[2] / flop_of_a_pair(case.words, case.frames)
    ways: dict[str, tuple[float, Callable[[], object]]] = {
        FLOOR: (20 * product_pairs, lambda: [left @ right for _ in range(20)]),
        WHOLE: (texts * texts / 2, lambda: setup.xbench(setup.full)),
        HALF: (texts * texts / 2, lambda: setup.xbench(setup.half)),
    }
    for rival in case.rivals:
        ways[rival.name] = rival.texts**2, lambda rival=rival: setup.published(rival)
    with torch.inference_mode():
        seconds = medians({way: run for way, (_, run) in ways.items()}, case.rounds)
    return {way: seconds[way] * 1e5 / pairs for way, (pairs, _) in ways.items()}


class _Setup:
    """Random weights and features of a case: at most `texts` texts and half as many videos for xbench."""

    def __init__(self, case: Case, texts: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.state = random_state(case.words, case.frames)
        self.aosm = Aosm(self.state).requires_grad_(False)
        count = max(texts, *(rival.texts for rival in case.rivals))
        self.texts = texts
        self.sentences = torch.randn(count, WIDTH, generator=generator)
        self.words = torch.randn(count, case.words, WIDTH, generator=generator)
        self.frames = torch.randn(count, case.frames, WIDTH, generator=generator)
        # What xbench's encoders give; the published loop normalises as it scores.
        self.normalised = unit(self.sentences), unit(self.words), unit(self.frames.mean(dim=1))
        self.full, self.half = unit(self.frames), unit(self.frames)
        self.half[:, case.frames // 2 - 1 :] = self.half[0, 0].clone()

    def published(self, rival: Rival) -> object:
        parts = (part[: rival.texts] for part in (self.sentences, self.words, self.frames))
        sentences, words, frames = parts
        mask = torch.ones(frames.shape[:2], dtype=torch.bool)
        return published_scores(Encoded(sentences, words, frames, mask), self.state, rival.block)

    def xbench(self, frames: torch.Tensor) -> torch.Tensor:
        video, frames = self.normalised[2][: self.texts // 2], frames[: self.texts // 2]
        sentences, words = (part[: self.texts] for part in self.normalised[:2])
        return similarity(self.aosm, sentences, words, video, frames)
