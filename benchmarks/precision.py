"""Encoding in bfloat16 beside float32: the vision tower of ViT-B/32 and the text tower, on this CPU."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.figure import Figure, versus
from benchmarks.models import scorer, vit_b32_state

HAS_BF16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
"""AVX512-BF16; without it bfloat16 is no faster, and nothing is promised."""


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the encoders' figures; with `small`, of a quarter of the layers."""
    state = vit_b32_state(vision_layers=3 if small else 12)
    with tempfile.TemporaryDirectory() as folder:
        full = scorer(state, Path(folder))
        half = scorer({name: tensor.clone() for name, tensor in state.items()}, Path(folder), "bf16")
    videos = 2 if small else 4
    frames = torch.randn(videos, 12, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(videos, 12, dtype=torch.bool)
    yield versus(
        "bf16",
        f"{12 * videos} frames, {'3 layers of ' if small else ''}ViT-B/32",
        lambda: half.encode_videos(frames, mask),
        "float32",
        lambda: full.encode_videos(frames, mask),
        rounds=3 if small else 5,
        wanted=1.8 if HAS_BF16 else None,
        note="" if HAS_BF16 else "this CPU has no AVX512-BF16",
    )
