"""What people do with the record of a run, through the command line: report, compare, check, leaderboard."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.pipeline.conftest import STEMS, World
from xbench.cli import main


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def ran(world: World, tmp_path: Path) -> Path:
    """The record of a run that saved its matrix."""
    outcome = CliRunner().invoke(main, world.arguments("--save-similarity", tmp_path / "s.npy"))
    assert outcome.exit_code == 0, outcome.stderr
    (path,) = world.output.glob("*.json")
    return path


def test_the_report_finds_what_the_run_was_given(ran: Path, tmp_path: Path) -> None:
    outcome = invoke("report", ran, "-o", tmp_path / "report.html")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == ""
    page = (tmp_path / "report.html").read_text()
    assert "a dog runs 3" in page
    assert STEMS[0] in page
    assert page.count("data:image/jpeg") == len(STEMS)
    assert "data:image/png" in page
    assert "not at hand" not in page


def test_the_report_leaves_out_what_is_gone_and_says_so(ran: Path, world: World, tmp_path: Path) -> None:
    (tmp_path / "s.npy").unlink()
    (world.annotations / "test_data.json").unlink()
    outcome = invoke("report", ran, "-o", tmp_path / "report.html")
    assert outcome.exit_code == 0, outcome.stderr
    page = (tmp_path / "report.html").read_text()
    assert "The similarity matrix is not at hand" in page
    assert "The captions are not at hand" in page
    assert "give --annotations DIR" in page


def test_a_video_that_no_longer_decodes_is_shown_without_a_picture(
    ran: Path, world: World, tmp_path: Path
) -> None:
    (world.videos / "somewhere" / STEMS[0]).write_bytes(b"no video")
    assert invoke("report", ran, "-o", tmp_path / "report.html").exit_code == 0
    assert (tmp_path / "report.html").read_text().count("data:image/jpeg") == len(STEMS) - 1


def test_what_the_user_names_must_be_there_and_of_this_run(ran: Path, world: World, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    other, flat, damaged = tmp_path / "other.npy", tmp_path / "flat.npy", tmp_path / "damaged.npy"
    np.save(other, np.random.default_rng(0).standard_normal((6, 6)).astype(np.float32))
    np.save(flat, np.zeros(6))
    damaged.write_bytes(b"\x93NUMPY")
    annotations = tmp_path / "edited"
    annotations.mkdir()
    sentences = json.loads((world.annotations / "test_data.json").read_text())
    for sentence in sentences:
        sentence["description"] += " edited"
    (annotations / "test_data.json").write_text(json.dumps(sentences))
    (annotations / "test_list.txt").write_bytes((world.annotations / "test_list.txt").read_bytes())
    for option, value, message in (
        ("--similarity", other, "is not the one that"),
        ("--similarity", flat, "holds no matrix"),
        ("--similarity", damaged, "cannot read the similarity"),
        ("--similarity", tmp_path / "gone.npy", "cannot read the similarity"),
        ("--annotations", annotations, "are not those that"),
        ("--annotations", tmp_path / "gone", "is not a folder"),
        ("--videos", tmp_path / "gone", "is not a folder"),
    ):
        outcome = invoke("report", ran, "-o", page, option, value)
        assert outcome.exit_code == 3, (option, value)
        assert message in outcome.stderr
        assert not page.exists()


def test_a_run_compares_checks_and_ranks_with_itself(ran: Path, world: World) -> None:
    compared = invoke("compare", ran, ran)
    assert compared.exit_code == 0
    assert "+0.0 to +0.0" in compared.stdout
    assert invoke("check", ran, "--baseline", ran, "--significance", "0.05").exit_code == 0
    assert invoke("check", ran, "--baseline", "published").exit_code == 3
    board = invoke("leaderboard", world.output)
    assert board.exit_code == 0
    assert "not comparable: " in " ".join(board.stdout.split())


def test_two_runs_over_different_videos_cannot_be_compared(ran: Path, world: World, tmp_path: Path) -> None:
    limited = tmp_path / "limited"
    arguments = [*world.arguments("--limit", "4"), "--output", str(limited)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    (other,) = limited.glob("*.json")
    outcome = invoke("compare", ran, other)
    assert outcome.exit_code == 2
    assert "captions: 6 and 4" in outcome.stderr
    assert invoke("check", other, "--baseline", ran).exit_code == 2


def test_a_failed_check_exits_with_1(ran: Path, tmp_path: Path) -> None:
    raw = json.loads(ran.read_text())
    raw["metrics"]["t2v"]["R@1"]["value"] += 1
    better = tmp_path / "better.json"
    better.write_text(json.dumps(raw))
    outcome = invoke("check", ran, "--baseline", better, "--max-drop", "R@1=0.5")
    assert outcome.exit_code == 1
    assert "t2v.R@1 worse by 1.00" in outcome.stderr


def test_two_results_are_a_folder_of_pages_and_one_may_be(ran: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "beside"
    outcome = invoke("report", ran, ran, "-o", folder)
    assert outcome.exit_code == 0, outcome.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["a.html", "b.html", "index.html"]
    page = (folder / "index.html").read_text()
    assert "two results side by side" in page
    assert "a dog runs 3" in page
    assert invoke("report", ran, "-o", folder).exit_code == 0
    assert "two results side by side" not in (folder / "index.html").read_text()


def test_what_cannot_be_put_side_by_side_is_refused_and_nothing_written(
    ran: Path, world: World, tmp_path: Path
) -> None:
    limited = tmp_path / "limited"
    assert invoke(*world.arguments("--limit", "4"), "--output", limited).exit_code == 0
    (other,) = limited.glob("*.json")
    file = tmp_path / "file"
    file.write_text("kept")
    for arguments, code, said in (
        ((ran, other), 2, "captions: 6 and 4"),
        ((ran, ran, ran), 2, "one result, or two side by side"),
        ((ran, "--similarity", file, "--similarity", file), 2, "one --similarity at most"),
        ((ran, "--explain", "0"), 2, "a whole number"),
        ((ran, ran, "-o", file), 3, "is a file, and two results make a folder"),
    ):
        where = () if "-o" in arguments else ("-o", tmp_path / "none")
        outcome = invoke("report", *arguments, *where)
        assert outcome.exit_code == code, (arguments, outcome.stderr)
        assert said in " ".join(outcome.stderr.split())
        assert not (tmp_path / "none").exists()
    assert file.read_text() == "kept"
