"""Result files: whole or absent, never another run's, and refused with a reason when something is off."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from record_examples import per_query, result

from xbench.errors import DataError
from xbench.reports.record.files import read, save, to_json
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Metric, TieRecord, scoring_reasons
from xbench.terms import Ties


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path, _ = save(result(), per_query(), tmp_path / "results")
    return path


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_record_reads_back_as_it_was_written(saved: Path) -> None:
    loaded = read(saved)
    assert loaded.record.model_copy(update={"per_query": None}) == result()
    assert loaded.record.per_query is not None
    assert saved.read_text() == to_json(loaded.record)


def test_the_counts_read_back_as_they_were_written(saved: Path) -> None:
    before, after = per_query(), read(saved).counts
    for side in ("t2v", "v2t"):
        for name in ("better", "tied", "right", "nan_rivals"):
            assert np.array_equal(getattr(getattr(before, side), name), getattr(getattr(after, side), name))
        assert getattr(after, side).better.dtype == np.int64
        assert getattr(after, side).right.dtype == np.float32
    assert np.array_equal(before.caption_to_video, after.caption_to_video)
    assert np.array_equal(before.caption_keys, after.caption_keys)
    assert np.array_equal(before.video_keys, after.video_keys)


def test_the_json_has_the_promised_keys(saved: Path) -> None:
    raw = json.loads(saved.read_text())
    assert set(raw["metrics"]) == {"t2v", "v2t"}
    assert set(raw["metrics"]["t2v"]) == {"R@1", "R@5", "R@10", "MdR", "MnR"}
    assert set(raw["metrics"]["t2v"]["R@1"]) == {"value"}
    assert 1 < raw["metrics"]["t2v"]["R@1"]["value"] < 100
    assert raw["comparable"] is True
    assert raw["not_comparable_because"] == []
    assert raw["schema_version"] == 2
    assert raw["must_understand"] == []
    assert raw["ties"]["policy"] == "average"


def test_the_name_tells_the_protocol_and_the_model(saved: Path) -> None:
    assert saved.name.startswith("msrvtt-1ka_xclip_")
    assert sorted(p.suffix for p in saved.parent.iterdir()) == [".json", ".npz"]


def test_two_runs_never_share_a_file(tmp_path: Path) -> None:
    first, _ = save(result(), per_query(), tmp_path)
    second, _ = save(result(created="2026-01-02T03:04:06Z"), per_query(), tmp_path)
    third, _ = save(result(), per_query(seed=1), tmp_path)
    again, _ = save(result(), per_query(), tmp_path)
    assert len({first, second, third}) == 3
    assert again == first
    assert read(first).record.created == "2026-01-02T03:04:05Z"


def test_a_scorer_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    record = result()
    evil = record.model_copy(
        update={"scorer": record.scorer.model_copy(update={"name": "../../etc/pass wd"})}
    )
    path, _ = save(evil, per_query(), tmp_path)
    assert path.parent == tmp_path
    assert "etc-pass-wd" in path.name


def test_an_interrupted_write_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match="No space left on device"):
        save(result(), per_query(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(DataError, match="cannot write the result to"):
        save(result(), per_query(), tmp_path / "results")


def test_a_missing_or_damaged_record_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read a result: .*nothing\.json: No such file"):
        read(tmp_path / "nothing.json")
    with pytest.raises(DataError, match="Is a directory"):
        read(tmp_path)
    whole = saved.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\xff\xfe\x00", b"\x80"):
        saved.write_bytes(content)
        with pytest.raises(DataError, match="no JSON, or a damaged one"):
            read(saved)


@pytest.mark.parametrize("content", ["{}", "[]", "3", '"text"', "null"])
def test_json_that_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(DataError, match="is no result of xbench"):
        read(tmp_path / "other.json")


@pytest.mark.parametrize("version", [0, 3, "2", 1.5, True])
def test_another_schema_is_refused_by_its_version(saved: Path, version: Any) -> None:
    edit(saved, schema_version=version)
    with pytest.raises(DataError, match=f"schema version {version!r}; this xbench reads the versions 1 to 2"):
        read(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"comparable": False}, "comparable is False, but there are 0 reasons"),
        ({"not_comparable_because": ["x"]}, "comparable is True, but there are 1 reasons"),
        ({"post_processing": "dsl"}, "post-processing cannot be comparable"),
        ({"metrics": {"t2v": {"R@1": {"value": "high"}}}}, "metrics.t2v.R@1.value"),
        ({"metrics": {"t2v": {"P@1": {"value": 1}}}}, "There is no measure 'P@1'"),
        ({"metrics": {"sideways": {}}}, "metrics.sideways"),
        ({"metrics": {}}, "metrics"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    saved: Path, changes: dict[str, Any], message: str
) -> None:
    edit(saved, **changes)
    with pytest.raises(DataError, match=message):
        read(saved)


def test_a_value_that_is_no_number_cannot_enter_a_record() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Metric(value=float("nan"))


def test_changed_counts_are_refused(saved: Path) -> None:
    counts = saved.with_suffix(".npz")
    counts.write_bytes(counts.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"it was changed\. Its sha256 is"):
        read(saved)


def test_without_its_counts_a_record_is_a_claim_that_says_why(saved: Path) -> None:
    saved.with_suffix(".npz").unlink()
    claim = read(saved)
    assert claim.per_query is None
    assert claim.record.per_query is not None
    with pytest.raises(DataError, match="copy both"):
        _ = claim.counts
    edit(saved, per_query=None)
    with pytest.raises(DataError, match="names no file of per-query counts"):
        _ = read(saved).counts


def test_a_record_cannot_point_outside_its_folder(saved: Path) -> None:
    raw = json.loads(saved.read_text())
    edit(saved, per_query={**raw["per_query"], "file": f"/nowhere/../{raw['per_query']['file']}"})
    assert len(read(saved).counts.t2v) == 1000


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip"])
def test_bytes_that_are_no_counts_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"some\.npz is no file of per-query counts"):
        PerQuery.from_bytes(content, "some.npz")


def test_equal_counts_give_equal_bytes() -> None:
    assert per_query().to_bytes() == per_query().to_bytes()
    assert per_query().to_bytes() != per_query(seed=1).to_bytes()


def test_query_keys_depend_on_video_and_caption_and_not_on_the_order() -> None:
    counts = per_query(queries=3)
    swapped = PerQuery.of(
        counts.t2v,
        counts.v2t,
        np.array([2, 0, 1]),
        ["caption 2", "caption 0", "caption 1"],
        ["video0", "video1", "video2"],
    )
    assert swapped.caption_keys.tolist() == counts.caption_keys[[2, 0, 1]].tolist()
    assert len(set(counts.caption_keys.tolist())) == 3


@pytest.mark.parametrize("policy", [ties for ties in Ties if ties is not Ties.AVERAGE])
def test_only_average_ties_stand_beside_published_rows(policy: Ties) -> None:
    assert scoring_reasons(policy) == [f"ties ranked {policy.value}, not average"]
    with pytest.raises(ValidationError, match="cannot be comparable"):
        result(policy=policy)
    assert not result(policy=policy, not_comparable_because=scoring_reasons(policy)).comparable


def test_reference_and_post_processing_are_never_comparable() -> None:
    assert scoring_reasons(Ties.AVERAGE) == []
    assert len(scoring_reasons(Ties.REFERENCE, "dsl")) == 2
    with pytest.raises(ValidationError, match="cannot be comparable"):
        result(policy=Ties.REFERENCE)
    kept = result(policy=Ties.REFERENCE, not_comparable_because=scoring_reasons(Ties.REFERENCE))
    assert kept.ties == TieRecord(
        policy=Ties.REFERENCE, tied=result().ties.tied, vanished={"t2v": 0, "v2t": 0}
    )
