"""Readers with limits: a file from anywhere costs little more than a good one of its kind, whatever is in it.

All raise ValueError, of which `TooMuchError` says that a limit was met; the rooms that read say which file it
was and end with their own kind of error. Limits are about twice what the largest published files need.
"""

import gzip
import io
import json
import pickle
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import torch

MIB = 1 << 20
TEXT_BYTES = 48 * MIB
"""Of an annotation file; the largest published one has 23 million."""
RECORD_BYTES, RECORD_VALUES, COUNTS_BYTES = 16 * MIB, 300_000, 64 * MIB
"""Of a result record, and of the per-query counts beside it."""
VALUES = 1_500_000
"""Values and lists in a JSON text, cells in a CSV, lines in a text; a published one has 880,000."""
TABLE_BYTES, LINES = 24 * MIB, 400_000
"""Characters and rows of a table, which is read with four bytes a character."""
DEPTH = 64
_YAML_BYTES, _YAML_NODES, _YAML_ALIASES = 2 * MIB, 100_000, 1000
_OPCODES, _CONTAINERS = 2_000_000, 300_000
_ARRAY_ROOM, _ARRAY_RATIO = 64 * MIB, 20
_HEADER_BYTES = 8 * MIB
_TORCH_PICKLE_BYTES = 8 * MIB


class TooMuchError(ValueError):
    """Larger, deeper or more entangled than any good file of its kind."""


class RefusedError(ValueError):
    """A pickle that asks for something that could run code; says what."""


def open_file(path: Path) -> BufferedReader:
    """Open a file to read. Raises OSError, and ValueError for a device or pipe, which may never end.

    What a shell hands over as `<(command)` is a pipe that does.
    """
    kind = path.stat().st_mode
    of_a_shell = stat.S_ISFIFO(kind) and path.parts[:2] in (("/", "dev"), ("/", "proc"))
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or of_a_shell):
        raise ValueError(f"{path} is a pipe or a device, not a file")
    return path.open("rb")


def read_at_most(path: Path, limit: int) -> bytes:
    """Return a file's bytes. Raises OSError, and ValueError for more than `limit` and for a pipe."""
    with open_file(path) as file:
        content = file.read(limit + 1)
    require(len(content), limit, "bytes")
    return content


def require_backed(name: str, tensor: "torch.Tensor") -> None:
    """Raise ValueError for a tensor that shows more numbers than its file holds."""
    size = tensor.numel() * tensor.element_size()
    if size > tensor.untyped_storage().nbytes():
        raise ValueError(f"{name} {list(tensor.shape)} shows more numbers than are in the file")


def require(count: int, limit: int, what: str) -> None:
    """Raise TooMuchError when there are more of something than the limit."""
    if count > limit:
        raise TooMuchError(f"more than {limit:,} {what}")


def parse_json(
    text: str | bytes,
    *,
    values: int = VALUES,
    pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """Parse a JSON text of at most `values` values and lists, none deeper than DEPTH."""
    check_json(text, values)
    try:
        return json.loads(text, object_pairs_hook=pairs_hook)
    except RecursionError as error:  # of a text that is broken besides
        raise TooMuchError("it is nested too deeply") from error


def check_json(text: str | bytes, values: int = VALUES) -> None:
    """Raise TooMuchError for JSON, one text or one a line, that would be too much as Python values."""
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if content[:4].count(0):  # UTF-16 and UTF-32, which json takes as well
        raise ValueError("it is not UTF-8")
    outside = _STRING.sub(b"", content.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_SHAPE))
    require(len(outside) - outside.count(b"]") - outside.count(b"}"), values, "values")
    depth = 0
    for sign in outside.replace(b",", b""):
        depth += 1 if sign in b"[{" else -1
        if depth > DEPTH:
            raise TooMuchError(f"nested more than {DEPTH} deep")


_NO_SHAPE = bytes(set(range(256)) - set(b'"[]{},'))
_STRING = re.compile(rb'"[^"]*"')


def check_yaml(text: str) -> None:
    """Raise TooMuchError for YAML too large, its aliases followed, too deep, or going in a circle.

    Raises yaml.YAMLError for what is no YAML. After it, composing and constructing are safe.
    """
    import yaml

    require(len(text), _YAML_BYTES, "characters")
    depth = aliases = nodes = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > DEPTH:
            raise TooMuchError(f"nested more than {DEPTH} deep")
        require(nodes, _YAML_NODES, "nodes")
        require(aliases, _YAML_ALIASES, "aliases")
    if aliases:
        _expanded(yaml.compose(text, Loader=yaml.SafeLoader), {})


def _expanded(node: Any, known: dict[int, int]) -> int:
    """Count the nodes below a node, each as often as it is named; 0 in `known` while it is being counted."""
    import yaml

    if not isinstance(node, yaml.CollectionNode):
        return 1
    if known.get(id(node)) == 0:
        raise TooMuchError("an alias that stands within what it names")
    if id(node) not in known:
        known[id(node)] = 0
        inside = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_expanded(part, known) for part in inside)
        require(known[id(node)], _YAML_NODES, "nodes, aliases followed")
    return known[id(node)]


def check_table(text: str, delimiter: str) -> None:
    """Raise TooMuchError for a CSV text of too many rows or cells."""
    require(len(text), TABLE_BYTES, "characters")
    rows = text.count("\n") + text.count("\r")
    require(rows, 2 * LINES, "rows")
    require(rows + text.count(delimiter), VALUES, "cells")


def gunzip(content: bytes, limit: int) -> bytes:
    """Return what a gzip file holds, if that is at most `limit` bytes."""
    if content[:2] != b"\x1f\x8b":
        raise ValueError("no gzip file")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"no gzip file, or a damaged one ({error})") from error
    require(len(unpacked), limit, "bytes unpacked")
    return unpacked


def check_arrays(source: Path | BinaryIO) -> None:
    """Raise ValueError for an .npz whose arrays take far more than its bytes, or say more than they have."""
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        packed = archive.fp.seek(0, io.SEEK_END) if archive.fp else 0
        total = sum(member.file_size for member in members)
        require(total, max(_ARRAY_ROOM, _ARRAY_RATIO * packed), "bytes unpacked")
        for member in members:
            if member.filename.endswith(".npy"):
                with archive.open(member) as file:
                    _check_npy_header(file, member.file_size)


def check_npy(file: BinaryIO) -> None:
    """Raise ValueError for an .npy that promises more than it has bytes. The file is back at its start."""
    _check_npy_header(file, _size(file))
    file.seek(0)


def _size(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


def _check_npy_header(file: Any, size: int) -> None:
    import numpy as np

    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    except (MemoryError, RecursionError, SyntaxError, TypeError) as error:
        raise ValueError("its header is damaged") from error
    count = 1
    for length in shape:
        count *= length
    if count < 0 or (count * max(dtype.itemsize, 1) > size and not dtype.hasobject):
        raise ValueError(f"its header promises {count} items, which its {size} bytes cannot hold")


def check_safetensors(file: BinaryIO) -> None:
    """Raise ValueError for a safetensors file whose header is longer than it, or than any good one's.

    The file is back at its start.
    """
    size = _size(file)
    length = int.from_bytes(file.read(8), "little")
    file.seek(0)
    if length > size - 8:
        raise ValueError("its header is cut off")
    require(length, _HEADER_BYTES, "bytes of header")


def check_torch(file: BinaryIO) -> None:
    """Raise ValueError for a torch file that unpacks to more than it has, or whose structure is endless.

    The file is back at its start.
    """
    size = _size(file)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
        require(sum(member.file_size for member in members), size + 16 * MIB, "bytes unpacked")
        for member in members:
            if member.filename.endswith("data.pkl"):
                require(member.file_size, _TORCH_PICKLE_BYTES, "bytes of structure")
    else:
        file.seek(0)
        content, at = file.read(_TORCH_PICKLE_BYTES), 0
        for _ in range(4):  # a magic number, a version, facts of the machine, the structure
            opcode = -1
            while opcode != _STOP:
                opcode, at = _next(content, at)
    file.seek(0)


def check_parquet(path: Path) -> None:
    """Raise ValueError for a Parquet file that unpacks to far more than its bytes."""
    import pyarrow.parquet

    facts = pyarrow.parquet.read_metadata(path)
    unpacked = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
    room = max(_ARRAY_ROOM, _ARRAY_RATIO * path.stat().st_size)
    require(max(unpacked, facts.num_rows * facts.num_columns), room, "bytes unpacked")


def load_pickle(content: bytes, admitted: Mapping[tuple[str, str], Callable[..., Any]]) -> Any:
    """Unpickle containers, strings, numbers, and what is made by calling one of `admitted` (module, name).

    No list, dictionary or tuple may occur twice in it, so that it is no larger than it looks. Raises
    RefusedError when it asks for anything else to be called, ValueError when it is damaged or too much.
    """
    usable = _plain_part(content)
    try:
        loaded = _Unpickler(usable, admitted).load()
    except RefusedError:
        raise
    except Exception as error:  # a damaged pickle can fail in any operation that its bytes happen to spell
        if usable is not content:
            raise ValueError("it holds more than containers, strings and numbers") from error
        raise ValueError(f"{type(error).__name__}: {error}") from error
    _require_shallow(loaded)
    return loaded


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, admitted: Mapping[tuple[str, str], Callable[..., Any]]) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._admitted = admitted

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._admitted:
            raise RefusedError(f"it asks for {module}.{name}")
        return self._admitted[module, name]


def _require_shallow(value: Any) -> None:
    level, depth = [value] if isinstance(value, list | tuple | dict) else [], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise TooMuchError(f"nested more than {DEPTH} deep")
        inside: list[Any] = []
        for each in level:
            inside += [*each.keys(), *each.values()] if isinstance(each, dict) else each
        level = [each for each in inside if isinstance(each, list | tuple | dict)]


_FIXED = {  # bytes that follow an opcode
    **dict.fromkeys(b"(.0NRabdelsu)]}t1\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98Qo2", 0),
    **dict.fromkeys(b"Kqh\x80\x82", 1),
    **dict.fromkeys(b"M\x83", 2),
    **dict.fromkeys(b"Jrj\x84", 4),
    **dict.fromkeys(b"G\x95", 8),
}
_COUNTED = {  # bytes of the length that stands before what follows
    **dict.fromkeys(b"UC\x8c\x8a", 1),
    **dict.fromkeys(b"XTB\x8b", 4),
    **dict.fromkeys(b"\x8d\x8e\x96", 8),
}
_TEXT_LINES = {**dict.fromkeys(b"FILSVgpP", 1), **dict.fromkeys(b"ci", 2)}
_MAKE_CONTAINER = frozenset(b"]}ld)t\x85\x86\x87R")
_NOT_PLAIN = frozenset(b"PQio2b\x81\x82\x83\x84\x8f\x90\x91\x92\x96\x97\x98")


def _next(content: bytes, at: int) -> tuple[int, int]:
    """Return the opcode at a place of a pickle, and where the next one begins."""
    size = len(content)
    if at >= size:
        raise ValueError("it is cut off")
    opcode = content[at]
    at += 1
    if (fixed := _FIXED.get(opcode)) is not None:
        at += fixed
    elif (width := _COUNTED.get(opcode)) is not None:
        at += width + int.from_bytes(content[at : at + width], "little")
    elif opcode in _TEXT_LINES:
        for _ in range(_TEXT_LINES[opcode]):
            at = content.find(b"\n", at) + 1 or size + 1
    else:
        raise ValueError(f"it has an unknown operation {opcode:#x}")
    if at > size:
        raise ValueError("it is cut off")
    return opcode, at


def _plain_part(content: bytes) -> bytes:
    """Return a pickle up to where it stops being containers, strings and numbers; itself if it never does.

    Raises ValueError for places in its memory beyond what it can have filled, and where it takes a container
    from its memory: one that stands within another twice, or within itself, costs more than it looks.
    """
    containers: set[int] = set()
    before = at = put = made = 0
    frames: list[tuple[int, int]] = []
    unpack = struct.Struct("<I").unpack_from
    for _ in range(_OPCODES):
        if content.startswith(_TEXT, at) and at + 5 <= len(
            content
        ):  # the most frequent by far, ten times as fast
            at += 5 + unpack(content, at + 1)[0]
            before = _TEXT[0]
            continue
        opcode, after = _next(content, at)
        if opcode in _NOT_PLAIN:
            return _without(content[:at], frames)
        if opcode in _PUT:
            index = put if opcode == _MEMOIZE else _index(content, at, after)
            require(index, put + 256, "places of memory")
            put += 1
            if before in _MAKE_CONTAINER:
                containers.add(index)
        elif opcode == _STOP:
            require(made, _CONTAINERS, "lists and dictionaries")
            return content
        else:
            made += opcode in _MAKE_CONTAINER
            if opcode == _FRAME:
                frames.append((at, after))
            if opcode in _GET and _index(content, at, after) in containers:
                raise TooMuchError("a list, dictionary or tuple that occurs twice")
            before = opcode
        at = after
    raise TooMuchError(f"more than {_OPCODES:,} operations")


_PUT, _GET, _MEMOIZE, _STOP = frozenset(b"qrp\x94"), frozenset(b"hjg"), 0x94, ord(".")
_FRAME = 0x95
_TEXT = b"X"


def _without(content: bytes, spans: list[tuple[int, int]]) -> bytes:
    """Take the lengths of frames out, which a part of a pickle would not keep."""
    starts, ends = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(content)]
    return b"".join(content[start:end] for start, end in zip(starts, ends, strict=True))


def _index(content: bytes, start: int, after: int) -> int:
    """Return the place in memory that an operation names, as a line of digits or in binary."""
    inside = content[start + 1 : after]
    return int(inside) if content[start] in b"pg" else int.from_bytes(inside, "little")
