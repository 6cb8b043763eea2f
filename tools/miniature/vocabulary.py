"""Learns the miniature's byte-pair vocabulary, in which every word of its captions is one token."""

import gzip
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from xbench.miniature.benchmarks import MANNERS, clips

_HEADER = "#version: miniature"


def corpus() -> Iterable[str]:
    """Yield captions of the training split that use every word of the grammar."""
    for benchmark in MANNERS:
        for clip in clips(benchmark, split="vocabulary", groups=150, singles=400):
            yield from clip.sentences


def learn_merges(captions: Iterable[str]) -> list[tuple[str, str]]:
    """Merge the most frequent pair of symbols (the first in the alphabet of equals) until words are whole."""
    counts = Counter(word for text in captions for word in re.findall(r"[a-z]+", text.lower()))
    words = {word: [*word[:-1], f"{word[-1]}</w>"] for word in counts}
    merges: list[tuple[str, str]] = []
    while any(len(symbols) > 1 for symbols in words.values()):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in pairwise(symbols):
                pairs[pair] += counts[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = {word: _merged(symbols, best) for word, symbols in words.items()}
    return merges


def write_vocabulary(path: Path, merges: list[tuple[str, str]]) -> None:
    """Write the merges as CLIP's vocabulary file is written; equal merges give equal bytes."""
    lines = [_HEADER, *(" ".join(pair) for pair in merges)]
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))


def _merged(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged
