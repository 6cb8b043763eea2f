"""Models of the open_clip library: PE-Core, SigLIP 2, EVA, MetaCLIP and all others that it builds."""

from pathlib import Path

from xbench.scorers.open_clip.load import load_open_clip
from xbench.scorers.open_clip.scorer import OpenClip
from xbench.terms import Precision

__all__ = ["OpenClip", "build", "load_open_clip"]


def build(
    *,
    checkpoint: Path | None = None,
    architecture: str | None = None,
    pretrained: str | None = None,
    frames: int = 12,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> OpenClip:
    """Any model of open_clip, frames averaged: PE-Core, SigLIP 2, EVA, MetaCLIP, ... (xbench[open_clip])"""
    parts = load_open_clip(checkpoint, architecture, pretrained, precision)
    return OpenClip(parts, frames=frames, precision=precision, device=device)
