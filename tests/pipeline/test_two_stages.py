"""Two stages in a run: what finds the candidates, what ranks them, and what the record says of both."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import xbench
from tests.pipeline.conftest import FRAMES, WORDS, World
from xbench.cli import main
from xbench.data.loading import load_split
from xbench.engine.similarity import distinct
from xbench.errors import DataError, ModelError, UsageError, XbenchError
from xbench.metrics.reranking import TwoStages, second_scores
from xbench.scorers.base import Features, VideoInput
from xbench.scorers.clip.sizes import RetrievalSizes, infer_clip_sizes
from xbench.scorers.clip4clip.sizes import tight_shapes


@pytest.fixture(scope="session")
def tight(small_checkpoint: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of CLIP4Clip's tight type with the towers of the small X-CLIP."""
    weights = torch.load(small_checkpoint[0])
    state = {name: tensor for name, tensor in weights.items() if name.startswith("clip.")}
    towers = infer_clip_sizes(state, "small", "clip.")
    sizes = RetrievalSizes(towers, "tightTransf", WORDS, FRAMES, temporal_layers=1, positions=16)
    generator = torch.Generator().manual_seed(0)
    for name, shape in tight_shapes(sizes).items():
        if name not in state:
            state[name] = torch.randn(shape, generator=generator) * 0.3
    path = tmp_path_factory.mktemp("tight") / "pytorch_model.bin.1"
    torch.save(state, path)
    return path


def asked(world: World, **more: Any) -> dict[str, Any]:
    """The options of a run on the world, without a model."""
    return {
        "dataset": "didemo",
        "annotations": world.annotations,
        "videos": world.videos,
        "cache_dir": world.cache,
        **more,
    }


def second(world: World, tight: Path, **more: Any) -> dict[str, Any]:
    args = {"words": WORDS, "frames": FRAMES}
    return asked(world, checkpoint=tight, bpe=world.bpe, model_args=args, **more)


@pytest.fixture
def matrices(world: World, tight: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The whole matrices of X-CLIP and of tightTransf on the world."""
    first, other = tmp_path / "first.npy", tmp_path / "second.npy"
    xbench.run("xclip", **asked(world, checkpoint=world.checkpoint, bpe=world.bpe, save_similarity=first))
    xbench.run("clip4clip", **second(world, tight, save_similarity=other))
    return first, other


@pytest.mark.parametrize("k", [1, 2, 4, 100])
def test_ranks_are_those_of_both_matrices_whatever_is_first(
    world: World, tight: Path, matrices: tuple[Path, Path], k: int
) -> None:
    scores = [np.load(path) for path in matrices]
    split = load_split("didemo", world.annotations)
    texts = [caption.text for caption in split.captions]
    stages = TwoStages(
        scores[0], distinct(texts, split.caption_to_video)[1], split.caption_to_video, split.v2t, k
    )
    expected = stages.counts(second_scores(scores[1], stages))
    of_file = {"first": matrices[0], "rows": "captions"}
    args = {"checkpoint": str(world.checkpoint), "bpe": str(world.bpe)}
    for first in (of_file, {"first": "xclip", "first_args": args}):
        found = xbench.run(None, **second(world, tight, rerank="clip4clip", k=k, **first))
        for side in ("t2v", "v2t"):
            counts, wanted = getattr(found.per_query, side), getattr(expected, side)
            assert np.array_equal(counts.better, wanted.better)
            assert np.array_equal(counts.tied, wanted.tied)
            assert np.array_equal(counts.right, wanted.right)  # to the bit, in whatever company it was scored
        assert found.record.reranked is not None
        assert found.record.reranked.pairs == len(stages.pairs)
        assert found.record.reranked.outside == expected.outside


def test_every_form_of_a_result_says_what_was_reranked(
    world: World, tight: Path, matrices: tuple[Path, Path]
) -> None:
    first = {"first": matrices[0], "rows": "captions"}
    found = xbench.run(None, **second(world, tight, rerank="clip4clip", k=2, **first))
    said = "re-ranked the first 2 of first"
    assert said in str(found).replace("\n  ", " ")
    assert said in repr(found)
    assert said in found._repr_html_()
    assert any(said in reason for reason in found.not_comparable_because)
    path = found.save(world.output)
    assert xbench.Result.load(path).record.reranked == found.record.reranked
    for command in (["show"], ["leaderboard", "--format", "md"], ["leaderboard", "--format", "csv"]):
        shown = CliRunner().invoke(main, [*command, str(path)])
        assert shown.exit_code == 0, shown.output
        assert "re-ranked" in shown.stdout or "rerank" in shown.stdout


class Mean:
    """A re-ranker and nothing else: closeness of a text's length and a video's mean, pair by pair."""

    name = "mean"
    settings = {"precision": "fp32"}  # noqa: RUF012
    stop_after = 10**9
    calls = 0

    def __init__(self, identity: dict[str, str] | None = None) -> None:
        self.identity = identity
        self.video_input = VideoInput(size=32, max_frames=FRAMES)

    def encode_texts(self, texts: Any) -> Features:
        return {"length": torch.tensor([[float(len(text))] for text in texts])}

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        return {"mean": frames.mean(dim=(1, 2, 3, 4))[:, None]}

    def rerank(self, text: Features, videos: Features) -> torch.Tensor:
        if Mean.calls == Mean.stop_after:
            raise KeyboardInterrupt
        Mean.calls += 1
        return -(text["length"] / 10 - videos["mean"])[:, 0].abs()


class Listwise(Mean):
    def rerank(self, text: Features, videos: Features) -> torch.Tensor:
        return super().rerank(text, videos).softmax(dim=0)


class Turned(Mean):
    def rerank(self, text: Features, videos: Features) -> torch.Tensor:
        return super().rerank(text, videos)[:, None]


def test_a_stopped_run_goes_on_from_the_pairs_that_it_scored(
    world: World, matrices: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(identity: dict[str, str] | None) -> xbench.Result:
        monkeypatch.setattr(Mean, "calls", 0)
        return xbench.run(
            None, **asked(world, rerank=Mean(identity), first=matrices[0], rows="captions", k=3)
        )

    whole = run(None)
    every = Mean.calls
    monkeypatch.setattr(Mean, "stop_after", every - 4)
    with pytest.raises(KeyboardInterrupt):
        run({"code": "1"})
    monkeypatch.setattr(Mean, "stop_after", 10**9)
    again = run({"code": "1"})
    assert Mean.calls < every
    assert np.array_equal(again.per_query.t2v.right, whole.per_query.t2v.right)
    assert again.metrics == whole.metrics
    assert not list((world.cache / "scoring").glob("*"))


def test_a_killed_run_gives_the_same_bits(world: World, tight: Path, matrices: tuple[Path, Path]) -> None:
    options = [
        *("--rerank", "clip4clip", "--first", matrices[0], "--rows", "captions", "--k", "3"),
        *("--dataset", "didemo", "--annotations", world.annotations, "--videos", world.videos),
        *("--checkpoint", tight, "--bpe", world.bpe, "--cache-dir", world.cache, "--output", world.output),
        *("--model-args", f"words={WORDS}", "--model-args", f"frames={FRAMES}", "--json"),
    ]
    command = [sys.executable, "-m", "xbench", "run", *map(str, options)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list((world.cache / "scoring").glob("*/*.pack")) and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    done = subprocess.run(command, capture_output=True, check=True)
    whole = xbench.run(
        None, **second(world, tight, rerank="clip4clip", first=matrices[0], rows="captions", k=3)
    )
    printed = json.loads(done.stdout)
    assert printed["reranked"]["pairs"] == whole.record.reranked.pairs  # type: ignore[union-attr]
    saved = xbench.Result.load(next(world.output.glob("*.json")))
    assert np.array_equal(saved.per_query.t2v.right, whole.per_query.t2v.right)
    assert np.array_equal(saved.per_query.v2t.right, whole.per_query.v2t.right)


@pytest.mark.parametrize(("kind", "said"), [(Listwise, "no softmax"), (Turned, "it must be")])
def test_a_reranker_that_breaks_its_contract_is_refused(
    world: World, matrices: tuple[Path, Path], kind: type[Mean], said: str
) -> None:
    with pytest.raises(ModelError, match=said) as raised:
        xbench.run(None, **asked(world, rerank=kind(), first=matrices[0], rows="captions", k=6))
    assert f"{kind.__name__}.rerank" in str(raised.value)


def test_a_reranker_alone_is_asked_for_every_pair(world: World) -> None:
    found = xbench.run(Mean(), **asked(world))  # type: ignore[arg-type]
    assert found.record.reranked is None
    assert found.record.queries == {"t2v": 6, "v2t": 6}


@pytest.mark.parametrize(
    ("more", "kind", "said"),
    [
        ({"first": None}, UsageError, "--rerank MODEL needs what finds"),
        ({"model": "xclip"}, UsageError, "takes the place of --model"),
        ({"post": "dsl"}, UsageError, "needs the score of every pair"),
        ({"save_similarity": "s.npy"}, UsageError, "saves the score of every pair"),
        ({"ties": "reference"}, UsageError, "has no second stage"),
        ({"ray": "local"}, UsageError, "leave --ray out"),
        ({"first": "/nowhere/s.npy"}, DataError, "there is no file"),
        ({"first": "xclipp"}, UsageError, "--first xclipp: There is no model"),
        ({"first": "features", "first_args": {}}, UsageError, "--first features"),
        ({"first_args": {"words": 3}}, UsageError, "--first is a file"),
        ({"first": "xclip", "rows": "captions"}, UsageError, "--first is a model"),
        ({"rerank": "features"}, UsageError, "needs --text-features|has no model"),
        ({"rows": None}, UsageError, "--rows captions"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_does_not_go_together_is_refused(
    world: World, tmp_path: Path, more: dict[str, Any], kind: type[XbenchError], said: str
) -> None:
    np.save(tmp_path / "first.npy", np.eye(6, dtype=np.float32))
    options = {"model": None, "rerank": Mean(), "first": tmp_path / "first.npy", "rows": "captions"} | more
    if options["first"] != tmp_path / "first.npy" and "rows" not in more:
        del options["rows"]
    with pytest.raises(kind, match=said):
        xbench.run(**asked(world, **options))


@pytest.mark.parametrize("option", [{"first": "s.npy"}, {"k": 3}, {"rows": "captions"}])
def test_options_of_two_stages_need_a_second(world: World, option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="name the second, too: --rerank MODEL"):
        xbench.run("xclip", **asked(world, checkpoint=world.checkpoint, bpe=world.bpe, **option))


def test_a_first_stage_that_is_not_finite_is_an_error(world: World, tmp_path: Path) -> None:
    scores = np.eye(6, dtype=np.float32)
    scores[2, 3] = np.nan
    np.save(tmp_path / "first.npy", scores)
    with pytest.raises(DataError, match="1 of the first stage's scores are NaN"):
        xbench.run(None, **asked(world, rerank=Mean(), first=tmp_path / "first.npy", rows="captions"))


def test_a_dry_run_looks_at_both_stages(world: World, tight: Path, matrices: tuple[Path, Path]) -> None:
    options = [
        *("--rerank", "clip4clip", "--first", matrices[0], "--rows", "captions", "--k", "3", "--dry-run"),
        *("--dataset", "didemo", "--annotations", world.annotations, "--videos", world.videos),
        *("--checkpoint", tight, "--bpe", world.bpe, "--cache-dir", world.cache),
        *("--model-args", f"words={WORDS}", "--model-args", f"frames={FRAMES}"),
    ]
    shown = CliRunner().invoke(main, ["run", *map(str, options)])
    assert shown.exit_code == 0, shown.output
    assert f"the first 3 of each query by {matrices[0]}" in shown.stdout


def test_two_matrices_rank_as_two_models_do(
    world: World, tight: Path, matrices: tuple[Path, Path], tmp_path: Path
) -> None:
    first, other = (np.load(path) for path in matrices)
    run = xbench.run(
        None, **second(world, tight, rerank="clip4clip", first=matrices[0], rows="captions", k=2)
    )
    split = xbench.load_split("didemo", world.annotations)
    scored = xbench.evaluate(other, split=split, first=first, k=2)
    assert scored.metrics == run.metrics
    assert scored.record.reranked.outside == run.record.reranked.outside  # type: ignore[union-attr]
    options = ["--first", matrices[0], "--k", "2", "--rows", "captions", "--dataset", "didemo", "--json"]
    command = ["score", matrices[1], "--annotations", world.annotations, *options]
    shown = CliRunner().invoke(main, list(map(str, command)))
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["metrics"]["t2v"]["MnR"]["value"] == run.metrics["t2v"]["MnR"].value


def test_what_is_no_candidate_needs_no_score() -> None:
    first = np.eye(6, dtype=np.float32) + np.arange(6) / 100
    other = np.where(np.eye(6, dtype=bool), first, np.nan)
    found = xbench.evaluate(other, caption_to_video=list(range(6)), first=first, k=1)
    assert found.metrics["t2v"]["R@1"].value == 100
    with pytest.raises(DataError, match="NaN or infinite"):
        xbench.evaluate(other, caption_to_video=list(range(6)), first=first, k=2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"k": 3}, "--k is how many candidates"),
        ({"first": np.eye(6), "ties": "reference"}, "has no second stage"),
        ({"first": np.eye(6), "post": "dsl"}, "needs the score of every pair"),
        ({"first": np.eye(6)[:5]}, "first has shape"),
        ({"first": -np.eye(6)}, "worse than guesses"),
    ],
)
def test_two_matrices_that_do_not_go_together_are_refused(more: dict[str, Any], said: str) -> None:
    owners = range(6)
    if "worse" in said:
        size = 40
        more, owners = {"first": -np.eye(size)}, range(size)
    with pytest.raises(XbenchError, match=said):
        xbench.evaluate(np.eye(len(owners)), caption_to_video=list(owners), **more)


def test_nothing_scores_it_again_as_if_it_were_of_one_stage(
    world: World, tight: Path, matrices: tuple[Path, Path]
) -> None:
    found = xbench.run(
        None, **second(world, tight, rerank="clip4clip", first=matrices[0], rows="captions", k=2)
    )
    path = found.save(world.output)
    proven = CliRunner().invoke(main, ["verify", str(path)])
    assert proven.exit_code == 0, proven.output
    data = ["--annotations", str(world.annotations), "--videos", str(world.videos)]
    again = CliRunner().invoke(main, ["verify", str(path), "--rescore", "3", *data])
    assert again.exit_code != 0
    assert "are of two stages" in again.output
