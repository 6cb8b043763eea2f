"""The miniature: five small benchmarks that xbench renders itself, and a small X-CLIP trained for them.

No benchmark's videos may be shipped, so this is what runs with nothing downloaded. Its numbers say that the
harness works; they are not comparable with anything published.
"""

from pathlib import Path

from xbench.miniature.benchmarks import MANNERS
from xbench.miniature.rendering import MiniaturePaths, prepare, render, require_miniature

__all__ = [
    "MANNERS",
    "MiniaturePaths",
    "checkpoint_path",
    "prepare",
    "render",
    "require_miniature",
    "vocabulary_path",
]

_HERE = Path(__file__).resolve().parent


def checkpoint_path() -> Path:
    """Return the path of the X-CLIP checkpoint of the miniature (safetensors, published key layout)."""
    return _HERE / "xclip_miniature.safetensors"


def vocabulary_path() -> Path:
    """Return the path of its vocabulary: BPE merges as gzipped text, as CLIP's own vocabulary is."""
    return _HERE / "bpe_miniature.txt.gz"
