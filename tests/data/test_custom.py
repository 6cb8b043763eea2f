"""A user's own CSV or JSONL."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs import pairs

from xbench.data.loading import load_split
from xbench.data.recognition import recognise
from xbench.errors import DataError, UsageError

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=20).filter(
    str.strip
)
ROWS = st.lists(st.tuples(TEXT.map(str.strip), TEXT), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=ROWS)
def test_every_row_of_csv_and_jsonl_is_a_caption_exactly_as_written(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([("note", "caption", "video_id"), *(("", caption, video) for video, caption in rows)])
    (tmp_path / "my.csv").write_bytes(text.getvalue().encode())
    lines = [json.dumps({"video_id": video, "caption": caption}) for video, caption in rows]
    (tmp_path / "my.jsonl").write_text("\n".join(lines), "utf-8")
    for name in ("my.csv", "my.jsonl"):
        split = load_split("msrvtt", tmp_path / name)
        assert pairs(split) == rows
        assert split.protocol == "custom"


def test_custom_is_never_comparable_and_says_what_it_is_close_to(shared: Path, tmp_path: Path) -> None:
    published = load_split("msrvtt", shared / "annotations" / "MSRVTT")
    with (tmp_path / "my.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video_id", "caption"), *pairs(published)])
    recognition = recognise(load_split("msrvtt", tmp_path / "my.csv", "custom"))
    assert recognition.protocol == "msrvtt/1ka"
    assert not recognition.comparable
    assert "custom" in recognition.reasons[0]


def test_the_published_csv_given_as_a_file_is_read_as_published(msrvtt: Path) -> None:
    split = load_split("msrvtt", msrvtt / "MSRVTT_JSFUSION_test.csv")
    assert split.protocol == "msrvtt/1ka"
    assert split == load_split("msrvtt", msrvtt)


@pytest.mark.parametrize("name", ["my.csv", "my.jsonl"])
@pytest.mark.parametrize("protocol", ["msrvtt/1ka", "full"])
def test_a_published_protocol_named_for_a_users_own_file_is_refused(
    tmp_path: Path, name: str, protocol: str
) -> None:
    rows = {"my.csv": "video_id,caption\nv,a\n", "my.jsonl": '{"video_id": "v", "caption": "a"}\n'}
    (tmp_path / name).write_text(rows[name])
    with pytest.raises(UsageError, match=r"msrvtt/(1ka|full) says nothing: name no protocol \(or custom\)"):
        load_split("msrvtt", tmp_path / name, protocol)
    for allowed in (None, "custom"):
        assert load_split("msrvtt", tmp_path / name, allowed).protocol == "custom"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my.csv", "id,text\na,b\n", "line 1: expected the column 'video_id', found 'id', 'text'"),
        ("my.csv", "video_id,caption\nv,a\nv, \n", "line 3: expected a video_id and a caption, one is empty"),
        ("my.csv", '{"video_id": "v", "caption": "a"}\n', "line 1: expected the column"),
        ("my.jsonl", '{"video_id": "v", "caption": "a"}\nv,a\n', "line 2: not valid JSON"),
        ("my.jsonl", '{"video_id": "v"}\n', "line 1: the key 'caption' is missing"),
        (
            "my.jsonl",
            '{"video_id": "v", "caption": ["a", 1]}\n',
            "line 1: expected 'caption' as a string",
        ),
        ("my.jsonl", '["v", "a"]\n', "line 1: expected an object"),
        ("my.txt", "v a\n", "expected the folder that holds MSRVTT_JSFUSION_test.csv"),
    ],
)
def test_wrong_rows_are_told_with_their_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(DataError, match=message) as error:
        load_split("msrvtt", tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_a_folder_is_no_custom_annotation(msrvtt: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder; custom annotations are a \.csv, \.tsv or"):
        load_split("msrvtt", msrvtt, "custom")
