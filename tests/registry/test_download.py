"""The downloader against local servers: whatever they answer, no wrong file is kept and nothing hangs."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.file_server import Server, as_host, broken_off, endless, raw, serve, status, whole
from xbench.errors import ModelError
from xbench.registry import download
from xbench.registry.checkpoints import Listed
from xbench.registry.download import Wanted, fetched, place_of

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENTRY = Listed(url="https://example.org/a/file.bin", sha256=SHA256, source="this test")


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running, as_host("example.org", running):
        yield running


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set at the end, so that answers which hang let go of their threads."""
    event = threading.Event()
    yield event
    event.set()


def get(server: Server, folder: Path, *paths: str, size: int | None = len(CONTENT)) -> bytes:
    wanted = Wanted("weights", tuple(server.address + path for path in paths), SHA256, size)
    target = folder / "file.bin"
    download.download(wanted, target, refuse=ModelError, instead="Ask.", advance=lambda _: None)
    return target.read_bytes()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if not path.is_dir()}


def refused(server: Server, folder: Path, *paths: str, size: int | None = len(CONTENT)) -> str:
    with pytest.raises(ModelError) as error:
        get(server, folder, *paths, size=size)
    assert "file.bin" not in names(folder)
    assert str(error.value).endswith("Ask.")
    assert max(map(len, str(error.value).splitlines())) < 400
    return str(error.value)


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_chunked_answer_and_one_without_a_length_are_taken(
    server: Server, tmp_path: Path, size: int | None
) -> None:
    half = len(CONTENT) // 2
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (CONTENT[:half], CONTENT[half:], b"")]
    server.answers |= {"/a": raw(CHUNKED, *chunks), "/b": raw(OK + b"\r\n", CONTENT)}
    assert get(server, tmp_path, "/a", size=size) == CONTENT
    assert get(server, tmp_path, "/b", size=size) == CONTENT


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (raw(b"hello\r\n\r\n"), "hello"),
        (raw(b""), "closed connection without response"),
        (raw(b"HTTP/1.1 200 " + b"x" * 70000 + b"\r\n\r\n"), "status line"),
        (raw(OK, b"X: 1\r\n" * 200, b"\r\n"), "more than 100 headers"),
        (raw(OK, b"X: " + b"1" * 70000 + b"\r\n\r\n"), "header line"),
        (raw(b"HTTP/1.1 500 " + b"x" * 3000 + b"\r\n\r\n"), "HTTP 500"),
        (raw(CHUNKED, b"zz\r\nabc\r\n"), "IncompleteRead"),
        (raw(CHUNKED, b"-5\r\nabc\r\n"), ""),
        (raw(CHUNKED, b"ffffffffff\r\nabc"), "IncompleteRead"),
        (raw(CHUNKED, b"1" * 70000), "chunk size"),
        (raw(OK + b"Content-Length: -7\r\n\r\n"), "broke off after 0"),
        (raw(OK + b"Content-Length: 99999999999\r\n\r\n"), "not the listed file"),
        (raw(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"), "not allowed"),
        (raw(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), "404"),
        (broken_off(CONTENT, 5000), "broke off after 5000"),
        (whole(CONTENT[::-1]), "not the listed file"),
        (whole(CONTENT + b"x"), "not the listed file"),
        (status(404), "404"),
    ],
)
def test_a_bad_answer_is_named_in_one_line_and_the_next_address_asked(
    server: Server, tmp_path: Path, answer: object, said: str
) -> None:
    server.answers |= {"/bad": answer, "/good": whole(CONTENT)}  # type: ignore[dict-item]
    assert said in refused(server, tmp_path, "/bad")
    assert get(server, tmp_path, "/bad", "/good") == CONTENT
    assert names(tmp_path) == {"file.bin"}


@pytest.mark.parametrize(
    "answered",  # a start, what comes again and again, and the pause in between
    [
        (b"", b"", 20),
        (OK + b"\r\n", b"x", 0.01),
        (b"", b"H", 0.01),
        (OK, b"X", 0.01),
        (CHUNKED, b"1", 0.01),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0),
        (CHUNKED + b"0\r\n", b"X: 1\r\n", 0),
        (CHUNKED, b"1;" + b"x" * 60000 + b"\r\nx\r\n", 0),
    ],
)
def test_an_answer_that_is_slow_or_never_comes_to_its_content_is_given_up(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    released: threading.Event,
    answered: tuple[bytes, bytes, float],
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    start, again, pause = answered
    server.answers |= {"/slow": endless(start, again, released, pause), "/good": whole(CONTENT)}
    assert any(word in refused(server, tmp_path, "/slow") for word in ("too slow", "timed out", "headers"))
    assert get(server, tmp_path, "/slow", "/good") == CONTENT


def test_a_speed_that_falls_after_a_good_start_is_noticed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    start = OK + b"Content-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT[:-1000]
    server.answers["/a"] = endless(start, b"x", released, 0.01)
    assert "too slow" in refused(server, tmp_path, "/a")


def test_an_endless_answer_is_cut_at_the_listed_size_or_the_largest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> None:
    monkeypatch.setattr(download, "AT_MOST", 10 * len(CONTENT))
    server.answers["/a"] = endless(OK + b"\r\n", CONTENT, released)
    for size in (len(CONTENT), None):
        assert "not the listed file" in refused(server, tmp_path, "/a", size=size)
    assert names(tmp_path) == set()


def test_what_broke_off_is_continued_without_a_listed_size_too(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/a": broken_off(CONTENT, 5000), "/b": whole(CONTENT)}
    refused(server, tmp_path, "/a", size=None)
    assert get(server, tmp_path, "/b", size=None) == CONTENT
    assert server.requests[-1] == ("/b", "bytes=5000-")


def test_nothing_is_written_through_a_planted_link(server: Server, tmp_path: Path) -> None:
    server.answers["/a"] = whole(CONTENT)
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    for plant in (Path.symlink_to, Path.hardlink_to):
        for name in (".file.bin.part", "file.bin"):
            folder = tmp_path / f"{plant.__name__}{name}"
            folder.mkdir()
            plant(folder / name, mine)
            assert get(server, folder, "/a") == CONTENT
            assert not (folder / "file.bin").is_symlink()
            assert mine.read_text() == "precious"


def test_a_planted_pipe_does_not_hang(server: Server, tmp_path: Path) -> None:
    server.answers["/a"] = whole(CONTENT)
    os.mkfifo(tmp_path / ".file.bin.part")
    assert get(server, tmp_path, "/a") == CONTENT


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_listed_file_is_fetched_once_and_kept(server: Server, cache: Path) -> None:
    server.answers["/a/file.bin"] = whole(CONTENT)
    first, second = fetched(ENTRY, ""), fetched(ENTRY, "")
    assert (first, first.read_bytes(), len(server.requests)) == (second, CONTENT, 1)
    assert names(cache) == {"file.bin"}


def test_a_damaged_copy_in_the_cache_is_fetched_again(server: Server, cache: Path) -> None:
    server.answers["/a/file.bin"] = whole(CONTENT)
    fetched(ENTRY, "").write_bytes(b"damaged")
    assert fetched(ENTRY, "").read_bytes() == CONTENT


def test_a_file_with_another_sha256_is_refused_and_not_kept(server: Server, cache: Path) -> None:
    server.answers["/a/file.bin"] = whole(b"<html>")
    with pytest.raises(ModelError, match=r"(?s)not the listed file.*Try this instead"):
        fetched(ENTRY, "Try this instead.")
    assert names(cache) == set()


@pytest.mark.parametrize("where", ["", "fetched", f"fetched/{SHA256}"])
def test_a_cache_path_that_is_a_file_is_a_named_error(server: Server, cache: Path, where: str) -> None:
    server.answers["/a/file.bin"] = whole(CONTENT)
    place = cache / where
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("a file")
    with pytest.raises(ModelError, match=r"cannot be kept in .*XBENCH_CACHE"):
        fetched(ENTRY, "")


def test_a_place_that_is_a_folder_is_a_named_error(server: Server, cache: Path) -> None:
    server.answers["/a/file.bin"] = whole(CONTENT)
    place_of(ENTRY).mkdir(parents=True)
    with pytest.raises(ModelError, match="cannot be kept"):
        fetched(ENTRY, "")


def test_two_at_once_fetch_once(server: Server, cache: Path) -> None:
    server.answers["/a/file.bin"] = whole(CONTENT)
    threads = [threading.Thread(target=fetched, args=(ENTRY, "")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert names(cache) == {"file.bin"}


def test_an_address_that_is_none_is_a_named_error(tmp_path: Path) -> None:
    for address in (
        "https://" + "a" * 300,
        "https://[",
        "https://a b/",
        "ftp://127.0.0.1/x",
        "http://127.0.0.1:9/x",
    ):
        wanted = Wanted("weights", (address,), SHA256)
        with pytest.raises(ModelError, match="could not be fetched"):
            download.download(wanted, tmp_path / "x", refuse=ModelError, instead="", advance=lambda _: None)
