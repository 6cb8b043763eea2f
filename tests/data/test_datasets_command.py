"""`xbench datasets` as a user runs it: what is on stdout, the exit code, and nothing hidden."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.file_server import Server, serve, whole
from xbench.cli import main
from xbench.data import fetch as annotations
from xbench.registry import datasets as registry
from xbench.registry.datasets import AnnotationFile, benchmarks, protocols


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["datasets", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XBENCH_DATA", raising=False)


def film(path: Path, seconds: float) -> None:
    """A clip of noise, 4 frames a second; without a frame if it lasts no time."""
    noise = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
        for _ in range(round(seconds * 4)):
            picture = noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_list_names_every_protocol_within_100_columns() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in protocols())
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_list_tells_what_is_found_on_this_machine(
    msvd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XBENCH_DATA", str(tmp_path))
    (msvd / "val_list.txt").unlink()
    film(msvd / "videos" / "a_0_9.avi", 1)
    (msvd / "videos" / "notes.txt").touch()
    stock = {entry["benchmark"]: entry for entry in json.loads(run("list", "--json").stdout)}
    missing = {entry["id"]: entry["missing_files"] for entry in stock["msvd"]["protocols"]}
    assert missing == {"msvd/test": [], "msvd/first-caption": [], "msvd/val": ["val_list.txt"]}
    assert stock["msvd"]["video_files"] == 1
    assert stock["didemo"]["video_files"] is None
    text = run("list").stdout
    assert "no val_list.txt" in text
    assert "MSVD: 1 video files" in text


@pytest.mark.parametrize("name", [*benchmarks(), *protocols()])
def test_show_tells_all_of_every_id_within_100_columns(name: str) -> None:
    result = run("show", name)
    assert result.exit_code == 0
    assert name in result.stdout
    lines = [line for line in result.stdout.splitlines() if "http" not in line]
    assert max(map(len, lines)) <= 100
    assert json.loads(run("show", name, "--json").stdout)["id"] == name


@pytest.mark.parametrize("command", ["show", "verify", "fetch"])
@pytest.mark.parametrize(
    ("name", "suggestion"), [("msrvt", "msrvtt"), ("didemo/paragrph", "didemo/paragraph")]
)
def test_unknown_ids_are_usage_errors_that_suggest(command: str, name: str, suggestion: str) -> None:
    result = run(command, name)
    assert result.exit_code == 2
    assert f"Did you mean {suggestion!r}?" in result.stderr


@pytest.mark.parametrize("command", ["verify", "fetch"])
def test_without_a_folder_it_says_which_option_to_give(command: str) -> None:
    result = run(command, "didemo")
    assert result.exit_code == 2
    assert "XBENCH_DATA" in result.stderr


def test_verify_of_a_subset_ends_with_3_and_says_in_what_it_differs(didemo: Path) -> None:
    result = run("verify", "didemo", "--annotations", didemo)
    assert result.exit_code == 3
    assert "recognised: no known protocol" in result.stdout
    assert "NOT COMPARABLE" in result.stdout
    assert "videos: not looked at" in result.stdout


def test_verify_accepts_published_annotations_and_names_another_protocol(shared: Path) -> None:
    folder = shared / "annotations" / "DiDeMo"
    result = run("verify", "didemo/paragraph-825", "--annotations", folder, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["recognised"] == "didemo/paragraph-825"
    assert run("verify", "didemo/paragraph-val", "--annotations", folder).exit_code == 0


def test_verify_of_one_protocol_does_not_accept_another(shared: Path, tmp_path: Path) -> None:
    folder = shared / "annotations" / "DiDeMo"
    (tmp_path / "test_data.json").symlink_to(folder / "test_data.json")
    kept = [line for line in (folder / "test_list.txt").read_text().split() if not line.endswith(".mp4")]
    (tmp_path / "test_list.txt").write_text("\n".join(kept))
    result = run("verify", "didemo/paragraph", "--annotations", tmp_path)
    assert result.exit_code == 3
    assert "this is didemo/paragraph-825, not didemo/paragraph" in result.stdout
    assert "the copy lost the 179 ids that end in .mp4" in result.stdout
    assert run("verify", "didemo", "--annotations", tmp_path).exit_code == 0


@pytest.fixture
def clips(tmp_path: Path) -> tuple[Path, Path]:
    """Annotations of five videos, and a folder with one good file and one of each fault."""
    ids = ["good_0_6", "gone_0_6", "short_0_60", "zero_0_6", "none_0_6", "cut_0_6"]
    annotations, videos = tmp_path / "MSVD", tmp_path / "videos"
    annotations.mkdir()
    (annotations / "test_list.txt").write_text("\n".join(ids))
    (annotations / "captions_msvd.json").write_text(json.dumps({video: ["a dot"] for video in ids}))
    film(videos / "good_0_6.avi", 6)
    film(videos / "short_0_60.avi", 6)
    film(videos / "cut_0_6.avi", 6)
    whole_file = (videos / "cut_0_6.avi").read_bytes()
    (videos / "cut_0_6.avi").write_bytes(whole_file[: len(whole_file) * 6 // 10])
    film(videos / "none_0_6.avi", 0)
    (videos / "zero_0_6.avi").touch()
    return annotations, videos


def problems(result: Result) -> dict[str, str]:
    return {each["id"]: each["problem"] for each in json.loads(result.stdout)["problems"]}


def test_verify_finds_missing_unreadable_and_wrong_duration_videos(clips: tuple[Path, Path]) -> None:
    result = run("verify", "msvd", "--annotations", clips[0], "--videos", clips[1], "--json")
    assert result.exit_code == 3
    found = problems(result)
    assert found.pop("gone_0_6") == "missing"
    assert found.pop("short_0_60") == "wrong-duration"
    assert found.pop("zero_0_6") == "unreadable"
    assert found.pop("none_0_6") == "zero-frame"
    assert "good_0_6" not in found


def test_verify_deep_also_finds_what_breaks_off_while_decoding(clips: tuple[Path, Path]) -> None:
    result = run("verify", "msvd", "--annotations", clips[0], "--videos", clips[1], "--deep", "--json")
    assert problems(result)["cut_0_6"] == "damaged"
    assert "good_0_6" not in problems(result)
    text = run("verify", "msvd", "--annotations", clips[0], "--videos", clips[1], "--deep").stdout
    assert "damaged: 1\n  cut_0_6" in text
    assert text.endswith("NOT as it should be.\n")


def test_verify_of_a_users_own_csv_looks_at_its_videos(clips: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("video_id,caption\ngood_0_6,a dot\nshort_0_60,whatever its length\n")
    result = run("verify", "msvd", "--annotations", tmp_path / "my.csv", "--videos", clips[1], "--deep")
    assert result.exit_code == 0
    assert "read as custom" in result.stdout


def test_deep_without_videos_is_a_usage_error(didemo: Path) -> None:
    assert run("verify", "didemo", "--annotations", didemo, "--deep").exit_code == 2


@pytest.fixture
def published(msvd: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that has MSVD's listed files, with the made-up content."""
    with serve() as server:
        files = {}
        for path in msvd.iterdir():
            content = path.read_bytes()
            source = ["a/a", "0" * 40, path.name]
            facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            files[path.name] = AnnotationFile.model_validate(facts | {"sources": [source]})
            server.answers[f"/a/a/{'0' * 40}/{path.name}"] = whole(content)
        entry = benchmarks()["msvd"].model_copy(update={"fetch": files})
        monkeypatch.setattr(registry, "benchmarks", lambda: {"msvd": entry})
        monkeypatch.setattr(annotations, "ADDRESS", server.address + "/{repository}/{commit}/{path}")
        yield server


def test_fetch_puts_files_where_run_looks_and_says_where_videos_go(
    published: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XBENCH_DATA", str(tmp_path / "data"))
    result = run("fetch", "msvd")
    assert result.exit_code == 0
    assert f"fetched: {tmp_path / 'data' / 'MSVD' / 'test_list.txt'}" in result.stdout
    assert f"put them below {tmp_path / 'data' / 'MSVD' / 'videos'}" in result.stdout
    assert "already there" in run("fetch", "msvd/val").stdout
    assert "read as msvd/test" in run("verify", "msvd", "--annotations", tmp_path / "data" / "MSVD").stdout


def test_fetch_that_fails_ends_with_3_and_names_the_files(published: Server, tmp_path: Path) -> None:
    del published.answers[f"/a/a/{'0' * 40}/val_list.txt"]
    result = run("fetch", "msvd", "--to", tmp_path / "x")
    assert result.exit_code == 3
    assert "1 of 3 files are not there: val_list.txt" in result.stderr
    assert "404" in result.stdout


def test_fetch_of_lsmdc_says_where_to_go(tmp_path: Path) -> None:
    result = run("fetch", "lsmdc/test", "--to", tmp_path)
    assert result.exit_code == 3
    assert "not public" in result.stdout
    assert "describingmovies" in result.stdout
