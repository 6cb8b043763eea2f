"""Workers on a local Ray cluster: whoever is killed, and whenever, the record is that of a run without.

`make ray-smoke` runs this; it needs Ray and half a minute for each cluster.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import World

pytestmark = pytest.mark.skipif(os.environ.get("XBENCH_RAY") != "1", reason="make ray-smoke runs it")

MODEL = '''
import os, signal, sys
from pathlib import Path
import torch

UNITS = Path(__file__).with_name("killed")


def frames_above():
    frame = sys._getframe()
    while frame := frame.f_back:
        yield frame.f_code


def maybe_die(kind):
    """Kill this process once for each kind of unit, in a worker and not while it probes."""
    codes = list(frames_above())
    if "default_worker" not in " ".join(sys.argv) or any(code.co_name == "probe" for code in codes):
        return
    try:
        UNITS.mkdir(exist_ok=True)
        (UNITS / kind).touch(exist_ok=False)
    except FileExistsError:
        return
    if DIE:
        os.kill(os.getpid(), signal.SIGKILL)


class Mean:
    name = "mean"
    block = (2, 2)
    settings = {"device": "cpu"}
    identity = {"scorer": "mean", "die": 0}

    @property
    def video_input(self):
        from xbench.scorers.base import VideoInput
        return VideoInput(size=32, max_frames=4)

    def encode_texts(self, texts):
        maybe_die("texts")
        return {"x": torch.tensor([[len(text), text.count("a"), 1.0] for text in texts])}

    def encode_videos(self, frames, mask):
        maybe_die("videos")
        return {"x": frames.mean(dim=(1, 3, 4)).round(decimals=2)}

    def similarity(self, text, video):
        names = {code.co_name for code in frames_above()}
        for kind in ("right", "count"):
            if kind in names:
                maybe_die(kind)
        return text["x"] @ video["x"].T
'''
WORKERS = ("--ray", "--devices", "cpu,cpu")


def run(world: World, folder: Path, *more: str, die: bool = False) -> "subprocess.Popen[str]":
    (folder / "mean.py").write_text(MODEL.replace("DIE", str(die)))
    options = world.arguments("--json", "--model", f"{folder / 'mean.py'}:Mean", *more)
    for option in ("--checkpoint", "--bpe", "--cache-dir"):
        at = options.index(option)
        del options[at : at + 2]
    environment = os.environ | {"XBENCH_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "xbench", *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "ray" not in errors.replace("Ray", "").replace("--ray", ""), errors
    record: dict[str, Any] = json.loads(output)
    for key in ("created", "timings", "settings", "id", "per_query", "chosen_on_test_among"):
        record.pop(key, None)
    return record


def plain(world: World, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    return finished(run(world, folder))


def test_a_worker_killed_in_each_kind_of_unit_changes_nothing(world: World, tmp_path: Path) -> None:
    expected = plain(world, tmp_path / "plain")
    folder = tmp_path / "ray"
    folder.mkdir()
    found = finished(run(world, folder, *WORKERS, die=True))
    assert sorted(path.name for path in (folder / "killed").iterdir()) == [
        "count",
        "right",
        "texts",
        "videos",
    ]
    assert found == expected


def started(folder: Path) -> None:
    """Wait until something was encoded."""
    deadline = time.monotonic() + 120
    while not list((folder / "cache").rglob("*.index")) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_killed_driver_takes_its_cluster_along_and_a_run_without_ray_goes_on(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    killed = run(world, folder, *WORKERS)
    started(folder)
    killed.kill()
    killed.communicate(timeout=60)
    assert finished(run(world, folder)) == plain(world, tmp_path / "plain")
    deadline = time.monotonic() + 60
    while (left := _processes_that_name(str(folder))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def _processes_that_name(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if text in path.read_bytes().decode(errors="replace") and path.parent.name != str(os.getpid()):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_ctrl_c_ends_at_once_and_a_run_without_ray_goes_on(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    stopped = run(world, folder, *WORKERS)
    started(folder)
    stopped.send_signal(signal.SIGINT)
    stopped.communicate(timeout=60)
    assert stopped.returncode in (0, 130)
    assert finished(run(world, folder)) == plain(world, tmp_path / "plain")
