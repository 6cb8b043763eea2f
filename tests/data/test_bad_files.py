"""Wrong annotation files: the error names the file, the place and what was expected; nothing is guessed."""

import collections
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from xbench.data.loading import load_split
from xbench.data.reading import read_pickle
from xbench.errors import DataError

FILES = {
    "msrvtt": ("MSRVTT_JSFUSION_test.csv", None),
    "msrvtt-json": ("MSRVTT_data.json", "full"),
    "msrvtt-list": ("test_list_miech.txt", "1kb"),
    "msrvtt-index": ("jsfusion_val_caption_idx.pkl", "1ka-official-text"),
    "msvd": ("test_list.txt", None),
    "msvd-json": ("captions_msvd.json", None),
    "lsmdc": ("LSMDC16_challenge_1000_publictect.csv", None),
    "didemo": ("test_data.json", None),
    "didemo-list": ("test_list.txt", None),
    "activitynet": ("val_1.json", None),
    "activitynet-list": ("val_ids.json", None),
}
Load = Callable[[], object]


@pytest.fixture(params=FILES)
def one(request: pytest.FixtureRequest) -> tuple[Path, Load]:
    """One annotation file, and the loading that reads it."""
    benchmark = request.param.split("-")[0]
    folder: Path = request.getfixturevalue(benchmark)
    name, protocol = FILES[request.param]
    return folder / name, lambda: load_split(benchmark, folder, protocol)


def refuse(path: Path, load: Load, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        load()
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(one: tuple[Path, Load]) -> None:
    path, load = one
    path.unlink()
    # MSVD's pickle is the published form, so that is what is asked for when neither is there.
    expected = path.with_name("raw-captions.pkl") if path.name == "captions_msvd.json" else path
    refuse(expected, load, "does not exist")


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_an_empty_file_is_an_error(one: tuple[Path, Load], content: bytes) -> None:
    path, load = one
    path.write_bytes(content)
    refuse(path, load, "is empty")


def test_a_folder_in_the_place_of_a_file_is_an_error(one: tuple[Path, Load]) -> None:
    path, load = one
    path.unlink()
    path.mkdir()
    refuse(path, load, "is a folder")


def test_permission_errors_are_told(one: tuple[Path, Load], monkeypatch: pytest.MonkeyPatch) -> None:
    path, load = one
    opened = Path.open

    def guarded(self: Path, mode: str = "r") -> IO[Any]:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, mode)

    monkeypatch.setattr(Path, "open", guarded)
    refuse(path, load, "no permission")


def test_invalid_utf8_is_told_with_its_line(one: tuple[Path, Load]) -> None:
    path, load = one
    path.write_bytes(b"\n\n\xff" + path.read_bytes())
    refuse(path, load, "not a pickle" if path.suffix == ".pkl" else "line 3: invalid UTF-8")


def test_a_web_page_in_the_place_of_a_file_is_an_error(one: tuple[Path, Load]) -> None:
    path, load = one
    path.write_text("<!DOCTYPE html>\n<html><body>Not Found</body></html>\n", "utf-8")
    with pytest.raises(DataError, match=r"DOCTYPE|column|JSON|pickle|no caption"):
        load()


def test_a_csv_where_json_should_be_is_told(didemo: Path) -> None:
    path = didemo / "test_data.json"
    path.write_text("video,description\na.mov,text\n", "utf-8")
    refuse(
        path, lambda: load_split("didemo", didemo), "line 1, column 1: not valid JSON .*starts with 'video,"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("msrvtt", "key,id,caption\n0,v,text\n", "line 1: expected the column 'video_id', found 'key', 'id'"),
        ("msrvtt", "video_id,sentence\nv1,one,two\n", "line 2: expected 2 columns .*, found 3"),
        ("msrvtt", 'video_id,sentence\nv1,"one\n', "line 2: not valid CSV"),
        ("msrvtt", "video_id,sentence\nv1,\n", "'v1' has an empty caption"),
        ("msrvtt", "video_id,sentence\n,text\n", "expected a video id"),
        ("msrvtt", "video_id,sentence\n", "no caption of the wanted videos"),
        ("msrvtt-json", "[1]", "expected a JSON object"),
        ("msrvtt-json", '{"videos": []}', "the key 'sentences' is missing; found 'videos'"),
        ("msrvtt-json", '{"videos": {}, "sentences": []}', "expected 'videos' to be a list, found an object"),
        (
            "msrvtt-json",
            '{"videos": [{"video_id": 3}], "sentences": []}',
            r"videos\[0\]: expected 'video_id' to be a string",
        ),
        ("msvd", "a_0_9\na_0_9\n", "line 2: video id 'a_0_9' is already on line 1"),
        ("msvd", '["a_0_9"]', "expected one video id a line, found JSON"),
        (
            "msvd-json",
            '{"-b_1_2": ["x"], "a_0_9": "x"}',
            "'a_0_9': expected a list of captions, found a string",
        ),
        (
            "msvd-json",
            '{"-b_1_2": ["x"], "a_0_9": [3]}',
            "'a_0_9': expected a caption or a list of its words",
        ),
        ("msvd-json", '{"a_0_9": ["x"], "a_0_9": ["y"]}', "the key 'a_0_9' occurs twice"),
        ("lsmdc", "a,b,c,d,e,f\n", "line 1: expected 6 TAB-separated columns"),
        ("didemo", '{"a": 1}', r"expected a JSON list \[...\] at the top, found an object"),
        ("didemo", "[3]", "entry 0: expected an object with the key 'video', found a whole number"),
        ("didemo", '[{"video": "1@N0_a_f.mov"}]', "entry 0: the key 'description' is missing"),
        ("didemo", '[{"video": "other.mov", "description": "x"}]', "no caption of the wanted videos"),
        ("activitynet", '{"v_a": {"sentences": ["x"]}}', "no caption of the wanted videos"),
        (
            "activitynet",
            '{"v_aaaaaaaaaaa": {"sentences": ["x"]}}',
            "v_aaaaaaaaaaa: the key 'duration' is missing",
        ),
        (
            "activitynet",
            '{"v_aaaaaaaaaaa": {"sentences": [], "duration": 3}}',
            "expected 'sentences' as a list",
        ),
        (
            "activitynet",
            '{"v_aaaaaaaaaaa": {"sentences": ["x"], "duration": NaN}}',
            "above 0 and under a day, found nan",
        ),
        ("activitynet", '{"v_aaaaaaaaaaa": {"sentences": ["\\ud800"], "duration": 3}}', "half a Unicode"),
        ("activitynet-list", '["v_aaaaaaaaaaa", "v_aaaaaaaaaaa"]', "'aaaaaaaaaaa' occurs twice"),
        ("activitynet-list", '{"v_aaaaaaaaaaa": 1}', "expected a JSON list"),
        (
            "activitynet",
            '{"v_aaaaaaaaaaa": {"sentences": ["x"], "duration": 1' + "0" * 400 + "}}",
            "v_aaaaaaaaaaa: expected 'duration' in seconds",
        ),
        ("didemo", "[1" + "0" * 5000 + "]", "not an annotation file"),
        ("activitynet-list", "[1]", "entry 0: expected a video id, found a whole number"),
    ],
)
def test_wrong_content_is_told_with_its_place(
    request: pytest.FixtureRequest, name: str, content: str, message: str
) -> None:
    benchmark = name.split("-", maxsplit=1)[0]
    folder: Path = request.getfixturevalue(benchmark)
    file, protocol = FILES[name]
    (folder / file).write_text(content, "utf-8")
    refuse(folder / file, lambda: load_split(benchmark, folder, protocol), message)


def test_deeply_nested_json_is_an_error(didemo: Path) -> None:
    path = didemo / "test_data.json"
    path.write_text("[" * 100_000, "utf-8")
    refuse(path, lambda: load_split("didemo", didemo), "not an annotation file|not valid JSON")


def test_didemo_times_that_are_no_segments_are_told(didemo: Path) -> None:
    path = didemo / "test_data.json"
    path.write_text(json.dumps([{"video": "a.mov", "description": "x", "times": [[1]]}]), "utf-8")
    refuse(path, lambda: load_split("didemo", didemo, "paragraph-temporal"), r"entry 0: expected 'times'")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch evil",)


@pytest.mark.parametrize(
    "content",
    [
        Evil(),
        [Evil()],
        {"a": Path("x")},
        collections.Counter("aa"),
        collections.defaultdict(Path),
        len,
        object(),
    ],
    ids=lambda content: type(content).__name__,
)
def test_a_pickle_that_names_anything_but_containers_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "raw-captions.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"raw-captions\.pkl: refused, since it asks for") as error:
        read_pickle(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "content", [b"not a pickle", pickle.dumps({"a": ["b"] * 9})[:-7], b"\x80\x04.", b"cos\nsystem\n."]
)
def test_a_damaged_pickle_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "captions.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"captions\.pkl"):
        read_pickle(path)


def test_a_byte_order_mark_is_no_part_of_the_text(didemo: Path) -> None:
    expected = load_split("didemo", didemo)
    for path in didemo.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_split("didemo", didemo) == expected


def test_annotations_that_are_no_folder_are_told_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"give the folder that holds test_list\.txt, raw-captions\.pkl or capt"
    ):
        load_split("msvd", tmp_path / "nowhere")
