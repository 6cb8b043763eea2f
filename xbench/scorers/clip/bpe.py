"""CLIP's vocabulary, wherever it is found, and its byte-pair encoding, equal to the published tokenizer's.

transformers' own CLIP tokenizer cleans text differently (16 of 60 awkward strings get other ids), so this one
follows the published steps: ftfy, HTML unescaped twice, white space collapsed, lower case, the word pattern,
merges. Source: `modules/tokenization_clip.py` of X-CLIP, which is OpenAI CLIP's.
"""

import html
import importlib.util
import os
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import ftfy
import regex
import torch

from xbench.errors import ModelError
from xbench.readers import MIB, gunzip, read_at_most
from xbench.registry.checkpoints import checkpoints
from xbench.registry.download import fetched, place_of
from xbench.storage import file_sha256, user_path

START, END = "<|startoftext|>", "<|endoftext|>"
_MERGES = 49152 - 256 - 2
"""Merges that CLIP uses of its vocabulary file, which holds more."""
_WORDS = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)
_WORD_END = "</w>"
_PACKED, _UNPACKED = 4 * MIB, 8 * MIB
"""Bytes of a vocabulary file; CLIP's has 1.3 million, which unpack to 3.2."""


class ClipTokenizer:
    """Tokenizer over a vocabulary file in CLIP's format: gzipped text, a header line, one merge a line.

    A file with fewer merges than CLIP's gives a smaller vocabulary by the same rule: 256 bytes, 256 bytes
    that end a word, the merges, start token, end token.
    """

    def __init__(self, vocabulary: Path, *, unescape: bool = True) -> None:
        """unescape: whether HTML entities are resolved, which OpenAI's code does and transformers' does not.

        Raises ModelError when the file is missing; a corrupt one is told when it is first used.
        """
        if not vocabulary.is_file():
            raise ModelError(f"There is no vocabulary file {vocabulary}. {_HOW}")
        self.vocabulary, self._unescape = vocabulary, unescape
        self._words: dict[str, tuple[int, ...]] = {}

    @cached_property
    def sha256(self) -> str:
        """The sha256 of the vocabulary file."""
        return file_sha256(self.vocabulary)

    @property
    def size(self) -> int:
        """Number of token ids, to compare with the rows of a model's embedding."""
        return len(self._ids)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without start and end token."""
        words = _WORDS.findall(clean(text, unescape=self._unescape))
        return [token for word in words for token in self._word_ids(word)]

    def batch(self, texts: Sequence[str], length: int) -> torch.Tensor:
        """Return int64 [B, length]: start token, at most `length` - 2 tokens, end token, zeros."""
        rows = torch.zeros(len(texts), length, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = [self._ids[START], *self.encode(text)[: length - 2], self._ids[END]]
            row[: len(ids)] = torch.tensor(ids)
        return rows

    def pieces(self, text: str, length: int) -> list[str]:
        """Return what stands at each of the positions of `batch`, for a reader; empty for the zeros.

        A piece that a word goes on behind ends in a middle dot.
        """
        shown = {self._ids[START]: "[start]", self._ids[END]: "[end]"}
        (row,) = self.batch([text], length).tolist()
        end = len(self.encode(text)[: length - 2]) + 2
        return [shown.get(token) or self._piece(token) for token in row[:end]] + [""] * (length - end)

    def _piece(self, token: int) -> str:
        symbol = self._symbols[token]
        whole = symbol.removesuffix(_WORD_END)
        text = bytes(_SYMBOL_BYTES[each] for each in whole).decode("utf-8", errors="replace")
        return text if whole != symbol else f"{text}\u00b7"

    def _word_ids(self, word: str) -> tuple[int, ...]:
        if word not in self._words:
            self._words[word] = self._merge(word)
        return self._words[word]

    def _merge(self, word: str) -> tuple[int, ...]:
        if word in (START, END):
            return (self._ids[word],)
        symbols = [_BYTE_SYMBOLS[byte] for byte in word.encode("utf-8")]
        symbols[-1] += _WORD_END
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=self._rank)
            if best not in self._ranks:
                break
            symbols = _joined(symbols, best)
        return tuple(self._ids[symbol] for symbol in symbols)

    def _rank(self, pair: tuple[str, str]) -> int:
        return self._ranks.get(pair, _MERGES)

    @cached_property
    def _merges(self) -> list[tuple[str, str]]:
        return _read_merges(self.vocabulary)

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self._merges)}

    @cached_property
    def _symbols(self) -> dict[int, str]:
        return {number: symbol for symbol, number in self._ids.items()}

    @cached_property
    def _ids(self) -> dict[str, int]:
        single = list(_BYTE_SYMBOLS.values())
        merged = [left + right for left, right in self._merges]
        symbols = [*single, *(symbol + _WORD_END for symbol in single), *merged, START, END]
        return {symbol: number for number, symbol in enumerate(symbols)}


def clean(text: str, *, unescape: bool = True) -> str:
    """Return the text as it is split into words: repaired, unescaped twice, one space, lower case."""
    repaired = ftfy.fix_text(text)
    if unescape:
        repaired = html.unescape(html.unescape(repaired))
    return regex.sub(r"\s+", " ", repaired).strip().lower()


def _joined(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined


def _byte_symbols() -> dict[int, str]:
    """Map every byte to a printable character, in the order that numbers the first 256 tokens."""
    ranges = (("!", "~"), ("¡", "¬"), ("®", "ÿ"))
    printable = [byte for first, last in ranges for byte in range(ord(first), ord(last) + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable}
    return symbols | {byte: chr(256 + number) for number, byte in enumerate(others)}


_BYTE_SYMBOLS = _byte_symbols()
_SYMBOL_BYTES = {symbol: byte for byte, symbol in _BYTE_SYMBOLS.items()}


def _read_merges(path: Path) -> list[tuple[str, str]]:
    try:
        lines = gunzip(read_at_most(path, _PACKED), _UNPACKED).decode("utf-8").rstrip("\n").split("\n")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} is not a CLIP vocabulary: expected a gzipped text file, a header line and one merge a"
            " line."
        ) from error
    merges = [tuple(line.split()) for line in lines[1 : _MERGES + 1]]
    wrong = next((number for number, merge in enumerate(merges, 2) if len(merge) != 2), None)
    if wrong is not None or len(set(merges)) != len(merges):
        where = f"line {wrong} is not a pair" if wrong else "a merge stands there twice"
        raise ModelError(f"{path} is not a CLIP vocabulary: {where}. Copy it again.")
    return [(left, right) for left, right in merges]


VARIABLE = "XBENCH_BPE"
FILE = "bpe_simple_vocab_16e6.txt.gz"
_HOW = (
    f"CLIP's vocabulary ({FILE}) is needed to read captions: pass it with --bpe FILE, name it in "
    f"{VARIABLE}, or run `pip install open_clip_torch`, whose copy is found by itself."
)


def clip_tokenizer(bpe: Path | None = None, *, unescape: bool = True) -> ClipTokenizer:
    """Return the tokenizer over `bpe`, else $XBENCH_BPE, else open_clip's copy, else one fetched and checked.

    unescape: see `ClipTokenizer`. Raises ModelError, saying how to get the vocabulary, when there is none and
    it cannot be fetched.
    """
    bpe = bpe or _named()
    if bpe is not None:
        if not bpe.is_file():
            raise ModelError(f"There is no vocabulary file {bpe}. {_HOW}")
    else:
        bpe = _in_open_clip() or fetched(checkpoints().vocabulary["clip-bpe"], _HOW)
    return ClipTokenizer(bpe, unescape=unescape)


def at_hand() -> Path | None:
    """Return the vocabulary that would be used without --bpe, None where it would have to be fetched."""
    kept = place_of(checkpoints().vocabulary["clip-bpe"])
    return _named() or _in_open_clip() or (kept if kept.is_file() else None)


def _named() -> Path | None:
    chosen = os.environ.get(VARIABLE)
    return user_path(chosen) if chosen else None


def _in_open_clip() -> Path | None:
    """Find the file without importing the package, which would import torchvision."""
    spec = importlib.util.find_spec("open_clip")
    folders = spec.submodule_search_locations if spec else None
    files = [Path(folder) / FILE for folder in folders or ()]
    return next((file for file in files if file.is_file()), None)
