"""`xbench explain` and `report --explain`: what a score is made of, from what the run cached."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import xbench
from tests.pipeline.conftest import STEMS, World, small_checkpoint, world
from xbench.cli import main
from xbench.errors import UsageError
from xbench.pipeline.explaining import explain_pairs
from xbench.pipeline.material import find_places, gather_texts
from xbench.reports.record.files import read

__all__ = ["small_checkpoint", "world"]  # fixtures


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def ran(world: World, tmp_path: Path) -> Path:
    """The record of a run that saved its matrix."""
    outcome = invoke(*world.arguments("--save-similarity", tmp_path / "s.npy"))
    assert outcome.exit_code == 0, outcome.stderr
    (path,) = world.output.glob("*.json")
    return path


def explained(ran: Path, *more: str | Path) -> dict[str, Any]:
    outcome = invoke("explain", ran, *more, "--format", "json")
    assert outcome.exit_code == 0, outcome.stderr
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def packs(world: World) -> dict[Path, int]:
    return {path: path.stat().st_size for path in world.cache.rglob("*.pack")}


def test_the_parts_of_every_pair_add_up_to_the_score_that_was_saved(
    ran: Path, world: World, tmp_path: Path
) -> None:
    scores, before = np.load(tmp_path / "s.npy"), packs(world)
    for caption in range(2):
        for video, name in enumerate(sorted(STEMS)[:3]):
            found = explained(ran, "--caption", f"#{caption}", "--video", name)
            assert found["stored"] == scores[caption, video]
            assert sum(part["share"] for part in found["parts"]) == (
                pytest.approx(scores[caption, video], abs=1e-4)
            )
            assert len(found["parts"]) == 4
    assert packs(world) == before  # nothing was encoded again


def test_a_pair_is_found_by_any_of_its_names(ran: Path) -> None:
    named = [explained(ran, "--caption", name) for name in ("#2", f"{STEMS[2]}#0", STEMS[2])]
    assert named[0] == named[1] == named[2]
    assert (named[0]["video"], named[0]["right"]) == (STEMS[2], True)
    text = named[0]["caption"]
    assert explained(ran, "--caption", text, "--video", STEMS[0].removesuffix(".mov"))["right"] is False


def test_text_fits_a_terminal_and_the_picture_is_one(ran: Path, tmp_path: Path) -> None:
    shown = invoke("explain", ran, "--caption", "#0").stdout
    assert "attention over the frames, for each word" in shown
    assert re.search(r"The run saved -?[\d.]+: \S+ from the sum of the parts", shown)
    assert max(map(len, shown.splitlines())) <= 100
    target = tmp_path / "why.svg"
    assert invoke("explain", ran, "--caption", "#0", "--format", "svg", "-o", target).exit_code == 0
    picture = target.read_text()
    assert picture.startswith("<svg")
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert picture.count("<image") == 9


def test_features_that_are_gone_are_made_again(ran: Path, world: World) -> None:
    before = explained(ran, "--caption", "#1")
    shutil.rmtree(world.cache / "features")
    assert explained(ran, "--caption", "#1", "--cache-dir", world.cache) == before


def test_the_page_explains_the_worst_captions(ran: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = invoke("report", ran, "-o", page, "--explain", "2")
    assert outcome.exit_code == 0, outcome.stderr
    shown = page.read_text().split('<article class="query"')[1:]
    explained = [article.count('<details class="why">') for article in shown]
    assert all(
        5 <= many <= 6 for many in explained[:2]
    )  # five retrieved, and the right one if it is not there
    assert set(explained[2:]) == {0}
    refused = invoke("report", ran, "-o", page, "--explain", "21")
    assert refused.exit_code == 2
    assert "at most 20" in refused.stderr


@pytest.mark.parametrize(
    ("change", "more", "code", "said"),
    [
        ({}, ["--caption", "#77"], 2, "none of the 6 captions is called '#77'"),
        ({}, ["--caption", "#0", "--video", "9@N00_9_z.mov"], 2, "none of the 6 videos is called"),
        ({"checkpoint": "/gone/model.bin"}, ["--caption", "#0"], 4, "give --checkpoint FILE"),
        ({"model": "evil.py:Model"}, ["--caption", "#0"], 2, "code that a record names is not run"),
        ({"annotations": "/gone"}, ["--caption", "#0"], 3, "give --annotations DIR"),
        ({"videos": "/gone"}, ["--caption", "#0"], 2, "Where are the videos"),
    ],
)
def test_what_is_not_at_hand_is_told(
    ran: Path, change: dict[str, str], more: list[str], code: int, said: str
) -> None:
    record = json.loads(ran.read_text())
    record["settings"]["passed"] |= change
    ran.write_text(json.dumps(record))
    outcome = invoke("explain", ran, *more)
    assert outcome.exit_code == code, outcome.stderr
    assert said in " ".join(outcome.stderr.split())


def test_another_model_or_video_than_that_of_the_run_is_found_out(
    ran: Path, world: World, tmp_path: Path
) -> None:
    import torch

    state = torch.load(world.checkpoint)
    state["local_mat_weight"] = state["local_mat_weight"] * 1.5
    torch.save(state, tmp_path / "pytorch_model.bin.5")
    outcome = invoke("explain", ran, "--caption", "#0", "--checkpoint", tmp_path / "pytorch_model.bin.5")
    assert outcome.exit_code == 4
    assert "--checkpoint gives others" in outcome.stderr
    folder = world.videos / "somewhere"
    shutil.copy(folder / STEMS[1], folder / STEMS[0])
    outcome = invoke("explain", ran, "--caption", STEMS[0])
    assert outcome.exit_code == 3
    assert "but its model gives" in outcome.stderr


def test_a_matrix_and_a_scorer_that_cannot_tell_are_refused(world: World, tmp_path: Path) -> None:
    split = xbench.load_split("didemo", world.annotations)
    scored = xbench.evaluate(np.eye(6), split=split, name="s").save(tmp_path)
    outcome = invoke("explain", scored, "--caption", "#0", "--annotations", world.annotations)
    assert outcome.exit_code == 2
    assert "was made from scores" in outcome.stderr


def test_scores_of_two_stages_are_not_explained_as_of_one(ran: Path, world: World) -> None:
    measured = read(ran)
    record = measured.record.model_copy(update={"reranked": SimpleNamespace(k=3)})
    places = find_places(record, world.annotations, world.videos, None)
    material = gather_texts(measured, places)
    with pytest.raises(UsageError, match="was made in two stages"):
        explain_pairs(replace(measured, record=record), material, places, [(0, 0)])


MUTE = """
import torch
class Model:
    name, identity, settings, block = "mute", None, {}, (8, 8)
    from xbench.scorers.base import VideoInput
    video_input = VideoInput(size=16, max_frames=2)
    def encode_texts(self, texts):
        return {"v": torch.tensor([[float(len(text)), 1.0] for text in texts])}
    def encode_videos(self, frames, mask):
        return {"v": torch.stack([frames.mean((1, 2, 3, 4)), frames.std((1, 2, 3, 4))], 1)}
    def similarity(self, text, video):
        return text["v"] @ video["v"].T
"""
TELLS = """
    def explain(self, caption, text, video):
        from xbench.metrics.explanation import Explanation, Part
        products = (text["v"][0] * video["v"][0]).tolist()
        parts = Part("length", products[0], products[0]), Part("spread", products[1], SHARE)
        return Explanation(parts, (), ())
"""


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        (MUTE, 2, "it has no explain()"),
        (MUTE + TELLS.replace("SHARE", "products[1]"), 0, ""),
        (MUTE + TELLS.replace("SHARE", "2 * products[1]"), 4, "does not add up"),
        (MUTE + TELLS.replace("SHARE", "float('nan')"), 4, "'spread' is not finite"),
        (MUTE + TELLS.replace("SHARE", "1 / 0"), 4, "explain of mute failed: ZeroDivisionError"),
    ],
)
def test_any_scorer_may_tell(world: World, tmp_path: Path, code: str, exit_code: int, said: str) -> None:
    model = tmp_path / "mute.py"
    model.write_text(code)
    run = ("--dataset", "didemo", "--annotations", world.annotations, "--videos", world.videos)
    assert invoke("run", "--model", f"{model}:Model", *run, "--output", world.output).exit_code == 0
    (path,) = world.output.glob("*.json")
    refused = invoke("explain", path, "--caption", "#0")
    assert refused.exit_code == 2
    assert "code that a record names is not run" in refused.stderr
    outcome = invoke("explain", path, "--caption", "#0", "--model", f"{model}:Model")
    assert outcome.exit_code == exit_code, outcome.stderr
    assert said in outcome.stderr
