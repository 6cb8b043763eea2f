"""Files that change between two runs or during one: no features of what they were, none of a mixture.

A download that was preallocated and filled in later gives, once it is whole, the numbers of a fresh cache.
"""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner

from tests.pipeline.conftest import STEMS, World
from xbench.cli import main
from xbench.video.decode import Taken, read_clip, resize_and_crop
from xbench.video.identity import content_key

MIB = 1 << 20
KINDS: dict[str, tuple[str, str, int, int]] = {
    # codec, container, width (4:3), frames of which the second one of four is a hole in the file
    "nobody can tell": ("rawvideo", "avi", 1280, 4),
    "damaged": ("libvpx", "webm", 320, 100),
}


def write_noise(path: Path, kind: str) -> bytes:
    """Write a clip of 4 s whose packets nothing compresses, and return its bytes."""
    codec, container, width, frames = KINDS[kind]
    random = np.random.default_rng(0)
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=frames // 4)
        stream.width, stream.height, stream.pix_fmt = width, width * 3 // 4, "yuv420p"
        stream.gop_size, stream.bit_rate = max(1, frames // 4), 8_000_000
        stream.codec_context.thread_count = 1
        stream.options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx" else {}
        for _ in range(frames):
            noise = random.integers(0, 255, (stream.height, stream.width, 3), dtype=np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        target.mux(stream.encode())
    return path.read_bytes()


def with_a_hole(whole: bytes, kind: str) -> bytes:
    """Put zeros where the data of a preallocated file has not arrived; size, first and last MiB stay."""
    picture = KINDS[kind][2] ** 2 * 9 // 8  # bytes of an uncompressed one
    first, stop = (
        (MIB + 1000, len(whole) - MIB - 1000) if kind == "damaged" else (picture + 20_000, 2 * picture)
    )
    assert MIB <= first < stop <= len(whole) - MIB
    return whole[:first] + bytes(stop - first) + whole[stop:]


def scored(world: World, name: str, *more: str) -> tuple[int, str, bytes, Any]:
    """Run; return the exit code, what was said, the matrix and the metrics (empty after a failure)."""
    matrix, world = world.output / f"{name}.npy", replace(world, output=world.output / name)
    result = CliRunner().invoke(
        main, world.arguments("--save-similarity", matrix, *more), catch_exceptions=False
    )
    if result.exit_code:
        return result.exit_code, result.stderr, b"", {}
    (record,) = world.output.glob("*.json")
    return 0, result.stderr, matrix.read_bytes(), json.loads(record.read_text())["metrics"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_that_keeps_size_and_ends_gives_the_numbers_of_a_fresh_cache(
    kind: str, world: World
) -> None:
    path = world.videos / "somewhere" / STEMS[0]
    whole = write_noise(path, kind)
    path.write_bytes(with_a_hole(whole, kind))
    before = scored(world, "hole")
    assert before[0] == (3 if kind == "damaged" else 0), before[1]
    if kind == "damaged":
        assert STEMS[0] in before[1]
        before = scored(world, "by the frames it has", "--allow-damaged")
        assert before[0] == 0, before[1]
        assert scored(world, "still a hole")[0] == 3

    path.write_bytes(whole)
    repaired = scored(world, "repaired")
    fresh = scored(replace(world, cache=world.cache / "fresh"), "fresh")
    assert repaired[0] == fresh[0] == 0, repaired[1] + fresh[1]
    assert repaired[2:] == fresh[2:]
    assert repaired[2] != before[2]


def gone(path: Path) -> None:
    path.unlink(missing_ok=True)


def changed(path: Path) -> None:
    path.write_bytes(b"another file")


@pytest.mark.parametrize("interfere", [gone, changed])
def test_a_file_that_vanishes_or_changes_while_a_run_reads_it_is_named_and_nothing_of_it_is_kept(
    interfere: Callable[[Path], None], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.videos / "somewhere" / STEMS[0]
    whole = path.read_bytes()
    reading: list[Path] = []

    def watched(of: Path, *more: Any, **named: Any) -> Taken:
        reading.append(of)
        return read_clip(of, *more, **named)

    def interrupted(*more: Any) -> Any:
        if reading[-1] == path:
            interfere(path)
        return resize_and_crop(*more)

    monkeypatch.setattr("xbench.pipeline.features.read_clip", watched)
    monkeypatch.setattr("xbench.video.decode.resize_and_crop", interrupted)
    code, said, *_ = scored(world, "interrupted", "--workers", "1")
    assert code == 3
    assert STEMS[0] in said
    assert "changed or vanished" in said

    monkeypatch.setattr("xbench.video.decode.resize_and_crop", resize_and_crop)
    path.write_bytes(whole)
    reading.clear()
    assert scored(world, "whole again")[0] == 0
    assert reading == [path]


def test_a_file_that_cannot_be_read_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = world.videos / "somewhere" / STEMS[0]

    def broken(of: Path) -> str:
        if of == path:
            raise OSError(errno.EIO, "Input/output error", str(of))
        return content_key(of)

    monkeypatch.setattr("xbench.video.identity.content_key", broken)
    code, said, *_ = scored(world, "broken")
    assert code == 3
    assert STEMS[0] in said
    assert "Input/output error" in said
