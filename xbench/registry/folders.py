"""Where a benchmark's files stand when no option says so."""

import os
from pathlib import Path

from xbench.registry.datasets import benchmark
from xbench.storage import user_path


def default_folders(name: str) -> tuple[Path, Path] | None:
    """Return where a benchmark's annotations and videos stand: below $XBENCH_DATA, None if it is not set.

    A user's own benchmark stands where its YAML file says, relative to that file.
    """
    entry = benchmark(name)
    root = os.environ.get("XBENCH_DATA")
    if entry.home is None and not root:
        return None
    base = entry.home.parent if entry.home else user_path(root or "")
    return base / user_path(entry.annotations), base / user_path(entry.videos)
