"""What a scorer declares is looked at before anything is encoded, and a fault is told with class and line."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import xbench
from tests.pipeline.conftest import World
from xbench.cli import main
from xbench.errors import ModelError
from xbench.scorers.base import VideoInput, whereabouts
from xbench.scorers.catalog import ModelRequest, require_scorer, resolve

CODE = (Path(__file__).resolve().parent.parent / "plugin" / "xbench_colours" / "__init__.py").read_text()
FAULTS = [
    (
        "    block = (256, 256)",
        "    block = 64",
        r"block is 64: it must be two positive integers, \(texts, videos\)",
    ),
    ("    block = (256, 256)", "    block = (256, 0)", "two positive integers"),
    ("    block = (256, 256)", "    block = (True, 2)", "two positive integers"),
    (
        "max_frames=frames)",
        "max_frames=frames, sampling='unifrom')",
        "sampling 'unifrom'. Did you mean 'uniform'",
    ),
    (
        "max_frames=frames)",
        "max_frames=frames, sampling='segments=8x4')",
        "segments=8x4 takes 32 frames, and max_frames is 12",
    ),
    ("max_frames=frames)", "max_frames=0)", "max_frames 0: it must be a whole number from 1 on"),
    ("max_frames=frames)", "max_frames='12')", "max_frames '12'"),
    ("size=32", "size=0", "size 0"),
    ("size=32", "size=32.5", "size 32.5"),
    ("mean=(0, 0, 0)", "mean=(0, 0)", r"mean \(0, 0\)"),
    ("mean=(0, 0, 0)", "mean=(0, 0, float('nan'))", "mean"),
    ("std=(1, 1, 1)", "std=(1, 1, 0)", "std"),
    ("std=(1, 1, 1)", "std=0.5", "std 0.5"),
    ("max_frames=frames)", "max_frames=frames, frame_transform=3)", "frame_transform that is a int"),
    (
        "(self, text: Features, video: Features)",
        "(self, text: Features)",
        r"with \(text, video\): too many",
    ),
    (
        "(self, texts: Sequence[str])",
        "(self, texts: Sequence[str], length: int)",
        r"missing a required .*'length'",
    ),
    ('    name = "colours"', '    name = "my/model"', "without a slash"),
    ("    identity = None", "    identity = {'weights': float('nan')}", "JSON cannot"),
]


def written(folder: Path, old: str, new: str) -> Path:
    assert CODE.count(old) == 1
    (folder / "mine.py").write_text(CODE.replace(old, new))
    return folder / "mine.py"


@pytest.mark.parametrize(("old", "new", "said"), FAULTS)
def test_a_fault_is_told_before_encoding_with_class_file_and_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = written(tmp_path, old, new)
    with pytest.raises(ModelError, match=rf"Colours\.\w+ \(.*mine\.py, line \d+\): .*{said}"):
        resolve(ModelRequest(f"{path}:Colours")).build()


@pytest.mark.parametrize(("old", "new", "said"), FAULTS[3:4])
def test_a_run_and_a_dry_run_end_with_4_before_a_video_is_opened(
    world: World, tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = written(tmp_path, old, new)
    arguments = ["run", "--model", f"{path}:Colours", "--dataset", "didemo", "--output", str(world.output)]
    arguments += ["--annotations", str(world.annotations), "--videos", str(world.videos)]
    for more in ([], ["--dry-run"]):
        result = CliRunner().invoke(main, [*arguments, *more], catch_exceptions=False)
        assert result.exit_code == 4
        assert "sampling 'unifrom'" in result.stderr
        assert "encod" not in result.stderr.split("Error")[0]


def test_an_object_is_looked_at_too(world: World) -> None:
    names: dict[str, Any] = {}
    exec(CODE, names)
    scorer = names["Colours"]()
    require_scorer(scorer, "mine")
    scorer.video_input = VideoInput(sampling="evenly")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="sampling 'evenly'"):
        xbench.run(scorer, "didemo", annotations=world.annotations, videos=world.videos)


def test_a_property_that_fails_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "    identity = None", "    identity = property(lambda self: 1 / 0)")
    with pytest.raises(ModelError, match="identity cannot be read: ZeroDivisionError"):
        resolve(ModelRequest(f"{path}:Colours")).build()


def test_a_place_is_told_as_far_as_there_is_one(tmp_path: Path) -> None:
    scorer = resolve(ModelRequest(f"{written(tmp_path, 'size=32', 'size=32')}:Colours")).build()
    line = (
        CODE.splitlines().index("    def similarity(self, text: Features, video: Features) -> torch.Tensor:")
        + 1
    )
    assert whereabouts(scorer, "similarity") == f"Colours.similarity ({tmp_path / 'mine.py'}, line {line})"
    assert whereabouts(3, "real") == "int.real"


def test_a_similarity_that_looks_at_the_gallery_stops_a_run(world: World, tmp_path: Path) -> None:
    path = written(tmp_path, ".square().sum(dim=-1)", ".square().sum(dim=-1).softmax(dim=1)")
    arguments = ["run", "--model", f"{path}:Colours", "--dataset", "didemo", "--output", str(world.output)]
    arguments += ["--annotations", str(world.annotations), "--videos", str(world.videos)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 4
    assert "Colours.similarity" in result.stderr
    assert "no softmax over the gallery" in result.stderr
    assert not world.output.exists() or not list(world.output.iterdir())
