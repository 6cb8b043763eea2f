"""Files made to harm: bombs, circles, depth, names that move the cursor, bad servers and streams."""

import gzip
import json
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.campaign.children import Ended, Fault, xbench
from tools.campaign.world import World, copied

_NASTY = "x\x1b[2K\x1b]0;pwned\x07\x9b31m\u202e\u200b"
_SPARE_MB = 300.0
"""What a command may take beyond a bare process: a good file of the largest kind takes some 200 MB."""


def inputs(world: World) -> Iterator[Fault]:
    """Bombs, one for each kind of file: named in time, with little memory."""
    for name, content in _bombs().items():
        for place, command, codes in _readers(world, Path(name).suffix):
            yield _bomb(name, content, place, command, codes)
    yield from _names(world)


def _bomb(
    name: str, content: bytes, place: str, command: Callable[[Path], list[object]], codes: frozenset[int]
) -> Fault:
    def act(folder: Path) -> int:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content)
        return xbench(*command(folder))

    return Fault(
        "hostile inputs", f"{name} as {place}", act, codes, may_pass=False, seconds=20, spare_mb=_SPARE_MB
    )


def _bombs() -> dict[str, bytes]:
    aliases = "\n".join([f"a{n}: &a{n} [{','.join([f'*a{n - 1}' if n else '1'] * 9)}]" for n in range(12)])
    return {
        "deep.json": b"[" * 100_000,
        "deep-closed.json": b"[" * 50_000 + b"]" * 50_000,
        "objects.json": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "many.json": b"[" + b"[]," * 3_000_000 + b"[]]",
        "digits.json": b"[" + b"9" * 100_000 + b"]",
        "half.json": b'{"a": "\\ud800"}',
        "aliases.yaml": f"checkpoints:\n  m:\n    scorer: xclip\n    settings:\n      {aliases}".replace(
            "\n", "\n      "
        ).encode(),
        "circle.yaml": b"checkpoints:\n  m:\n    scorer: xclip\n    settings: &s\n      a: *s\n",
        "deep.yaml": b"checkpoints: " + b"[" * 100_000,
        "merge.yaml": b"checkpoints:\n  m: &m\n    <<: *m\n",
        "date.yaml": b"checkpoints: 2020-13-45",
        "number.yaml": b"checkpoints: " + b"9" * 5000,
        "memory.pkl": b"\x80\x02}r\xff\xff\xff\x0f.",
        "more-memory.pkl": b"\x80\x02}r\xff\xff\xff\x1f.",
        "lists.pkl": b"\x80\x02](" + b"}" * 3_000_000 + b"e.",
        "circle.pkl": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
        "tuples.pkl": b"\x80\x02)q\x00" + b"".join(b"h%c\x88\x86q%c" % (n, n + 1) for n in range(60)) + b".",
        "code.pkl": pickle.dumps(_Code()),
        "deep.pkl": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "zeros.gz": gzip.compress(bytes(300 << 20), 1),
        "lines.gz": gzip.compress(b"\n" * (60 << 20), 1),
        "lines.tsv": b"\n" * (40 << 20),
        "cells.tsv": b"\t" * (40 << 20),
        "quote.tsv": b'clip\tsaid\n"' + b"x" * (30 << 20),
        "zeros.npz": _zip({"features.npy": _npy("<f4", "(100000000,)", 400 << 20)}),
        "promise.npz": _zip({"features.npy": _npy("<f4", "(1000000000000,)", 0)}),
        "nothing.npz": _zip({"features.npy": _npy("|S0", "(1000000000000,)", 0)}),
        "promise.npy": _npy("<f4", "(1000000, 1000000)", 0),
        "nothing.npy": _npy("|S0", "(1000000000000,)", 0),
        "header.safetensors": (1 << 62).to_bytes(8, "little") + b"{",
        "long.safetensors": (90 << 20).to_bytes(8, "little") + b"{" + b" " * ((90 << 20) - 2) + b"}",
        "zeros.bin": _zip({"archive/data.pkl": bytes(300 << 20)}),
        "endless.bin": b"\x80\x02" + b"]" * (20 << 20),
    }


class _Code:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch /tmp/xbench-campaign-ran-code",)


def _npy(descr: str, shape: str, zeros: int) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(zeros)


def _zip(members: dict[str, bytes]) -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _readers(world: World, suffix: str) -> list[tuple[str, Callable[[Path], list[object]], frozenset[int]]]:
    """(where the file goes, the command that reads it, the exit codes that name it) for a kind of file."""
    own, data, three, four = world.own, world.data, frozenset({3}), frozenset({4})

    def features(folder: Path, which: str, path: Path) -> list[object]:
        given = world.own_run(own, "--output", folder / "out")
        given[given.index(f"--{which}-features") + 1] = path
        return given

    def verify(name: str) -> Callable[[Path], list[object]]:
        return lambda folder: ["datasets", "verify", name, "--annotations", folder]

    weights = lambda folder: [*world.small_run(folder), "--no-cache", "--checkpoint", folder / f"w{suffix}"]  # noqa: E731
    kinds: dict[str, list[tuple[str, Callable[[Path], list[object]], frozenset[int]]]] = {
        ".json": [
            ("x.json", lambda folder: ["diff", folder / "x.json"], three),
            ("r/x.json", lambda folder: ["leaderboard", folder / "r"], three),
            ("test_data.json", verify("didemo"), three),
            (
                "MSRVTT_data.json",
                lambda folder: ["datasets", "verify", "msrvtt/full", "--annotations", folder],
                three,
            ),
        ],
        ".yaml": [
            (
                "c.yaml",
                lambda folder: _with("XBENCH_CHECKPOINTS", folder / "c.yaml", ["models", "list"]),
                frozenset({2}),
            ),
            ("d.yaml", lambda folder: ["datasets", "show", folder / "d.yaml"], frozenset({2})),
        ],
        ".pkl": [
            (
                "raw-captions.pkl",
                lambda folder: _beside(
                    folder,
                    data / "MSVD" / "test_list.txt",
                    ["datasets", "verify", "msvd", "--annotations", folder],
                ),
                three,
            )
        ],
        ".gz": [
            ("b.gz", lambda folder: [*world.small_run(folder), "--no-cache", "--bpe", folder / "b.gz"], four)
        ],
        ".tsv": [
            (
                "captions.tsv",
                lambda folder: _beside(
                    folder,
                    own / "own.yaml",
                    ["datasets", "fingerprint", folder / "own.yaml", "--annotations", folder],
                ),
                three,
            )
        ],
        ".npz": [("f.npz", lambda folder: features(folder, "text", folder / "f.npz"), three)],
        ".npy": [("f.npy", lambda folder: features(folder, "video", folder / "f.npy"), three)],
        ".safetensors": [
            ("w.safetensors", weights, four),
            ("f.safetensors", lambda folder: features(folder, "text", folder / "f.safetensors"), three),
        ],
        ".bin": [("w.bin", weights, four)],
    }
    return kinds[suffix]


def _with(name: str, value: Path, command: list[object]) -> list[object]:
    os.environ[name] = str(value)
    return command


def _beside(folder: Path, path: Path, command: list[object]) -> list[object]:
    copied([path], folder)
    return command


def _names(world: World) -> Iterator[Fault]:
    """Names and captions that move the cursor, in every file whose text is shown."""

    def own(folder: Path) -> Path:
        made = copied([world.own], folder)[0]
        text = (
            (made / "captions.tsv")
            .read_text()
            .replace("c3\t", f"c3{_NASTY}\t")
            .replace("stir", f"=cmd()|{_NASTY}")
        )
        (made / "captions.tsv").write_text(text)
        return made

    def record(folder: Path) -> Path:
        made = copied([world.records[0], world.records[0].with_suffix(".npz")], folder)[0]
        text = json.loads(made.read_text())
        text["scorer"]["name"] = _NASTY
        text["protocol"]["notes"] = [_NASTY, f"={_NASTY}"]
        text["not_comparable_because"] = [_NASTY]
        made.write_text(json.dumps(text))
        return made

    commands: dict[str, Callable[[Path], list[object]]] = {
        "captions, run": lambda folder: world.own_run(own(folder), "--output", folder / "out"),
        "captions, run --json": lambda folder: world.own_run(
            own(folder), "--output", folder / "out", "--json"
        ),
        "captions, verify": lambda folder: [
            "datasets",
            "verify",
            world.own / "own.yaml",
            "--annotations",
            own(folder),
        ],
        "file name": lambda folder: ["diff", folder / _NASTY],
        "model name": lambda folder: world.own_run(world.own, "--model", _NASTY),
        "clip name": lambda folder: [*world.small_run(folder), "--clip", _NASTY],
        **{
            f"record, leaderboard {form}": lambda folder, form=form: [
                "leaderboard",
                record(folder),
                "--format",
                form,
            ]
            for form in ("text", "csv", "md", "latex", "html", "json")
        },
        "record, diff": lambda folder: ["diff", record(folder)],
        "record, check": lambda folder: ["check", record(folder), "--baseline", world.records[1]],
        "record, compare": lambda folder: ["compare", record(folder), world.records[1]],
    }
    for name, command in commands.items():
        yield Fault(
            "hostile inputs",
            name,
            lambda folder, command=command: xbench(*command(folder)),
            frozenset({1, 2, 3, 4}),
        )


def server(world: World, seconds: float = 0.3) -> Iterator[Fault]:
    """Weights and annotations from a server that answers in every wrong way."""
    from tests import file_server

    ok = b"HTTP/1.1 200 OK\r\n"
    chunked = ok + b"Transfer-Encoding: chunked\r\n\r\n"
    content = bytes(range(256)) * 100
    released = threading.Event()
    answers = {
        "no HTTP": file_server.raw(b"hello\r\n\r\n"),
        "nothing": file_server.raw(b""),
        "long status line": file_server.raw(b"HTTP/1.1 200 " + b"x" * 70_000),
        "hostile status line": file_server.raw(f"HTTP/1.1 500 {_NASTY}\r\n\r\n".encode()),
        "many headers": file_server.raw(ok, b"X: 1\r\n" * 300),
        "long header": file_server.raw(ok, b"X: " + b"1" * 70_000),
        "broken chunk": file_server.raw(chunked, b"zz\r\n"),
        "negative chunk": file_server.raw(chunked, b"-5\r\nabc"),
        "long chunk size": file_server.raw(chunked, b"1" * 70_000),
        "length missing": file_server.raw(ok + b"Content-Length: 99999999999\r\n\r\n"),
        "negative length": file_server.raw(ok + b"Content-Length: -1\r\n\r\n"),
        "redirect to a file": file_server.raw(b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\n\r\n"),
        "redirect to itself": file_server.raw(b"HTTP/1.1 302 F\r\nLocation: /x\r\n\r\n"),
        "broken off": file_server.broken_off(content, 1000),
        "other content": file_server.whole(content[::-1]),
        "a page": file_server.whole(b"<html>"),
        "403": file_server.status(403),
        "404": file_server.status(404),
        "503": file_server.status(503),
        "silent": file_server.silent(released),
        "endless headers": file_server.endless(ok, b"X", released, 0.01),
        "endless 100": file_server.endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", released),
        "endless trailer": file_server.endless(chunked + b"0\r\n", b"X: 1\r\n", released),
        "endless body": file_server.endless(ok + b"\r\n", content, released),
        "drip": file_server.endless(ok + b"\r\n", b"x", released, 0.01),
    }
    for name, answer in answers.items():
        for what in ("weights", "annotations"):
            yield _served(name, what, answer, seconds)


def _served(name: str, what: str, answer: object, seconds: float) -> Fault:
    def act(folder: Path) -> int:
        from tests import file_server
        from xbench.data import fetch
        from xbench.registry import download

        download.TIMEOUT, download.AT_MOST = seconds, 1 << 20
        os.environ["XBENCH_CACHE"] = str(folder / "cache")
        with file_server.serve() as running, file_server.as_host("github.com", running):
            running.answers = _Always(answer)
            fetch.ADDRESS = running.address + "/{repository}/{commit}/{path}"
            command = (
                ["models", "fetch", "clip-bpe"]
                if what == "weights"
                else ["datasets", "fetch", "msvd/test", "--to", folder / "to"]
            )
            code = xbench(*command)
            kept = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
            if kept:
                print(f"Traceback (kept {kept})", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return code

    codes = frozenset({4} if what == "weights" else {3})
    return Fault("bad server", f"{name}, {what}", act, codes, may_pass=False, seconds=40)


class _Always(dict[str, object]):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def get(self, key: str, default: object = None) -> object:
        return self.answer


def streams(world: World) -> Iterator[Fault]:
    """Streams that are full, closed or read by nobody; terminals of every kind."""
    run = " ".join(map(str, world.own_run(world.own, "--output", "out")))
    lines = {
        "stdout full": (f"$X {run} >/dev/full", {3}),
        "stdout closed": (f"$X {run} >&-", {0}),
        "stderr full": (f"$X {run} 2>/dev/full", {0}),
        "stderr closed": (f"$X {run} 2>&-", {0}),
        "stdin closed": (f"$X {run} <&-", {0}),
        "all closed": (f"$X {run} >&- 2>&- <&-", {0}),
        "reader gone": (f"$X {run} | true; exit ${{PIPESTATUS[0]}}", {141}),
        "reader of stderr gone": (f"$X {run} 2> >(true)", {0}),
        "reader gone from check": (
            f"$X check {world.records[0]} --baseline {world.records[0]} | true; exit ${{PIPESTATUS[0]}}",
            {141},
        ),
        "help to nobody": ("$X run --help | true; exit ${PIPESTATUS[0]}", {141}),
        "dumb": (f"TERM=dumb $X {run}", {0}),
        "no colour": (f"NO_COLOR=1 $X {run}", {0}),
        "20 columns": (f"COLUMNS=20 $X {run}", {0}),
        "C": (f"LANG=C LC_ALL=C $X {run}", {0}),
        "ascii": (f"PYTHONIOENCODING=ascii $X {run}", {0}),
    }
    for name, (line, codes) in lines.items():
        yield Fault(
            "streams",
            name,
            lambda folder, line=line: _shell(line),
            frozenset(codes),
            lambda ended, folder, codes=codes, line=line: _after(
                ended, folder, codes, "out" in line and " run " in line
            ),
        )


def _shell(line: str) -> int:
    environment = os.environ | {"X": f"{sys.executable} -m xbench", "OMP_NUM_THREADS": "1"}
    return subprocess.run(["bash", "-c", line], env=environment, check=False).returncode


def _after(ended: Ended, folder: Path, codes: set[int], records: bool) -> str:
    if ended.code not in codes:
        return f"silent: exit {ended.code} instead of {sorted(codes)}: {ended.err[-200:]}"
    if records and not list((folder / "in" / "out").glob("*.json")):
        return "lost: no record was saved"
    return ""
