"""Seconds to load every protocol from its files, and to index a folder of 20,000 videos and find them all.

Usage: python benchmarks/loading.py ANNOTATIONS    (with MSRVTT/, MSVD/, DiDeMo/, ActivityNet/ below it)

Wanted: any protocol under 1 s, msrvtt/full under 2 s, indexing under 1 s.
"""

import sys
import tempfile
import time
from pathlib import Path

from xbench.data.loading import load_split
from xbench.data.recognition import recognise
from xbench.data.video_files import VideoFolder
from xbench.registry.datasets import benchmark, protocols

FILES = 20_000


def loading(root: Path) -> None:
    """Print the seconds of each protocol whose files are there."""
    for entry in protocols().values():
        folder = root / benchmark(entry.benchmark).annotations
        if entry.recognised_only or not folder.is_dir():
            continue
        start = time.perf_counter()
        split = load_split(entry.benchmark, folder, entry.id)
        loaded = time.perf_counter()
        recognise(split)
        print(f"{entry.id:32} load {loaded - start:5.2f}   recognise {time.perf_counter() - loaded:5.2f}")


def indexing() -> None:
    """Print the seconds for a folder with subfolders, as LSMDC's."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(FILES):
            movie = root / f"movie{number % 100:02}"
            movie.mkdir(exist_ok=True)
            (movie / f"clip{number}.avi").touch()
        start = time.perf_counter()
        index = VideoFolder.index(root)
        indexed = time.perf_counter()
        found = sum(index.find(f"clip{number}", "lsmdc") is not None for number in range(FILES))
        finding = time.perf_counter() - indexed
        print(f"index of {FILES:,} files {indexed - start:.2f}   {found:,} found in {finding:.2f}")


if __name__ == "__main__":
    loading(Path(sys.argv[1]))
    indexing()
