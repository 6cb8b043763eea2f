"""Encoding frames on a GPU: pixels that are there, and from host memory, as a run has them."""

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_timing import Rates, forget_peak, peak_gb, seconds
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sizes import ClipSizes
from xbench.scorers.xclip.load import initial_state, random_clip
from xbench.scorers.xclip.scorer import XClip
from xbench.terms import Precision

FRAMES = 12
VIDEOS = 84
"""1008 frames, 600 MB of host memory: several batches, so that copies can overlap."""
_BYTES_AND_MARKS = 2 * 256 + 2
"""A vocabulary without merges: every byte is a token."""


def _vit(patch: int) -> ClipSizes:
    return ClipSizes(
        embed=512,
        image=224,
        patch=patch,
        vision_width=768,
        vision_layers=12,
        context=77,
        vocabulary=_BYTES_AND_MARKS,
        text_width=512,
        text_layers=12,
    )


BACKBONES = {"ViT-B/32": _vit(32), "ViT-B/16": _vit(16)}


def encoding(
    name: str,
    sizes: ClipSizes,
    precision: Precision,
    device: torch.device,
    rates: Rates,
    *,
    videos: int = VIDEOS,
) -> Iterator[dict[str, Any]]:
    """Encode videos of random pixels; say how many frames a second, at which share of the product rate."""
    scorer = _scorer(sizes, precision, device)
    shape = (videos, FRAMES, 3, sizes.image, sizes.image)
    frames = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(shape[:2], dtype=torch.bool)
    scorer.encode_videos(frames, mask)
    for place, pixels in (("GPU", frames.to(device)), ("host", frames)):
        forget_peak(device)
        taken = seconds(lambda pixels=pixels: scorer.encode_videos(pixels, mask), device, times=3)
        tflops = videos * FRAMES * flop_of_a_frame(sizes) / taken / 1e12
        yield {
            "backbone": name,
            "precision": precision,
            "pixels on": place,
            "frames/s": videos * FRAMES / taken,
            "TFLOP/s": tflops,
            "of product rate": tflops / rates[precision],
            "peak GB": peak_gb(device),
        }


def flop_of_a_frame(sizes: ClipSizes) -> int:
    """Return the floating point operations of the vision tower's products for one frame."""
    patches, width = (sizes.image // sizes.patch) ** 2, sizes.vision_width
    tokens = patches + 1
    layer = 2 * tokens * 12 * width**2 + 4 * tokens**2 * width
    return sizes.vision_layers * layer + 2 * patches * 3 * sizes.patch**2 * width


def _scorer(sizes: ClipSizes, precision: Precision, device: torch.device) -> XClip:
    state = initial_state(random_clip(sizes), words=32, frames=FRAMES, source="random weights")
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "bytes.txt.gz"
        vocabulary.write_bytes(gzip.compress(b"#version: bytes only\n"))
        tokenizer = ClipTokenizer(vocabulary)
        return XClip(state, tokenizer=tokenizer, precision=precision, device=str(device))
