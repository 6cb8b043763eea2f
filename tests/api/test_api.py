"""The Python API gives what the command line gives, with objects in memory and without files too."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import xbench
from tests.pipeline.conftest import STEMS, World, small_checkpoint, world
from xbench.cli import main
from xbench.errors import DataError, ModelError, UsageError
from xbench.metrics.measures import parse_measure
from xbench.scorers.base import VideoInput

__all__ = ["small_checkpoint", "world"]  # fixtures


class MeanColour:
    """A scorer in a dozen lines: compares the mean colour of a video with the letters of a caption."""

    name = "mean-colour"
    video_input = VideoInput(size=16, max_frames=4)
    identity = None
    settings: dict[str, Any] = {}  # noqa: RUF012
    block = (4, 4)

    def encode_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor([[len(text), text.count("a"), 1.0] for text in texts])}

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        assert frames.shape[1:] == (4, 3, 16, 16)
        return {"x": frames.sum((1, 3, 4)) / mask.sum(1, keepdim=True)}

    def similarity(self, text: dict[str, torch.Tensor], video: dict[str, torch.Tensor]) -> torch.Tensor:
        return text["x"] @ video["x"].T


def options(world: World) -> dict[str, Any]:
    return {"annotations": world.annotations, "videos": world.videos, "cache_dir": world.cache}


def test_run_gives_the_numbers_of_the_command_line(world: World) -> None:
    printed = json.loads(CliRunner().invoke(main, world.arguments("--json")).stdout)
    result = xbench.run("xclip", "didemo", checkpoint=world.checkpoint, bpe=world.bpe, **options(world))
    assert result.record.model_dump(mode="json")["metrics"] == printed["metrics"]
    assert result.record.protocol.model_dump() == printed["protocol"]
    assert result.record.settings.passed["checkpoint"] == str(world.checkpoint)
    assert result.record.settings.defaulted["ties"] == "average"


def test_a_model_object_in_memory_is_scored_and_leaves_no_features_behind(world: World) -> None:
    first = xbench.run(MeanColour(), "didemo", **options(world))
    second = xbench.run(MeanColour(), "didemo", **options(world))
    assert first.metrics == second.metrics
    assert first.record.scorer.name == "mean-colour"
    assert not world.cache.exists()


def test_options_of_named_models_are_refused_for_an_object(world: World) -> None:
    with pytest.raises(UsageError, match="checkpoint is for a model given by name"):
        xbench.run(MeanColour(), "didemo", checkpoint=world.checkpoint, **options(world))


def test_a_result_survives_saving_and_loading(world: World, tmp_path: Path) -> None:
    saved = xbench.run(MeanColour(), "didemo", label="grey", **options(world))
    path = saved.save(tmp_path / "out")
    loaded = xbench.Result.load(path)
    assert (loaded.path, loaded.label) == (path, "grey")
    assert loaded.metrics == saved.metrics
    assert loaded.per_query.t2v.better.tolist() == saved.per_query.t2v.better.tolist()
    with pytest.raises(DataError, match="absent"):
        xbench.Result.load(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "kind", [np.float32, np.float64, np.float16, torch.float32, torch.float16, torch.bfloat16]
)
def test_evaluate_takes_numpy_and_torch(kind: Any) -> None:
    scores = torch.eye(4).to(kind) if isinstance(kind, torch.dtype) else np.eye(4, dtype=kind)
    result = xbench.evaluate(scores, caption_to_video=[0, 1, 2, 3])
    assert result.metrics["t2v"]["R@1"].value == 100
    assert result.comparable is False


def test_evaluate_with_several_captions_ranks_both_ways() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    result = xbench.evaluate(scores, caption_to_video=[0, 0, 1])
    assert result.metrics["t2v"]["R@1"].value == pytest.approx(200 / 3)
    assert result.record.queries == {"t2v": 3, "v2t": 2}
    assert result.metrics["v2t"]["R@1"].value == pytest.approx(50)  # 0.8 of caption 1 beats 0.7 of caption 2


def test_evaluate_on_a_split_is_recognised_by_its_fingerprint(world: World) -> None:
    split = xbench.load_split("didemo", world.annotations)
    assert [video.id for video in split.videos] == STEMS
    result = xbench.evaluate(np.eye(6), split=split, name="mine")
    assert result.record.protocol.requested == "didemo/paragraph"
    assert result.record.protocol.fingerprint.videos == 6
    assert not result.comparable


def test_wrong_arguments_of_evaluate_are_told() -> None:
    scores = np.eye(3)
    with pytest.raises(UsageError, match="either split or caption_to_video"):
        xbench.evaluate(scores)
    with pytest.raises(DataError, match="rows captions"):
        xbench.evaluate(scores, caption_to_video=[0, 1])
    with pytest.raises(DataError, match="videos"):
        xbench.evaluate(scores, caption_to_video=[0, 1, 3])
    with pytest.raises(UsageError, match="one integer"):
        xbench.evaluate(scores, caption_to_video=[0.0, 1.0, 2.0])  # type: ignore[list-item]
    with pytest.raises(DataError, match="NaN"):
        xbench.evaluate(scores * np.nan, caption_to_video=[0, 1, 2])


def test_a_result_shows_itself_as_text_frame_and_html() -> None:
    result = xbench.evaluate(np.eye(3), caption_to_video=[0, 1, 2], name="<b>mine</b>")
    frame = result.to_frame()
    assert list(frame.columns) == ["direction", "metric", "value", "low", "high"]
    assert frame.set_index(["direction", "metric"]).loc[("t2v", "R@1"), "value"] == 100
    assert "NOT COMPARABLE" in str(result)
    page = result._repr_html_()
    assert "<b>mine</b>" not in page
    assert "NOT COMPARABLE" in page
    assert "R@1 100.0" in repr(result)


def test_two_results_are_compared_query_by_query() -> None:
    generator = np.random.default_rng(0)
    scores = generator.standard_normal((60, 60))
    better = scores + 3 * np.eye(60)
    weak = xbench.evaluate(scores, caption_to_video=range(60), name="weak")
    strong = xbench.evaluate(better, caption_to_video=range(60), name="strong")
    comparison = xbench.compare(weak, strong, metrics="R@1")
    assert "R@1" in str(comparison)
    assert "strong" in str(comparison)
    other = xbench.evaluate(scores[:50, :50], caption_to_video=range(50))
    with pytest.raises(UsageError):
        xbench.compare(weak, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"post": "DSL"}, "post-processing"),
        ({"ties": "avrage"}, "Did you mean 'average'"),
        ({"v2t": "best"}, "video-to-text"),
        ({"metrics": "R@"}, "measure"),
    ],
)
def test_an_unknown_value_of_an_option_is_never_ignored(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        xbench.evaluate(np.eye(3), caption_to_video=[0, 1, 2], **options)


def test_an_unknown_sampling_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="sampling"):
        xbench.run(MeanColour(), "didemo", sampling="banana", **options(world))  # type: ignore[arg-type]


def test_scores_are_taken_as_lists_and_with_gradients_but_not_of_other_kinds() -> None:
    as_list = [[1.0, 0.0], [0.0, 1.0]]
    for scores in (as_list, torch.eye(2, requires_grad=True)):
        result = xbench.evaluate(scores, caption_to_video=[0, 1])  # type: ignore[arg-type]
        assert result.metrics["t2v"]["R@1"].value == 100
    for wrong in (
        np.eye(2) * 1j,
        np.ones(4),
        np.array([[None] * 2] * 2),
        torch.ones(2, 2, dtype=torch.complex64),
    ):
        with pytest.raises(DataError, match="two-dimensional and of real numbers"):
            xbench.evaluate(wrong, caption_to_video=[0, 1])


def test_measures_are_taken_as_a_list_of_names_or_of_measures() -> None:
    asked = {"caption_to_video": [0, 1, 2, 3]}
    as_text = xbench.evaluate(np.eye(4), metrics="R@2,MdR", **asked)
    for measures in (["R@2", "MdR"], ("R@2", "mdr"), [parse_measure("R@2"), "MdR"]):
        result = xbench.evaluate(np.eye(4), metrics=measures, **asked)
        assert result.metrics == as_text.metrics
        assert result.record.settings == as_text.record.settings
    for wrong in (["R@1", "R@"], [], [1.0]):
        with pytest.raises(UsageError):
            xbench.evaluate(np.eye(4), metrics=wrong, **asked)  # type: ignore[arg-type]


def test_the_right_video_may_be_told_by_a_mask() -> None:
    scores = np.random.default_rng(0).normal(size=(6, 4)) + 2 * np.eye(6, 4)
    owners = np.array([0, 1, 2, 3, 0, 1])
    mask = owners[:, None] == np.arange(4)
    by_index = xbench.evaluate(scores, caption_to_video=owners)
    assert xbench.evaluate(scores, caption_to_video=mask).metrics == by_index.metrics
    for wrong in (mask[:, :3], mask[:5], mask | (owners[:, None] == 0), np.zeros_like(mask)):
        with pytest.raises(UsageError, match="true once in each row"):
            xbench.evaluate(scores, caption_to_video=wrong)


def test_the_mask_of_a_masked_array_is_not_ignored() -> None:
    scores = np.ma.masked_array(np.eye(4), mask=np.zeros((4, 4), bool))
    assert xbench.evaluate(scores, caption_to_video=range(4)).metrics["t2v"]["R@1"].value == 100
    scores[1, 2] = np.ma.masked
    with pytest.raises(DataError, match="1 of the 16 entries of similarity are masked"):
        xbench.evaluate(scores, caption_to_video=range(4))


def test_the_api_is_listed_before_it_is_loaded() -> None:
    code = "import sys, xbench; names = dir(xbench); assert 'xbench.api' not in sys.modules; print(*names)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"Result", "compare", "evaluate", "load_split", "run"} <= set(done.stdout.split())


def test_results_comparisons_and_differences_show_tables_with_intervals_in_a_notebook() -> None:
    generator = np.random.default_rng(0)
    scores = generator.standard_normal((60, 60))
    weak = xbench.evaluate(scores, caption_to_video=range(60), name="<weak>")
    strong = xbench.evaluate(scores + 3 * np.eye(60), caption_to_video=range(60), name="strong")
    for shown in (weak, xbench.compare(weak, strong)):
        page = shown._repr_html_()
        assert "<table>" in page
        assert "&lt;weak&gt;" in page
        assert "<weak>" not in page
    value = weak.metrics["t2v"]["R@1"]
    assert f"{value.value:.1f} ({value.low:.1f} - {value.high:.1f})" in weak._repr_html_()


def test_an_object_that_is_no_scorer_is_told_what_it_lacks(world: World) -> None:
    class Half:
        name = "half"

    with pytest.raises(ModelError, match="similarity"):
        xbench.run(Half(), "didemo", **options(world))  # type: ignore[arg-type]
