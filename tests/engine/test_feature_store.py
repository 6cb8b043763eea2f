"""The feature store: what goes in comes out, nothing damaged is trusted, runs do not hurt each other."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from xbench.engine.store import Store, clear, key_of, stored
from xbench.errors import DataError

IDENTITY = {"checkpoint": "abc", "precision": "fp32"}


def features() -> dict[str, torch.Tensor]:
    return {"video": torch.randn(1, 8), "frames": torch.randn(1, 4, 8).half(), "count": torch.tensor([3])}


def test_an_entry_comes_back_bit_for_bit_with_its_facts(tmp_path: Path) -> None:
    saved = features()
    Store(tmp_path, "m", IDENTITY).save("video", key_of(a=1), saved, {"fps": 25.0})
    entry = Store(tmp_path, "m", IDENTITY).load("video", key_of(a=1))
    assert entry is not None
    assert entry.info == {"fps": 25.0}
    assert entry.rows == 1
    assert entry.features.keys() == saved.keys()
    assert all(torch.equal(entry.features[name], saved[name]) for name in saved)


def test_another_identity_sees_nothing(tmp_path: Path) -> None:
    Store(tmp_path, "m", IDENTITY).save("video", key_of(a=1), features(), {})
    assert Store(tmp_path, "m", {**IDENTITY, "precision": "fp16"}).load("video", key_of(a=1)) is None


def test_keys_depend_on_every_part_and_not_on_order() -> None:
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
    assert len({key_of(a=1, b=2), key_of(a=1, b=3), key_of(a=1), key_of(a="1", b=2)}) == 4


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "html", "header"])
def test_a_damaged_file_is_dropped_and_not_trusted(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path, "m", IDENTITY)
    store.save("video", key_of(a=1), features(), {"n": 1})
    path = store.path("video", key_of(a=1))
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        content = content[:-3]
    elif damage == "flip":
        content[-5] ^= 1
    elif damage == "empty":
        content = bytearray()
    elif damage == "html":
        content = bytearray(b"<html>not found</html>" * 10)
    else:
        content = bytearray(bytes(content).replace(b'{\\"n\\": 1}', b'{\\"n\\": 2}'))
    path.write_bytes(content)
    assert store.load("video", key_of(a=1)) is None
    assert not path.exists()


def test_two_processes_writing_one_key_leave_one_sound_entry(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, torch
        from pathlib import Path
        from xbench.engine.store import Store, key_of
        store = Store(Path(sys.argv[1]), "m", {"a": 1})
        for _ in range(40):
            store.save("video", key_of(k=1), {"video": torch.ones(1, 5000)}, {})
        """
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    store = Store(tmp_path, "m", {"a": 1})
    while any(writer.poll() is None for writer in writers):
        entry = store.load("video", key_of(k=1))
        assert entry is None or torch.equal(entry.features["video"], torch.ones(1, 5000))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert store.load("video", key_of(k=1)) is not None
    assert not list(tmp_path.rglob("*.tmp"))


def test_only_leftovers_of_long_dead_runs_are_removed(tmp_path: Path) -> None:
    import os

    store = Store(tmp_path, "m", IDENTITY)
    old, new = store.folder / ".x.1.2.tmp", store.folder / ".y.1.2.tmp"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    Store(tmp_path, "m", IDENTITY)
    assert not old.exists()
    assert new.exists()


def test_listing_counts_what_is_there_and_clear_removes_it(tmp_path: Path) -> None:
    store = Store(tmp_path, "m", IDENTITY)
    store.save("video", key_of(a=1), features(), {})
    store.save("video", key_of(a=2), features(), {})
    store.save("text", key_of(a=3), {"s": torch.ones(4, 2)}, {})
    (entry,) = stored(tmp_path)
    assert (entry.name, entry.identity, entry.texts, entry.videos) == ("m", IDENTITY, 1, 2)
    assert entry.size > 0
    clear(entry)
    assert list(stored(tmp_path)) == []


def test_a_folder_that_cannot_be_written_is_a_data_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="--cache-dir"):
        Store(tmp_path, "m", IDENTITY)
