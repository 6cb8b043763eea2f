"""Runs that are killed, interrupted, out of space or watched by others: what is there later is whole."""

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.campaign.children import Ended, Fault, xbench
from tools.campaign.world import World, alone, copied, numbers

_STOPPED = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


def kills(world: World, count: int, dice: random.Random) -> Iterator[Fault]:
    """A run is killed at some moment, then the same command is given again: the same bits, nothing left."""
    reference = _reference(world)
    for number in range(count):
        sign = [signal.SIGKILL, *_STOPPED][number % 4]
        after = dice.uniform(0.0, reference.seconds)

        def act(folder: Path, sign: signal.Signals = sign, after: float = after) -> int:
            killed = _killed(world, folder, sign, after)
            if killed not in (0, -signal.SIGKILL, _STOPPED.get(sign)):
                print(f"Traceback (killed by {sign.name}, it ended with {killed})", file=sys.stderr)
            code = xbench(*_run(world, folder), "--json")
            for name in _left(folder):
                print(f"left behind: {name}", file=sys.stderr)
            return code

        yield Fault(
            "kills",
            f"{sign.name} after {after:.2f} s",
            act,
            frozenset(),
            lambda ended, folder: _same(ended, reference),
            seconds=120,
        )


def _run(world: World, folder: Path) -> list[object]:
    return world.small_run(
        folder, "--cache-dir", folder / "cache", "--save-similarity", folder / "matrix.npy"
    )


def _reference(world: World) -> Ended:
    fault = Fault("kills", "reference", lambda folder: xbench(*_with_data(world, folder), "--json"))
    return alone(fault, world.root / "children")


def _with_data(world: World, folder: Path) -> list[object]:
    copied([world.root / "cache" / "miniature"], folder / "cache")
    return _run(world, folder)


def _killed(world: World, folder: Path, sign: signal.Signals, after: float) -> int:
    arguments = _with_data(world, folder)
    pid = os.fork()
    if pid == 0:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        _quiet()
        os._exit(xbench(*arguments))
    time.sleep(after)
    os.kill(pid, sign)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _left(folder: Path) -> list[str]:
    records = {path.stem for path in folder.rglob("out/*.json")}
    return [
        str(path)
        for path in (*folder.rglob(".*"), *folder.rglob("*.tmp"), *folder.rglob("out/*.npz"))
        if path.suffix != ".npz" or path.stem not in records
    ]


def _same(ended: Ended, reference: Ended) -> str:
    if ended.code != 0:
        return f"lost: ended with {ended.code}: {ended.err.strip()[-300:]}"
    if "left behind" in ended.err:
        return f"lost: {ended.err.strip().splitlines()[-1]}"
    same = numbers(ended.out) == numbers(reference.out) != []
    return "" if same else "silent: other numbers than without a fault"


def _quiet() -> None:
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (to the end of the process)


def disk(world: World, count: int, dice: random.Random) -> Iterator[Fault]:
    """No file may grow beyond some bytes: a small file system, by the limit that every system has."""
    commands: dict[str, Callable[[Path], list[object]]] = {
        "run": lambda folder: _with_data(world, folder),
        "precomputed run": lambda folder: world.own_run(world.own, "--output", folder / "out"),
        "leaderboard": lambda folder: [
            "leaderboard",
            *world.records,
            "--format",
            "html",
            "--output",
            folder / "b.html",
        ],
        "report": lambda folder: ["report", world.records[0], "--output", folder / "r.html"],
        "miniature": lambda folder: ["miniature", folder / "mini", "--dataset", "lsmdc"],
        "matrix": lambda folder: world.own_run(
            world.own, "--output", folder / "out", "--save-similarity", folder / "m.npy"
        ),
    }
    for number in range(count):
        name, arguments = list(commands.items())[number % len(commands)]
        limit = int(2 ** dice.uniform(0, 17))

        def act(
            folder: Path, arguments: Callable[[Path], list[object]] = arguments, limit: int = limit
        ) -> int:
            given = arguments(folder)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return xbench(*given)

        yield Fault(
            "disk", f"{name}, {limit} bytes", act, frozenset({3}), lambda ended, folder: _nothing_half(folder)
        )


def _nothing_half(folder: Path) -> str:
    left = _left(folder / "in")
    return f"lost: left behind: {left[0]}" if left else ""


def concurrency(world: World, count: int, dice: random.Random) -> Iterator[Fault]:
    """Runs, listings and clearings of one cache at once: every run ends well with the same numbers."""
    reference = _reference(world)
    for number in range(count):
        pause = dice.uniform(0, reference.seconds)

        def act(folder: Path, pause: float = pause, clear: bool = number % 2 == 0) -> int:
            arguments = _with_data(world, folder)
            started = [
                subprocess.Popen(
                    [sys.executable, "-m", "xbench", *map(str, arguments)],
                    stdout=subprocess.DEVNULL,
                    stderr=sys.stderr,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                )
            ]
            stop = threading.Event()
            others = threading.Thread(target=_disturb, args=(folder, clear, stop))
            others.start()
            time.sleep(pause)
            code = xbench(*arguments, "--json")
            codes = [process.wait() for process in started]
            stop.set()
            others.join()
            return code or next((each for each in codes if each), 0)

        yield Fault(
            "concurrency",
            f"two runs, {'clear' if number % 2 == 0 else 'list'} beside them",
            act,
            frozenset(),
            lambda ended, folder: _same(ended, reference),
            seconds=180,
        )


def _disturb(folder: Path, clear: bool, stop: threading.Event) -> None:
    command = ["clear", "--all"] if clear else ["list"]
    while not stop.wait(0.05):
        pid = os.fork()
        if pid == 0:
            _quiet()
            code = xbench("cache", *command, "--cache-dir", folder / "cache")
            os._exit(0 if code in (0, 3) else 1)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
            print(f"Traceback (cache {command[0]} failed)", file=sys.stderr)
