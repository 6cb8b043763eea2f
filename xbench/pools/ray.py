"""Workers on a Ray cluster: processes that hold a built model each, and carry out what they are asked.

What a worker is made from is a path in a shared folder, never a model or tensors. A worker that dies is
started again by Ray, and what it was asked goes to whoever is free: units are pure, so that one that was
carried out twice gives the same. Everything of Ray is in this file; it is imported only when asked for.
"""

import importlib
import os
import platform
import shutil
import signal
import socket
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from xbench.errors import ModelError, UsageError, XbenchError

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
"""No reports of usage; no line that Ray's processes want to be printed here, on stdout at that."""
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""A name that says when Ray does so by itself: all processes of a local cluster talk over 127.0.0.1."""
_FAIR = {"RAY_worker_niceness": "0"}
"""Ray would run workers at niceness 15: on a machine that does anything else they would hardly get a core."""
_POLL_SECONDS = 0.2
"""How long a Ctrl-C waits at most."""
_TRIES = 4
"""So often a unit may kill its worker."""
_START_SECONDS = 300.0
"""How long a worker may take to start and build its model."""
_CONNECT_SECONDS = 10.0
_OBJECT_BYTES = 256 << 20


@dataclass(frozen=True)
class Ready:
    """A worker that answered."""

    node: str
    """The name of its machine."""
    probe: str
    """The hash of what it computed from inputs that are the same everywhere."""


class _Host:
    """The actor: holds one object, made from a path when it is first needed."""

    def __init__(self, target: str, path: str, device: str) -> None:
        self._target, self._path, self._device, self._held = target, path, device, None
        self._probe: str | None = None

    def ready(self) -> tuple[str, str]:
        if self._probe is None:  # once a process: it encodes a video, and every phase asks for it
            self._probe = self._get().probe()
        return platform.node(), self._probe

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._get(), method)(*arguments)

    def _get(self) -> Any:
        if self._held is None:
            module, name = self._target.split(":")
            self._held = getattr(importlib.import_module(module), name)(Path(self._path), self._device)
        return self._held


class Workers:
    """Some actors, which answer in any order."""

    def __init__(self, actors: Sequence[Any], accept: Callable[[Ready], None]) -> None:
        """accept is told of every worker that starts, and raises when it is not to work."""
        self._actors, self._accept = list(actors), accept

    def __len__(self) -> int:
        return len(self._actors)

    def share(self, value: Any) -> Any:
        """Put a value where every worker finds it; pass what is returned as an argument of `ask`."""
        import ray

        return ray.put(value)

    def wait(self) -> None:
        """Wait until every worker has built its model. Raises what `accept` and building it raise."""
        import ray

        deadline = _deadline()
        waiting = {actor.ready.remote(): (actor, 1) for actor in self._actors}
        while waiting:
            done, _ = ray.wait(list(waiting), timeout=_POLL_SECONDS)
            for reference in done:
                actor, tries = waiting.pop(reference)
                try:
                    self._accept(Ready(*_result(reference)))
                except ray.exceptions.RayActorError:
                    _check_tries(tries, "ready", actor)
                    waiting[actor.ready.remote()] = actor, tries + 1
            _check(deadline, len(waiting))

    def ask(self, method: str, units: Iterable[Any], *arguments: Any) -> Iterator[tuple[Any, Any]]:
        """Call a method for every unit on whichever worker is free; yield (unit, answer) as they come.

        Raises what a worker raised, ModelError when units keep killing workers, or no worker is left.
        """
        import ray

        todo, tries, deadline = deque(units), Counter[Any](), _deadline()
        pending: dict[Any, tuple[Any, Any]] = {actor.ready.remote(): (actor, None) for actor in self._actors}
        idle: list[Any] = []
        while todo or any(unit is not None for _, unit in pending.values()):
            while todo and idle:
                actor, unit = idle.pop(), todo.popleft()
                pending[actor.call.remote(method, unit, *arguments)] = actor, unit
            done, _ = ray.wait(list(pending), timeout=_POLL_SECONDS) if pending else ([], [])
            for reference in done:
                actor, unit = pending.pop(reference)
                try:
                    answer = _result(reference)
                except ray.exceptions.ActorDiedError:
                    self._actors.remove(actor)
                except (
                    ray.exceptions.RayActorError
                ):  # it is being started again, and answers when it is there
                    pending[actor.ready.remote()] = actor, None
                else:
                    idle.append(actor)
                    deadline = _deadline()
                    if unit is None:
                        self._accept(Ready(*answer))
                    else:
                        yield unit, answer
                    continue
                if unit is not None:
                    tries[unit] += 1
                    todo.append(unit)
                    _check_tries(tries[unit], method, unit)
            if not any(unit is not None for _, unit in pending.values()):
                _check(deadline if self._actors else 0.0, len(self._actors))


@contextmanager
def workers(
    target: str,
    path: Path,
    accept: Callable[[Ready], None],
    *,
    address: str,
    devices: Sequence[str],
    threads: int,
    most: int | None = None,
) -> Iterator[Workers]:
    """Start or join a cluster and yield its workers, one for each GPU, else for each `threads` CPU cores.

    target: `module:Class`, called with `path` and a device; it has a method `probe`. address: `local` for a
    cluster of this machine that ends with the block. devices: those of this machine that may be used, `cpu`
    once for each worker; all where there are none. most: so many workers are enough. Raises UsageError when
    Ray is missing or there is no cluster.
    """
    ray = _import(address)
    temporary = None
    before = signal.getsignal(signal.SIGTERM)
    try:
        if address == "local":
            temporary = tempfile.mkdtemp(prefix="xb", dir="/tmp" if len(tempfile.gettempdir()) > 20 else None)
            _start(ray, devices, threads, temporary)
        else:
            _join(ray, address)
        signal.signal(signal.SIGTERM, before)
        yield Workers(list(islice(_actors(ray, target, path, devices, threads), most)), accept)
    finally:
        if temporary is None:
            ray.shutdown()
        else:
            _end(ray, temporary)
            shutil.rmtree(temporary, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def _import(address: str) -> Any:
    os.environ |= _QUIET | (_LOOPBACK | _FAIR if address == "local" else _token())
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError(f"--ray needs Ray ({error}): install it with pip install 'xbench[ray]'.") from error
    return ray


def _token() -> dict[str, str]:
    """What makes Ray show a cluster the token of this user: `ray start` asks for it, joining lacks it."""
    kept = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    known = bool(os.environ.get("RAY_AUTH_TOKEN")) or kept.is_file()
    return {"RAY_AUTH_MODE": "token"} if known and "RAY_AUTH_MODE" not in os.environ else {}


def _start(ray: Any, devices: Sequence[str], threads: int, temporary: str) -> None:
    gpus = [device.partition(":")[2] or "0" for device in devices if device != "cpu"]
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    cpus = max(os.cpu_count() or 1, threads * len(devices))
    more = {"num_gpus": len(gpus)} if devices else {}
    with _told(
        "No local Ray cluster can be started: free memory and space in the temporary folder, or leave"
        " --ray out"
    ):
        ray.init(
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="CRITICAL",
            object_store_memory=_OBJECT_BYTES,
            _temp_dir=temporary,
            **more,
        )


def _end(ray: Any, temporary: str) -> None:
    """End a local cluster at once: Ray gives its processes a second each, and these have nothing to save."""
    psutil = importlib.import_module("psutil")  # Ray brings it

    children = psutil.Process().children()
    own = [child for child in children if any(temporary in part for part in _command(child))]
    left = [process for child in own for process in (*child.children(recursive=True), child)]
    if (node := getattr(ray._private.worker, "_global_node", None)) is not None:
        kill = node.kill_all_processes
        node.kill_all_processes = lambda **_: kill(check_alive=False, allow_graceful=False)
    ray.shutdown()
    for process in left:
        with suppress(psutil.Error):
            process.kill()


def _command(process: Any) -> list[str]:
    try:
        return list(process.cmdline())
    except Exception:  # it has ended meanwhile, or belongs to somebody else
        return []


def _join(ray: Any, address: str) -> None:
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:  # Ray itself would try for many minutes
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"No Ray cluster answers at {address} ({error}): start it, or check HOST:PORT."
            ) from error
    with _told(
        f"The Ray cluster at {address} cannot be joined: check that it is there and that this user has its"
        " token"
    ):
        ray.init(address=address, log_to_driver=False, logging_level="CRITICAL")


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UsageError(f"{what} ({first}).") from error


def _actors(ray: Any, target: str, path: Path, devices: Sequence[str], threads: int) -> Iterator[Any]:
    host = ray.remote(_Host)
    found = ray.cluster_resources()
    gpus = int(found.get("GPU", 0)) if not devices else sum(device != "cpu" for device in devices)
    cpus = devices.count("cpu") if devices else (0 if gpus else max(1, int(found.get("CPU", 1)) // threads))
    for number in range(gpus + cpus):
        kind = {"num_gpus": 1, "num_cpus": 0} if number < gpus else {"num_gpus": 0, "num_cpus": threads}
        device = "cuda" if number < gpus else "cpu"
        yield host.options(max_restarts=-1, max_task_retries=0, **kind).remote(target, str(path), device)


def _result(reference: Any) -> Any:
    """Return an answer, or raise what was raised for it, without Ray's wrapping."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, XbenchError):
            raise error.cause from None
        raise ModelError(
            f"A worker failed ({type(error.cause).__name__}: {error.cause}). Run without --ray to see where."
        ) from error


def _deadline() -> float:
    return time.monotonic() + _START_SECONDS


def _check(deadline: float, waiting: int) -> None:
    """Raise ModelError when nothing has come of the workers for too long, or none is left."""
    if waiting and time.monotonic() < deadline:
        return
    if waiting or not deadline:
        raise ModelError(
            f"No worker answers any more ({waiting} are waited for). See whether the nodes of the cluster"
            " are gone or busy; the same command goes on from here."
        )


def _check_tries(tries: int, method: str, unit: Any) -> None:
    if tries == _TRIES:
        raise ModelError(
            f"{_TRIES} workers died over the same piece of work ({method} {unit}), as they do where memory"
            " is short: give fewer --workers or --devices, or machines with more memory."
        )
