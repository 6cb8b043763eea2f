"""Reading annotation files: text, JSON, CSV, pickles, and the split that their pairs make.

An error names the file, the place in it, and what was expected there.
"""

import csv
import io
import json
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xbench.data.split import Caption, Split, Video
from xbench.errors import DataError, did_you_mean, explain
from xbench.readers import (
    TEXT_BYTES,
    VALUES,
    RefusedError,
    TooMuchError,
    check_json,
    check_table,
    load_pickle,
    parse_json,
    read_at_most,
    require,
)
from xbench.registry.datasets import Protocol, benchmark

MEND = "Correct it, or get the file again from its source."
_DAY = 24 * 3600
_TYPES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def read_bytes(path: Path) -> bytes:
    """Return the content of a file that must exist and not be empty."""
    try:
        content = read_at_most(path, TEXT_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.{_what_is_there(path)}") from None
    except IsADirectoryError:
        raise DataError(
            f"{path} is a folder, but a file of that name is wanted: put the file there."
        ) from None
    except NotADirectoryError:
        raise DataError(f"{path.parent} is not a folder; give the folder that holds {path.name}.") from None
    except PermissionError:
        raise DataError(f"{path} cannot be read: no permission. Give this user access to it.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {explain(error)}") from None
    except ValueError as error:
        raise DataError(f"{path} is no annotation file: {error}. {MEND}") from None
    if not content.strip():
        raise DataError(f"{path} is empty. {MEND}")
    return content


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, line ends as they are, without a byte order mark."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise DataError(
            f"{path}, line {line}: invalid UTF-8 (byte 0x{byte:02x}); save it as UTF-8."
        ) from None


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file without their ends (LF or CRLF) and without a final empty line."""
    text = read_text(path)
    _limited(path, lambda: require(text.count("\n"), VALUES, "lines"))
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def read_ids(path: Path) -> list[str]:
    """Return a list of ids, one a line. Blank lines are skipped; an id that occurs twice is an error."""
    if read_text(path).lstrip()[:1] in ("{", "["):
        raise DataError(f"{path}: expected one video id a line, found JSON.")
    ids = [line.strip() for line in read_lines(path)]
    require_unique(path, [(number, video_id) for number, video_id in enumerate(ids, 1) if video_id])
    return [video_id for video_id in ids if video_id]


def require_unique(path: Path, numbered_ids: Iterable[tuple[int, str]]) -> None:
    """Raise if an id occurs twice; the numbers are lines of the file."""
    first: dict[str, int] = {}
    for number, video_id in numbered_ids:
        if video_id in first:
            raise DataError(
                f"{path}, line {number}: video id {video_id!r} is already on line {first[video_id]}. {MEND}"
            )
        first[video_id] = number


def read_json(path: Path, unique_keys: bool = False) -> Any:
    """Parse a JSON file. With `unique_keys`, a key that an object holds twice is an error."""
    text = read_text(path)
    hook = _unique_object(path) if unique_keys else None
    try:
        return parse_json(text, pairs_hook=hook)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg}); "
            f"the file starts with {text[:40]!r}. {MEND}"
        ) from None
    except ValueError as error:  # too much, or a number of more than 4,300 digits
        raise DataError(f"{path}: not an annotation file ({error}). {MEND}") from None


def read_json_lines(path: Path) -> list[tuple[int, Any]]:
    """Return (line number, value) for each line of a JSONL file; blank lines are skipped."""
    values: list[tuple[int, Any]] = []
    _limited(path, lambda: check_json(read_text(path)))
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            values.append((number, json.loads(line)))
        except (RecursionError, ValueError) as error:
            raise DataError(
                f"{path}, line {number}: not valid JSON ({error}); expected one object a line."
            ) from None
    return values


def read_json_object(path: Path, unique_keys: bool = False) -> dict[str, Any]:
    """Parse a JSON file whose top level must be an object."""
    content = read_json(path, unique_keys)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object {{...}} at the top, found {kind(content)}.")
    return content


def read_json_list(path: Path) -> list[Any]:
    """Parse a JSON file whose top level must be a list."""
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path}: expected a JSON list [...] at the top, found {kind(content)}.")
    return content


def read_csv(path: Path, columns: Sequence[str], delimiter: str = ",") -> list[tuple[int, tuple[str, ...]]]:
    """Return (line number, values of `columns`) for each row with text of a file with a header."""
    text = read_text(path)
    _limited(path, lambda: check_table(text, delimiter))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader)
        wanted = [_column(path, header, name) for name in columns]
        rows: list[tuple[int, tuple[str, ...]]] = []
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: expected {len(header)} columns "
                    f"({', '.join(header)}), found {len(row)}."
                )
            rows.append((reader.line_num, tuple(row[index] for index in wanted)))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error}). {MEND}") from None
    return rows


def kind(value: Any) -> str:
    """Name the JSON type of a value, for messages."""
    return _TYPES.get(type(value), type(value).__name__)


def field(where: str, entry: Any, key: str, wanted: type | tuple[type, ...]) -> Any:
    """Return entry[key], which must be there and of the wanted type. `where` names the file and the entry."""
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected an object with the key {key!r}, found {kind(entry)}.")
    if key not in entry:
        raise DataError(
            f"{where}: the key {key!r} is missing; found {', '.join(map(repr, entry)) or 'none'}. {MEND}"
        )
    value = entry[key]
    if not isinstance(value, wanted) or isinstance(value, bool):
        widest = wanted[-1] if isinstance(wanted, tuple) else wanted
        raise DataError(f"{where}: expected {key!r} to be {_TYPES[widest]}, found {kind(value)}.")
    return value


def duration_of(where: str, entry: Any) -> float:
    """Return the annotated seconds of a video, which must be above 0 and less than a day."""
    duration: float = field(where, entry, "duration", (int, float))
    if not 0 < duration < _DAY:
        found = f"{duration!s:.20}"
        raise DataError(f"{where}: expected 'duration' in seconds, above 0 and under a day, found {found}.")
    return float(duration)


def _column(path: Path, header: list[str], name: str) -> int:
    if name not in header:
        found = ", ".join(map(repr, header))[:200]
        raise DataError(f"{path}, line 1: expected the column {name!r}, found {found}.")
    return header.index(name)


def _unique_object(path: Path) -> Any:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = next(key for key, count in counts.items() if count > 1)
            raise DataError(f"{path}: the key {twice!r} occurs twice. {MEND}")
        return built

    return build


def _what_is_there(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either: check the path."
    names = [entry.name for entry in path.parent.iterdir()]
    if not names:
        return " The folder is empty: put the file there, or name another folder."
    return f" The folder is there.{did_you_mean(path.name, names[:50])}"


def _limited(path: Path, check: Callable[[], None]) -> None:
    try:
        check()
    except TooMuchError as error:
        raise DataError(f"{path}: not an annotation file ({error}). {MEND}") from None


def _new_list() -> list[Any]:
    return []


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    # What defaultdict(list) calls for a new key; `__builtin__` in pickles of Python 2.
    ("builtins", "list"): _new_list,
    ("__builtin__", "list"): _new_list,
}


def read_pickle(path: Path) -> Any:
    """Unpickle containers, strings, numbers, OrderedDict and defaultdict(list).

    A pickle that names anything else, which could run code, is a DataError that names the file; so is a
    damaged one.
    """
    content = read_bytes(path)
    try:
        return load_pickle(content, _ADMITTED)
    except RefusedError as error:
        raise DataError(
            f"{path}: refused, since {error}. Captions need only containers, strings and numbers; "
            "anything else in a pickle can run code. Get the file from its official source."
        ) from None
    except ValueError as error:
        raise DataError(f"{path}: not a pickle, or a damaged one ({error}). {MEND}") from None


def read_pickled_dict(path: Path) -> dict[str, Any]:
    """Unpickle a file whose content must be a dictionary with string keys."""
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary of video ids, found {type(content).__name__}.")
    for key in content:
        if not isinstance(key, str):
            raise DataError(f"{path}: expected video ids as keys, found the key {key!r}.")
    return content


def build_split(
    protocol: Protocol,
    pairs: Sequence[tuple[str, str]],
    source: Path | str,
    durations: Mapping[str, float] | None = None,
    windows: Mapping[str, tuple[float, float]] | None = None,
) -> Split:
    """Build the split of a protocol from its pairs in protocol order; videos stand as they first appear.

    source: the file that holds the captions, for messages. durations: annotated seconds of each video, for
    benchmarks whose window is the annotated duration. windows: (start, end) in seconds of videos whose
    annotation gives both.
    """
    require_text(pairs, source)
    index: dict[str, int] = {}
    captions = tuple(Caption(text, index.setdefault(video, len(index))) for video, text in pairs)
    usual = _windows(protocol, list(index), durations or {})
    given = windows or {}
    videos = tuple(Video(video, given.get(video, window)) for video, window in zip(index, usual, strict=True))
    return Split(protocol.benchmark, protocol.id, videos, captions, protocol.v2t)


def require_text(pairs: Sequence[tuple[str, str]], source: Path | str) -> None:
    """Raise unless there are pairs and each id and caption is a non-empty string that UTF-8 can hold."""
    if not pairs:
        raise DataError(f"{source}: no caption of the wanted videos is in it. Give the file that has them.")
    for video, text in pairs:
        if not isinstance(video, str) or not video:
            raise DataError(f"{source}: expected a video id, found {video!r}.")
        if not isinstance(text, str):
            raise DataError(f"{source}: video {video!r}: expected a caption, found {text!r}.")
        if not text.strip():
            raise DataError(f"{source}: video {video!r} has an empty caption. {MEND}")
        if not (_is_unicode(text) and _is_unicode(video)):
            raise DataError(
                f"{source}: video {video!r}: its id or caption holds half a Unicode character. {MEND}"
            )


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _windows(
    protocol: Protocol, videos: Sequence[str], durations: Mapping[str, float]
) -> list[tuple[float, float] | None]:
    rule = benchmark(protocol.benchmark).window
    if rule != "annotated-duration":
        return [rule] * len(videos)
    return [(0.0, float(math.ceil(durations[video]))) if video in durations else None for video in videos]
