"""Records prove themselves: what honest runs wrote passes, a changed number is named with both values."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from record_examples import KNOWN, per_query, result

import xbench
from xbench.cli import main
from xbench.errors import DataError
from xbench.registry.datasets import protocols
from xbench.reports.record.files import read, read_all, save
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Record, Videos
from xbench.storage import file_sha256
from xbench.terms import Ties

HERE = Path(__file__).parent
HONEST = [
    *sorted((HERE / "records_1").rglob("*.json")),
    *sorted((HERE.parents[1] / "results" / "miniature").glob("*.json")),
]
COUNTS = per_query()


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_what_an_honest_run_wrote_is_believed(path: Path) -> None:
    assert read(path).per_query is not None


@pytest.mark.parametrize("policy", list(Ties))
@pytest.mark.parametrize("captions", [1, 3])
def test_every_tie_policy_measure_and_interval_is_believed(
    tmp_path: Path, policy: Ties, captions: int
) -> None:
    counts = per_query(60, captions, seed=2)
    why = [] if policy is Ties.AVERAGE else ["ties"]
    record = result(
        counts,
        policy=policy,
        measures="R@1,R@50,MdR,MnR,MRR,nDCG@10,RSum",
        resamples=1000,
        not_comparable_because=why,
    )
    assert read(save(record, counts, tmp_path)[0]).record.metrics == record.metrics


@pytest.mark.parametrize("value", [0.0, 100.0])
@pytest.mark.parametrize("queries", [1, 2, 30])
def test_the_extremes_and_the_smallest_sets_are_believed(tmp_path: Path, value: float, queries: int) -> None:
    base = per_query(max(queries, 3))
    better = np.full(len(base.t2v), 0 if value else 1)
    counts = replace(base, t2v=replace(base.t2v, better=better, tied=np.zeros_like(better)))
    record = result(counts, resamples=1000)
    assert read(save(record, counts, tmp_path)[0]).record.metrics["t2v"]["R@1"].value == value


def at(raw: dict[str, Any], *path: str) -> dict[str, Any]:
    for name in path:
        raw = raw[name]
    return raw


Edit = Callable[[dict[str, Any]], Any]
EDITS: dict[str, tuple[Edit, str]] = {
    "impossible": (
        lambda raw: at(raw, "metrics", "t2v", "R@1").update(value=133.2),
        "t2v R@1 is 133.2, outside 0 to 100",
    ),
    "outside its interval": (
        lambda raw: at(raw, "metrics", "t2v", "R@1").update(value=90.0),
        r"t2v R@1 is 90, outside its own interval 3\d.* to 4",
    ),
    "with its interval": (
        lambda raw: at(raw, "metrics", "v2t", "R@5").update(value=12.5, low=8.0, high=17.0),
        r"v2t R@5 is 12\.5, its counts give \d\d\.",
    ),
    "by a little": (
        lambda raw: at(raw, "metrics", "t2v", "MnR").update(value=round(17.6505, 2)),
        "t2v MnR is .*, its counts give",
    ),
    "the interval alone": (
        lambda raw: at(raw, "metrics", "t2v", "R@1").update(low=0.0, high=100.0),
        "the interval of t2v R@1 is 0 to 100, its counts give about 3",
    ),
    "half an interval": (lambda raw: at(raw, "metrics", "t2v", "R@1").pop("low"), "half an interval"),
    "another measure": (
        lambda raw: at(raw, "metrics", "t2v").update({"R@50": {"value": 99.9}}),
        "t2v R@50 is 99.9, its counts give",
    ),
    "another policy": (
        lambda raw: (
            raw["ties"].update(policy="optimistic"),
            raw.update(comparable=False, not_comparable_because=["ties ranked optimistic, not average"]),
        ),
        "its counts give",
    ),
    "queries": (lambda raw: raw["queries"].update(v2t=999), "v2t has 999 queries, its counts give 1000"),
    "tied": (lambda raw: raw["ties"]["tied"].update(t2v=0), "t2v has 0 tied queries, its counts give"),
    "gallery": (
        lambda raw: (
            raw["videos"].update(wanted=1001, scored=1001),
            raw["protocol"]["fingerprint"].update(videos=1001),
        ),
        "1001 videos were scored, there are counts of 1000",
    ),
    "a fuller gallery": (
        lambda raw: raw["videos"].update(wanted=1001),
        "1001 videos were wanted, the fingerprint is of 1000",
    ),
    "another protocol": (
        lambda raw: raw["protocol"].update(matched="msvd/test"),
        "said to be msvd/test, but its fingerprint is not that protocol's",
    ),
    "another fingerprint": (
        lambda raw: raw["protocol"]["fingerprint"].update(ids="0" * 64),
        r"said to be msrvtt/1ka, but its fingerprint is not that protocol's \(ids 00000000",
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(result(COUNTS, resamples=1000), COUNTS, tmp_path_factory.mktemp("results"))[0]


def copied(path: Path, folder: Path, edit: Edit) -> Path:
    """The record after an edit of its JSON, its counts beside it as they were."""
    raw = json.loads(path.read_text())
    edit(raw)
    copy = folder / path.name
    copy.write_text(json.dumps(raw))
    shutil.copy(path.with_suffix(".npz"), folder)
    return copy


@pytest.mark.parametrize("name", EDITS)
def test_a_record_that_was_edited_is_refused_with_both_values(whole: Path, tmp_path: Path, name: str) -> None:
    edit, message = EDITS[name]
    with pytest.raises(DataError, match=message):
        read(copied(whole, tmp_path, edit))


@pytest.mark.parametrize("folder", ["limit_dsl", "several", "reference", "own"])
def test_what_cannot_be_comparable_cannot_be_said_to_be(tmp_path: Path, folder: str) -> None:
    for path in sorted((HERE / "records_1" / folder).glob("*.json")):
        edited = copied(path, tmp_path, lambda raw: raw.update(comparable=True, not_comparable_because=[]))
        with pytest.raises(DataError, match="comparable"):
            read(edited)


def test_missing_videos_cannot_be_edited_away(tmp_path: Path) -> None:
    (path,) = (HERE / "records_1" / "several").glob("msvd*.json")
    with pytest.raises(DataError, match="118 of 120 videos were scored, 1 are named as left out"):
        read(copied(path, tmp_path, lambda raw: raw["videos"].update(missing=[])))


@pytest.mark.parametrize(
    "arguments",
    [
        ["leaderboard", "EDITED"],
        ["diff", "EDITED"],
        ["check", "EDITED", "--baseline", "WHOLE"],
        ["check", "WHOLE", "--baseline", "EDITED", "--max-drop", "R@1=1"],
        ["compare", "WHOLE", "EDITED"],
        ["report", "EDITED", "-o", "OUT"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_reader_refuses_it(whole: Path, tmp_path: Path, arguments: list[str]) -> None:
    edited = copied(whole, tmp_path, EDITS["with its interval"][0])
    names = {"EDITED": str(edited), "WHOLE": str(whole), "OUT": str(tmp_path / "page.html")}
    outcome = CliRunner().invoke(main, [names.get(each, each) for each in arguments])
    assert outcome.exit_code == 3
    assert "contradicts itself" in outcome.stderr
    assert "is 12.5, its counts give" in outcome.stderr
    assert "12.5" not in outcome.stdout
    assert not (tmp_path / "page.html").exists()


def test_the_api_refuses_it_too(whole: Path, tmp_path: Path) -> None:
    assert xbench.Result.load(whole).comparable
    with pytest.raises(DataError, match="its counts give"):
        xbench.Result.load(copied(whole, tmp_path, EDITS["with its interval"][0]))


def test_in_a_folder_it_is_left_out_and_named(whole: Path, tmp_path: Path) -> None:
    edited = copied(whole, tmp_path, EDITS["queries"][0])
    other, _ = save(result(COUNTS, created="2026-01-02T03:04:06Z"), COUNTS, tmp_path)
    found, skipped = read_all([tmp_path])
    assert [measured.path for measured in found] == [other]
    assert [str(edited) in reason for reason in skipped] == [True]


def test_without_counts_what_a_record_says_of_itself_still_has_to_agree(whole: Path, tmp_path: Path) -> None:
    for name in ("impossible", "outside its interval", "another protocol"):
        edit, message = EDITS[name]
        path = copied(whole, tmp_path, edit)
        path.with_suffix(".npz").unlink()
        with pytest.raises(DataError, match=message):
            read(path)


def counts_of(better: np.ndarray) -> PerQuery:
    return replace(COUNTS, t2v=replace(COUNTS.t2v, better=better, tied=np.zeros_like(better)))


def test_counts_that_no_gallery_gives_are_refused(tmp_path: Path) -> None:
    counts = counts_of(np.full(1000, 1000))
    with pytest.raises(DataError, match="t2v counts up to 1000 rivals of 999"):
        read(save(result(counts), counts, tmp_path)[0])


def tampered(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change a record's arrays, and the hash that it names them by."""
    with np.load(path.with_suffix(".npz")) as stored:
        arrays: dict[str, Any] = dict(stored)
    change(arrays)
    np.savez(path.with_suffix(".npz"), **arrays)
    raw = json.loads(path.read_text())
    raw["per_query"]["sha256"] = file_sha256(path.with_suffix(".npz"))
    path.write_text(json.dumps(raw))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.update(t2v_better=np.array(0)), r"t2v_better is int64 \[\]"),
        (
            lambda arrays: arrays.update(v2t_tied=arrays["v2t_tied"][:, None]),
            r"v2t_tied is uint.* \[1000, 1\]",
        ),
        (lambda arrays: arrays.update(t2v_right=arrays["t2v_right"] + 0j), "t2v_right is complex"),
        (lambda arrays: arrays.update(v2t_right=np.full(1000, "1.0")), "v2t_right is <U3"),
        (lambda arrays: arrays.update(t2v_right=np.full(1000, np.nan)), "right scores of t2v are NaN"),
        (lambda arrays: arrays.update(caption_keys=np.full(1000, "key")), "caption_keys is <U3"),
        (lambda arrays: arrays.update(video_keys=np.array(5)), r"video_keys is int64 \[\]"),
        (
            lambda arrays: arrays.update(caption_to_video=arrays["caption_to_video"][:0]),
            r"video is \w+ \[0\]",
        ),
        (lambda arrays: arrays.update(t2v_better=np.arange(-1, 999)), "t2v better counts below 0"),
    ],
)
def test_counts_of_a_form_that_no_run_writes_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    path = tampered(save(result(COUNTS), COUNTS, tmp_path)[0], change)
    with pytest.raises(DataError, match=f"is no file of per-query counts of xbench .*{said}"):
        read(path)


def test_a_name_of_counts_that_can_be_no_file_is_an_error_of_that_record(tmp_path: Path) -> None:
    path, _ = save(result(COUNTS), COUNTS, tmp_path)
    raw = json.loads(path.read_text())
    for name in ("a\0b", ""):
        raw["per_query"]["file"] = name
        path.write_text(json.dumps(raw))
        with pytest.raises(DataError, match=r"no valid result of xbench: per_query\.file"):
            read(path)


def test_what_xbench_learned_later_makes_a_record_not_comparable_and_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = save(result(COUNTS), COUNTS, tmp_path)
    assert read(path).record.comparable
    later = {**protocols(), KNOWN.id: KNOWN.model_copy(update={"validation": True})}
    monkeypatch.setattr("xbench.reports.record.proof.protocols", lambda: later)
    record = read(path).record
    assert not record.comparable
    assert record.not_comparable_because == [
        "msrvtt/1ka is a validation set, which never stands beside test rows"
    ]


def test_scores_from_elsewhere_that_rank_like_guesses_are_no_longer_comparable(tmp_path: Path) -> None:
    counts = counts_of(np.random.default_rng(0).permutation(1000))
    record = read(save(result(counts), counts, tmp_path)[0]).record
    assert [reason.split(" (")[0] for reason in record.not_comparable_because] == ["no better than chance"]
    decoded = Videos(wanted=1000, scored=1000, looks={"codec": {"h264": 1000}})
    assert read(save(result(counts, videos=decoded), counts, tmp_path)[0]).record.comparable


def test_a_protocol_that_is_not_known_here_is_not_checked(tmp_path: Path) -> None:
    counts = per_query(30)
    measured = read(save(result(counts), counts, tmp_path)[0])
    assert measured.record.protocol.matched == "msrvtt/small"
    assert measured.remarks == ("the protocol msrvtt/small is not known here: not checked",)
    assert read(save(result(COUNTS), COUNTS, tmp_path)[0]).remarks == ()


def test_a_record_of_the_api_is_believed(tmp_path: Path) -> None:
    similarity = np.eye(30, dtype=np.float32)
    path = xbench.evaluate(similarity, caption_to_video=list(range(30))).save(tmp_path)
    record: Record = read(path).record
    assert record.metrics["t2v"]["R@1"].value == 100.0
