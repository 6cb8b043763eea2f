"""X-CLIP, the retrieval model of Ma et al. 2022 (arXiv:2207.07285).

Not Microsoft's X-CLIP, an action-recognition model of the same name.
"""

from xbench.scorers.xclip.load import load_xclip, xclip_zeroshot
from xbench.scorers.xclip.scorer import XClip
from xbench.terms import Precision

__all__ = ["Precision", "XClip", "load_xclip", "xclip_zeroshot"]
