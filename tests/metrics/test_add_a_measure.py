"""The recipe "add a measure": one class, and it is parsed, computed, saved, ranked, compared and gated by."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

import xbench
from xbench.cli import main
from xbench.errors import UsageError
from xbench.metrics.counts import Ints
from xbench.metrics.measures import CutoffMeasure, Floats, base, parse_measure


@pytest.fixture
def miss() -> Iterator[type[CutoffMeasure]]:
    """`Miss@K`, percentage of queries whose right item is not among the first K; gone after the test."""
    before = list(base._registered)

    @dataclass(frozen=True)
    class Miss(CutoffMeasure):
        symbol: ClassVar[str] = "Miss"
        place: ClassVar[int] = -1
        hub_name: ClassVar[str] = "miss_rate"
        higher_is_better: ClassVar[bool] = False
        is_share: ClassVar[bool] = True

        def gain(self, rank: Ints) -> Floats:
            return (rank > self.k).astype(np.float64)

        def total_gain(self, rank: Ints) -> Floats:
            return np.maximum(rank - self.k, 0).astype(np.float64)

    yield Miss
    base._registered[:] = before


def saved(folder: Path, name: str, noise: float) -> Path:
    random = np.random.default_rng(3)
    similarity = (np.eye(40) + noise * random.standard_normal((40, 40))).astype(np.float32)
    found = xbench.evaluate(similarity, caption_to_video=range(40), metrics="R@3,Miss@3", name=name)
    for side in ("t2v", "v2t"):
        assert found.metrics[side]["Miss@3"].value == pytest.approx(100 - found.metrics[side]["R@3"].value)
    path = found.save(folder)
    assert path is not None
    return path


def test_a_measure_is_one_class(miss: type[CutoffMeasure], tmp_path: Path) -> None:
    assert parse_measure("miss@3") == miss(3)
    good, bad = saved(tmp_path, "good", 0.3), saved(tmp_path, "bad", 0.8)
    run = CliRunner().invoke
    board = run(main, ["leaderboard", str(tmp_path), "--format", "csv"]).output.splitlines()
    header = board[0].split(",")
    rows = {line.split(",")[header.index("model")]: line.split(",") for line in board[1:]}
    assert header.index("Miss@3") < header.index("R@3")
    assert float(rows["good"][header.index("Miss@3")]) < float(rows["bad"][header.index("Miss@3")])
    card = run(main, ["leaderboard", str(good), "--format", "model-index"]).output
    assert "type: miss_rate_at_3" in card
    compared = json.loads(run(main, ["compare", str(good), str(bad), "--format", "json"]).output)
    tests = {each["measure"]: each["test"] for each in compared["versus"][0]["contrasts"]}
    assert tests["Miss@3"] == "McNemar, exact"
    checked = run(main, ["check", str(bad), "--baseline", str(good), "--max-drop", "t2v.Miss@3=0"])
    assert checked.exit_code == 1
    assert "t2v.Miss@3" in checked.output


def test_a_measure_that_is_gone_is_no_longer_known() -> None:
    with pytest.raises(UsageError, match="There is no measure 'Miss@3'"):
        parse_measure("Miss@3")
