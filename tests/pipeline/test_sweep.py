"""`xbench sweep`: candidates on one protocol, the best of them on another, and the record says how."""

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from tests.pipeline.conftest import STEMS, World, write_video
from xbench.cli import main
from xbench.errors import DataError, UsageError
from xbench.pipeline import features
from xbench.pipeline.sweep import (
    _made_of_others,
    find_candidates,
    plan_sweep,
    protocol_of_selection,
    read_rule,
)
from xbench.reports.record.files import read
from xbench.storage import file_sha256


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def runs(world: World, tmp_path: Path) -> Path:
    """Three checkpoints of one run, each with other weights, and a validation list beside the test list."""
    folder = tmp_path / "runs" / "b32"
    folder.mkdir(parents=True)
    state = torch.load(world.checkpoint, weights_only=True)
    for epoch in (2, 9, 10):
        noisy = {name: value + 0.02 * epoch * torch.randn_like(value) for name, value in state.items()
                 if value.is_floating_point()}  # fmt: skip
        torch.save(state | noisy, folder / f"pytorch_model.bin.{epoch}")
    sentences = json.loads((world.annotations / "test_data.json").read_text())
    for name, videos in (("val", STEMS[:3]), ("test", STEMS[3:])):
        own = [sentence for sentence in sentences if sentence["video"] in videos]
        (world.annotations / f"{name}_list.txt").write_text("\n".join(videos))
        (world.annotations / f"{name}_data.json").write_text(json.dumps(own))
    return folder


def sweep(world: World, runs: Path, *more: str | Path) -> Result:
    return invoke(
        *("sweep", "--dataset", "didemo", "--checkpoint", runs / "pytorch_model.bin.*", "--bpe", world.bpe),
        *("--annotations", world.annotations, "--videos", world.videos, "--cache-dir", world.cache),
        *("--output", world.output, "--by", "t2v.MnR", *more),
    )


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_the_best_on_validation_is_scored_once_on_test(
    world: World, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    original = features._decode
    monkeypatch.setattr(
        features, "_decode", lambda job, *rest: decoded.append(job.video.id) or original(job, *rest)
    )
    done = sweep(world, runs, "--svg", tmp_path / "curve.svg")
    assert done.exit_code == 0, done.stderr
    candidates = records(world.output / "candidates")
    assert {each["protocol"]["requested"] for each in candidates} == {"didemo/paragraph-val"}
    assert {each["label"] for each in candidates} == {"b32/2", "b32/9", "b32/10"}
    best = min(candidates, key=lambda each: each["metrics"]["t2v"]["MnR"]["value"])
    (chosen,) = records(world.output)
    assert chosen["protocol"]["requested"] == "didemo/paragraph"
    assert chosen["selection"] == {"tried": 3, "by": "t2v.MnR", "on": "didemo/paragraph-val"}
    assert (
        chosen["metrics"]["t2v"]["MnR"]["value"] == best["metrics"]["t2v"]["MnR"]["value"]
    )  # the same videos
    assert chosen["chosen_on_test_among"] == 0
    assert sorted(decoded) == sorted(STEMS)  # each once, whatever the number of candidates
    assert done.stdout.index("b32/2") < done.stdout.index("b32/9") < done.stdout.index("b32/10")
    assert (tmp_path / "curve.svg").read_text().count("<circle") == 3
    again = sweep(world, runs)
    assert again.stderr.count("measured already") == 3
    assert len(records(world.output / "candidates")) == 3


def test_a_protocol_that_holds_test_videos_counts_as_the_test_set(world: World, runs: Path) -> None:
    for kind in ("list.txt", "data.json"):
        shutil.copy(world.annotations / f"test_{kind}", world.annotations / f"val_{kind}")
    assert sweep(world, runs).exit_code == 0
    (chosen,) = records(world.output)
    assert chosen["selection"]["on"] == "didemo/paragraph-val"
    assert chosen["chosen_on_test_among"] == 3


def test_chosen_on_test_is_said_wherever_the_result_is_named(world: World, runs: Path) -> None:
    done = sweep(world, runs, "--select", "test")
    assert done.exit_code == 0, done.stderr
    (chosen,) = records(world.output)
    assert chosen["chosen_on_test_among"] == 3
    assert "chosen_on_test_among" in chosen["must_understand"]
    said = "(chosen on test among 3)"
    assert said in " ".join(done.stdout.split())
    assert said in invoke("leaderboard", world.output, "--format", "md").stdout
    (path,) = world.output.glob("*.json")
    assert said in " ".join(invoke("compare", path, path).stdout.split())


def test_where_there_is_no_validation_set_it_says_what_there_is() -> None:
    for name in ("msrvtt", "activitynet"):
        with pytest.raises(UsageError, match="--select test, which marks the result") as raised:
            protocol_of_selection(name, "val", None)
        assert "no validation set" in str(raised.value)
    assert protocol_of_selection("msvd", "val", None) == "msvd/val"
    assert protocol_of_selection("msrvtt", "1kb", None) == "msrvtt/1kb"
    assert protocol_of_selection("msrvtt", "test", "msrvtt/full") == "msrvtt/full"
    with pytest.raises(UsageError, match="Did you mean"):
        protocol_of_selection("msvd", "vall", None)


def test_wrong_rules_and_patterns_are_told(world: World, runs: Path, tmp_path: Path) -> None:
    for wrong in ("R@1", "t2v", "x.R@1", "t2v.R@"):
        with pytest.raises(UsageError):
            read_rule(wrong)
    with pytest.raises(DataError, match="no such file"):
        find_candidates([str(tmp_path / "none*")])
    found = find_candidates([str(runs / "*"), str(runs / "pytorch_model.bin.9")])
    assert [path.suffix for path in found] == [".2", ".9", ".10"]
    refused = sweep(world, runs, "--metrics", "R@1")
    assert refused.exit_code == 2
    assert "--metrics must have MnR" in refused.stderr


def test_a_video_replaced_between_two_sweeps_is_measured_anew(world: World, runs: Path) -> None:
    assert sweep(world, runs).exit_code == 0
    before = {path.name for path in (world.output / "candidates").glob("*.json")}
    file = world.videos / "somewhere" / STEMS[0]
    stamp = file.stat()
    write_video(file, seed=99)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as copying with its time does
    again = sweep(world, runs)
    assert again.exit_code == 0, again.stderr
    assert "measured already" not in again.stderr
    after = {path.name for path in (world.output / "candidates").glob("*.json")}
    assert len(after - before) == 3
    contents = {each["videos"]["contents"] for each in records(world.output / "candidates")}
    assert len(contents) == 2
    assert sweep(world, runs).stderr.count("measured already") == 3


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_vocabulary_changed_between_two_sweeps_is_measured_anew(
    world: World, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Another content under the same path, or another file that the variable names: options are equal."""
    files = [tmp_path / f"{name}.txt.gz" for name in ("one", "other")]
    head, *merges = gzip.decompress(world.bpe.read_bytes()).decode().splitlines()
    for file, own in zip(files, (merges, merges[::-1]), strict=True):
        file.write_bytes(gzip.compress("\n".join([head, *own]).encode(), mtime=0))

    def start(file: Path) -> Result:
        named = tmp_path / "named.txt.gz" if by == "option" else file
        shutil.copy(file, tmp_path / "named.txt.gz")
        monkeypatch.setenv("XBENCH_BPE", str(named))
        done = invoke(
            *("sweep", "--dataset", "didemo", "--checkpoint", runs / "pytorch_model.bin.*"),
            *("--annotations", world.annotations, "--videos", world.videos, "--cache-dir", world.cache),
            *("--output", world.output, "--by", "t2v.MnR", *(("--bpe", named) if by == "option" else ())),
        )
        assert done.exit_code == 0, done.stderr
        return done

    start(files[0])
    assert "measured already" not in start(files[1]).stderr
    told = {each["scorer"]["identity"]["vocabulary"] for each in records(world.output / "candidates")}
    assert told == {file_sha256(file) for file in files}
    for file in files:
        assert start(file).stderr.count("measured already") == 3


def test_a_worker_with_another_vocabulary_is_told(world: World, runs: Path, tmp_path: Path) -> None:
    assert sweep(world, runs).exit_code == 0
    record = read(next((world.output / "candidates").glob("*.json"))).record
    assert record.checkpoint is not None
    (plan,) = plan_sweep(
        {
            "dataset": "didemo",
            "annotations": str(world.annotations),
            "videos": str(world.videos),
            "bpe": str(world.bpe),
        },
        [next(path for path in runs.iterdir() if path.name == record.checkpoint.file)],
        "didemo/paragraph-val",
        tmp_path,
    )
    assert _made_of_others(record, plan, record.videos.contents) == []
    other = (record.scorer.identity or {}) | {"vocabulary": "0" * 64}
    there = record.model_copy(update={"scorer": record.scorer.model_copy(update={"identity": other})})
    assert _made_of_others(there, plan, record.videos.contents) == ["vocabulary"]
