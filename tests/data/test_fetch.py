"""Fetching annotations from a local server: whatever it answers, a wrong file is never kept."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.file_server import Server, broken_off, serve, status, whole
from xbench.data import fetch as annotations
from xbench.data.fetch import FetchedFile, bytes_to_fetch, fetch
from xbench.data.loading import load_split
from xbench.errors import DataError
from xbench.registry.datasets import AnnotationFile, Benchmark, Download, benchmark

CONTENT = b"".join(f"video{number}\n".encode() for number in range(2000))
COMMIT = "0" * 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve() as running:
        monkeypatch.setattr(annotations, "ADDRESS", running.address + "/{repository}/{commit}/{path}")
        yield running


def url(repository: str, path: str = "f.txt") -> str:
    return f"/{repository}/{COMMIT}/{path}"


def listed(content: bytes, *repositories: str, path: str = "f.txt") -> dict[str, object]:
    sources = [[repository, COMMIT, path] for repository in repositories]
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "sources": sources}


def get(content: bytes, folder: Path, *repositories: str) -> Path:
    file = AnnotationFile.model_validate(listed(content, *repositories))
    return annotations.get("f.txt", file, folder, lambda _: None)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_fetched_whole_and_nothing_else_stays(server: Server, tmp_path: Path) -> None:
    server.answers[url("a/a")] = whole(CONTENT)
    assert get(CONTENT, tmp_path, "a/a").read_bytes() == CONTENT
    assert names(tmp_path) == {"f.txt"}


def test_alternates_are_tried_in_order(server: Server, tmp_path: Path) -> None:
    server.answers |= {url("a/a"): status(404), url("b/b"): status(503), url("c/c"): whole(CONTENT)}
    assert get(CONTENT, tmp_path, "a/a", "b/b", "c/c").read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == [url("a/a"), url("b/b"), url("c/c")]


def test_bytes_of_an_answer_that_broke_off_are_continued_at_the_next_address(
    server: Server, tmp_path: Path
) -> None:
    server.answers |= {url("a/a"): broken_off(CONTENT, 5000), url("b/b"): whole(CONTENT)}
    with pytest.raises(DataError, match="broke off after 5000"):
        get(CONTENT, tmp_path, "a/a")
    assert names(tmp_path) == {".f.txt.part"}
    assert get(CONTENT, tmp_path, "b/b").read_bytes() == CONTENT
    assert server.requests[-1] == (url("b/b"), "bytes=5000-")
    assert names(tmp_path) == {"f.txt"}


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".f.txt.part").write_bytes(CONTENT[:100])
    server.answers[url("a/a")] = whole(CONTENT, ranges=False)
    assert get(CONTENT, tmp_path, "a/a").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"something else", CONTENT[:-1] + b"x", CONTENT + b"more"])
def test_a_left_over_of_other_content_is_dropped_and_fetched_again(
    server: Server, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / ".f.txt.part").write_bytes(left)
    server.answers[url("a/a")] = whole(CONTENT)
    assert get(CONTENT, tmp_path, "a/a").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "sent", [CONTENT.replace(b"video7\n", b"video8\n"), CONTENT + b"x", CONTENT[:-1], b"", b"<html>"]
)
def test_other_content_is_never_kept(server: Server, tmp_path: Path, sent: bytes) -> None:
    server.answers[url("a/a")] = whole(sent)
    with pytest.raises(DataError, match=r"f\.txt could not be fetched") as error:
        get(CONTENT, tmp_path, "a/a")
    assert url("a/a") in str(error.value)
    assert "f.txt" not in names(tmp_path)


def test_tampered_content_gives_way_to_an_alternate(server: Server, tmp_path: Path) -> None:
    server.answers |= {url("a/a"): whole(CONTENT[::-1]), url("b/b"): whole(CONTENT)}
    assert get(CONTENT, tmp_path, "a/a", "b/b").read_bytes() == CONTENT


def test_no_server_at_all_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotations, "ADDRESS", "http://127.0.0.1:9/{repository}/{commit}/{path}")
    with pytest.raises(DataError, match="put the file there by hand"):
        get(CONTENT, tmp_path, "a/a")


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def get_zipped(server: Server, packed: bytes, folder: Path) -> Path:
    server.answers[url("a/a", "f.zip")] = whole(packed)
    entry = listed(CONTENT) | {"zip": listed(packed, "a/a", path="f.zip")}
    return annotations.get("f.txt", AnnotationFile.model_validate(entry), folder, lambda _: None)


@pytest.mark.parametrize("name", ["f.txt", "deep/er/f.txt", "../../f.txt", "/etc/f.txt"])
def test_the_wanted_member_is_written_to_our_own_path_only(server: Server, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    packed = archive(
        {"../../evil.txt": b"evil", "/tmp/evil.txt": b"evil", "__MACOSX/._f.txt": b"", name: CONTENT}
    )
    assert get_zipped(server, packed, folder).read_bytes() == CONTENT
    assert names(folder) == {"f.txt"}
    assert names(tmp_path) == {"a"}


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"no archive", "no usable zip archive"),
        (archive({"other.txt": CONTENT}), r"holds no f\.txt"),
        (archive({"f.txt": CONTENT * 50}), r"holds no f\.txt of"),
        (archive({"f.txt": CONTENT[::-1]}), "not the listed file"),
    ],
    # An archive holds the time, and names must not.
    ids=["no archive", "other name", "other size", "other content"],
)
def test_an_archive_without_the_listed_member_leaves_nothing(
    server: Server, tmp_path: Path, packed: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        get_zipped(server, packed, tmp_path)
    assert names(tmp_path) == set()


@pytest.fixture
def published(server: Server, msvd: Path) -> Benchmark:
    """MSVD as if its published files were the made-up ones, each at one public address."""
    files = {}
    for path in msvd.iterdir():
        content = path.read_bytes()
        files[path.name] = AnnotationFile.model_validate(listed(content, "a/a", path=path.name))
        server.answers[url("a/a", path.name)] = whole(content)
    return benchmark("msvd").model_copy(update={"fetch": files})


def fetch_all(
    entry: Benchmark, folder: Path, advance: Callable[[int], None] = lambda _: None
) -> list[FetchedFile]:
    return fetch(entry, list(entry.protocols.values()), folder, advance)


def test_what_fetch_puts_down_is_what_loading_reads(published: Benchmark, msvd: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "MSVD"
    came: list[int] = []
    expected = bytes_to_fetch(published, list(published.protocols.values()), target)
    outcomes = fetch_all(published, target, came.append)
    assert {(each.name, each.state) for each in outcomes} == {
        ("test_list.txt", "fetched"),
        ("val_list.txt", "fetched"),
        ("captions_msvd.json", "fetched"),
    }
    assert sum(came) == expected
    assert load_split("msvd", target) == load_split("msvd", msvd)
    again = fetch_all(published, target)
    assert {each.state for each in again} == {"already there"}


def test_one_protocol_fetches_only_its_own_files(published: Benchmark, tmp_path: Path) -> None:
    fetch(published, [published.protocols["msvd/val"]], tmp_path / "x", lambda _: None)
    assert names(tmp_path / "x") == {"val_list.txt", "captions_msvd.json"}


def test_a_file_of_other_content_is_left_as_it_is_and_told(published: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "test_list.txt").write_text("mine\n")
    outcome = next(each for each in fetch_all(published, tmp_path) if each.name == "test_list.txt")
    assert (outcome.state, outcome.is_fine) == ("left as it is", False)
    assert (tmp_path / "test_list.txt").read_text() == "mine\n"


def test_an_alternative_form_that_is_there_is_enough(
    published: Benchmark, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "raw-captions.pkl").write_bytes(b"the published form")
    fetch_all(published, tmp_path)
    assert "captions_msvd.json" not in names(tmp_path)


def test_one_failure_does_not_stop_the_other_files(
    published: Benchmark, server: Server, tmp_path: Path
) -> None:
    server.answers[url("a/a", "test_list.txt")] = status(404)
    states = {each.name: each.state for each in fetch_all(published, tmp_path)}
    assert states == {"test_list.txt": "failed", "val_list.txt": "fetched", "captions_msvd.json": "fetched"}


def test_lsmdc_is_not_fetched_but_told_where_to_go(tmp_path: Path) -> None:
    entry = benchmark("lsmdc")
    outcomes = fetch(entry, [entry.protocols["lsmdc/test"]], tmp_path, lambda _: None)
    assert [each.state for each in outcomes] == ["not public"]
    assert "agreement" in outcomes[0].detail
    assert str(tmp_path) in outcomes[0].detail


def test_two_fetches_into_one_folder_do_not_mix(
    published: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def fetch_again(_: int) -> None:
        with pytest.raises(DataError, match="Another xbench is fetching") as error:
            fetch_all(published, tmp_path)
        refused.append(str(error.value))

    outcomes = fetch_all(published, tmp_path, fetch_again)
    assert all(each.is_fine for each in outcomes)
    assert refused


def test_a_folder_that_cannot_be_made_is_an_error(published: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cannot be written: .*Not a directory"):
        fetch_all(published, tmp_path / "file" / "MSVD")


def test_the_listed_files_are_those_of_the_facts(shared: Path) -> None:
    import json

    facts = json.loads((shared / "annotation_sources.json").read_text("utf-8"))
    for name in ("msrvtt", "msvd", "didemo", "activitynet"):
        for file, entry in benchmark(name).fetch.items():
            fact = facts[f"{name}/{file}"]
            assert (entry.bytes, entry.sha256) == (fact["bytes"], fact["sha256"])
            archives = [value for key, value in facts.items() if key.endswith(".zip")]
            known = (
                fact["sources"]
                if entry.zip is None
                else next(value["sources"] for value in archives if value["sha256"] == entry.zip.sha256)
            )
            pinned: Download = entry.zip or entry
            assert [source.model_dump() for source in pinned.sources] == known
            local = shared / "annotations" / benchmark(name).annotations / file
            if local.exists():
                assert annotations.has_content(local, entry)


def test_every_runnable_protocol_but_lsmdc_can_be_fetched() -> None:
    from xbench.data.fetch import wanted_files

    for name in ("msrvtt", "msvd", "didemo", "activitynet"):
        entry = benchmark(name)
        for group in wanted_files(list(entry.protocols.values())):
            assert set(group) & set(entry.fetch), group
    assert benchmark("lsmdc").fetch == {}
