"""Where the vocabulary comes from when the user names none."""

import sys

import pytest
from xclip_small import vocabulary

from tests.file_server import as_host, serve
from xbench.errors import ModelError
from xbench.scorers.clip import bpe as module
from xbench.scorers.clip.bpe import FILE, clip_tokenizer


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server():
    with serve() as running, as_host("github.com", running):
        yield running


@pytest.fixture
def offline(server):
    """No answer but 404."""


@pytest.fixture
def no_open_clip(monkeypatch):
    monkeypatch.setattr(module, "_in_open_clip", lambda: None)


def test_a_named_file_is_taken(tmp_path):
    path = vocabulary(tmp_path)
    assert clip_tokenizer(path).vocabulary == path


def test_a_named_file_that_is_not_there_says_how_to_get_one(tmp_path):
    with pytest.raises(ModelError, match="open_clip_torch"):
        clip_tokenizer(tmp_path / "none.gz")


def test_the_copy_in_open_clip_is_found_without_importing_it(tmp_path, monkeypatch, offline):
    package = tmp_path / "site" / "open_clip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / FILE).write_bytes(vocabulary(tmp_path).read_bytes())
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    assert clip_tokenizer().vocabulary == package / FILE


def test_offline_without_any_the_error_says_how_to_get_it(no_open_clip, offline):
    with pytest.raises(ModelError, match=r"--bpe FILE.*open_clip_torch"):
        clip_tokenizer()
