"""The feature store: what goes in comes out, nothing damaged is trusted, runs do not hurt each other."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from xbench.cli import main
from xbench.engine.ledger import Ledger
from xbench.engine.packs import Packs
from xbench.engine.store import Lodged, Store, clear, key_of, scorings, stored
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
    assert entry.features.keys() == saved.keys()
    assert all(torch.equal(entry.features[name], saved[name]) for name in saved)


def test_another_identity_sees_nothing(tmp_path: Path) -> None:
    Store(tmp_path, "m", IDENTITY).save("video", key_of(a=1), features(), {})
    assert Store(tmp_path, "m", {**IDENTITY, "precision": "fp16"}).load("video", key_of(a=1)) is None


def test_keys_depend_on_every_part_and_not_on_order() -> None:
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
    assert len({key_of(a=1, b=2), key_of(a=1, b=3), key_of(a=1), key_of(a="1", b=2)}) == 4


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "html", "info", "another's"])
def test_a_damaged_entry_is_not_trusted_and_can_be_written_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path, "m", IDENTITY)
    saved = features()
    store.save("video", key_of(a=1), saved, {"n": 1})
    store.close()
    (path,) = store.folder.rglob("*.pack")
    content = path.read_bytes()
    damaged = {
        "truncate": content[:-3],
        "flip": content[:100] + bytes([content[100] ^ 1]) + content[101:],
        "empty": b"",
        "html": b"<html>not found</html>" * (1 + len(content) // 22),
        "info": content.replace(b'{"n": 1}', b'{"n": 2}'),
        "another's": content,
    }
    path.write_bytes(damaged[damage])
    if damage == "another's":
        (index,) = store.folder.rglob("*.index")
        index.write_bytes(bytes.fromhex(key_of(a=2)) + index.read_bytes()[32:])
    again = Store(tmp_path, "m", IDENTITY)
    key = key_of(a=2 if damage == "another's" else 1)
    assert again.has("video", key)
    assert again.load("video", key) is None
    assert not again.has("video", key)
    again.save("video", key, saved, {"n": 1})
    entry = Store(tmp_path, "m", IDENTITY).load("video", key)
    assert entry is not None
    assert torch.equal(entry.features["video"], saved["video"])


@pytest.mark.parametrize("cut", [1, 47])
def test_what_a_killed_writer_left_half_written_is_not_there(tmp_path: Path, cut: int) -> None:
    store = Store(tmp_path, "m", IDENTITY)
    for number in (1, 2):
        store.save("video", key_of(a=number), features(), {})
    (index,) = store.folder.rglob("*.index")
    index.write_bytes(index.read_bytes()[:-cut])
    again = Store(tmp_path, "m", IDENTITY)
    assert again.load("video", key_of(a=1)) is not None
    assert again.load("video", key_of(a=2)) is None


def test_an_open_store_sees_what_another_process_wrote_once_it_looks(tmp_path: Path) -> None:
    one, other = Store(tmp_path, "m", IDENTITY), Store(tmp_path, "m", IDENTITY)
    for number in (1, 2):
        one.save("text", key_of(a=number), {"s": torch.full((1, 2), float(number))}, {})
        assert not other.has("text", key_of(a=number))
        other.refresh()
        entry = other.load("text", key_of(a=number))
        assert entry is not None
        assert entry.features["s"].tolist() == [[number, number]]


def test_more_entries_than_the_system_maps_are_read_back_and_packs_roll_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xbench.engine.packs._PACK_BYTES", 1 << 20)
    packs = Packs(tmp_path / "video")
    keys = [f"{number:064x}" for number in range(70_000)]
    for number, key in enumerate(keys):
        packs.append(key, number.to_bytes(32, "little"))
    packs.close()
    again = Packs(tmp_path / "video")
    assert len(again) == 70_000
    assert len(list(tmp_path.rglob("*.pack"))) == 3
    read = [again.read(key) for key in keys]
    assert [int.from_bytes(entry or b"", "little") for entry in read] == list(range(70_000))
    again.close()


def test_features_of_an_earlier_version_are_left_aside_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "features" / "m-0123456789abcdef"
    (old / "video" / "aa").mkdir(parents=True)
    (old / "about.json").write_text('{"name": "m", "identity": {}}')
    (old / "video" / "aa" / "aa00.safetensors").write_bytes(b"old")
    Store(tmp_path, "m", IDENTITY)
    assert old.name in capsys.readouterr().err
    Store(tmp_path, "m", IDENTITY)
    assert capsys.readouterr().err == ""
    assert [each.folder for each in stored(tmp_path) if not each.current] == [old]
    assert (old / "video" / "aa" / "aa00.safetensors").exists()
    listed = CliRunner().invoke(main, ["cache", "list", "--cache-dir", str(tmp_path)])
    assert f"{old.name}" in listed.output
    assert "earlier version" in listed.output


def test_what_an_unfinished_scoring_keeps_is_listed_and_cleared(tmp_path: Path) -> None:
    Store(tmp_path, "m", IDENTITY).save("text", key_of(a=1), features(), {})
    ledger = Ledger(scorings(tmp_path) / "some")
    ledger.put("count", (0, 0), {"better": torch.ones(1)})
    ledger.close()
    options = ["--cache-dir", str(tmp_path)]
    rows = json.loads(CliRunner().invoke(main, ["cache", "list", "--json", *options]).output)
    assert [(row["texts"], row["videos"], row["current"]) for row in rows] == [(1, 0, True), (0, 0, True)]
    assert rows[1]["name"] == "scoring"
    assert rows[1]["bytes"] > 0
    assert "scorings that have not ended" in CliRunner().invoke(main, ["cache", "list", *options]).output
    assert CliRunner().invoke(main, ["cache", "clear", "scoring", *options]).exit_code == 0
    assert len(list(stored(tmp_path))) == 1


def test_features_of_a_run_outlive_a_clearing_and_what_it_lacks_is_encoded_again(tmp_path: Path) -> None:
    Store(tmp_path, "m", IDENTITY).save("video", key_of(a=1), features(), {})
    store = Store(tmp_path, "m", IDENTITY)
    store.save("video", key_of(a=2), features(), {})
    clear(next(stored(tmp_path)))
    for number in (1, 2):
        assert Lodged(store, "video", key_of(a=number)).load().keys() == features().keys()
    store.save("video", key_of(a=3), features(), {})
    assert Lodged(store, "video", key_of(a=3)).load().keys() == features().keys()
    assert Store(tmp_path, "m", IDENTITY).load("video", key_of(a=1)) is None


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
        store.refresh()
        entry = store.load("video", key_of(k=1))
        assert entry is None or torch.equal(entry.features["video"], torch.ones(1, 5000))
    assert [writer.returncode for writer in writers] == [0, 0]
    store.refresh()
    assert store.load("video", key_of(k=1)) is not None
    assert not list(tmp_path.rglob("*.tmp"))


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
