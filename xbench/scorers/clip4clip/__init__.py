"""CLIP4Clip (Luo et al. 2021), and CLIP with averaged frames, which is its parameter-free type untrained."""

from xbench.scorers.clip4clip.load import clip_zeroshot, load_clip4clip
from xbench.scorers.clip4clip.scorer import Clip4Clip

__all__ = ["Clip4Clip", "clip_zeroshot", "load_clip4clip"]
