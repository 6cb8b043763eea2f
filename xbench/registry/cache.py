"""Where xbench keeps what can be made or fetched again."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return $XBENCH_CACHE, else $XDG_CACHE_HOME/xbench, else ~/.cache/xbench; it need not exist."""
    if chosen := os.environ.get("XBENCH_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "xbench"
