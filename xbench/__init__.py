"""xbench: benchmark evaluation harness for video-text retrieval."""

from xbench.version import __version__

__all__ = ["__version__"]
