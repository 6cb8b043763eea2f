"""A local HTTP server whose answers can be broken in every way that a download must survive."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


def silent(released: threading.Event) -> Answer:
    """Nothing at all, until the test is over."""

    def answer(_: BaseHTTPRequestHandler) -> None:
        released.wait(20)

    return answer


def dripping(content: bytes, released: threading.Event) -> Answer:
    """A byte now and then, so that no single read times out."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for byte in content:
            if released.wait(0.05):
                return
            handler.wfile.write(bytes([byte]))

    return answer


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
