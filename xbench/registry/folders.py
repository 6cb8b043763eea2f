"""Where a benchmark's files stand when no option says so."""

import os
from pathlib import Path

from xbench.registry.datasets import benchmark


def default_folders(name: str) -> tuple[Path, Path] | None:
    """Return where a benchmark's annotations and videos stand below $XBENCH_DATA, None if it is not set."""
    root = os.environ.get("XBENCH_DATA")
    if not root:
        return None
    entry = benchmark(name)
    base = Path(root).expanduser()
    return base / entry.annotations, base / entry.videos
