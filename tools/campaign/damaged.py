"""Good files of every kind, damaged at random: told, or without effect; no other numbers without a word."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.campaign.children import Ended, Fault, xbench
from tools.campaign.world import World, alone, copied, numbers

_PAGE = b"<!DOCTYPE html>\n<html><body>Not Found</body></html>\n"


def damage(content: bytes, dice: random.Random) -> bytes:
    """Return the content with one thing wrong."""
    at, length = dice.randrange(max(1, len(content))), dice.randrange(1, 40)
    head, part, tail = content[:at], content[at : at + length], content[at + length :]
    flipped = bytes(byte ^ (1 << dice.randrange(8)) for byte in part[:1])
    ways = (
        head,
        head + flipped + part[1:] + tail,
        head + bytes(len(part)) + tail,
        head + tail,
        head + part * 2 + tail,
        content + dice.randbytes(20),
        b"",
        _PAGE,
        dice.randbytes(200),
    )
    return dice.choice(ways)


Command = Callable[[World, Path], list[object]]


def _own(world: World, folder: Path) -> list[object]:
    return world.own_run(folder / "own", "--output", folder / "out", "--json")


def _score(world: World, folder: Path) -> list[object]:
    own = folder / "own"
    return [
        "score",
        own / "scores.npy",
        "--dataset",
        own / "own.yaml",
        "--annotations",
        own,
        "--rows",
        "captions",
        "--json",
    ]


def _video_run(world: World, folder: Path) -> list[object]:
    data = folder / "LSMDC"
    weights = folder / "weights"
    return [
        "run",
        "--dataset",
        "lsmdc",
        "--annotations",
        data,
        "--videos",
        data / "videos",
        "--output",
        folder / "out",
        "--checkpoint",
        weights / "weights.safetensors",
        "--bpe",
        weights / "bpe.txt.gz",
        "--json",
    ]


_KINDS: dict[str, tuple[Command, frozenset[int]]] = {
    "own/captions.tsv": (_own, frozenset({3})),
    "own/own.yaml": (_own, frozenset({2, 3})),
    "own/texts.npz": (_own, frozenset({3})),
    "own/videos.npy": (_own, frozenset({3})),
    "own/scores.npy": (_score, frozenset({3, 2})),
    "weights/weights.safetensors": (_video_run, frozenset({4})),
    "weights/bpe.txt.gz": (_video_run, frozenset({4})),
    "data/LSMDC/annotations": (_video_run, frozenset({3})),
    "data/LSMDC/videos": (_video_run, frozenset({3})),
    "record": (lambda world, folder: ["diff", next((folder / "record").glob("*.json"))], frozenset({3})),
    "counts": (
        lambda world, folder: [
            "check",
            world.records[0],
            "--baseline",
            next((folder / "counts").glob("*.json")),
        ],
        frozenset({3, 1}),
    ),
}
"""What is damaged -> the command that reads it, and the exit codes that name it."""


def corruption(world: World, count: int, dice: random.Random) -> Iterator[Fault]:
    """Copies of good files with one thing wrong; where the fingerprint says nothing, the numbers must."""
    references = {}
    for number in range(count):
        what = list(_KINDS)[number % len(_KINDS)]
        if what not in references:
            references[what] = alone(_fault(world, what, None), world.root / "children")
            if references[what].code not in (0, 1):
                raise SystemExit(
                    f"without damage {what} ends with {references[what].code}: {references[what].err[-500:]}"
                )
        yield _fault(world, what, dice.randrange(1 << 30), references[what])


def _fault(world: World, what: str, seed: int | None, reference: Ended | None = None) -> Fault:
    command, codes = _KINDS[what]

    def act(folder: Path) -> int:
        path = _copies(world, what, folder, seed)
        if seed is not None:
            path.write_bytes(damage(path.read_bytes(), random.Random(seed)))
        return xbench(*command(world, folder))

    return Fault(
        "corruption",
        f"{what} (seed {seed})",
        act,
        codes,
        lambda ended, folder: _told(world, what, ended, reference, folder),
    )


def _copies(world: World, what: str, folder: Path, seed: int | None) -> Path:
    """Copy what the command reads; return the file to damage."""
    if what in ("record", "counts"):
        record = world.records[0]
        made = copied([record, record.with_suffix(".npz")], folder / what)
        return made[0 if what == "record" else 1]
    copied([world.own, world.weights], folder)
    copied([world.data / "LSMDC"], folder)
    if not what.startswith("data"):
        return folder / what
    inside = folder / "LSMDC"
    files = sorted(
        path
        for path in inside.rglob("*")
        if path.is_file() and ("videos" in path.parts) == what.endswith("videos")
    )
    return random.Random(seed).choice(files)


def _told(world: World, what: str, ended: Ended, reference: Ended | None, folder: Path) -> str:
    """A file that still reads well must give the same numbers, or be marked as another one."""
    if reference is None or ended.code != 0 or what in _TAKEN_AS_THEY_ARE:
        return ""
    if what == "record":
        read, good = (
            json.loads(path.read_bytes())["metrics"]
            for path in (*folder.glob("in/record/*.json"), world.records[0])
        )
        same = read == good
    else:
        same = numbers(ended.out) == numbers(reference.out)
    return "" if same or _marked(ended.out) else "silent: other numbers, and no word of it"


_TAKEN_AS_THEY_ARE = ("own/own.yaml", "own/texts.npz", "own/videos.npy", "own/scores.npy", "counts")
"""A user's own rules and arrays, and what only decides on an exit code."""


def _marked(out: str) -> bool:
    try:
        record = json.loads(out)
    except ValueError:
        return "NOT COMPARABLE" in out
    return isinstance(record, dict) and bool(record.get("not_comparable_because"))


def annotations(world: World, each: int, dice: random.Random) -> Iterator[Fault]:
    """Damaged annotation files, many in each child: read as they were, refused, or another split."""
    from xbench.registry.datasets import benchmarks

    batch = 100
    for name in benchmarks():
        for start in range(0, each, batch):
            count = min(batch, each - start)
            seed = dice.randrange(1 << 30)
            yield Fault(
                "annotations",
                f"{name} (seed {seed})",
                lambda folder, name=name, seed=seed, count=count: _read_damaged(
                    world, name, folder, seed, count
                ),
                seconds=120,
            )


def _read_damaged(world: World, name: str, folder: Path, seed: int, count: int) -> int:
    import time

    from xbench.data.loading import load_split
    from xbench.data.recognition import recognise
    from xbench.errors import XbenchError
    from xbench.registry.datasets import benchmark

    dice = random.Random(seed)
    good = world.data / benchmark(name).annotations
    files = [path for path in sorted(good.iterdir()) if path.is_file()]
    original = load_split(name, good)
    ended = {"right": 0, "named error": 0}
    for number in range(count):
        victim = dice.choice(files)
        copy = folder / str(number)
        copy.mkdir()
        for file in files:
            (copy / file.name).write_bytes(
                damage(file.read_bytes(), dice) if file is victim else file.read_bytes()
            )
        began = time.monotonic()
        try:
            split = load_split(name, copy)
            recognise(split)
        except XbenchError as error:
            ended["named error"] += 1
            if str(copy) not in str(error):
                raise ValueError(f"names no file: {error}") from error
        else:
            same = split.fingerprint() == original.fingerprint()
            assert same == (split.captions == original.captions and split.videos == original.videos), (
                "fingerprint"
            )
            ended["right"] += 1
        assert time.monotonic() - began < 20, "slow"
    print(json.dumps(ended))
    return 0
