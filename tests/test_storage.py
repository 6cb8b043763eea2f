"""Files appear whole or not at all, locks are held by one, and nothing of a dead process stays."""

import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from xbench.storage import appearing, continued, lock, scratch, tidy, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_what_stood_there(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"old")

    def stopped() -> None:
        with appearing(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_name_at_the_limit_of_the_file_system_can_be_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "\N{GREEK SMALL LETTER ALPHA}" * 127):
        write_atomically(tmp_path / name, b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    write_atomically(tmp_path / "link", b"new")
    assert ((tmp_path / "mine").read_bytes(), (tmp_path / "link").read_bytes()) == (b"precious", b"new")


def test_a_device_or_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(OSError, match="device or a pipe"), appearing(tmp_path / "pipe"):
        pass


def _die_while_writing(folder: Path) -> None:
    with appearing(folder / "a") as temporary, scratch() as outer, scratch(folder) as inner:
        temporary.write_bytes(b"half")
        (outer / "big").write_bytes(b"half")
        (inner / "big").write_bytes(b"half")
        os._exit(9)


def test_what_a_dead_process_left_goes_and_what_a_living_one_writes_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp, folder = tmp_path / "temp", tmp_path / "folder"
    temp.mkdir()
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    process = multiprocessing.get_context("fork").Process(target=_die_while_writing, args=(folder,))
    process.start()
    process.join()
    assert (len(names(temp)), len(names(folder))) == (1, 2)
    with scratch() as outer, appearing(folder / "b") as temporary:
        temporary.write_bytes(b"mine")
        assert names(temp) == [outer.name]
        tidy(folder)
        assert names(folder) == [temporary.name]
    assert (names(temp), names(folder)) == ([], ["b"])


def test_what_another_machine_or_an_older_xbench_left_goes_after_a_day(tmp_path: Path) -> None:
    for name in (".a.00000000.1.00000000.tmp", ".b.1234.0f0f0f0f.tmp"):
        for end, age in (("new", 3600), ("old", 25 * 3600)):
            path = tmp_path / f".{end}{name}"
            path.write_bytes(b"half")
            os.utime(path, (time.time() - age,) * 2)
    tidy(tmp_path)
    assert len(names(tmp_path)) == 2
    assert all(name.startswith(".new") for name in names(tmp_path))


def test_a_planted_link_in_the_temporary_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    link = tmp_path / ".x.tmp"
    link.symlink_to(tmp_path / "mine")
    os.utime(link, (0, 0), follow_symlinks=False)
    tidy(tmp_path)
    assert names(tmp_path) == ["mine"]
    assert (tmp_path / "mine" / "file").exists()


def test_a_file_is_continued_and_a_link_in_its_place_is_not(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        with continued(tmp_path / "part") as file:
            file.write(content)
    (tmp_path / "link").symlink_to(tmp_path / "part")
    with continued(tmp_path / "link") as file:
        file.write(b"three")
    assert (tmp_path / "part").read_bytes() == b"onetwo"
    assert (tmp_path / "link").read_bytes() == b"three"


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "new" / "lock", [0], [0]

    def work() -> None:
        for _ in range(20):
            with lock(path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    with lock(path), pytest.raises(BlockingIOError), lock(path, wait=False):
        pass
    assert names(path.parent) == []
