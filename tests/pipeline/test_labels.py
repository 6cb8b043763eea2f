"""What a result is called: told from others of its model everywhere, changed without touching a number."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import xbench
from tests.pipeline.conftest import World
from xbench.cli import main
from xbench.errors import UsageError


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def saved(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


def test_a_checkpoint_gives_the_label_and_the_user_a_better_one(world: World, tmp_path: Path) -> None:
    done = invoke(*world.arguments())
    folder = world.checkpoint.parent.name
    assert f"xclip ViT-64x1/16, {folder}/4" in done.stdout.replace("\n", " ")
    path = saved(world.output)
    assert json.loads(path.read_text())["label"] == f"{folder}/4"
    assert path.name.startswith(f"didemo-paragraph_xclip_{folder}-4_")
    told = json.loads(invoke(*world.arguments("--label", "try 7", "--json")).stdout)
    assert told["label"] == "try 7"
    assert "label" not in told["settings"]["passed"]


def test_a_label_stands_in_tables_boards_pages_and_comparisons(world: World, tmp_path: Path) -> None:
    names = ("first try", "second try")
    for seed, name in enumerate(names):
        scores = np.random.default_rng(seed).normal(size=(6, 6))
        split = xbench.load_split("didemo", world.annotations)
        xbench.evaluate(scores, split=split, label=name).save(world.output)
    paths = sorted(world.output.glob("*.json"))
    compared = invoke("compare", *paths).stdout
    board = " ".join(invoke("leaderboard", world.output).stdout.split())
    invoke("report", paths[0], "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for name in names:
        assert name in compared
        assert name in board
    assert any(name in page for name in names)


def test_a_new_label_changes_nothing_that_was_measured(world: World) -> None:
    invoke(*world.arguments())
    path = saved(world.output)
    before = json.loads(path.read_text())
    assert invoke("label", path, "the one in the paper").exit_code == 0
    after = json.loads(path.read_text())
    assert after == before | {"label": "the one in the paper"}
    assert xbench.Result.load(path).label == "the one in the paper"
    assert invoke("label", path, "two\nlines").exit_code == 2
    assert invoke("label", world.annotations / "test_data.json", "x").exit_code == 3


def test_a_matrix_says_what_its_model_was(world: World, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.eye(6))
    said = ["--backbone", "ViT-B/32", "--source", "https://example.org/paper", "--setting", "zero-shot"]
    arguments = ["score", tmp_path / "s.npy", "--dataset", "didemo", "--annotations", world.annotations]
    more = ["--rows", "captions", "--label", "mine", "--output", world.output]
    assert invoke(*arguments, *more, *said).exit_code == 0
    record = json.loads(saved(world.output).read_text())
    assert record["scorer"]["settings"]["backbone"] == "ViT-B/32"
    assert record["scorer"]["zero_shot"] is True
    assert record["label"] == "mine"
    assert "scores from https://example.org/paper" in " ".join(
        invoke("leaderboard", world.output).stdout.split()
    )
    wrong = invoke(*arguments, "--setting", "few-shot")
    assert wrong.exit_code == 2
    assert "fine-tuned" in wrong.stderr or "zero-shot" in wrong.stderr


def test_a_result_takes_another_label() -> None:
    result = xbench.evaluate(np.eye(3), caption_to_video=[0, 1, 2])
    assert result.labelled("best").label == "best"
    assert result.label == ""
    with pytest.raises(UsageError, match="one line"):
        result.labelled("a\nb")
