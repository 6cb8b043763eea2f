"""`xbench models list|show|fetch`: what there is, said without loading it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.file_server import Server, as_host, serve, whole
from xbench.cli import main

MINE = """\
checkpoints:
  mine:
    scorer: clip4clip
    url: https://nowhere.example/pytorch_model.bin.4
    sha256: {sha256}
    settings: {{words: 8}}
    licence: MIT
    reproduces: {{model: CLIP4Clip-meanP, benchmark: msrvtt}}
  unpublished:
    scorer: clip
    clip: ViT-B/32
    reproduces: {{model: Nobody, benchmark: msrvtt}}
"""
CONTENT = b"weights"


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints.yaml").write_text(MINE.format(sha256=hashlib.sha256(CONTENT).hexdigest()))
    monkeypatch.setenv("XBENCH_CHECKPOINTS", str(tmp_path / "checkpoints.yaml"))
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "cache"))


def models(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments], catch_exceptions=False)


def test_list_names_every_model_and_checkpoint() -> None:
    result = models("list")
    assert result.exit_code == 0
    for name in ("xclip", "clip4clip", "clip", "hf", "features", "mine", "clip-vit-b-32"):
        assert f"  {name} " in result.stdout
    loaded: dict[str, Any] = json.loads(models("list", "--json").stdout)
    assert {"name": "mine", "scorer": "clip4clip"}.items() <= loaded["checkpoints"][-2].items()
    assert all(each["summary"] for each in loaded["models"])


def test_show_tells_the_options_of_a_model() -> None:
    result = models("show", "clip4clip")
    assert "--checkpoint" in result.stdout
    assert "--model-args words=" in result.stdout
    assert "the protocol's" in result.stdout


def test_show_tells_what_a_checkpoint_should_reproduce() -> None:
    result = models("show", "mine")
    assert "CLIP4Clip-meanP on msrvtt, msrvtt/1ka, t2v: R@1 43.1" in result.stdout
    assert "not yet; it goes to" in result.stdout
    assert "has no such row" in models("show", "unpublished").stdout
    assert "40d365715913" in models("show", "ViT-B/32").stdout


@pytest.mark.parametrize("command", ["show", "fetch"])
def test_an_unknown_name_is_told_with_the_closest(command: str) -> None:
    result = models(command, "mines")
    assert result.exit_code == 2
    assert "Did you mean 'mine'" in result.stderr


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running, as_host("nowhere.example", running):
        yield running


def test_fetch_downloads_once_checks_and_prints_the_path(server: Server) -> None:
    server.answers["/pytorch_model.bin.4"] = whole(CONTENT)
    for _ in range(2):
        result = models("fetch", "mine")
        assert result.exit_code == 0, result.stderr
        assert Path(result.stdout.strip()).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert str(Path(result.stdout.strip())) in models("show", "mine").stdout


def test_fetch_refuses_what_is_not_the_listed_file(server: Server) -> None:
    server.answers["/pytorch_model.bin.4"] = whole(b"something else")
    result = models("fetch", "mine")
    assert result.exit_code == 4
    assert "is not the listed file" in result.stderr
    assert "give its path as `file` of mine" in result.stderr


def test_fetch_without_weights_says_so(tmp_path: Path) -> None:
    (tmp_path / "checkpoints.yaml").write_text("checkpoints:\n  bare: {scorer: clip}\n")
    result = models("fetch", "bare")
    assert result.exit_code == 2
    assert "nothing to fetch" in result.stderr
