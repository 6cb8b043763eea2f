"""Mutate synthetic annotation files: what is read must be recognised as different, or be a named error.

Usage: python tools/fuzz_annotations.py [--count 2000] [--seed 0] [--only KIND] [--case N]

Each case changes one file of a small benchmark with made-up captions, in its bytes, lines or structure. It
ends well as `same` (a naive reader of a few lines finds the same content), `different` (NOT COMPARABLE) or
`error` (one of xbench's own, with a message). It ends badly as `silent` (comparable, though the naive reader
finds other content), `traceback` or `hang`. A case is made from its seed, kind and number alone.
"""

import argparse
import csv
import io
import json
import pickle
import pickletools
import random
import shutil
import signal
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from xbench.data import recognition
from xbench.data.loading import load_split
from xbench.data.split import Split
from xbench.errors import XbenchError
from xbench.miniature.benchmarks import annotation_files, clips
from xbench.registry import datasets as registry
from xbench.registry.datasets import Benchmark, Hashes, benchmark

Files = dict[str, bytes]
Content = Counter[tuple[str, ...]]
"""(id, caption with plain spaces), or (id, end) of a window, each as often as it stands there."""

GOOD = ("same", "different", "error")
BAD = ("silent", "traceback", "hang")
SECONDS = 10.0
_ODD = (
    *(None, True, False, 0, -1, 7.5, 1e308, float("nan"), float("inf"), 10**30, "", " ", "\t", "x", "\ufeff"),
    *("a\x00b", "\x1b[31m", "\ud800", "e\u0301", "\u202eabc", "=1+1", "v_", ".mp4", [], {}, [[]]),
    *([None], {"a": 1}, [[["x"]]], ["x", 1], "word " * 400),
)


@dataclass(frozen=True)
class Kind:
    """A synthetic benchmark in one layout. read: a naive reading of its files."""

    name: str
    benchmark: str
    files: Files
    read: Callable[[Files], Content]
    protocol: str | None = None
    """None: the default one."""
    own: bool = False


@dataclass(frozen=True)
class Tried:
    """One mutated copy and how it ended."""

    kind: str
    number: int
    mutation: str
    outcome: str
    detail: str = ""


def fuzz(
    count: int = 2000, seed: int = 0, only: Sequence[str] = (), numbers: Sequence[int] | None = None
) -> list[Tried]:
    """Try `count` mutated copies of each kind (or the cases `numbers`); in the main thread, for its alarm."""
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="xbench-fuzz-") as folder:
        every = kinds(Path(folder))
        with published(every, Path(folder)):
            for kind in every:
                if not only or kind.name in only:
                    place = Path(folder) / kind.name
                    tried += [_try(kind, place, number, seed) for number in numbers or range(count)]
    return tried


def kinds(folder: Path) -> list[Kind]:
    """The kinds there are; those of own benchmarks have their YAML file in a folder."""
    made = {name: annotation_files(name, clips(name, "fuzz", groups=1, singles=6)) for name in _NAIVE}
    alone = {name: content for name, content in made["msrvtt"].items() if name.endswith(".csv")}
    found = [Kind(name, name, made[name], read) for name, read in _NAIVE.items()]
    found[0] = replace(found[0], files=alone)
    found.append(Kind("msrvtt-json", "msrvtt", made["msrvtt"], _naive_msrvtt_json, "msrvtt/1ka-20captions"))
    captions = pickle.loads(made["msvd"]["raw-captions.pkl"])
    strings = {video: [" ".join(words) for words in texts] for video, texts in captions.items()}
    as_strings = {"test_list.txt": made["msvd"]["test_list.txt"], "captions_msvd.json": _dump(strings)}
    found.append(Kind("msvd-json", "msvd", as_strings, _naive_msvd_json))
    rows = [
        {"video_id": video, "caption": text, "end": f"{3 + number}.5"}
        for number, (video, texts) in enumerate(strings.items())
        for text in texts
    ]
    return [*found, *(_own(folder, suffix, rows) for suffix in ("csv", "tsv", "json", "jsonl"))]


def _own(folder: Path, suffix: str, rows: list[dict[str, str]]) -> Kind:
    name = f"own_{suffix}"
    content = {"json": lambda: _dump(rows), "jsonl": lambda: b"\n".join(map(_line, rows))}
    text = content.get(suffix, lambda: _table(rows, "\t" if suffix == "tsv" else ","))()
    read = {"file": f"captions.{suffix}", "end": "end"}
    entry = {"annotations": f"{name}", "protocols": {"test": {"v2t": "any-caption", "read": read}}}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"benchmarks": {name: entry}}), "utf-8")
    return Kind(name, name, {f"captions.{suffix}": text}, lambda files: _naive_rows(suffix, files), own=True)


def _line(row: dict[str, str]) -> bytes:
    return json.dumps(row).encode()


def _dump(content: Any) -> bytes:
    return json.dumps(content, indent=1).encode()


def _table(rows: list[dict[str, str]], delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@contextmanager
def published(every: Sequence[Kind], folder: Path) -> Iterator[None]:
    """Make the content of the unchanged files the only published one of its benchmark."""
    entries: dict[str, Benchmark] = {}
    members: list[tuple[Any, Split]] = []
    with ExitStack() as stack:
        stack.enter_context(patch.object(registry, "_named", {}))
        known = lambda name: entries.get(name) or benchmark(name)  # noqa: E731
        stack.enter_context(patch.object(recognition, "benchmark", known))
        stack.enter_context(patch.object(recognition, "_stored", lambda: stored))
        for kind in every:
            entry = benchmark(folder / f"{kind.name}.yaml" if kind.own else kind.benchmark)
            split = load_split(entry.id, write(folder / kind.name, kind.files), kind.protocol)
            facts = asdict(split.fingerprint())
            changes = {name: facts.pop(name) for name in ("videos", "captions", "windows")}
            asked = entry.protocols[split.protocol]
            protocol = asked.model_copy(update=changes | {"sha256": Hashes(**facts)})
            before = entries[entry.id].protocols if entry.id in entries else {}
            entries[entry.id] = entry.model_copy(update={"protocols": {**before, protocol.id: protocol}})
            if not kind.own:
                members.append((protocol, split))
        stored = recognition.pack(members)
        yield


def _try(kind: Kind, place: Path, number: int, seed: int) -> Tried:
    dice = random.Random(f"{seed} {kind.name} {number}")
    name = dice.choice(list(kind.files))
    how, content = _mutate(kind.files[name], name, dice)
    files = kind.files | {name: content}
    outcome, detail = _end(kind, write(place, files), files)
    return Tried(kind.name, number, f"{name}: {how}", outcome, detail.replace(f"{place}/", ""))


def write(place: Path, files: Files) -> Path:
    """Make a folder of just these files."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place


def _end(kind: Kind, place: Path, files: Files) -> tuple[str, str]:
    """How a copy ends, and with what words."""
    try:
        with _alarm():
            split = load_split(kind.benchmark, place, kind.protocol)
            seen = recognition.recognise(split)
    except XbenchError as error:
        return ("error", str(error)) if str(error).strip() else ("traceback", "an error without a word")
    except _TooLongError:
        return "hang", f"more than {SECONDS:g} seconds"
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
    if not seen.comparable:
        return "different", seen.reasons[0]
    try:
        naive = kind.read(files)
    except Exception:
        return "same", "the naive reader cannot read it"  # xbench can, and by its hashes it is the same
    return ("same", "") if naive == kind.read(kind.files) else ("silent", "comparable, with other content")


class _TooLongError(BaseException):
    pass


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _mutate(content: bytes, name: str, dice: random.Random) -> tuple[str, bytes]:
    ways = [_in_bytes, _in_bytes, _in_lines, _in_encoding]
    if name.endswith((".json", ".pkl")):
        ways += [_in_structure] * 4
    for _ in range(20):
        how, mutated = dice.choice(ways)(content, name, dice)
        if mutated != content:
            return how, mutated
    return "emptied", b""


def _in_bytes(content: bytes, _: str, dice: random.Random) -> tuple[str, bytes]:
    at, to = sorted(dice.randrange(len(content) + 1) for _ in range(2))
    to = min(to, at + dice.choice((1, 3, 40, len(content))))
    here, some = content[at:to], bytes(dice.randrange(256) for _ in range(dice.choice((1, 2, 9))))
    flipped = bytes(byte ^ (1 << dice.randrange(8)) for byte in here[:1])
    return dice.choice(
        (
            (f"a bit flipped at {at}", content[:at] + flipped + content[at + 1 :]),
            (f"{some!r} put in at {at}", content[:at] + some + content[at:]),
            (f"{some!r} written over {at}", content[:at] + some + content[at + len(some) :]),
            (f"{to - at} bytes gone at {at}", content[:at] + content[to:]),
            (f"{to - at} bytes doubled at {at}", content[:to] + here + content[to:]),
            (f"cut off at {at}", content[:at]),
            (f"{some!r} after the end", content + some),
        )
    )


def _in_lines(content: bytes, _: str, dice: random.Random) -> tuple[str, bytes]:
    lines = content.split(b"\n")
    i, j = (dice.randrange(len(lines)) for _ in range(2))
    before, line, after = lines[:i], lines[i], lines[i + 1 :]
    separator = dice.choice((b"\t", b",", b'"', b" ", b"\\", b"\r", b"", b"\x0b", b"\xc2\xa0"))
    at = dice.randrange(len(line) + 1)
    swapped = list(lines)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    how, changed = dice.choice(
        (
            (f"line {i} gone", [*before, *after]),
            (f"line {i} twice", [*before, line, line, *after]),
            (f"lines {i} and {j} swapped", swapped),
            (f"line {i} is line {j}", [*before, lines[j], *after]),
            (f"{separator!r} in line {i}", [*before, line[:at] + separator + line[at:], *after]),
            (f"line {i} of separators only", [*before, separator * 5, line, *after]),
            (f"line {i} in capitals", [*before, line.upper(), *after]),
            ("lines shuffled", dice.sample(lines, len(lines))),
        )
    )
    return how, b"\n".join(changed)


def _in_encoding(content: bytes, _: str, dice: random.Random) -> tuple[str, bytes]:
    text = content.decode("utf-8", "replace")
    letter = dice.choice("aeiou")
    accented = text.replace(letter, f"{letter}\u0301", 1)
    ways = {
        "a byte order mark": b"\xef\xbb\xbf" + content,
        "two byte order marks": b"\xef\xbb\xbf" * 2 + content,
        "CRLF": content.replace(b"\n", b"\r\n"),
        "CR": content.replace(b"\n", b"\r"),
        "UTF-16": text.encode("utf-16"),
        "UTF-32": text.encode("utf-32"),
        "Latin-1": text.replace(letter, "é", 3).encode("latin-1", "replace"),
        "a decomposed accent": accented.encode(),
        "a composed accent": unicodedata.normalize("NFC", accented).encode(),
        "blank lines": b"\n\n" + content + b"\n \n\n",
        "fullwidth letters": text.replace(letter, chr(ord(letter) + 0xFEE0), 2).encode(),
        "a zero width space": text.replace(letter, f"{letter}\u200b", 1).encode(),
        "doubled": content + content,
        "nothing": b"",
        "white space": b" \n\t\n",
    }
    how = dice.choice(list(ways))
    return how, ways[how]


def _in_structure(content: bytes, name: str, dice: random.Random) -> tuple[str, bytes]:
    """Change one part of a JSON or pickled value."""
    top = pickle.loads(content) if name.endswith(".pkl") else json.loads(content)
    owner, key = _some_part(top, dice)
    value = dice.choice(_ODD)
    how = dice.choice(("gone", "odd", "odd", "twice", "renamed", "swapped", "wrapped"))
    if how == "gone":
        del owner[key]
    elif how == "odd":
        owner[key] = value
    elif how == "wrapped":
        owner[key] = dice.choice(([owner[key]], {"x": owner[key]}, str(owner[key])))
    elif isinstance(owner, list):
        other = dice.randrange(len(owner))
        if how == "swapped":
            owner[key], owner[other] = owner[other], owner[key]
        else:
            owner.insert(other, owner[key])
    else:
        new = f"{key}{dice.choice(('x', ' ', '', '#'))}" if how != "swapped" else dice.choice(list(owner))
        owner[new], owner[key] = owner[key], owner.get(new, value)
    if name.endswith(".pkl"):
        return f"{how} at {key!r}", pickle.dumps(top, protocol=dice.randrange(6))
    return f"{how} at {key!r} ({value!r:.20})", json.dumps(top).encode()


def _some_part(top: Any, dice: random.Random) -> tuple[Any, Any]:
    """A container in the value, and the key or index of one of its parts."""
    node = top
    while True:
        key = dice.choice(list(node) if isinstance(node, dict) else range(len(node)))
        below = node[key]
        if not isinstance(below, dict | list) or not below or dice.random() < 0.25:
            return node, key
        node = below


def _content(pairs: Sequence[tuple[Any, Any]], ends: dict[Any, Any] | None = None) -> Content:
    told = [(str(video), " ".join(str(text).split())) for video, text in pairs]
    return Counter(told) + Counter((str(video), "", str(float(end))) for video, end in (ends or {}).items())


def _lines(content: bytes) -> list[str]:
    return [line.strip("\r") for line in content.decode("utf-8-sig").split("\n") if line.strip()]


def _naive_msrvtt(files: Files) -> Content:
    text = files["MSRVTT_JSFUSION_test.csv"].decode("utf-8-sig")
    rows = [row for row in csv.DictReader(io.StringIO(text, newline="")) if _has_text(row)]
    return _content([(row["video_id"], row["sentence"]) for row in rows])


def _naive_msrvtt_json(files: Files) -> Content:
    ids = {video for video, _ in _naive_msrvtt(files)}
    sentences = json.loads(files["MSRVTT_data.json"].decode("utf-8-sig"))["sentences"]
    return _content([(each["video_id"], each["caption"]) for each in sentences if each["video_id"] in ids])


def _naive_msvd(files: Files) -> Content:
    captions = _Plain(io.BytesIO(_small(files["raw-captions.pkl"]))).load()
    ids = [line.strip() for line in _lines(files["test_list.txt"])]
    return _content([(video, " ".join(text)) for video in ids for text in captions[video]])


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _small(content: bytes) -> bytes:
    """A memo is as large as its highest index, which a changed byte may make any number."""
    put = [value for code, value, _ in pickletools.genops(content) if "PUT" in code.name]
    if any(int(value) > len(content) for value in put):
        raise pickle.UnpicklingError("a memo larger than the file")
    return content


def _naive_msvd_json(files: Files) -> Content:
    captions = json.loads(files["captions_msvd.json"].decode("utf-8-sig"))
    ids = [line.strip() for line in _lines(files["test_list.txt"])]
    told = [(video, text) for video in ids for text in captions[video]]
    return _content([(video, " ".join(text) if isinstance(text, list) else text) for video, text in told])


def _naive_lsmdc(files: Files) -> Content:
    (content,) = files.values()
    rows = [line.split("\t") for line in _lines(content)]
    return _content([(row[0], row[5]) for row in rows])


def _naive_didemo(files: Files) -> Content:
    listed = {line.strip() for line in _lines(files["test_list.txt"])}
    entries = json.loads(files["test_data.json"].decode("utf-8-sig"))
    told: dict[str, list[str]] = {}
    for entry in entries:
        if entry["video"] in listed:
            told.setdefault(entry["video"], []).append(entry["description"])
    return _content([(video, " ".join(texts)) for video, texts in told.items()])


def _naive_activitynet(files: Files) -> Content:
    entries = json.loads(files["val_1.json"].decode("utf-8-sig"))
    listed = json.loads(files["val_ids.json"].decode("utf-8-sig"))
    ids = [video for video in listed if video in entries]
    ends = {video: -(-entries[video]["duration"] // 1) for video in ids}
    return _content([(video, " ".join(entries[video]["sentences"])) for video in ids], ends)


def _naive_rows(suffix: str, files: Files) -> Content:
    text = files[f"captions.{suffix}"].decode("utf-8-sig")
    if suffix == "json":
        rows = json.loads(text)
    elif suffix == "jsonl":
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    else:
        delimiter = "\t" if suffix == "tsv" else ","
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
        rows = [row for row in rows if _has_text(row)]
    ends = {row["video_id"]: row["end"] for row in rows}
    texts = [(row["video_id"], row["caption"]) for row in rows]
    several = [(video, text if isinstance(text, list) else [text]) for video, text in texts]
    return _content([(video, text) for video, each in several for text in each], ends)


def _has_text(row: dict[str, str]) -> bool:
    return any(value.strip() for value in row.values() if isinstance(value, str))


_NAIVE = {
    "msrvtt": _naive_msrvtt,
    "msvd": _naive_msvd,
    "lsmdc": _naive_lsmdc,
    "didemo": _naive_didemo,
    "activitynet": _naive_activitynet,
}


def main() -> int:
    """Print how the cases ended, and each that ended badly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="mutated copies of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", default=[], help="a kind; repeatable")
    parser.add_argument("--case", type=int, help="only this number, with its words")
    options = parser.parse_args()
    tried = fuzz(options.count, options.seed, options.only, None if options.case is None else [options.case])
    ends = Counter((each.kind, each.outcome) for each in tried)
    for kind in dict.fromkeys(each.kind for each in tried):
        counted = (f"{outcome} {ends[kind, outcome]}" for outcome in (*GOOD, *BAD))
        print(kind, *counted, sep="  ")
    for each in tried:
        if each.outcome in BAD or options.case is not None:
            print(f"{each.kind} {each.number}: {each.mutation}: {each.outcome}: {each.detail}")
    return int(any(each.outcome in BAD for each in tried))


if __name__ == "__main__":
    sys.exit(main())
