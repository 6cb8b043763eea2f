"""Runs that are killed, and runs beside each other: nothing is lost, half-written or mixed up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.pipeline.conftest import World
from xbench.engine.store import stored


def start(world: World, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "xbench", *world.arguments("--json", *more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def packs(world: World) -> dict[Path, int]:
    """The packs of a cache and their sizes."""
    return {path: path.stat().st_size for path in world.cache.rglob("*.pack")}


def entries(world: World) -> int:
    """How many videos and texts a cache holds."""
    return sum(each.videos + each.texts for each in stored(world.cache))


def test_a_killed_run_goes_on_where_it_stopped(world: World) -> None:
    killed = start(world)
    deadline = time.monotonic() + 60
    while not entries(world) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    kept = packs(world)
    assert entries(world)
    again = start(world)
    output, errors = again.communicate()
    assert again.returncode == 0, errors
    assert json.loads(output)["queries"] == {"t2v": 6, "v2t": 6}
    after = packs(world)
    assert entries(world) == 12  # six videos, six texts: what was there was read, not written again
    assert {path: after[path] for path in kept} == kept
    assert not list((world.cache / "scoring").glob("*"))  # finished units go once there is a record


def test_two_runs_at_once_end_with_the_same_numbers(world: World) -> None:
    runs = [start(world), start(world)]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    first, second = (json.loads(output) for output, _ in outputs)
    assert first["metrics"] == second["metrics"]
    assert not list(world.cache.rglob("*.tmp"))
    assert len(list(world.output.glob("*.json"))) == 2


def test_damaged_cache_files_are_computed_again(world: World) -> None:
    first = json.loads(start(world).communicate()[0])
    for path in packs(world):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    second = json.loads(start(world).communicate()[0])
    assert second["metrics"] == first["metrics"]


def test_no_cache_leaves_nothing_behind(world: World) -> None:
    arguments = world.arguments("--no-cache")
    at = arguments.index("--cache-dir")
    del arguments[at : at + 2]
    environment = os.environ | {"XBENCH_CACHE": str(world.cache), "TMPDIR": str(world.videos.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "xbench", *arguments], env=environment, capture_output=True, check=True
    )
    assert done.returncode == 0
    assert not world.cache.exists()
    assert not list(world.videos.parent.glob("xbench-*"))


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(world: World) -> None:
    stopped = start(world)
    deadline = time.monotonic() + 60
    while not entries(world) and time.monotonic() < deadline:
        time.sleep(0.005)
    stopped.send_signal(signal.SIGINT)
    output, errors = stopped.communicate()
    assert (stopped.returncode, output) == (130, ""), errors
    assert errors.endswith("Stopped. Unless --no-cache was given, the same command goes on from here.\n")
    assert entries(world)
    assert not list(world.cache.rglob("*.tmp"))
    assert not list(world.output.glob("*"))
