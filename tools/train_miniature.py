"""Trains the checkpoint and vocabulary of the miniature, and measures them: python tools/train_miniature.py

About 20 minutes on two CPU cores. Seeded: on one machine with the same versions the same weights come out.
The results go where xbench ships them from, unless --output says otherwise.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from miniature.checkpoint import new_model, save
from miniature.descent import Plan
from miniature.images import learn_images
from miniature.matching import Matcher
from miniature.measuring import measure
from miniature.pool import draw
from miniature.vocabulary import corpus, learn_merges, write_vocabulary

from xbench.miniature import checkpoint_path, vocabulary_path
from xbench.scorers.clip.bpe import ClipTokenizer

CLIPS, THREADS = 10_000, 2
IMAGES = Plan(steps=1200, batch=384, rate=1e-3)
MATCHING = Plan(steps=3000, batch=96, rate=1e-3)
WHOLE = Plan(steps=300, batch=48, rate=2e-4)


def main() -> None:
    """Train, save, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=checkpoint_path().parent, help="folder of the results")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--measure-only", action="store_true", help="measure the files of --output")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    checkpoint, vocabulary = (arguments.output / path().name for path in (checkpoint_path, vocabulary_path))
    if not arguments.measure_only:
        train(checkpoint, vocabulary, arguments.seed)
    for path in (checkpoint, vocabulary):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    print(measure(checkpoint, vocabulary))


def train(checkpoint: Path, vocabulary: Path, seed: int) -> None:
    """Run the three stages and write the two files."""
    start = time.monotonic(), time.process_time()

    def report(text: str) -> None:
        wall, cpu = time.monotonic() - start[0], time.process_time() - start[1]
        print(f"{wall:6.0f} s ({cpu:.0f} s of CPU)  {text}", file=sys.stderr, flush=True)

    write_vocabulary(vocabulary, learn_merges(corpus()))
    tokenizer = ClipTokenizer(vocabulary)
    torch.manual_seed(seed)
    # Sums round differently with another number of threads.
    torch.set_num_threads(THREADS)
    model = new_model(tokenizer.size, seed)
    report(f"{sum(parameter.numel() for parameter in model.parameters())} parameters")
    drawn = draw(seed, CLIPS)
    report(f"{sum(map(len, drawn.bunches))} clips drawn")
    learn_images(model, drawn, IMAGES, lambda text: report(f"images: {text}"))
    matcher = Matcher(model, drawn, tokenizer)
    matcher.over_frozen_frames(MATCHING, lambda text: report(f"matching: {text}"))
    matcher.in_whole(WHOLE, lambda text: report(f"in whole: {text}"))
    save(model, checkpoint)
    report("trained")


if __name__ == "__main__":
    main()
