"""Start-up: whole processes, beside what they cannot do without."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.figure import Figure, versus

PROMISED = {"--help": 0.3, "datasets list": 2.0, "datasets show didemo/paragraph": 2.0}
"""Command -> seconds on an idle machine with 2 cores."""


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the figures of commands that show something; not `small`, of a run with all features cached."""
    rounds = 3 if small else 7
    for arguments, seconds in PROMISED.items():
        yield _process(f"xbench {arguments}", arguments, "pass", seconds, rounds=rounds)
    if small:
        return
    with tempfile.TemporaryDirectory() as folder:
        command = f"run --dataset didemo --miniature --output {folder}/results --cache-dir {folder}/cache"
        yield _process("run, all features cached", command, "import torch", 4.0, rounds=rounds)


def _process(name: str, arguments: str, rival: str, seconds: float, *, rounds: int) -> Figure:
    """Time a command beside a Python that only runs the statement `rival`."""
    return versus(
        "start-up",
        name,
        lambda: _call(["-m", "xbench", *arguments.split()]),
        f"python -c {rival!r}",
        lambda: _call(["-c", rival]),
        rounds=rounds,
        note=f"promised: {seconds:g} s on an idle machine",
    )


def _call(arguments: Sequence[str]) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
