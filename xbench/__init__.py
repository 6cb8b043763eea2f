"""xbench: benchmark evaluation harness for video-text retrieval. The Python API is in `xbench.api`."""

from typing import TYPE_CHECKING, Any

from xbench.version import __version__

if TYPE_CHECKING:
    from xbench.api import Result, compare, evaluate, load_split, run

__all__ = ["Result", "__version__", "compare", "evaluate", "load_split", "run"]


def __dir__() -> list[str]:
    """List the API, which is there before it is loaded."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Load the API when it is first used: `import xbench` and `xbench --help` stay instant."""
    if name in __all__:
        import xbench.api

        return getattr(xbench.api, name)
    raise AttributeError(f"module 'xbench' has no attribute {name!r}")
