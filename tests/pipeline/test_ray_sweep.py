"""A sweep on a local Ray cluster: candidates side by side, the same records, videos decoded once.

`make ray-smoke` runs this; it needs Ray and about a minute.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import STEMS, World
from tests.pipeline.test_sweep import runs

__all__ = ["runs"]  # a fixture

pytestmark = pytest.mark.skipif(os.environ.get("XBENCH_RAY") != "1", reason="make ray-smoke runs it")

HOOK = """
import importlib.abc, importlib.machinery, os, sys


class Hook(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "xbench.pipeline.features":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (execute(module), told(module))
        return spec


def told(module):
    original = module._decode

    def decode(job, *rest):
        with open(os.environ["DECODED"], "a") as file:
            file.write(f"{os.getpid()} {job.video.id}\\n")
        return original(job, *rest)

    module._decode = decode


sys.meta_path.insert(0, Hook())
"""
"""A sitecustomize.py that writes down what any process decodes."""


def sweep(world: World, runs: Path, folder: Path, *more: str) -> tuple[Path, str]:
    """Run a sweep in a process of its own, with a cache and results of its own; return these and stderr."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(HOOK)
    (folder / "decoded").touch()
    options = [
        *("sweep", "--dataset", "didemo", "--checkpoint", runs / "pytorch_model.bin.*", "--bpe", world.bpe),
        *("--annotations", world.annotations, "--videos", world.videos, "--cache-dir", folder / "cache"),
        *("--output", folder / "results", "--by", "t2v.MnR", *more),
    ]
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", os.getcwd())])
    done = subprocess.run(
        [sys.executable, "-m", "xbench", *map(str, options)],
        env=os.environ | {"PYTHONPATH": path, "DECODED": str(folder / "decoded")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder / "results", done.stderr


def compared(folder: Path) -> dict[str, Any]:
    """The records of a folder by label, but for their times and the names of files."""
    found = {}
    for path in folder.glob("*.json"):
        record = json.loads(path.read_text())
        for key in ("created", "timings"):
            record.pop(key)
        record["per_query"].pop("file")
        for place in ("cache_dir", "output"):
            record["settings"]["passed"].pop(place, None)
        found[record["label"]] = record
    return found


def decoded(folder: Path) -> list[tuple[str, str]]:
    """(process, video) of everything that was decoded."""
    lines = (folder / "decoded").read_text().splitlines()
    return [(process, video) for process, _, video in (line.partition(" ") for line in lines)]


def test_candidates_side_by_side_give_the_same_records_and_share_what_is_decoded(
    world: World, runs: Path, tmp_path: Path
) -> None:
    plain, _ = sweep(world, runs, tmp_path / "plain")
    found, errors = sweep(world, runs, tmp_path / "ray", "--ray", "--devices", "cpu,cpu")
    assert "3 candidates on 2 workers on Ray" in errors
    for folder in (Path(), Path("candidates")):
        expected = compared(plain / folder)
        assert len(expected) == (1 if folder == Path() else 3)
        assert compared(found / folder) == expected
    videos = [video for _, video in decoded(tmp_path / "ray")]
    assert sorted(videos) == sorted(STEMS)  # three for validation, three for the test
    _, errors = sweep(world, runs, tmp_path / "ray")
    assert errors.count("measured already") == 3  # without --ray it goes on from there
    assert not list((tmp_path / "ray" / "cache").glob(".*.tmp"))
