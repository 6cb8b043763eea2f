"""Where the vocabulary comes from when the user names none."""

import hashlib
import io
import sys
import urllib.error
import urllib.request

import pytest
from xclip_small import vocabulary

from xbench.errors import ModelError
from xbench.registry.checkpoints import Listed
from xbench.registry.fetch import fetched
from xbench.scorers.clip import vocabulary as module
from xbench.scorers.clip.vocabulary import FILE, clip_tokenizer

CONTENT = b"the listed bytes"
ENTRY = Listed(
    url="https://example.org/a/file.bin", sha256=hashlib.sha256(CONTENT).hexdigest(), source="this test"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def offline(monkeypatch):
    def refuse(url, timeout):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def no_open_clip(monkeypatch):
    monkeypatch.setattr(module, "_in_open_clip", lambda: None)


def _serve(monkeypatch, content):
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


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


def test_a_listed_file_is_fetched_once_and_kept(monkeypatch):
    asked = _serve(monkeypatch, CONTENT)
    first, second = fetched(ENTRY, ""), fetched(ENTRY, "")
    assert (first.read_bytes(), first, asked) == (CONTENT, second, [ENTRY.url])


def test_a_file_with_another_sha256_is_refused_and_not_kept(monkeypatch, tmp_path):
    _serve(monkeypatch, b"<html>")
    with pytest.raises(ModelError, match=r"not the listed file.*Try this instead"):
        fetched(ENTRY, "Try this instead.")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_damaged_copy_in_the_cache_is_fetched_again(monkeypatch):
    _serve(monkeypatch, CONTENT)
    fetched(ENTRY, "").write_bytes(b"damaged")
    assert fetched(ENTRY, "").read_bytes() == CONTENT
