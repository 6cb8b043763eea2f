"""Copies of a benchmark's videos: each id still finds its own, and the command says what failed."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from made_clips import make

from xbench.cli import main
from xbench.data.video_files import VideoFolder
from xbench.errors import DataError, UsageError
from xbench.pipeline.copies import plan_copies


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"video")
    return folder


def make_copies(benchmark: str, videos: Path, to: Path) -> dict[str, str]:
    pairs = plan_copies(benchmark, videos, to)
    touch(to, *(str(copy.relative_to(to)) for _, copy in pairs))
    return {str(video.relative_to(videos)): str(copy.relative_to(to)) for video, copy in pairs}


IDS = {
    "msvd": ["mv89psg6zh4_33_46"],
    "lsmdc": ["3086_UGLY_TRUTH_00.23.23.000-00.23.28.886"],
    "activitynet": ["uqiMw7tQ1Cc"],
    "didemo": ["a_1.mov", "a_1.mp4", "b_2.", "c_3.MPG"],
}


@pytest.mark.parametrize("benchmark", IDS)
def test_every_id_finds_its_copy(benchmark: str, tmp_path: Path) -> None:
    files = IDS[benchmark] if benchmark == "didemo" else [f"{name}.avi" for name in IDS[benchmark]]
    made = make_copies(benchmark, touch(tmp_path / "videos", *files), tmp_path / "small")
    folder = VideoFolder.index(tmp_path / "small")
    for video, file in zip(IDS[benchmark], files, strict=True):
        assert folder.find(video, benchmark) == tmp_path / "small" / made[file]


def test_copies_keep_their_subfolders_and_other_files_are_left_alone(tmp_path: Path) -> None:
    videos = touch(tmp_path / "videos", "one/a.avi", "two/b.mp4", "readme.txt")
    assert make_copies("msvd", videos, tmp_path / "small") == {
        "one/a.avi": "one/a.mp4",
        "two/b.mp4": "two/b.mp4",
    }


def test_two_videos_never_share_a_copy(tmp_path: Path) -> None:
    videos = touch(tmp_path / "videos", "a.avi", "a.mp4")
    with pytest.raises(DataError, match=r"a\.avi and .*a\.mp4 would both become"):
        plan_copies("msvd", videos, tmp_path / "small")


@pytest.mark.parametrize("to", ["videos", "videos/small"])
def test_copies_do_not_go_among_the_originals(to: str, tmp_path: Path) -> None:
    videos = touch(tmp_path / "videos", "a.avi")
    with pytest.raises(UsageError, match="inside --videos"):
        plan_copies("msvd", videos, tmp_path / to)


def test_a_folder_without_videos_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no video files"):
        plan_copies("msvd", touch(tmp_path / "videos", "notes.txt"), tmp_path / "small")


def test_the_command_makes_copies_lists_failures_and_ends_with_3(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    make(videos / "-a.avi", codec="mpeg4", frames=30)
    (videos / "b.avi").write_bytes(b"")
    arguments = [
        "datasets",
        "compress",
        "msvd/test",
        "--videos",
        str(videos),
        "--to",
        str(tmp_path / "small"),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 3
    assert f"failed: {videos / 'b.avi'}: it has zero bytes" in result.stdout
    assert "1 made, 0 kept, 1 failed" in result.stdout
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["-a.mp4"]
    (videos / "b.avi").unlink()
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 0
    assert "0 made, 1 kept, 0 failed" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["msvdd", "--videos", ".", "--to", "x"], "Did you mean 'msvd'"),
        (["msvd/tset", "--videos", ".", "--to", "x"], "Did you mean 'msvd/test'"),
        (["msvd", "--to", "x"], "Give --videos DIR or set XBENCH_DATA"),
        (["msvd", "--videos", "no-such-folder", "--to", "x"], "not a folder"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XBENCH_DATA", raising=False)
    result = CliRunner().invoke(main, ["datasets", "compress", *arguments])
    assert result.exit_code in (2, 3)
    assert message in result.stderr
