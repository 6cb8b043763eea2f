"""Local copies of the Hugging Face data sets: columns as published, recognised by content like the rest."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pairs import pairs

from xbench.data.loading import load_split
from xbench.data.recognition import recognise
from xbench.data.split import Split
from xbench.errors import DataError

Rows = list[dict[str, Any]]
MSRVTT: Rows = [
    {"video_id": "video7020", "video": "video7020.mp4", "caption": "a dot", "category": 3},
    {"video_id": "video1", "video": "video1.mp4", "caption": "a line", "category": 1},
]
MSVD: Rows = [{"video_id": "-a_1_2", "video": "-a_1_2.avi", "caption": ["a dot", "the dot"]}]
DIDEMO: Rows = [{"video": "test/1@N0_a_f.mp4", "caption": "a car comes", "source": "DiDeMo"}]
ACTIVITYNET: Rows = [
    {
        "video_id": "v_aaaaaaaaaaa",
        "video": "v_aaaaaaaaaaa.mp4",
        "caption": "One. Two.",
        "source": "ActivityNet_Captions",
        "duration": 12.01,
        "timestamps": [[0, 10.2], [3, 12]],
        "sentences": ["One.", "Two."],
    }
]


def as_json(rows: Rows, path: Path) -> None:
    path.write_text(json.dumps(rows), "utf-8")


def as_lines(rows: Rows, path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def as_parquet(rows: Rows, path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


Write = Callable[[Rows, Path], None]
FORMS = pytest.mark.parametrize(
    ("write", "suffix"), [(as_json, "json"), (as_lines, "json"), (as_parquet, "parquet")]
)


@FORMS
def test_one_row_a_video_with_a_caption_string(tmp_path: Path, write: Write, suffix: str) -> None:
    write(MSRVTT, tmp_path / f"msrvtt_test_1k.{suffix}")
    split = load_split("msrvtt", tmp_path)
    assert pairs(split) == [("video7020", "a dot"), ("video1", "a line")]
    assert split == load_split("msrvtt", tmp_path / f"msrvtt_test_1k.{suffix}")


@FORMS
def test_a_list_of_captions_gives_one_query_each(tmp_path: Path, write: Write, suffix: str) -> None:
    write(MSVD, tmp_path / f"msvd_test.{suffix}")
    assert pairs(load_split("msvd", tmp_path)) == [("-a_1_2", "a dot"), ("-a_1_2", "the dot")]
    assert pairs(load_split("msvd", tmp_path, "msvd/first-caption")) == [("-a_1_2", "a dot")]


@FORMS
def test_didemo_without_video_id_takes_the_stem_of_the_file(
    tmp_path: Path, write: Write, suffix: str
) -> None:
    write(DIDEMO, tmp_path / f"didemo_test.{suffix}")
    split = load_split("didemo", tmp_path)
    assert pairs(split) == [("1@N0_a_f", "a car comes")]
    assert split.videos[0].window == (0, 31)


@FORMS
def test_activitynet_has_paragraphs_sentences_and_durations(
    tmp_path: Path, write: Write, suffix: str
) -> None:
    write(ACTIVITYNET, tmp_path / f"activitynet_captions_val1.{suffix}")
    split = load_split("activitynet", tmp_path)
    assert pairs(split) == [("aaaaaaaaaaa", "One. Two.")]
    assert split.videos[0].window == (0, 13)
    sentences = load_split("activitynet", tmp_path, "activitynet/val1-sentences")
    assert pairs(sentences) == [("aaaaaaaaaaa", "One."), ("aaaaaaaaaaa", "Two.")]


@pytest.mark.parametrize(
    "name", ["data/test-00000-of-00001.parquet", "test_1k/test-00000-of-00001.parquet", "test.parquet"]
)
def test_the_usual_places_of_parquet_files_are_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    as_parquet(MSRVTT, tmp_path / name)
    assert len(load_split("msrvtt", tmp_path).videos) == 2


def test_several_parquet_shards_are_one_set_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for index, row in enumerate(MSRVTT):
        as_parquet([row], tmp_path / "data" / f"test-{index:05}-of-00002.parquet")
    assert pairs(load_split("msrvtt", tmp_path)) == [("video7020", "a dot"), ("video1", "a line")]


def test_published_files_win_over_a_hub_copy_in_the_same_folder(msvd: Path) -> None:
    expected = load_split("msvd", msvd)
    as_json(MSVD, msvd / "msvd_test.json")
    assert load_split("msvd", msvd) == expected


def published(shared: Path, benchmark: str, protocol: str) -> Split:
    folders = {"msrvtt": "MSRVTT", "msvd": "MSVD", "didemo": "DiDeMo", "activitynet": "ActivityNet"}
    return load_split(benchmark, shared / "annotations" / folders[benchmark], f"{benchmark}/{protocol}")


def rows_of(split: Split) -> Rows:
    texts: dict[str, list[str]] = {}
    for video, text in pairs(split):
        texts.setdefault(video, []).append(text)
    return [{"video_id": video, "caption": captions} for video, captions in texts.items()]


def test_the_content_of_the_known_sets_is_recognised(shared: Path, tmp_path: Path) -> None:
    rows = rows_of(published(shared, "msrvtt", "1ka"))
    random.Random(0).shuffle(rows)
    as_json([row | {"caption": row["caption"][0]} for row in rows], tmp_path / "msrvtt_test_1k.json")
    recognition = recognise(load_split("msrvtt", tmp_path))
    assert (recognition.protocol, recognition.comparable) == ("msrvtt/1ka", True)

    as_parquet(rows_of(published(shared, "msvd", "test")), tmp_path / "msvd_test.parquet")
    assert recognise(load_split("msvd", tmp_path)).protocol == "msvd/test"
    assert recognise(load_split("msvd", tmp_path, "first-caption")).protocol == "msvd/first-caption"

    rows = rows_of(published(shared, "didemo", "paragraph-temporal"))
    as_json(
        [{"video": f"test/{row['video_id']}.mp4", "caption": row["caption"][0].strip()} for row in rows],
        tmp_path / "didemo_test.json",
    )
    recognition = recognise(load_split("didemo", tmp_path))
    assert recognition.protocol == "didemo/paragraph-temporal"
    assert recognition.comparable
    assert recognition.notes[0].startswith("this is didemo/paragraph-temporal, not didemo/paragraph")
    assert recognition.notes[1] == "white space differs from didemo/paragraph-temporal, ids equal"


def test_activitynet_rows_are_recognised_with_their_durations(shared: Path, tmp_path: Path) -> None:
    content = json.loads((shared / "annotations" / "ActivityNet" / "val_1.json").read_text("utf-8"))
    rows = [
        {"video_id": video, "caption": " ".join(map(str.strip, entry["sentences"])), **entry}
        for video, entry in content.items()
    ]
    as_parquet(rows, tmp_path / "activitynet_captions_val1.parquet")
    assert recognise(load_split("activitynet", tmp_path)).comparable
    sentences = recognise(load_split("activitynet", tmp_path, "val1-sentences"))
    assert (sentences.protocol, sentences.comparable) == ("activitynet/val1-sentences", True)
    as_json([{key: row[key] for key in ("video_id", "caption")} for row in rows], tmp_path / "bare.json")
    recognition = recognise(load_split("activitynet", tmp_path / "bare.json"))
    assert recognition.protocol == "activitynet/val1-paragraph"
    assert not recognition.comparable


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"video_id": "v", "text": "x"}], "row 0: the key 'caption' is missing; found 'video_id', 'text'"),
        ([{"caption": "x"}], "row 0: the key 'video' is missing"),
        (
            [{"video_id": 7, "caption": "x"}],
            "row 0: expected 'video_id' to be a string, found a whole number",
        ),
        (
            [{"video_id": "v", "caption": ["x", 3]}],
            "row 0: expected 'caption' as a string or a list of strings",
        ),
        ([{"video_id": "v", "caption": []}], "row 0: expected 'caption'"),
        (["v"], "row 0: expected an object"),
        ([], "no caption of the wanted videos"),
    ],
)
def test_wrong_rows_are_told_with_their_place(tmp_path: Path, rows: Any, message: str) -> None:
    as_json(rows, tmp_path / "msrvtt_test_1k.json")
    with pytest.raises(DataError, match=message) as error:
        load_split("msrvtt", tmp_path)
    assert str(tmp_path / "msrvtt_test_1k.json") in str(error.value)


def test_a_damaged_parquet_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "msvd_test.parquet").write_bytes(b"PAR1 and nothing of use")
    with pytest.raises(DataError, match=r"msvd_test\.parquet: not a parquet file"):
        load_split("msvd", tmp_path)


def test_a_protocol_that_no_hub_set_has_is_told_with_those_they_have(tmp_path: Path) -> None:
    as_json(MSRVTT, tmp_path / "my.json")
    with pytest.raises(DataError, match=r"msrvtt/full is not in the Hugging Face data sets; .* msrvtt/1ka"):
        load_split("msrvtt", tmp_path / "my.json", "msrvtt/full")
    with pytest.raises(DataError, match="they have: none"):
        load_split("lsmdc", "hf:someone/lsmdc")


def test_offline_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match=r"hf:friedrichor/MSVD cannot be loaded .*Without a network, download"
    ):
        load_split("msvd", "hf:friedrichor/MSVD")


@pytest.mark.parametrize("address", ["hf:", "hf:MSVD", "hf:a/b/c", "hf:a/b c"])
def test_a_malformed_address_is_an_error(address: str) -> None:
    with pytest.raises(DataError, match="expected hf:OWNER/NAME"):
        load_split("msvd", address)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Builder:
    """What `datasets` returns for a data set on the Hub; `hash` is the commit that it found."""

    def __init__(self, path: Path, commit: str) -> None:
        self.path, self.hash = path, commit

    def download_and_prepare(self) -> None:
        as_parquet(MSVD, self.path / "hub.parquet")

    def as_dataset(self, split: str) -> Any:
        import datasets

        assert split == "test"
        return datasets.Dataset.from_parquet(str(self.path / "hub.parquet"), cache_dir=str(self.path))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """A stand-in for the Hub that remembers which revisions it was asked for; `main` is COMMIT."""
    import datasets
    from huggingface_hub import HfApi

    asked: list[tuple[str, str | None]] = []

    def load_dataset_builder(repository: str, config: str | None, revision: str) -> Builder:
        asked.append(("data", revision))
        return Builder(tmp_path, COMMIT)

    def dataset_info(self: HfApi, repository: str, revision: str | None) -> Any:
        asked.append(("info", revision))
        return type("Info", (), {"sha": COMMIT})

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    monkeypatch.setattr(HfApi, "dataset_info", dataset_info)
    return asked


def test_a_set_on_the_hub_is_read_at_a_pinned_commit_which_is_recorded(
    hub: list[tuple[str, str | None]],
) -> None:
    split = load_split("msvd", "hf:friedrichor/MSVD@main")
    assert hub == [("info", "main"), ("data", COMMIT)]
    assert split.source == f"hf:friedrichor/MSVD@{COMMIT}"
    assert recognise(split).notes[0] == f"annotations from hf:friedrichor/MSVD@{COMMIT}"
    assert pairs(split) == [("-a_1_2", "a dot"), ("-a_1_2", "the dot")]


def test_a_pinned_commit_asks_the_hub_for_nothing_else(hub: list[tuple[str, str | None]]) -> None:
    assert load_split("msvd", f"hf:friedrichor/MSVD@{COMMIT}").source == f"hf:friedrichor/MSVD@{COMMIT}"
    assert hub == [("data", COMMIT)]


def test_another_revision_from_the_cache_is_never_taken_for_the_pinned_one(
    hub: list[tuple[str, str | None]],
) -> None:
    with pytest.raises(DataError, match=f"the cache has another revision, {COMMIT}"):
        load_split("msvd", f"hf:friedrichor/MSVD@{'b' * 40}")
