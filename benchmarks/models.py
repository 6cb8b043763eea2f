"""X-CLIP of the size of the papers' (ViT-B/32) with random weights: time does not depend on their values."""

import gzip
from pathlib import Path

from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.weights import State
from xbench.scorers.xclip.load import initial_state, random_clip
from xbench.scorers.xclip.scorer import XClip
from xbench.terms import Precision

_BYTES_AND_MARKS = 2 * 256 + 2
"""A vocabulary without merges: every byte is a token."""


def vit_b32_state(*, vision_layers: int = 12) -> State:
    """Return random weights of ViT-B/32 with four text layers, 32 words and 12 frames."""
    sizes = ClipSizes(
        embed=512,
        image=224,
        patch=32,
        vision_width=768,
        vision_layers=vision_layers,
        context=77,
        vocabulary=_BYTES_AND_MARKS,
        text_width=512,
        text_layers=4,
    )
    return initial_state(random_clip(sizes), words=32, frames=12, source="random weights")


def scorer(state: State, folder: Path, precision: Precision = "fp32") -> XClip:
    """Return a scorer of these weights on the CPU."""
    return XClip(state, tokenizer=ClipTokenizer(write_vocabulary(folder)), precision=precision)


def write_vocabulary(folder: Path) -> Path:
    """Write a vocabulary in which every byte is a token; return its file."""
    vocabulary = folder / "bytes.txt.gz"
    vocabulary.write_bytes(gzip.compress(b"#version: bytes only\n"))
    return vocabulary
