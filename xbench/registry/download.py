"""The downloader of annotations, weights and vocabularies: resumed, bounded, kept only as the listed file."""

import http.client
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from xbench.errors import ModelError, XbenchError, explain
from xbench.interruption import stop_if_asked
from xbench.progress import say
from xbench.registry.checkpoints import Listed
from xbench.storage import cache_dir, continued, file_sha256, lock

TIMEOUT = 30.0
"""Seconds for the connection, and those after which the speed is looked at, again and again."""
SLOWEST = 20_000
"""Bytes a second below which an address is given up."""
AT_MOST = 16 << 30
"""Bytes of a file whose size is not listed."""
_ATTEMPTS = 2
_CHUNK = 1 << 16
_SHOWN = 200

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Wanted:
    """A file by its content, and the addresses that are known to give it."""

    name: str
    """What messages call it."""
    addresses: tuple[str, ...]
    sha256: str
    bytes: int | None = None


class _AddressError(Exception):
    """This address gives nothing useful; another one may."""


def download(
    wanted: Wanted, target: Path, *, refuse: type[XbenchError], instead: str, advance: Advance
) -> None:
    """Put a file at `target`, which appears whole and with the listed sha256 or not at all.

    The addresses are tried in turn; bytes that an earlier one, or an earlier call, left in `.NAME.part` are
    continued. `advance` is told how many more bytes came. The folder must be there; whoever calls holds a
    lock. Raises `refuse`, naming every address and its fault, and ending with `instead`: what else a user can
    do. Raises OSError where the file cannot be written.
    """
    part = target.with_name(f".{target.name.lstrip('.')}.part")
    failures: list[str] = []
    for address in wanted.addresses:
        for _ in range(_ATTEMPTS):
            try:
                _continue(address, wanted, part, advance)
            except _AddressError as error:
                failures.append(f"  {address}: {error}")
                if isinstance(error.__cause__, urllib.error.HTTPError):
                    break
            else:
                part.replace(target)
                return
    raise refuse(
        f"{wanted.name} could not be fetched to {target.parent}:\n"
        + "\n".join(failures)
        + f"\nTry again later, which continues where this stopped. {instead}"
    )


def fetched(entry: Listed, instead: str) -> Path:
    """Return the copy of a listed file in the cache, fetching it when it is not there yet.

    What is in the cache is checked like what comes from the network. Raises ModelError, ending with
    `instead`, when the file cannot be had or is not the listed one, and where the cache cannot hold it.
    """
    target = place_of(entry)
    try:
        if target.is_file() and file_sha256(target) == entry.sha256:
            return target
        with lock(target.with_name(".lock")):
            if not target.is_file() or file_sha256(target) != entry.sha256:
                say(f"Fetching {entry.url}")
                wanted = Wanted(target.name, (entry.url,), entry.sha256, entry.bytes)
                download(
                    wanted, target, refuse=ModelError, instead=instead, advance=lambda _: stop_if_asked()
                )
    except OSError as error:
        raise ModelError(
            f"{entry.url} cannot be kept in {target.parent}: {explain(error)} Choose another cache "
            f"folder with XBENCH_CACHE. {instead}"
        ) from error
    return target


def place_of(entry: Listed) -> Path:
    """Return where the local copy of a listed file stands, whether it is there yet or not."""
    return cache_dir() / "fetched" / entry.sha256 / (entry.url.rsplit("/", 1)[-1] or "file")


def _continue(address: str, wanted: Wanted, part: Path, advance: Advance) -> None:
    with continued(part) as file:
        have = file.seek(0, os.SEEK_END)
        if wanted.bytes is not None and have >= wanted.bytes:
            have = _empty(file)
        with _answer(address, have) as (response, came):
            if response.status != http.client.PARTIAL_CONTENT:
                have = _empty(file)
            most = (AT_MOST if wanted.bytes is None else wanted.bytes) - have
            if response.length is not None and response.length > most:
                raise _AddressError(_other_content(f"{have + response.length} bytes", wanted))
            _copy(response, file, most, came, advance)
        file.flush()
        os.fsync(file.fileno())
        got = file.tell()
    if wanted.bytes is not None and got < wanted.bytes:
        raise _AddressError(f"broke off after {got} of {wanted.bytes} bytes")
    if (found := file_sha256(part)) != wanted.sha256:
        part.unlink()
        raise _AddressError(_other_content(f"sha256 {found}", wanted))


def _empty(file: BinaryIO) -> int:
    file.seek(0)
    return file.truncate()


def _other_content(what: str, wanted: Wanted) -> str:
    size = "" if wanted.bytes is None else f"{wanted.bytes} bytes, "
    return f"what it sent is not the listed file ({what}; expected {size}sha256 {wanted.sha256})"


def _copy(
    response: http.client.HTTPResponse, file: BinaryIO, most: int, came: Advance, advance: Advance
) -> None:
    """Copy at most `most` bytes and one more, which makes the content a wrong one."""
    copied, announced = 0, response.length
    while copied <= most and (chunk := _read(response, min(_CHUNK, most + 1 - copied))):
        file.write(chunk)
        copied += len(chunk)
        came(len(chunk))
        advance(len(chunk))
    if announced is not None and copied < announced:
        raise _AddressError(f"broke off after {file.tell()} of {file.tell() + announced - copied} bytes")


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    with _network():
        return response.read1(most)


@contextmanager
def _network() -> Iterator[None]:
    """Turn what can go wrong in an answer into an _AddressError that says it in one short line."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise _AddressError(f"HTTP {error.code} {error.reason}"[:_SHOWN]) from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        said = " ".join(str(reason).split())[:_SHOWN]
        raise _AddressError(said or type(error).__name__) from error


@contextmanager
def _answer(address: str, have: int) -> Iterator[tuple[http.client.HTTPResponse, Advance]]:
    """Yield the answer of an address from byte `have` on, and the function to be told of bytes that came."""
    request_headers = {"Range": f"bytes={have}-"} if have else {}
    with _Watch() as watch:
        try:
            with _network():
                request = urllib.request.Request(address, headers=request_headers)
                response = _opener(watch).open(request, timeout=TIMEOUT)
            with response:
                yield response, watch.came
        except _AddressError as error:
            if watch.too_slow is None:
                raise
            raise _AddressError(watch.too_slow) from error
        if watch.too_slow is not None:
            raise _AddressError(watch.too_slow)


class _Watch:
    """Cuts a connection over which too few bytes of content come, whatever it is that comes instead."""

    def __init__(self) -> None:
        self.too_slow: str | None = None
        self._copied = 0
        self._socket: socket.socket | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="download-speed")

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def came(self, count: int) -> None:
        self._copied += count

    def hold(self, connection: http.client.HTTPConnection) -> None:
        self._socket = connection.sock

    def _look(self) -> None:
        seen, since = 0, time.monotonic()
        while not self._over.wait(TIMEOUT):
            new, seconds = self._copied - seen, time.monotonic() - since
            if new < SLOWEST * seconds:
                self.too_slow = f"too slow: {new} bytes in {seconds:.0f} seconds"
                self._cut()
                return
            seen, since = self._copied, time.monotonic()

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the plain call: TLS would first say goodbye, and wait for the answer
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _opener(watch: _Watch) -> urllib.request.OpenerDirector:
    """Return what opens http and https, through the user's proxies, and nothing else on a redirect's word."""

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            watch.hold(self)

    class Secure(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            watch.hold(self)

    class Http(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(Plain, req)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(Secure, req)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        Http(),
        Https(),
    ):
        opener.add_handler(handler)
    return opener
