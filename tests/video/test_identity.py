"""A file is known by all of its bytes, and read again only once it changed."""

import json
import os
from pathlib import Path

import pytest

from xbench.video import identity
from xbench.video.identity import Identities, content_key


@pytest.fixture(autouse=True)
def _no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_TICK_NS", 0)


def test_every_byte_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    data = bytearray(3 << 20)
    path.write_bytes(data)
    before = content_key(path)
    data[len(data) // 2] = 1
    path.write_bytes(data)
    assert content_key(path) != before


def test_a_file_is_read_once_as_long_as_it_stays_what_it_was(tmp_path: Path) -> None:
    path, memory = tmp_path / "a.mp4", tmp_path / "cache" / "contents.json"
    path.write_bytes(b"one")
    first = Identities(memory)
    key, state = first.of(path)
    first.save()
    second = Identities(memory)
    assert second.of(path) == (key, state)
    assert (first.read, second.read) == (1, 0)


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    path, memory = tmp_path / "a.mp4", tmp_path / "contents.json"
    path.write_bytes(b"one")
    times = path.stat()
    before = Identities(memory)
    key, _ = before.of(path)
    before.save()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Identities(memory).of(path)[0] != key


def test_what_changed_within_a_tick_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_TICK_NS", 10**18)
    path, memory = tmp_path / "a.mp4", tmp_path / "contents.json"
    path.write_bytes(b"one")
    first = Identities(memory)
    first.of(path)
    first.save()
    assert not memory.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1}', b"\xff"])
def test_a_broken_memory_knows_nothing(content: bytes, tmp_path: Path) -> None:
    path, memory = tmp_path / "a.mp4", tmp_path / "contents.json"
    path.write_bytes(b"one")
    memory.write_bytes(content)
    fresh = Identities(memory)
    key, _ = fresh.of(path)
    fresh.save()
    assert key == content_key(path)
    assert json.loads(memory.read_text())[str(path)][0] == key


def test_two_runs_add_to_one_memory(tmp_path: Path) -> None:
    memory = tmp_path / "contents.json"
    runs = [Identities(memory), Identities(memory)]
    for number, run in enumerate(runs):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(b"one")
        run.of(path)
    for run in runs:
        run.save()
    later = Identities(memory)
    for number in range(2):
        later.of(tmp_path / f"{number}.mp4")
    assert later.read == 0


def test_a_memory_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    run = Identities(path / "below" / "contents.json")
    run.of(path)
    run.save()
