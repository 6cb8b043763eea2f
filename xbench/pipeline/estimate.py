"""How long it will take to score pairs one by one, measured with made-up features before a run encodes."""

import time

import torch

from xbench.data.split import Split
from xbench.pipeline.worker import made_up, spread
from xbench.progress import say
from xbench.scorers.base import Features, PairScorer, Scorer, VideoInput


def say_how_long_every_pair_takes(scorer: Scorer, wants: VideoInput, split: Split) -> None:
    """Say how long a cross encoder will take to score all pairs of a split."""
    pairs = len({caption.text for caption in split.captions}) * len(split.videos)
    text, video = made_up(scorer, wants)
    height, width = scorer.block
    say_how_long(scorer, spread(text, height), spread(video, width), pairs, f"{split.benchmark}: scoring")


def say_how_long(scorer: PairScorer, text: Features, video: Features, pairs: int, what: str) -> None:
    """Say how long so many pairs will take, by the time of a block of them. what: benchmark and stage."""
    rate = pairs_a_second(scorer, text, video)
    say(f"{what} {pairs:,} pairs one by one: {about(pairs / rate)} ({rate:,.0f} pairs a second here).")


@torch.inference_mode()
def pairs_a_second(scorer: PairScorer, text: Features, video: Features) -> float:
    """Return how fast a block of features is scored, once the model is warm."""
    scorer.similarity(text, video)
    start = time.perf_counter()
    scores = scorer.similarity(text, video).cpu()  # waits for a GPU
    return scores.numel() / max(time.perf_counter() - start, 1e-9)


def about(seconds: float) -> str:
    """Return a time as people say it: `a second or two`, `about 40 seconds`, `about 3.5 hours`."""
    if seconds < 2:
        return "a second or two"
    if seconds < 100:
        return f"about {seconds:.0f} seconds"
    return f"about {seconds / 60:.0f} minutes" if seconds < 6000 else f"about {seconds / 3600:,.1f} hours"
