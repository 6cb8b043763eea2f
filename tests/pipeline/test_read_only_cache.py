"""A cache that can only be read serves what it has, and says what to do for what is new."""

import errno
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.pipeline.conftest import STEMS, World, write_video
from xbench.cli import main

READ_ONLY: set[str] = set()
"""Folders in which nothing may be written. Permissions do not bind root, which tests often run as."""
_CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.truncate"}


def refuse(event: str, details: tuple[Any, ...]) -> None:
    """Fail as a file system that is mounted read-only does; an audit hook, which stays."""
    if not READ_ONLY or (event != "open" and event not in _CHANGES):
        return
    flags = details[2] if event == "open" and isinstance(details[2], int) else 0
    writes = event != "open" or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    path = os.fspath(details[0]) if isinstance(details[0], str | os.PathLike) else ""
    if writes and any(str(path).startswith(folder) for folder in READ_ONLY) and not os.path.isdir(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


@pytest.fixture
def read_only() -> Iterator[set[str]]:
    """The folders that are to be read only in this test."""
    sys.addaudithook(refuse)
    yield READ_ONLY
    READ_ONLY.clear()


def invoke(world: World, *more: str) -> Result:
    return CliRunner().invoke(main, world.arguments("--json", *more), catch_exceptions=False)


def test_a_read_only_cache_serves_what_it_has_and_refuses_what_is_new(
    world: World, read_only: set[str]
) -> None:
    first = json.loads(invoke(world).stdout)
    read_only.add(str(world.cache))
    again = invoke(world)
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["metrics"] == first["metrics"]
    write_video(world.videos / "somewhere" / STEMS[2], seed=99)
    new = invoke(world)
    assert new.exit_code == 3
    assert "cannot be written" in new.stderr
    assert "--no-cache" in new.stderr
