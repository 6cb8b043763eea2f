"""Records of every version are read: those of version 1 are fixtures, of later ones as far as it is safe."""

import json
from pathlib import Path
from typing import Any

import pytest
from record_examples import per_query, result

from xbench.errors import DataError
from xbench.pipeline.material import find_places
from xbench.reports.record.files import read, read_all, save, to_json
from xbench.reports.record.schema import SCHEMA_VERSION, Record
from xbench.reports.record.upgrade import field_names, upgrade
from xbench.terms import Ties

HERE = Path(__file__).parent
OLD = sorted(
    [*(HERE / "records_1").rglob("*.json"), *(HERE.parents[1] / "results" / "miniature").glob("*.json")]
)


def old(folder: str) -> Path:
    return sorted((HERE / "records_1" / folder).glob("*.json"))[0]


def passed(path: Path) -> dict[str, Any]:
    return read(path).record.settings.passed


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_a_record_of_version_1_is_read_with_its_counts(path: Path) -> None:
    raw = json.loads(path.read_text())
    measured = read(path)
    assert raw["schema_version"] == 1
    assert measured.record.schema_version == SCHEMA_VERSION
    assert len(measured.counts.t2v) == measured.record.queries["t2v"]
    now = json.loads(to_json(measured.record))
    changed = {"schema_version", "settings", "must_understand", "scorer"}
    assert {name: now[name] for name in raw if name not in changed} == {
        name: raw[name] for name in raw if name not in changed
    }


def test_settings_of_version_1_become_those_of_their_own_benchmark() -> None:
    (lsmdc, msvd) = sorted((HERE / "records_1" / "several").glob("*.json"))
    assert passed(lsmdc)["annotations"] == "data/LSMDC"
    assert passed(msvd) == {
        "dataset": "msvd",
        "annotations": "data/MSVD",
        "videos": "gone/videos",
        "checkpoint": "xclip_miniature.safetensors",
        "bpe": "bpe_miniature.txt.gz",
        "allow_missing": True,
        "allow_damaged": True,
        "metrics": "R@1,R@20,MdR,MRR",
        "output": "out/several",
    }
    defaulted = read(msvd).record.settings.defaulted
    assert defaulted["cache"] is True
    assert defaulted["text_features"] is None
    assert defaulted["model_args"] is None
    assert not {"datasets", "checkpoints", "no_cache", "as_json", "dry_run"} & {*defaulted, *passed(msvd)}


@pytest.mark.parametrize("folder", ["own", "own_features", "api"])
def test_a_path_with_an_equals_sign_is_one_path_in_every_version(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seed=1").mkdir()
    (tmp_path / "seed=1" / "own.csv").write_text("video_id,caption\n")
    record = read(old(folder)).record
    assert Path(str(record.settings.passed["annotations"])) == Path("seed=1/own.csv")
    assert find_places(record, None, None, None).annotations.path == Path("seed=1/own.csv")


def test_model_arguments_of_version_1_become_a_mapping() -> None:
    raw = json.loads(old("own_features").read_text())
    raw["settings"]["passed"]["model_args"] = ["scale=2", "rule=a=b"]
    assert upgrade(raw, "x")["settings"]["passed"]["model_args"] == {"scale": "2", "rule": "a=b"}


def test_a_field_that_is_not_known_is_kept(tmp_path: Path) -> None:
    path, record = save(result(), per_query(), tmp_path)
    raw = json.loads(path.read_text())
    raw["colour"], raw["scorer"]["nickname"] = {"of": "the wall"}, "x"
    path.write_text(json.dumps(raw))
    grown = read(path).record
    assert grown.metrics == record.metrics
    again = json.loads(to_json(grown))
    assert (again["colour"], again["scorer"]["nickname"]) == ({"of": "the wall"}, "x")


@pytest.mark.parametrize("field", ["reranking", "scorer.reranking", "ties.rule", ["of", "lists"], None])
def test_a_field_that_must_be_understood_and_is_not_keeps_the_record_out(tmp_path: Path, field: Any) -> None:
    path, _ = save(result(), per_query(), tmp_path)
    other, _ = save(result(created="2026-01-02T03:04:06Z"), per_query(), tmp_path)
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "reranking": "top-100", "must_understand": [field]}))
    with pytest.raises(DataError, match="changes what its numbers mean and is not known here: use a newer"):
        read(path)
    found, skipped = read_all([tmp_path])
    assert [measured.path for measured in found] == [other]
    assert path.name in skipped[0]


def test_a_record_lists_what_changes_the_meaning_of_its_numbers() -> None:
    assert json.loads(to_json(result()))["must_understand"] == []
    reasons = ["ties ranked reference, not average", "post-processing (dsl) looked at the whole test set"]
    other = result(policy=Ties.REFERENCE, post_processing="dsl", not_comparable_because=reasons)
    assert json.loads(to_json(other))["must_understand"] == ["post_processing", "ties.policy"]
    assert {"post_processing", "ties.policy", "protocol.v2t"} <= set(field_names(Record))
