"""Growth: seconds and own memory as the matrix grows, each size in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figure import Figure

_LIMIT = 1 << 30
SLICE = (10_000, 62_500)
"""Captions, videos: more videos than captions, so that few of the tiles with right pairs can be kept."""
FULL = (59_800, 2_990, 20)
"""msrvtt/full: captions, videos, captions of each video."""


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield X-CLIP's growth beside the pace of the smallest size, then the engine at the largest sizes."""
    sizes = (128, 256) if small else (250, 500, 1000, 2000, 4000)
    pace = 0.0
    for size in sizes:
        seen = _stream("xclip", size, size)
        pace = pace or seen["seconds"] / size**2
        rival = f"the pace of {sizes[0]} x {sizes[0]}"
        yield _figure(f"X-CLIP 32 x 12, {size:,} x {size:,}", seen, rival, pace * size**2)
    for pairs in (2_000,) if small else (20_000, 100_000):
        seen = _stream("vectors", pairs, pairs)
        note = "promised: under 2 GiB" if pairs == 100_000 else ""
        rival = "a matrix product alone"
        yield _figure(f"single vectors, {pairs:,} x {pairs:,}", seen, rival, _product(pairs), note)
    if small:
        return
    texts, videos = SLICE
    yield _figure(
        f"single vectors, {texts:,} x {videos:,}",
        _stream("vectors", texts, videos, limit=_LIMIT >> 2),
        "a matrix product alone",
        _product(1) * texts * videos,
        note="a sixteenth of a gallery of a million, in 256 MiB; promised of the whole: under 2 GiB",
    )
    texts, videos, captions = FULL
    yield _figure(
        f"engine without the model, {texts:,} x {videos:,}",
        _stream("coarse", texts, videos, captions),
        "",
        0.0,
        note="features mapped, in the tiles of X-CLIP 32 x 12; promised of the whole: under 4 GiB",
    )


def _figure(name: str, seen: dict[str, float], rival: str, seconds: float, note: str = "") -> Figure:
    return Figure(
        "growth", name, seen["seconds"], rival, seconds, steady=False, memory=seen["peak"], note=note
    )


def _stream(kind: str, texts: int, videos: int, captions: int = 1, limit: int = _LIMIT) -> dict[str, float]:
    arguments = [kind, *map(str, (texts, videos, captions, limit))]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.streaming", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"streaming {' '.join(arguments)} failed:\n{done.stderr}")
    seen: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seen


def _product(size: int) -> float:
    """Seconds of the products of `size` x `size` vectors of 512, at the rate of one large product."""
    import torch

    from benchmarks.rounds import medians

    left, right = torch.randn(2048, 512), torch.randn(512, 2048)
    return medians({"product": lambda: left @ right}, 5)["product"] * (size / 2048) ** 2
