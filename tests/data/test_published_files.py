"""The protocols against the published annotation files, where those are on this machine."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from xbench.data.loading import load_split
from xbench.data.recognition import MEMBERS, pack, recognise
from xbench.data.split import Split
from xbench.registry.datasets import Protocol, benchmark, protocols

PUBLIC = [entry for entry in protocols().values() if entry.benchmark != "lsmdc"]


def load(shared: Path, entry: Protocol) -> Split:
    return load_once(shared / "annotations" / benchmark(entry.benchmark).annotations, entry.id)


@cache
def load_once(folder: Path, protocol: str) -> Split:
    return load_split(protocol.split("/", maxsplit=1)[0], folder, protocol)


@pytest.mark.parametrize("entry", PUBLIC, ids=lambda entry: entry.id)
def test_counts_and_all_four_hashes_of_every_protocol_are_equal(shared: Path, entry: Protocol) -> None:
    assert entry.sha256 is not None
    expected = entry.sha256.model_dump() | {"videos": entry.videos, "captions": entry.captions}
    found = asdict(load(shared, entry).fingerprint())
    windows = found.pop("windows")
    assert found == expected
    assert entry.windows in (None, windows)


@pytest.mark.parametrize("entry", PUBLIC, ids=lambda entry: entry.id)
def test_every_protocol_is_recognised_and_only_test_sets_are_comparable(
    shared: Path, entry: Protocol
) -> None:
    recognition = recognise(load(shared, entry))
    assert (recognition.protocol, recognition.notes) == (entry.id, ())
    assert recognition.comparable is not entry.validation


def test_the_registry_holds_the_facts_of_the_protocol_table(shared: Path) -> None:
    table = json.loads((shared / "protocols.json").read_text("utf-8"))
    known = {name: entry for name, entry in protocols().items() if not entry.validation}
    assert table.keys() == known.keys()
    for name, facts in table.items():
        entry = known[name]
        assert entry.sha256 is not None
        assert (entry.videos, entry.captions) == (facts["videos"], facts["queries"])
        assert [entry.sha256.ids, entry.sha256.pairs, entry.sha256.pairs_sorted] == [
            facts["sha256_sorted_ids"],
            facts["sha256_pairs_official_order"],
            facts["sha256_pairs_sorted"],
        ]
        assert entry.sha256.pairs_ws_normalised_sorted == facts["sha256_pairs_ws_normalised_sorted"]


def test_the_shipped_members_are_those_of_the_published_files(shared: Path) -> None:
    made = pack((entry, load(shared, entry)) for entry in PUBLIC)
    with np.load(MEMBERS) as stored:
        assert set(stored) == set(made)
        for name, values in made.items():
            np.testing.assert_array_equal(stored[name], values)


def test_msrvtt_loads_the_same_from_the_two_official_halves(shared: Path, tmp_path: Path) -> None:
    source = shared / "annotations" / "MSRVTT"
    whole = json.loads((source / "MSRVTT_data.json").read_text("utf-8"))
    test = {video["video_id"] for video in whole["videos"] if video["split"] == "test"}
    for name, wanted in (("test", True), ("train_val", False)):
        part = {
            key: [entry for entry in whole[key] if (entry["video_id"] in test) is wanted]
            for key in ("videos", "sentences")
        }
        (tmp_path / f"{name}_videodatainfo.json").write_text(json.dumps(part), "utf-8")
    for path in source.iterdir():
        if path.name != "MSRVTT_data.json":
            (tmp_path / path.name).symlink_to(path)
    for name in ("1ka-official-text", "1ka-20captions", "full", "1kb"):
        recognition = recognise(load_split("msrvtt", tmp_path, name))
        assert (recognition.protocol, recognition.notes) == (f"msrvtt/{name}", ())


def test_msvd_loads_the_same_from_pickle_and_json(shared: Path, tmp_path: Path) -> None:
    source = shared / "annotations" / "MSVD"
    for name in ("test_list.txt", "captions_msvd.json"):
        (tmp_path / name).symlink_to(source / name)
    assert load_split("msvd", tmp_path) == load_split("msvd", source)
