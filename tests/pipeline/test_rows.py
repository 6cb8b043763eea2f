"""What a run can be asked beside the usual: other measures, dual softmax rows, another frame sampling."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.pipeline.conftest import World, write_video
from xbench.cli import main
from xbench.engine.store import stored
from xbench.metrics.dsl import dsl_counts


def invoke(world: World, *more: str) -> Result:
    return CliRunner().invoke(main, world.arguments(*more), catch_exceptions=False)


def test_measures_are_those_that_were_asked_for(world: World) -> None:
    saved = json.loads(invoke(world, "--json", "--metrics", "R@2,MRR,nDCG@10,RSum").stdout)
    assert list(saved["metrics"]["t2v"]) == ["R@2", "MRR", "nDCG@10", "RSum"]
    wrong = invoke(world, "--metrics", "R@0")
    assert wrong.exit_code == 2
    assert "R@0" in wrong.stderr


def test_dual_softmax_is_a_second_row_that_is_never_comparable(world: World, tmp_path: Path) -> None:
    raw, dsl = json.loads(
        invoke(world, "--json", "--post", "dsl", "--save-similarity", str(tmp_path / "s.npy")).stdout
    )
    assert (raw["post_processing"], dsl["post_processing"]) == ("none", "dsl")
    assert raw["metrics"] == json.loads(invoke(world, "--json").stdout)["metrics"]
    assert any("dsl" in reason for reason in dsl["not_comparable_because"])
    assert not any("dsl" in reason for reason in raw["not_comparable_because"])
    t2v, v2t = dsl_counts(np.load(tmp_path / "s.npy"), np.arange(6))
    for direction, counts in (("t2v", t2v), ("v2t", v2t)):
        mean = (counts.better + 1 + counts.tied / 2).mean()
        assert dsl["metrics"][direction]["MnR"]["value"] == pytest.approx(mean)
    assert len(list(world.output.glob("*.json"))) == 3
    assert "+ dsl" in invoke(world, "--post", "dsl").stdout


def test_dual_softmax_is_refused_before_any_work_where_videos_have_several_captions(world: World) -> None:
    refused = invoke(world, "--post", "dsl", "--protocol", "didemo/sentences")
    assert refused.exit_code == 2
    assert "exactly one caption" in refused.stderr
    assert not list(world.cache.rglob("*.safetensors"))


def test_the_sampling_is_recorded_and_takes_other_frames(world: World) -> None:
    for seed, path in enumerate((world.videos / "somewhere").iterdir()):
        write_video(path, seed=seed, seconds=7)

    def run(*more: str) -> dict[str, Any]:
        return dict(json.loads(invoke(world, "--json", *more).stdout))

    usual, published, uniform = run(), run("--sampling", "published"), run("--sampling", "uniform")
    assert usual["scorer"]["settings"]["sampling"] == "published"
    assert uniform["scorer"]["settings"]["sampling"] == "uniform"
    assert usual["metrics"] == published["metrics"]
    assert [each.videos for each in stored(world.cache)] == [12]  # the two samplings never share features
    steps, same = run("--sampling", "every=2"), run("--sampling", "every=2.0")
    assert steps["scorer"]["settings"]["sampling"] == same["scorer"]["settings"]["sampling"] == "every=2"
    assert [each.videos for each in stored(world.cache)] == [18]
    refused = invoke(world, "--sampling", "segments=100x4")
    assert refused.exit_code == 2
    assert "segments=100x4 takes 400 frames, and max_frames is" in refused.stderr
