"""What of the benchmarks is found on this machine, below $XBENCH_DATA."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.data.fetch import wanted_files
from xbench.data.video_files import EXTENSIONS, VideoFolder
from xbench.registry.datasets import Benchmark
from xbench.registry.folders import default_folders


@dataclass(frozen=True)
class Stock:
    """One benchmark on this machine. Folders are None without $XBENCH_DATA.

    missing: for each protocol, the annotation files that are not there. videos: how many video files, None
    without a folder of them.
    """

    benchmark: Benchmark
    annotations: Path | None
    videos_folder: Path | None
    missing: dict[str, tuple[str, ...]]
    videos: int | None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values, with the counts of every protocol."""
        return {
            "benchmark": self.benchmark.id,
            "default_protocol": self.benchmark.default_protocol,
            "annotations": str(self.annotations) if self.annotations else None,
            "videos_folder": str(self.videos_folder) if self.videos_folder else None,
            "video_files": self.videos,
            "protocols": [
                {
                    "id": entry.id,
                    "videos": entry.videos,
                    "captions": entry.captions,
                    "validation": entry.validation,
                    "recognised_only": entry.recognised_only,
                    "missing_files": list(self.missing[entry.id]),
                }
                for entry in self.benchmark.protocols.values()
            ],
        }


def take_stock(benchmarks: Iterable[Benchmark]) -> list[Stock]:
    """Look for the annotation and video files of benchmarks."""
    return [_look(entry) for entry in benchmarks]


def _look(entry: Benchmark) -> Stock:
    annotations, videos = default_folders(entry.id) or (None, None)
    missing = {
        protocol.id: tuple(
            " or ".join(names)
            for names in wanted_files([protocol])
            if annotations is None or not any((annotations / name).is_file() for name in names)
        )
        for protocol in entry.protocols.values()
    }
    return Stock(entry, annotations, videos, missing, _count(videos))


def _count(folder: Path | None) -> int | None:
    if folder is None or not folder.is_dir():
        return None
    by_name = VideoFolder.index(folder).by_name
    return sum(len(paths) for name, paths in by_name.items() if Path(name).suffix.lower() in EXTENSIONS)
