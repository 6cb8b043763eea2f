"""X-Pool (Gorti et al. 2022, arXiv:2203.15086): each caption pools a video's frames for itself."""

from xbench.scorers.xpool.load import load_xpool
from xbench.scorers.xpool.scorer import XPool

__all__ = ["XPool", "load_xpool"]
