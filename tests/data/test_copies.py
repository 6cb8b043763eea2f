"""Copies that say the same are the same, whatever wrote them; copies that say something else are not."""

import pickle
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from fuzz_annotations import Kind, kinds, published, write

from xbench.data.loading import load_split
from xbench.data.recognition import recognise

NAMES = ("msrvtt", "msvd", "lsmdc", "didemo", "activitynet", "msrvtt-json", "msvd-json")
OWN = ("own_csv", "own_tsv", "own_json", "own_jsonl")
ROWS = {".csv", ".tsv", ".jsonl", ".txt"}
"""A row a line; of the files with a header, the first row stays where it is."""

Change = Callable[[str, bytes], bytes]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Kind, Path]]]:
    folder = tmp_path_factory.mktemp("copies")
    every = kinds(folder)
    with published(every, folder):
        yield {kind.name: (kind, folder / kind.name) for kind in every}


def shuffled(name: str, content: bytes) -> bytes:
    if Path(name).suffix not in ROWS:
        return content
    head, *rows = content.decode().splitlines(keepends=True)
    has_header = (name.startswith("captions.") and not name.endswith(".jsonl")) or "JSFUSION" in name
    first = [head] if has_header else []
    rest = rows if has_header else [head, *rows]
    rest = [row if row.endswith("\n") else f"{row}\n" for row in rest]
    return "".join([*first, *random.Random(1).sample(rest, len(rest))]).encode()


def text_only(change: Callable[[bytes], bytes]) -> Change:
    return lambda name, content: content if name.endswith(".pkl") else change(content)


SAME: dict[str, Change] = {
    "as it is": lambda _, content: content,
    "with a byte order mark": text_only(lambda content: b"\xef\xbb\xbf" + content),
    "with CRLF": text_only(lambda content: content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")),
    "with blank lines at its end": text_only(lambda content: content + b"\n\n \n"),
    "without a line end": text_only(bytes.rstrip),
    "in another order": shuffled,
    "pickled by another Python": lambda name, content: (
        pickle.dumps(pickle.loads(content), protocol=4) if name.endswith(".pkl") else content
    ),
}


@pytest.mark.parametrize("how", SAME)
@pytest.mark.parametrize("name", NAMES + OWN)
def test_a_copy_that_says_the_same_is_comparable(
    known: dict[str, tuple[Kind, Path]], name: str, how: str
) -> None:
    kind, place = known[name]
    write(place, {file: SAME[how](file, content) for file, content in kind.files.items()})
    split = load_split(kind.benchmark, place, kind.protocol)
    assert recognise(split).reasons == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(data=st.data())
def test_one_word_more_or_less_is_another_text(
    known: dict[str, tuple[Kind, Path]], data: st.DataObject
) -> None:
    """In whichever benchmark and caption, as the split sees it."""
    kind, place = known[data.draw(st.sampled_from(NAMES + OWN))]
    write(place, kind.files)
    split = load_split(kind.benchmark, place, kind.protocol)
    number = data.draw(st.integers(0, len(split.captions) - 1))
    words = split.captions[number].text.split()
    gone = data.draw(st.integers(0, len(words) - 1))
    changed = data.draw(st.sampled_from([words[:gone] + words[gone + 1 :], words[: gone + 1] + words[gone:]]))
    caption = type(split.captions[number])(" ".join(changed), split.captions[number].video)
    captions = (*split.captions[:number], caption, *split.captions[number + 1 :])
    edited = type(split)(split.benchmark, split.protocol, split.videos, captions, split.v2t)
    recognition = recognise(edited)
    assert not recognition.comparable
    assert recognition.protocol is None


@pytest.mark.parametrize("name", OWN)
def test_a_row_twice_is_another_content(known: dict[str, tuple[Kind, Path]], name: str) -> None:
    kind, place = known[name]
    write(place, kind.files)
    split = load_split(kind.benchmark, place)
    twice = type(split)(
        split.benchmark, split.protocol, split.videos, (*split.captions, split.captions[0]), split.v2t
    )
    assert not recognise(twice).comparable
