"""What stands in the place of a video is told, by `run` and by `datasets verify` alike."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.pipeline.conftest import STEMS, World
from xbench.cli import main

ID = STEMS[0]
CAFE = "café"
STANDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda path: path.mkdir(), "it is a folder, not a file"),
    "a pipe": (os.mkfifo, "it is a pipe, not a file"),
    "a dangling link": (lambda path: path.symlink_to("gone"), "it is a link to gone, which is not there"),
    "a link to itself": (lambda path: path.symlink_to(path), "it is a link that leads to itself"),
    "another case": (lambda path: path.with_name(path.name.upper()).touch(), "in upper and lower case"),
    "an unfinished download": (lambda path: Path(f"{path}.part").touch(), "is an unfinished download"),
}


@pytest.mark.parametrize("kind", STANDS)
def test_what_stands_where_a_video_is_missing_is_told(world: World, kind: str) -> None:
    create, said = STANDS[kind]
    path = world.videos / "somewhere" / ID
    path.unlink()
    create(path)
    run = CliRunner().invoke(main, world.arguments())
    assert run.exit_code == 3
    assert said in run.stderr
    assert ID in run.stderr
    verified = CliRunner().invoke(main, ["datasets", "verify", "didemo", *_folders(world)])
    assert verified.exit_code == 3
    assert said in " ".join(verified.output.split())


def test_a_companion_of_a_download_is_told(world: World) -> None:
    path = world.videos / "somewhere" / ID
    Path(f"{path}.aria2").touch()
    for arguments in (world.arguments(), ["datasets", "verify", "didemo", *_folders(world)]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 3
        assert f"{ID}.aria2 lies beside it" in " ".join(result.output.split())


def _folders(world: World) -> list[str]:
    arguments = world.arguments()
    return [
        part
        for option in ("--annotations", "--videos")
        for part in (option, arguments[arguments.index(option) + 1])
    ]


def test_a_name_in_another_unicode_form_is_told(tmp_path: Path) -> None:
    from xbench.data.split import Caption, Split, Video
    from xbench.pipeline.absent import why_missing

    (tmp_path / f"{unicodedata.normalize('NFD', CAFE)}.mp4").touch()
    split = Split("msrvtt", "custom", (Video(CAFE),), (Caption("text", 0),))
    told = why_missing(split, [CAFE], tmp_path)
    assert "in the Unicode form of its letters: rename it to" in told[CAFE]
