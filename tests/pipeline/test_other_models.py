"""`xbench run` with the other models that come with xbench, from files to the record."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from tests.pipeline.conftest import World
from xbench.cli import main
from xbench.scorers.clip.sizes import without_prefix
from xbench.scorers.wti.sizes import weighting_shapes
from xbench.scorers.xclip.sizes import matrix_shapes
from xbench.scorers.xpool.pooling import pooling_shapes


def invoke(world: World, model: str, *more: str | Path) -> Result:
    options = ["run", "--model", model, "--dataset", "didemo", "--annotations", world.annotations, "--json"]
    options += ["--videos", world.videos, "--cache-dir", world.cache, "--output", world.output]
    arguments = [str(option) for option in [*options, "--bpe", world.bpe, *more]]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def record(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


SMALL = ["--model-args", "words=8", "--model-args", "frames=4"]


@pytest.fixture
def weights(world: World, tmp_path: Path) -> tuple[Path, Path]:
    """The small X-CLIP checkpoint as CLIP4Clip would save it, and its CLIP weights alone."""
    state = torch.load(world.checkpoint, weights_only=True)
    shared = {name: tensor for name, tensor in state.items() if name not in matrix_shapes(1, 1, 1)}
    torch.save(shared, tmp_path / "pytorch_model.bin.1")
    torch.save(without_prefix("clip.", state), tmp_path / "clip.pt")
    return tmp_path / "pytorch_model.bin.1", tmp_path / "clip.pt"


def test_clip4clip_runs_with_the_words_and_frames_asked_for(world: World, weights: tuple[Path, Path]) -> None:
    saved = record(invoke(world, "clip4clip", "--checkpoint", weights[0], *SMALL))
    assert saved["scorer"]["name"] == "clip4clip"
    assert saved["scorer"]["settings"]["variant"] == "seqTransf"
    assert (saved["scorer"]["settings"]["words"], saved["scorer"]["settings"]["frames"]) == (8, 4)
    assert saved["checkpoint"]["file"] == "pytorch_model.bin.1"
    assert saved["queries"] == {"t2v": 6, "v2t": 6}


def test_words_and_frames_are_the_protocols_unless_said(world: World, weights: tuple[Path, Path]) -> None:
    result = invoke(world, "clip4clip", "--checkpoint", weights[0])
    assert result.exit_code == 4
    assert "scores 64 words, more than the 16 of its text encoder" in result.stderr


def test_clip_runs_and_never_shares_features_with_clip4clip(world: World, weights: tuple[Path, Path]) -> None:
    record(invoke(world, "clip4clip", "--checkpoint", weights[0], *SMALL))
    args = [*SMALL, "--model-args", "activation=quick_gelu"]
    saved = record(invoke(world, "clip", "--clip", weights[1], *args))
    assert saved["scorer"]["settings"]["variant"] == "meanP"
    assert len(list((world.cache / "features").iterdir())) == 2


def cold_and_resumed(world: World, model: str, *more: str | Path) -> dict[str, Any]:
    """The record of a run, which from its cache gives the same numbers."""
    first, again = (record(invoke(world, model, *more)) for _ in range(2))
    assert first["metrics"] == again["metrics"]
    return first


def test_xpool_takes_twelve_frames_and_77_words_whatever_the_protocol_has(
    world: World, tmp_path: Path
) -> None:
    state = torch.load(world.checkpoint, weights_only=True)
    towers = {name: tensor for name, tensor in state.items() if name.startswith("clip.")}
    width = towers["clip.text_projection"].shape[1]
    random = torch.Generator().manual_seed(0)
    own = {name: 0.1 * torch.randn(shape, generator=random) for name, shape in pooling_shapes(width).items()}
    torch.save({"epoch": 1, "state_dict": towers | own, "optimizer": {}}, tmp_path / "model_best.pth")
    saved = cold_and_resumed(world, "xpool", "--checkpoint", tmp_path / "model_best.pth")
    settings = saved["scorer"]["settings"]
    assert saved["scorer"]["published"] == "X-Pool"
    assert (settings["words"], settings["frames"]) == (len(towers["clip.positional_embedding"]), 12)
    assert settings["sampling"] == "uniform+repeat-last"
    assert saved["videos"]["looks"]["frames taken"].keys() == {"12"}
    assert saved["queries"] == {"t2v": 6, "v2t": 6}


def test_a_pinned_checkpoint_of_hbi_runs_by_its_name(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    state = torch.load(world.checkpoint, weights_only=True)
    random = torch.Generator().manual_seed(0)
    width = state["clip.text_projection"].shape[1]
    own = {
        name: torch.randn(shape, generator=random) for name, shape in weighting_shapes(width, (8,)).items()
    }
    kept = {name: tensor for name, tensor in state.items() if name not in matrix_shapes(1, 1, 1)}
    torch.save(kept | own | {"banzhafteacher.Q": torch.zeros(2, 2)}, tmp_path / "hbi.bin")
    pin = CliRunner().invoke(main, ["models", "pin", "hbi-msrvtt", str(tmp_path / "hbi.bin")])
    assert pin.exit_code == 0, pin.stderr
    saved = cold_and_resumed(world, "hbi-msrvtt", *SMALL)
    assert (
        saved["scorer"]["settings"].items()
        >= {"trained_as": "HBI", "sampling": "every=1", "words": 8}.items()
    )
    assert "decord" in saved["scorer"]["settings"]["decoder"]
    assert saved["checkpoint"]["file"] == "hbi.bin"


def test_clip_does_not_guess_an_activation(world: World, weights: tuple[Path, Path]) -> None:
    result = invoke(world, "clip", "--clip", weights[1], *SMALL)
    assert result.exit_code == 4
    assert "--model-args activation=quick_gelu" in result.stderr


PLUGIN = Path(__file__).resolve().parent.parent / "plugin" / "xbench_colours" / "__init__.py"


@pytest.mark.parametrize(
    ("value", "code"),
    [("(1, 2)", 0), ("float('nan')", 4), ("torch.float32", 4)],
    ids=["tuple", "nan", "dtype"],
)
def test_what_a_model_says_about_itself_is_checked_before_it_encodes(
    world: World, tmp_path: Path, value: str, code: int
) -> None:
    source = PLUGIN.read_text().replace('"grey": grey,', f'"grey": {value},')
    (tmp_path / "mine.py").write_text(source)
    result = CliRunner().invoke(
        main,
        [
            *("run", "--model", f"{tmp_path / 'mine.py'}:Colours", "--dataset", "didemo", "--json"),
            *("--annotations", str(world.annotations), "--videos", str(world.videos)),
            *("--output", str(world.output), "--no-cache"),
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == code, result.stderr
    if code:
        assert "settings holds what JSON cannot" in result.stderr
        assert "Colours.settings (" in result.stderr
        assert "encoding" not in result.stderr
    else:
        assert json.loads(result.stdout)["scorer"]["settings"]["grey"] == [1, 2]


def test_a_checkpoint_by_name_runs_as_its_entry_says(
    world: World, weights: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"scorer": "clip4clip", "file": weights[0].name, "settings": {"words": 8, "frames": 4}}
    (tmp_path / "mine.yaml").write_text(json.dumps({"checkpoints": {"mine": entry}}))
    monkeypatch.setenv("XBENCH_CHECKPOINTS", str(tmp_path / "mine.yaml"))
    saved = record(invoke(world, "mine"))
    by_hand = record(invoke(world, "clip4clip", "--checkpoint", weights[0], *SMALL))
    assert saved["scorer"] == by_hand["scorer"]
    assert saved["checkpoint"] == by_hand["checkpoint"]
    assert saved["metrics"] == by_hand["metrics"]
    assert saved["settings"]["passed"]["model"] == "mine"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "frames.to(self.device)",
            "frames.too(self.device)",
            r"encode_videos of colours failed: AttributeErr",
        ),
        ("for text in texts", "for text in texts[1:]", r"gave colour [0] for one item"),
        ("(dim=-1)", "(dim=-5)", "similarity of colours failed: IndexError"),
    ],
)
def test_a_model_that_fails_is_told_with_the_place_and_no_traceback(
    world: World, tmp_path: Path, old: str, new: str, said: str
) -> None:
    source = PLUGIN.read_text()
    assert old in source
    (tmp_path / "mine.py").write_text(source.replace(old, new))
    arguments = ["run", "--model", f"{tmp_path / 'mine.py'}:Colours", "--dataset", "didemo", "--no-cache"]
    arguments += ["--annotations", str(world.annotations), "--videos", str(world.videos)]
    result = CliRunner().invoke(main, [*arguments, "--output", str(world.output)], catch_exceptions=False)
    assert result.exit_code == 4
    assert said in result.stderr
    assert "mine.py, line" in result.stderr or "gave" in said
