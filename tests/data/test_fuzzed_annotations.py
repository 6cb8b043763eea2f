"""Whatever happens to an annotation file, it is recognised as different, or is an error with a name."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from xbench.data import recognition
from xbench.data.recognition import Recognition

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from fuzz_annotations import BAD, fuzz, kinds


def test_no_changed_copy_passes_in_silence_or_ends_in_a_traceback(tmp_path: Path) -> None:
    tried = fuzz(count=20, seed=7)
    assert len(tried) == 20 * len(kinds(tmp_path))
    assert [each for each in tried if each.outcome in BAD] == []
    ends = Counter((each.kind, each.outcome) for each in tried)
    for kind in {each.kind for each in tried}:
        assert ends[kind, "different"]
        assert ends[kind, "error"]


def test_what_passes_in_silence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "recognise", lambda split: Recognition(split.protocol, (), ()))
    outcomes = {each.outcome for each in fuzz(count=20, seed=7, only=["lsmdc"])}
    assert "silent" in outcomes


def test_a_case_can_be_made_again() -> None:
    (one,) = fuzz(only=["didemo"], numbers=[17])
    assert one == fuzz(count=18, only=["didemo"])[17]
