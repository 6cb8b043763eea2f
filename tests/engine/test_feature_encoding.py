"""Encoding what is missing: each item once and by itself, resumable, in order."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from xbench.engine.encoding import Prepared, encode
from xbench.engine.store import Store, key_of
from xbench.scorers.base import Features

KEYS = [key_of(item=index) for index in range(10)]


class Encoder:
    """Turns the number i into the feature [[i, i]] and counts its calls; may fail after some items."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.prepared: list[int] = []
        self.encoded: list[int] = []
        self.fail_after = fail_after

    def prepare(self, index: int) -> Prepared[int]:
        self.prepared.append(index)
        return Prepared(None if index == 3 else index, {"index": index})

    def encode(self, value: int) -> Features:
        if self.fail_after is not None and len(self.encoded) == self.fail_after:
            raise KeyboardInterrupt
        self.encoded.append(value)
        return {"x": torch.full((1, 2), float(value))}


def run(store: Store, encoder: Encoder, **options: Any) -> list[Any]:
    return encode(store, "video", KEYS, encoder.prepare, encoder.encode, **options)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_item_gets_its_own_features_whatever_the_workers(tmp_path: Path, workers: int) -> None:
    entries = run(Store(tmp_path, "m", {}), Encoder(), workers=workers)
    for index, entry in enumerate(entries):
        assert entry.info == {"index": index}
        if index == 3:
            assert entry.features is None
        else:
            assert entry.features.load()["x"].tolist() == [[index, index]]


def test_equal_keys_are_prepared_and_encoded_once(tmp_path: Path) -> None:
    encoder, seen = Encoder(), []
    keys = [KEYS[0], KEYS[1], KEYS[0], KEYS[3], KEYS[0]]
    entries = encode(
        Store(tmp_path, "m", {}), "video", keys, encoder.prepare, encoder.encode, on_done=seen.append
    )
    assert encoder.prepared == [0, 1, 3]
    assert [entry.info["index"] for entry in entries] == [0, 1, 0, 3, 0]
    assert entries[3].features is None
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_a_second_run_prepares_and_encodes_only_what_had_no_features(tmp_path: Path) -> None:
    store = Store(tmp_path, "m", {})
    first = run(store, Encoder())
    again = Encoder()
    second = run(store, again)
    assert again.encoded == []
    assert again.prepared == [3]
    assert [entry.info for entry in second] == [entry.info for entry in first]


def test_an_interrupted_run_keeps_every_finished_item(tmp_path: Path) -> None:
    store = Store(tmp_path, "m", {})
    with pytest.raises(KeyboardInterrupt):
        run(store, Encoder(fail_after=4))
    encoder = Encoder()
    run(Store(tmp_path, "m", {}), encoder)
    assert encoder.encoded == [5, 6, 7, 8, 9]  # the four before the interruption, 3 has no input


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_while_preparing_reaches_the_caller_and_stops_the_rest(tmp_path: Path, workers: int) -> None:
    seen: list[int] = []

    def prepare(index: int) -> Prepared[int]:
        seen.append(index)
        if index == 1:
            raise RuntimeError("broken item")
        return Prepared(index, {})

    with pytest.raises(RuntimeError, match="broken item"):
        encode(Store(tmp_path, "m", {}), "video", KEYS, prepare, Encoder().encode, workers=workers)
    assert len(seen) < len(KEYS)


def test_a_run_that_ends_does_not_wait_for_threads_at_work() -> None:
    script = textwrap.dedent(
        """
        import tempfile, threading
        from pathlib import Path
        from xbench.engine.encoding import Prepared, encode
        from xbench.engine.store import Store, key_of

        def prepare(index):
            if index == 0:
                raise ValueError
            threading.Event().wait(600)  # a decode that takes long

        store = Store(Path(tempfile.mkdtemp()), "m", {})
        try:
            encode(store, "video", [key_of(i=i) for i in range(4)], prepare, dict, workers=2)
        except ValueError:
            print("stopped")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "stopped\n"


def test_progress_counts_every_item_once(tmp_path: Path) -> None:
    store = Store(tmp_path, "m", {})
    for _ in range(2):
        seen: list[int] = []
        run(store, Encoder(), on_done=seen.append)
        assert sorted(seen) == list(range(len(KEYS)))


def test_a_table_slices_across_shards_like_one_tensor() -> None:
    from xbench.engine.encoding import FeatureTable

    whole = torch.arange(40.0).reshape(10, 4)
    table = FeatureTable([{"x": whole[:3]}, {"x": whole[3:4]}, {"x": whole[4:]}])
    assert len(table) == 10
    for start in range(10):
        for stop in range(start + 1, 11):
            assert torch.equal(table.rows(start, stop)["x"], whole[start:stop])
