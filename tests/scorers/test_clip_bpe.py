"""The tokenizer: the published ids, a naive oracle, and what it refuses."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xclip_small import MERGES, VOCABULARY, tokenizer, vocabulary

from xbench.errors import ModelError
from xbench.scorers.clip.bpe import ClipTokenizer, clean

END, START = VOCABULARY - 1, VOCABULARY - 2
FIRST_MERGE = 512


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("vocabulary"))


def test_every_golden_string_gets_the_published_ids(shared, fixtures):
    golden = json.loads((fixtures / "xclip" / "tokenizer.json").read_text())
    published = ClipTokenizer(shared / "clip" / "bpe_simple_vocab_16e6.txt.gz")
    assert (published.size, len(golden["items"])) == (golden["vocab"], 60)
    for item in golden["items"]:
        assert published.encode(item["text"]) == item["encode"], item["text"]
        for length in (12, 32, 77):
            row = published.batch([item["text"]], length)[0]
            assert row.tolist() == item[f"ids{length}"], item["text"]
            assert int(row.argmax()) == item[f"argmax{length}"], item["text"]


def test_merges_are_applied_in_the_order_of_the_file(small):
    merge = {text: FIRST_MERGE + number for number, text in enumerate(MERGES)}
    # "d o" stands after "do g</w>", so a word is merged as far as pairs are there, whatever their order.
    assert small.encode("The cat and dog") == [
        merge["th e</w>"],
        merge["ca t</w>"],
        merge["an d</w>"],
        merge["do g</w>"],
    ]


def test_bytes_come_first_then_bytes_that_end_a_word(small):
    assert small.encode("!") == [256]
    assert small.encode("ab") == [ord("a") - ord("!"), 256 + ord("b") - ord("!")]


def naive(word: str) -> list[str]:
    """Merge by going through the merges in order until nothing changes."""
    symbols = [*word[:-1], f"{word[-1]}</w>"]
    changed = True
    while changed:
        changed = False
        for left, right in (merge.split() for merge in MERGES):
            for place in range(len(symbols) - 1):
                if symbols[place : place + 2] == [left, right]:
                    symbols[place : place + 2] = [left + right]
                    changed = True
                    break
            if changed:
                break
    return symbols


@settings(deadline=None)
@given(st.text(alphabet="thecadogns", min_size=1, max_size=12))
def test_merging_equals_going_through_the_merges_one_by_one(small, word):
    printable = [chr(code) for code in range(33, 127)]
    ids = {symbol: number for number, symbol in enumerate(printable)}
    ids |= {f"{symbol}</w>": 256 + number for number, symbol in enumerate(printable)}
    ids |= {"".join(merge.split()): FIRST_MERGE + number for number, merge in enumerate(MERGES)}
    assert small.encode(word) == [ids[symbol] for symbol in naive(word)]


@settings(deadline=None)
@given(st.text(max_size=40), st.integers(2, 20))
def test_a_row_is_start_tokens_end_and_zeros_whatever_the_text(small, text, length):
    ids = small.encode(text)[: length - 2]
    row = small.batch([text], length)[0].tolist()
    assert row == [START, *ids, END, *[0] * (length - 2 - len(ids))]


def test_a_literal_end_token_in_a_caption_is_the_end_token(small):
    assert small.encode("cat <|endoftext|>")[-1] == END


def test_text_is_repaired_unescaped_twice_collapsed_and_lowered():
    assert clean("  Fish &amp;amp; CHIPS\n\tlâ€™eau ") == "fish & chips l'eau"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>", "not a CLIP vocabulary"),
        (gzip.compress(b"header\nt h\nbroken\n", mtime=0), "line 3 is not a pair"),
        (gzip.compress(b"header\nt h\nt h\n", mtime=0), "twice"),
        (gzip.compress(b"header\nt h\n" * 50, mtime=0)[:-12], "not a CLIP vocabulary"),
        (gzip.compress(b"header\n\xff\xfe h\n", mtime=0), "not a CLIP vocabulary"),
    ],
)
def test_a_damaged_vocabulary_is_an_error_that_names_the_file(tmp_path, content, said):
    path = tmp_path / "bpe.txt.gz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said) as error:
        _ = ClipTokenizer(path).size
    assert str(path) in str(error.value)


def test_only_as_many_merges_are_read_as_clip_uses(tmp_path):
    extra = tuple(f"a{number} b" for number in range(50000))
    assert ClipTokenizer(vocabulary(tmp_path, extra)).size == 49408


def test_a_missing_vocabulary_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="no vocabulary file"):
        ClipTokenizer(tmp_path / "none.txt.gz")
