"""One fault at a time in a child of its own: forked, so that nothing is imported again, bounded in time."""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

AT_ONCE = 2
_MESSAGES = 20_000


@dataclass(frozen=True)
class Ended:
    """How a child ended, and what it said."""

    code: int
    """Exit code; minus the signal that killed it."""
    out: str
    err: str
    seconds: float
    peak_mb: float
    hung: bool = False


@dataclass(frozen=True)
class Fault:
    """One fault: what is done in a child, and how to judge what came of it.

    act: returns the exit code; its own folder is the current one. judge: gets the end, returns "" or what was
    wrong, as `lost: ...` or `silent: ...`. codes: the exit codes with which the fault may be named.
    """

    kind: str
    name: str
    act: Callable[[Path], int]
    codes: frozenset[int] = frozenset({2, 3, 4})
    judge: Callable[[Ended, Path], str] = lambda ended, folder: ""
    seconds: float = 60.0
    may_pass: bool = True
    """Exit code 0 is right too."""
    spare_mb: float = field(default=float("inf"))
    """Memory that it may take beyond what the child has at its start."""


def xbench(*arguments: object) -> int:
    """Run a command line in this process; return its exit code."""
    from xbench.cli import main

    try:
        main([str(argument) for argument in arguments], prog_name="xbench")
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def tried(faults: Iterable[Fault], parent: Path) -> Iterator[tuple[Fault, Ended, Path]]:
    """Try faults, a few at once, each in a folder of its own; yield how each ended, as they end."""
    running: dict[int, tuple[Fault, Path, float]] = {}
    waiting = iter(faults)
    try:
        yield from _one_after_another(waiting, running, parent)
    finally:
        for pid in running:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def _one_after_another(
    waiting: Iterator[Fault], running: dict[int, tuple[Fault, Path, float]], parent: Path
) -> Iterator[tuple[Fault, Ended, Path]]:
    more = True
    while more or running:
        while more and len(running) < AT_ONCE:
            fault = next(waiting, None)
            if fault is None:
                more = False
                break
            folder = Path(mkdtemp(dir=parent))
            running[_fork(fault, folder)] = fault, folder, time.monotonic()
        for pid, (fault, folder, start) in list(running.items()):
            ended = _ended(pid, fault, folder, time.monotonic() - start)
            if ended is not None:
                del running[pid]
                yield fault, ended, folder
        time.sleep(0.004)


def _fork(fault: Fault, folder: Path) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 71
        try:
            os.setsid()
            _redirect(folder)
            (folder / "in").mkdir()
            os.chdir(folder / "in")
            code = fault.act(folder / "in")
        except BaseException as error:
            print(f"Traceback (the campaign's own): {error!r}", file=sys.stderr)
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):
                    stream.flush()
            os._exit(code & 0xFF)
    return pid


def _redirect(folder: Path) -> None:
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(handle, number)
        os.close(handle)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdout, sys.stderr = (os.fdopen(os.dup(n), "w", encoding="utf-8") for n in (1, 2))


def _ended(pid: int, fault: Fault, folder: Path, seconds: float) -> Ended | None:
    hung = seconds > fault.seconds
    if hung:
        os.killpg(pid, signal.SIGKILL)
    done, status, usage = os.wait4(pid, 0 if hung else os.WNOHANG)
    if done == 0:
        return None
    said = [(folder / name).read_bytes()[:_MESSAGES].decode("utf-8", "replace") for name in ("out", "err")]
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, said[0], said[1], seconds, usage.ru_maxrss / 1024, hung)


def own_peak_mb() -> float:
    """Return the memory of this process, which a forked child has at its start."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def as_ordinary_user() -> None:
    """Give up the capabilities by which root passes every permission; root's own files stay its own."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
