"""What a benchmark's miniature needs of its room: the manner of its clips, and its official file layout."""

import io
import json
import pickle
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

Files = dict[str, bytes]
"""File name -> content."""


@dataclass(frozen=True)
class Style:
    """What the clips of a benchmark have in common: their length in seconds, and how many things happen."""

    shortest: int
    longest: int
    long: bool = False


@dataclass(frozen=True)
class Voice:
    """A manner of speaking: `moves` or `is moving`, sentences with capital and full stop or without."""

    continuous: bool = False
    sentences: bool = False
    brief: bool = False

    def finish(self, text: str) -> str:
        """Return the text with capital and full stop, if this voice has them."""
        return f"{text[0].upper()}{text[1:]}." if self.sentences else text


@dataclass(frozen=True)
class Manner:
    """What tells one miniature benchmark from another. `captions` is (fewest, most) sentences of a video."""

    style: Style
    voice: Voice
    captions: tuple[int, int]


class Timed(Protocol):
    """When something happens, in seconds."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


class Shown(Protocol):
    """What a clip shows: how long it lasts, in whole seconds, and what happens when."""

    @property
    def seconds(self) -> int: ...

    @property
    def acts(self) -> Sequence[Timed]: ...


class Told(Protocol):
    """A clip with its sentences."""

    @property
    def scene(self) -> Shown: ...

    @property
    def sentences(self) -> Sequence[str]: ...


class StandIn(ABC):
    """A benchmark's miniature, as far as the benchmark decides it."""

    manner: ClassVar[Manner]

    @abstractmethod
    def video_name(self, number: int, clip: Told) -> str:
        """Return the file name of a clip, in the form that the benchmark's files have."""

    @abstractmethod
    def annotation_files(self, names: Sequence[str], clips: Sequence[Told]) -> Files:
        """Return the annotation files, named and built as the official ones are."""


def stem(name: str) -> str:
    """Return a file name without its extension."""
    return name.rpartition(".")[0]


def lines(content: Sequence[str]) -> bytes:
    """Return lines as a text file has them."""
    return "".join(f"{line}\n" for line in content).encode()


def as_json(content: object) -> bytes:
    """Return a value as a JSON file has it."""
    return json.dumps(content, indent=1).encode() + b"\n"


def as_pickle(content: object) -> bytes:
    """Pickle without memo, protocol 2: equal content gives equal bytes, whichever strings are one object."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=2)
    pickler.fast = True
    pickler.dump(content)
    return buffer.getvalue()
