"""Small X-CLIP models and vocabularies, made on the spot."""

import gzip
from pathlib import Path

import torch

from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sizes import POSITIONS, ClipSizes, Variant
from xbench.scorers.weights import State
from xbench.scorers.xclip.load import initial_state, random_clip

MERGES = ("t h", "th e</w>", "c a", "ca t</w>", "do g</w>", "d o", "a n", "an d</w>", "s a", "sa t</w>")
VOCABULARY = 512 + len(MERGES) + 2
WORDS, FRAMES, SIDE = 8, 4, 16
CLIP = ClipSizes(
    embed=64,
    image=SIDE,
    patch=8,
    vision_width=64,
    vision_layers=1,
    context=16,
    vocabulary=VOCABULARY,
    text_width=64,
    text_layers=2,
)


def vocabulary(folder: Path, merges: tuple[str, ...] = MERGES) -> Path:
    """Write a vocabulary in the published format: a header, then one merge a line, gzipped."""
    path = folder / "small.txt.gz"
    path.write_bytes(gzip.compress("\n".join(["#version: small", *merges, ""]).encode()))
    return path


def tokenizer(folder: Path) -> ClipTokenizer:
    return ClipTokenizer(vocabulary(folder))


def state(variant: Variant = "seqTransf", seed: int = 0, words: int = WORDS, frames: int = FRAMES) -> State:
    """Return random weights of a variant in the published layout, the matrices not the identity."""
    start = initial_state(random_clip(CLIP, seed), words=words, frames=frames, layers=1, source="random")
    generator = torch.Generator().manual_seed(seed)
    for name in [name for name in start if "_mat_weight" in name or "_logit_weight" in name]:
        start[name] += 0.1 * torch.randn(start[name].shape, generator=generator)
    if variant == "seqTransf":
        return start
    rest = {name: tensor for name, tensor in start.items() if not name.startswith("transformerClip.")}
    if variant == "meanP":
        return {name: tensor for name, tensor in rest.items() if name != POSITIONS}
    for kind in ("ih", "hh"):
        rest[f"lstm_visual.weight_{kind}_l0"] = 0.1 * torch.randn(256, 64, generator=generator)
        rest[f"lstm_visual.bias_{kind}_l0"] = 0.1 * torch.randn(256, generator=generator)
    return rest
