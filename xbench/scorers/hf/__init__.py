"""Models of the transformers library that give one vector for a text and one for an image or video."""

from xbench.scorers.hf.load import load_hf
from xbench.scorers.hf.scorer import HuggingFace

__all__ = ["HuggingFace", "load_hf"]
