"""Workers on a local Ray cluster: whoever is killed, and whenever, the record is that of a run without.

`make ray-smoke` runs this; it needs Ray and half a minute for each cluster.
"""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import World

pytestmark = pytest.mark.skipif(os.environ.get("XBENCH_RAY") != "1", reason="make ray-smoke runs it")

MODEL = '''
import os, signal, sys, time
from pathlib import Path
import torch

UNITS = Path(__file__).with_name("killed")
WORKS = "default_worker" in " ".join(sys.argv)


def above():
    frame, names = sys._getframe(), set()
    while frame := frame.f_back:
        names.add(frame.f_code.co_name)
    return names


def maybe_kill(kind):
    """Kill a process once for each kind of unit, from a worker and not while it probes."""
    victim = {victim}
    if not (WORKS and victim) or "probe" in above():
        return
    try:
        UNITS.mkdir(exist_ok=True)
        (UNITS / kind).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(victim, signal.SIGKILL)
    time.sleep(60)


def odd(part):
    """What a machine of another kind adds to what it computes."""
    return 1e-3 * (WORKS and part == {odd!r} and "probe" in above())


class Mean:
    name = "mean"
    block = (2, 2)
    settings = {{"device": "cpu"}}
    identity = {{"scorer": "mean", "die": 0}}

    @property
    def video_input(self):
        from xbench.scorers.base import VideoInput
        return VideoInput(size=32, max_frames=4)

    def encode_texts(self, texts):
        maybe_kill("texts")
        return {{"x": torch.tensor([[len(text), text.count("a"), 1.0] for text in texts])}}

    def encode_videos(self, frames, mask):
        maybe_kill("videos")
        time.sleep({pause} * (WORKS and "probe" not in above()))
        return {{"x": frames.mean(dim=(1, 3, 4)).round(decimals=2) + odd("batch")}}

    def similarity(self, text, video):
        for kind in above() & {{"right", "count"}}:
            maybe_kill(kind)
        return text["x"] @ video["x"].T + odd("tile")
'''
WORKERS = ("--ray", "--devices", "cpu,cpu")


def run(
    world: World, folder: Path, *more: str, victim: str = "0", odd: str = "", pause: float = 0
) -> "subprocess.Popen[str]":
    (folder / "mean.py").write_text(MODEL.format(victim=victim, odd=odd, pause=pause))
    options = world.arguments("--json", "--model", f"{folder / 'mean.py'}:Mean", *more)
    for option in ("--checkpoint", "--bpe", "--cache-dir"):
        at = options.index(option)
        del options[at : at + 2]
    environment = os.environ | {"XBENCH_CACHE": str(folder / "cache")}
    environment.pop("RAY_AUTH_MODE", None)  # as it is for a user, who has a token and has not said so
    command = [sys.executable, "-m", "xbench", *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
    """What it wrote on stdout and on stderr; nothing there is of Ray's own processes."""
    output, errors = process.communicate(timeout=240)
    assert process.returncode == code, errors
    assert "ray" not in errors.replace("Ray", "").replace("--ray", ""), errors
    return output, errors


def compared(output: str) -> dict[str, Any]:
    """A record but for its times, its hosts and what was asked for."""
    record: dict[str, Any] = json.loads(output)
    for key in ("created", "timings", "settings", "id", "per_query", "chosen_on_test_among"):
        record.pop(key, None)
    return record


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    return compared(ended(process)[0])


def plain(world: World, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    return finished(run(world, folder))


def test_a_worker_killed_in_each_kind_of_unit_changes_nothing(world: World, tmp_path: Path) -> None:
    expected = plain(world, tmp_path / "plain")
    folder = tmp_path / "ray"
    folder.mkdir()
    found = finished(run(world, folder, *WORKERS, victim="os.getpid()"))
    assert sorted(path.name for path in (folder / "killed").iterdir()) == [
        "count",
        "right",
        "texts",
        "videos",
    ]
    assert found == expected


def started(folder: Path, name: str = "*.index") -> None:
    """Wait until something was encoded; with `jobs`, until workers encode."""
    deadline = time.monotonic() + 120
    while not list((folder / "cache").rglob(name)) and time.monotonic() < deadline:
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
    stopped = run(world, folder, *WORKERS, pause=20)
    started(folder, "jobs")
    stopped.send_signal(signal.SIGINT)
    start = time.monotonic()
    ended(stopped, 130)
    took = time.monotonic() - start
    print(f"Ctrl-C: ended after {took:.1f} s")
    assert took < 15  # a unit alone takes 80
    assert finished(run(world, folder)) == plain(world, tmp_path / "plain")


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A cluster of two nodes of one CPU each on this machine: its address, and the second node's raylet.

    It asks for a token, as one of `ray start` does where there is one.
    """
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", 64 * "0")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    folder = tempfile.mkdtemp(prefix="xb", dir="/tmp")  # sockets must have short names
    monkeypatch.setenv("RAY_TMPDIR", folder)
    node = {"num_cpus": 1, "include_dashboard": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    try:
        second = cluster.add_node(**node)
        yield cluster.address, second.all_processes["raylet"][0].process.pid
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_killed_node_changes_nothing(world: World, tmp_path: Path, two_nodes: tuple[str, int]) -> None:
    address, raylet = two_nodes
    folder = tmp_path / "ray"
    folder.mkdir()
    found = finished(run(world, folder, "--ray", address, victim=f"{raylet} * (os.getppid() == {raylet})"))
    assert list((folder / "killed").iterdir()), "the second node got no work"
    assert found == plain(world, tmp_path / "plain")


@pytest.mark.parametrize("part", ["batch", "tile"])
def test_a_worker_that_computes_other_bits_is_refused(world: World, tmp_path: Path, part: str) -> None:
    _, errors = ended(run(world, tmp_path, *WORKERS, odd=part), 4)
    assert platform.node() in errors
    assert "--mixed-devices" in errors
    assert not list(world.output.glob("*.json"))


def test_mixed_devices_allows_other_bits_says_so_and_is_recorded(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    output, errors = ended(run(world, folder, *WORKERS, "--mixed-devices", odd="tile"))
    assert platform.node() in errors
    assert "ties between items that different devices scored may break" in errors
    assert json.loads(output)["settings"]["passed"]["mixed_devices"] is True
    assert compared(output) == plain(world, tmp_path / "plain")


def test_an_address_at_which_nothing_answers_is_told(world: World, tmp_path: Path) -> None:
    _, errors = ended(run(world, tmp_path, "--ray", "127.0.0.1:1"), 2)
    assert "No Ray cluster answers at 127.0.0.1:1" in errors
