"""`xbench queries` and `xbench show`: what stands behind a number, whole."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import xbench
from tests.pipeline.conftest import STEMS, World, small_checkpoint, world
from xbench.cli import main

__all__ = ["small_checkpoint", "world"]  # fixtures

SCORES = np.eye(6) + np.array([0, 0.5, 0, 0, 0, 0.2])  # video 1, then video 5, are closer to everything
SCORES[2] = [0.9, 1.5, 0.1, 0.3, 0.2, 0.4]  # caption 2: its video is last


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def scored(world: World, scores: np.ndarray, name: str) -> Path:
    np.save(world.output.parent / f"{name}.npy", scores)
    split = xbench.load_split("didemo", world.annotations)
    return xbench.evaluate(scores, split=split, name=name).save(world.output)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines() if line]


def test_the_worst_queries_come_first_with_what_was_found_instead(world: World) -> None:
    path = scored(world, SCORES, "s")
    at_hand = ["--annotations", world.annotations, "--similarity", world.output.parent / "s.npy"]
    listed = rows(invoke("queries", path, *at_hand, "--format", "jsonl", "--worst", "3"))
    assert len(listed) == 3
    worst = listed[0]
    assert (worst["query"], worst["video"], worst["rank"], worst["better"]) == (2, STEMS[2], 6.0, 5)
    assert worst["caption"] == "the cat 2 a dog runs 2"
    assert worst["wrong"][:2] == [[STEMS[1], 1.5], [STEMS[0], 0.9]]
    assert [row["rank"] for row in listed] == sorted((row["rank"] for row in listed), reverse=True)
    table = invoke("queries", path, *at_hand).stdout
    assert "the cat 2" in table
    assert max(map(len, table.splitlines())) <= 100


def test_the_ranks_listed_are_those_of_the_metrics_in_both_directions(world: World) -> None:
    path = scored(world, SCORES, "s")
    record = xbench.Result.load(path)
    for side in ("t2v", "v2t"):
        listed = rows(invoke("queries", path, "--direction", side, "--format", "jsonl", "--worst", "100"))
        assert np.mean([row["rank"] for row in listed]) == pytest.approx(record.metrics[side]["MnR"].value)


def test_video_to_text_finds_captions_instead(world: World) -> None:
    path = scored(world, SCORES, "s")
    at_hand = ["--annotations", world.annotations, "--similarity", world.output.parent / "s.npy"]
    listed = rows(invoke("queries", path, *at_hand, "--direction", "v2t", "--format", "jsonl"))
    (second,) = [row for row in listed if row["video"] == STEMS[1]]
    assert second["caption"] is None
    wrong = [2, 0, 3, 4, 5]  # of equal scores the first
    assert [name for name, _ in second["wrong"]] == [f"the cat {k} a dog runs {k}" for k in wrong]


def test_conditions_choose_and_csv_is_whole(world: World) -> None:
    path = scored(world, SCORES, "s")
    at_hand = ["--annotations", world.annotations]
    result = invoke(
        "queries", path, *at_hand, "--where", "rank > 1", "--where", "caption ~ CAT 2", "--format", "csv"
    )
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["query"] == "2"
    assert "--similarity" in result.stderr
    for wrong, said in (
        ("rnak > 1", "Did you mean 'rank'"),
        ("rank > x", "expected a number or one of rank"),
        ("rank", "write NAME"),
    ):
        refused = invoke("queries", path, "--where", wrong)
        assert refused.exit_code == 2
        assert said in refused.stderr
    assert invoke("queries", path, "--worst", "0").exit_code == 2


def test_against_lists_what_one_run_ranks_better(world: World) -> None:
    first, second = scored(world, SCORES, "s"), scored(world, np.eye(6), "t")
    listed = rows(invoke("queries", first, "--against", second, "--format", "jsonl"))
    assert listed[0]["query"] == 2
    assert (listed[0]["rank"], listed[0]["other"], listed[0]["lead"]) == (6.0, 1.0, -5.0)
    assert all(row["rank"] != row["other"] for row in listed)
    won = rows(invoke("queries", first, "--against", second, "--format", "jsonl", "--where", "rank < other"))
    assert won == []


def test_show_holds_every_list_in_full(world: World, tmp_path: Path) -> None:
    missing = STEMS[:4]
    for name in missing:
        (world.videos / "somewhere" / name).unlink()
    assert invoke(*world.arguments("--allow-missing")).exit_code == 0
    (path,) = world.output.glob("*.json")
    shown = invoke("show", path).stdout
    assert all(f"\n  {name}\n" in f"{shown}\n" for name in missing)
    assert "4 videos without a file:" in shown
    assert "allow_missing: True" in shown
    assert "sha256" in shown


def test_comparable_is_said_of_published_rows_only(world: World, shared: Path) -> None:
    annotations = shared / "annotations" / "DiDeMo"
    for protocol, said in (
        ("didemo/paragraph", "Comparable with published numbers of didemo/paragraph."),
        ("didemo/sentences", "The full protocol didemo/sentences; no published row."),
    ):
        split = xbench.load_split("didemo", annotations, protocol)
        owners = split.caption_to_video
        scores = (owners[:, None] == np.arange(len(split.videos))).astype(np.float32)
        assert said in str(xbench.evaluate(scores, split=split))
