"""The command line and the Python API are two doors of one room: they refuse and record the same."""

import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import xbench
from tests.pipeline.conftest import World
from xbench.cli import main
from xbench.cli.run import command
from xbench.cli.score import command as score_command
from xbench.data.video_files import VideoFolder
from xbench.errors import UsageError, XbenchError
from xbench.pipeline import plan
from xbench.pipeline.options import EVALUATE, RUN, SCORE, flag


def arguments(asked: dict[str, Any]) -> list[str]:
    """The keywords of `xbench.run` as a command line."""
    words = ["run"]
    for name, value in asked.items():
        if name == "cache":
            words += [] if value else ["--no-cache"]
        elif name in {"model_args", "first_args"}:
            words += [word for key, each in value.items() for word in (flag(name), f"{key}={each}")]
        elif name == "memory":
            words += ["--memory", str(value / 2**30)]
        elif isinstance(value, bool):
            words += [flag(name)] if value else []
        else:
            words += [flag(name), str(value)]
    return words


def refusals(asked: dict[str, Any]) -> tuple[tuple[int, str], tuple[int, str]]:
    """What each door says to wrong options: the exit code and the message."""
    printed = CliRunner().invoke(main, arguments(asked), catch_exceptions=False)
    with pytest.raises(XbenchError) as raised:
        xbench.run(**asked)
    said = printed.stderr.splitlines(keepends=True)
    error = "".join(said[next(row for row, line in enumerate(said) if line.startswith("Error: ")) :])
    return (printed.exit_code, error), (raised.value.exit_code, f"Error: {raised.value}\n")


def whole(world: World) -> dict[str, Any]:
    """The options of a run that goes well, by what they are called in the API."""
    return {
        "model": "xclip",
        "dataset": "didemo",
        "annotations": world.annotations,
        "videos": world.videos,
        "checkpoint": world.checkpoint,
        "bpe": world.bpe,
        "cache_dir": world.cache,
    }


WRONG: dict[str, Any] = {
    "model": "xclipp",
    "model_args": {"colour": "red"},
    "checkpoint": "/nowhere/pytorch_model.bin.1",
    "clip": "ViT-B/32",
    "text_features": "/nowhere/texts.npy",
    "video_features": "/nowhere/videos.npy",
    "dataset": "didemmo",
    "annotations": "/nowhere",
    "protocol": "didemo/paragraf",
    "videos": "/nowhere",
    "bpe": "/nowhere/bpe.txt.gz",
    "device": "gpu",
    "precision": "fp8",
    "threads": 0,
    "ray": "nowhere",
    "devices": "tpu:0",
    "workers": 0,
    "memory": 0,
    "limit": -1,
    "sampling": "banana",
    "pixels": "pretty",
    "save_similarity": "/dev/null/s.npy",
    "rerank": "xclipp",
    "first": "/nowhere/s.npy",
    "first_args": {"colour": "red"},
    "rows": "sideways",
    "k": 0,
    "cache_dir": "/dev/null",
    "ties": "avrage",
    "metrics": "R@",
    "post": "DSL",
    "bank": "/nowhere/bank.txt",
    "v2t": "any",
    "label": "two\nlines",
}
"""A value of each option that it cannot have."""
FLAGS = {name for name, option in RUN.items() if isinstance(option.default, bool)}


def test_every_option_of_the_table_is_tried() -> None:
    assert WRONG.keys() | FLAGS == RUN.keys()


@pytest.mark.parametrize("name", WRONG)
def test_both_doors_refuse_a_wrong_value_with_the_same_words(world: World, name: str) -> None:
    printed, raised = refusals(whole(world) | {name: WRONG[name]})
    assert printed == raised
    assert printed[0] in (2, 3, 4)
    assert not list(world.cache.rglob("*.safetensors"))  # before anything is encoded


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({"miniature": True}, 2, "leave the options for them out"),
        ({"cache": False}, 2, "contradict"),
        ({"post": "dsl", "protocol": "didemo/sentences"}, 2, "exactly one caption"),
        ({"post": "qbnorm"}, 2, "--post qbnorm and --bank FILE"),
        ({"force": True}, 2, "--force is for --post dsl"),
        ({"post": "qbnorm", "bank": "/nowhere/bank.txt"}, 3, "/nowhere/bank.txt: No such file"),
        ({"save_similarity": "."}, 3, "it is a folder"),
        ({"limit": 1.5}, 2, "whole number"),
        ({"devices": "cpu,cpu"}, 2, "give that, too"),
        ({"mixed_devices": True}, 2, "give that, too"),
        ({"ray": "127.0.0.1:6379", "devices": "cpu"}, 2, "is for a local cluster"),
        ({"metrics": ""}, 2, "expected a text"),
        ({"annotations": "/nowhere", "limit": 4}, 3, "/nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_both_doors_refuse_what_does_not_go_together(
    world: World, more: dict[str, Any], code: int, said: str
) -> None:
    printed, raised = refusals(whole(world) | more)
    assert printed == raised
    assert printed[0] == code
    assert said in printed[1]


@pytest.mark.parametrize(
    "more",
    [{"sampling": "uniform"}, {"videos": "/nowhere"}, {"allow_damaged": True}, {"workers": 3}],
    ids=lambda value: next(iter(value)),
)
def test_options_of_videos_are_refused_where_none_is_decoded(
    world: World, tmp_path: Path, more: dict[str, Any]
) -> None:
    for side in ("texts", "videos"):
        np.save(tmp_path / f"{side}.npy", np.eye(6))
    asked = {"model": "features", "dataset": "didemo", "annotations": world.annotations}
    files = {"text_features": tmp_path / "texts.npy", "video_features": tmp_path / "videos.npy"}
    printed, raised = refusals(asked | files | more)
    assert printed == raised
    assert "reads no video files" in printed[1]


def test_a_miniature_takes_no_annotations_through_either_door(world: World) -> None:
    asked = {"model": "xclip", "dataset": "didemo", "miniature": True, "annotations": "/nowhere", "limit": 4}
    printed, raised = refusals(asked)
    assert printed == raised
    assert printed[0] == 2


def test_both_doors_record_the_same_settings_parsed(world: World, tmp_path: Path) -> None:
    asked = whole(world) | {
        "annotations": f"didemo={world.annotations}",
        "limit": 5,
        "memory": 2**28,
        "allow_missing": True,
        "metrics": "R@1,MdR",
        "post": "dsl",
        "save_similarity": tmp_path / "s.npy",
    }
    shown = CliRunner().invoke(main, [*arguments(asked), "--output", str(world.output), "--json"])
    printed = json.loads(shown.stdout)[-1]["settings"]
    result = xbench.run(**asked | {"annotations": world.annotations})
    assert result.record.settings.model_dump() == printed
    assert printed["passed"].keys() | printed["defaulted"].keys() == RUN.keys() - {"label", "ray", "devices"}
    assert printed["passed"]["annotations"] == str(world.annotations)
    assert printed["passed"]["memory"] == 2**28
    assert printed["defaulted"]["sampling"] is None


def test_a_path_with_an_equals_sign_is_parsed_once(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "seed=1" / "annotations"
    folder.parent.mkdir()
    world.annotations.rename(folder)
    asked = whole(world) | {"annotations": folder}
    done = CliRunner().invoke(main, [*arguments(asked), "--output", str(world.output)])
    assert done.exit_code == 0, done.stderr
    (record,) = world.output.glob("*.json")
    assert json.loads(record.read_text())["settings"]["passed"]["annotations"] == str(folder)
    page = tmp_path / "page.html"
    reported = CliRunner().invoke(main, ["report", str(record), "-o", str(page)])
    assert reported.exit_code == 0, reported.stderr
    assert "captions are not at hand" not in page.read_text()


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[str]:
    """Count the calls of a function or class method from now on."""
    calls: list[str] = []
    original: Callable[..., Any] = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_a_benchmark_without_a_miniature_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sixth = plan.benchmark("msvd").model_copy(update={"id": "sixth"})
    known = {**plan.benchmarks(), "sixth": sixth}
    monkeypatch.setattr(plan, "benchmarks", lambda: known)
    each = plan.by_benchmark({"dataset": ["all"], "miniature": True})
    assert [asked["dataset"] for asked in each] == [name for name in known if name != "sixth"]
    assert "Without a miniature, and left out: sixth." in capsys.readouterr().err
    assert len(plan.by_benchmark({"dataset": ["all"]})) == len(known)
    with pytest.raises(UsageError, match="no miniature of 'sixth'"):
        plan.miniature_folders("sixth", tmp_path)


LISTENED: dict[str, list[str]] = {}
"""File -> the openings heard of it. An audit hook cannot be taken out again, so it hears for this alone."""


def opened(monkeypatch: pytest.MonkeyPatch, file: Path) -> list[str]:
    """Count how often a file is opened from Python from now on."""
    monkeypatch.setitem(LISTENED, str(file), [])
    sys.addaudithook(
        lambda event, details: LISTENED.get(str(details[0]), []).append(event) if event == "open" else None
    )
    return LISTENED[str(file)]


def test_what_is_loaded_to_check_is_not_loaded_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [
        counted(monkeypatch, plan, "load_split"),
        counted(monkeypatch, VideoFolder, "index"),
        counted(monkeypatch, plan.catalog, "resolve"),
        opened(monkeypatch, world.checkpoint),
    ]
    xbench.run(**whole(world))
    assert [len(calls) for calls in counts] == [1, 1, 1, 1]
    done = CliRunner().invoke(main, [*arguments(whole(world)), "--output", str(world.output)])
    assert done.exit_code == 0, done.stderr
    assert [len(calls) for calls in counts] == [2, 2, 2, 2]


def test_signatures_and_options_are_those_of_the_table() -> None:
    signature = inspect.signature(xbench.run).parameters
    assert signature.keys() == RUN.keys()
    for name, option in RUN.items():
        if name not in ("model", "dataset"):  # the API has no default for what is evaluated
            assert signature[name].default == option.default, name
    evaluated = inspect.signature(xbench.evaluate).parameters
    shared = (EVALUATE.keys() - SCORE.keys()) | (EVALUATE.keys() & SCORE.keys())
    assert all(evaluated[name].default == EVALUATE[name].default for name in shared)
    elsewhere = {"output", "dry_run", "as_json", "no_cache"}
    assert {param.name for param in command.params} == RUN.keys() - {"cache"} | elsewhere
    assert {param.name for param in score_command.params} == SCORE.keys() | {"transpose", "output", "as_json"}


def test_the_table_is_what_the_help_shows() -> None:
    shown = CliRunner().invoke(main, ["run", "--help"]).stdout
    for name, option in RUN.items():
        assert ("--no-cache" if name == "cache" else flag(name)) in shown
        if option.words:
            assert re.sub(r"\s", "", f"[{'|'.join(option.words)}]") in re.sub(r"\s", "", shown)
