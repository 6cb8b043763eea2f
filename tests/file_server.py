"""A local HTTP server whose answers can be broken in every way that a download must survive."""

import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from xbench.registry import download

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by path; remembers (path, Range header) of every request."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str | None]] = []


def whole(content: bytes, ranges: bool = True) -> Answer:
    """The content, or the part of it that is asked for."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked and ranges else 0
        handler.send_response(206 if asked and ranges else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start:])

    return answer


def broken_off(content: bytes, after: int) -> Answer:
    """The length of the content in the header, but only the first bytes of it."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:after])

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


def raw(*parts: bytes) -> Answer:
    """Bytes as they are, whether they are HTTP or not."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        for part in parts:
            handler.wfile.write(part)

    return answer


def endless(start: bytes, again: bytes, released: threading.Event, pause: float = 0.0) -> Answer:
    """A start, then the same bytes again and again, as fast as they are taken or with pauses."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        with suppress(OSError):
            while not released.wait(pause):
                handler.wfile.write(again)

    return answer


def silent(released: threading.Event) -> Answer:
    """Nothing at all, until the test is over."""
    return endless(b"", b"", released, pause=20)


@contextmanager
def as_host(host: str, server: Server) -> Iterator[None]:
    """Within, the downloader asks the server whatever it would ask of https://HOST."""

    class Opener:
        def __init__(self, opener: urllib.request.OpenerDirector) -> None:
            self.opener = opener

        def open(self, request: urllib.request.Request, timeout: float) -> object:
            request.full_url = request.full_url.replace(f"https://{host}", server.address)
            return self.opener.open(request, timeout=timeout)

    real = download._opener
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_opener", lambda watch: Opener(real(watch)))
        yield


@contextmanager
def serve() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append((self.path, self.headers.get("Range")))
            server.answers.get(self.path, status(404))(self)

        def log_message(self, *_: object) -> None:
            pass

        def handle_error(self) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]
    server = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
