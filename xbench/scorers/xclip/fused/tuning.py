"""Which tile a kernel works in: the fastest of a few, found once for a GPU and kept."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from xbench.progress import say
from xbench.readers import MIB, parse_json, read_at_most
from xbench.scorers.device import lacks_memory
from xbench.storage import cache_dir, write_atomically


@dataclass(frozen=True)
class Tile:
    """Rows and columns of similarities a program holds, the depth of a step of their product, and how many
    warps and stages of loads work on it. `rows` and `columns` give way where one item has more."""

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int

    def __str__(self) -> str:
        """Return it in one line, for a record."""
        return f"{self.rows} x {self.columns} x {self.depth}, {self.warps} warps, {self.stages} stages"


FINE = (
    Tile(128, 128, 64, 8, 2),
    Tile(128, 128, 32, 8, 3),
    Tile(64, 128, 64, 8, 3),
    Tile(64, 64, 64, 4, 3),
    Tile(64, 64, 32, 4, 2),
)
"""Tried for the fine grain. The 128 x 128 ones spill registers (some 300 bytes a thread on Hopper, up to
3,500 on Ampere), the others hardly; the last fits the 99 KiB of shared memory of consumer GPUs more often."""

GRAIN = Tile(128, 64, 64, 8, 2)
"""For the other grains, a tenth of the work."""


_SINCE = (8, 0)
"""Ampere's compute capability. For earlier GPUs Triton compiles for minutes, without their tensor cores."""


class NoKernelError(Exception):
    """No kernel works on this GPU; says why."""


def refuse_old(capability: tuple[int, int], name: str) -> None:
    """Raise NoKernelError for a GPU whose compute capability is too low."""
    if capability < _SINCE:
        raise NoKernelError(f"{name} is too old for them, which are for Ampere and later")


def fastest(
    key: str, tiles: Sequence[Tile], seconds: Callable[[Tile], float], folder: Path | None = None
) -> Tile:
    """Return the tile that was the fastest for a key, measuring only where `folder` has no answer yet.

    seconds: measures a tile, raises any exception for one that does not work. folder: None for the cache's.
    Raises NoKernelError when none works.
    """
    path = (folder or cache_dir()) / "fused-tiles.json"
    known = _read(path)
    if key in known:
        return known[key]
    say(f"Choosing among {len(tiles)} kernels, once: {key} ...")
    measured: list[tuple[float, Tile]] = []
    failures = []
    for tile in tiles:
        try:
            measured.append((seconds(tile), tile))
        except Exception as error:  # triton, ptxas and the driver each have their own
            if lacks_memory(error):
                raise
            failures.append(f"{type(error).__name__}: {error}")
    if not measured:
        raise NoKernelError(failures[0].splitlines()[0])
    best = min(measured, key=lambda pair: pair[0])[1]
    _write(path, _read(path) | {key: best})
    return best


def seconds(call: Callable[[], object]) -> float:
    """Return how long a GPU works on a call: the fastest of three, after a first that may compile."""
    call()
    times: list[float] = []
    for _ in range(3):
        events: list[Any] = [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call]
        start, end = events
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return min(times)


def _read(path: Path) -> dict[str, Tile]:
    """What another version wrote, or a damaged file, is as good as nothing."""
    try:
        return {key: Tile(**fields) for key, fields in parse_json(read_at_most(path, MIB)).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(path: Path, tiles: dict[str, Tile]) -> None:
    """A cache that cannot be written costs a measurement next time, nothing else."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({key: asdict(tile) for key, tile in tiles.items()}, indent=1)
        write_atomically(path, text.encode())
