"""Models of the transformers library that give one vector for a text and one for an image or video."""

from pathlib import Path

from xbench.scorers.hf.load import load_hf
from xbench.scorers.hf.scorer import HuggingFace
from xbench.terms import Precision

__all__ = ["HuggingFace", "build", "load_hf"]


def build(
    *,
    checkpoint: Path,
    frames: int = 12,
    max_tokens: int | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> HuggingFace:
    """A transformers model with text and image or video features: SigLIP 2, Microsoft's X-CLIP, ..."""
    parts = load_hf(str(checkpoint))
    return HuggingFace(parts, frames=frames, max_tokens=max_tokens, precision=precision, device=device)
