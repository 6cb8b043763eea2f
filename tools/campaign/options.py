"""Every option of every command, from click's own parameters, so that a new one is in the campaign."""

import os
import random
import re
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from tools.campaign.children import Fault, as_ordinary_user, xbench
from tools.campaign.world import World, copied

_PATH = re.compile(r"FILE|DIR|PATH|PATTERN")
_WEIGHTS = {"checkpoint", "clip", "bpe"}
_WORDS = (
    "",
    "0",
    "-1",
    "1",
    "3",
    "nan",
    "inf",
    "-inf",
    "1e309",
    "9" * 30,
    "x",
    "R@1",
    "R@0",
    "R@1,R@1",
    "MdR,",
    "a=b",
    "=",
    "--",
    "auto",
    "cpu",
    "cuda:99",
    "msvd",
    "lsmdc/test",
    "all",
    "\u202e",
    "\x1b[2J",
    "%s",
    "{}",
    "../x",
    "none",
)


@dataclass(frozen=True)
class Option:
    """One parameter of one command."""

    command: tuple[str, ...]
    parameter: click.Parameter

    @property
    def name(self) -> str:
        """As messages name it."""
        return f"{' '.join(self.command)} {self.parameter.opts[0]}"

    @property
    def takes_path(self) -> bool:
        """Whether its value is a path: click's type says so, or the word that stands for it in the help."""
        return isinstance(self.parameter.type, click.Path) or bool(_PATH.search(self.parameter.metavar or ""))

    def given(self, value: object) -> list[object]:
        """Return the arguments that give it a value."""
        is_argument = isinstance(self.parameter, click.Argument)
        return [value] if is_argument else [self.parameter.opts[0], value]


def options() -> list[Option]:
    """Return every parameter of every command."""
    from xbench.cli import main

    found: list[Option] = []
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((), main)]
    while waiting:
        path, command = waiting.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                waiting.append(((*path, name), below))
        else:
            found += [Option(path, parameter) for parameter in command.params]
    return sorted(found, key=lambda option: option.name)


def base(world: World, command: tuple[str, ...], folder: Path) -> list[object]:
    """Return arguments with which a command ends well, or at least begins its work."""
    own, record = world.own, world.records[0]
    known: dict[tuple[str, ...], list[object]] = {
        ("run",): world.own_run(own, "--output", folder / "out"),
        ("score",): [
            own / "scores.npy",
            "--dataset",
            own / "own.yaml",
            "--annotations",
            own,
            "--rows",
            "captions",
        ],
        ("leaderboard",): [record],
        ("report",): [record, "--output", folder / "report.html"],
        ("diff",): [record],
        ("compare",): world.records[:2],
        ("check",): [record, "--baseline", world.records[1]],
        ("datasets", "verify"): ["lsmdc", "--annotations", world.data / "LSMDC"],
        ("datasets", "show"): ["lsmdc"],
        ("datasets", "fetch"): ["msvd", "--to", folder / "fetched"],
        ("datasets", "compress"): [
            "lsmdc",
            "--videos",
            world.data / "LSMDC" / "videos",
            "--to",
            folder / "small",
        ],
        ("datasets", "fingerprint"): [own / "own.yaml", "--annotations", own],
        ("models", "show"): ["xclip"],
        ("models", "fetch"): ["clip-bpe"],
        ("models", "verify"): [
            "xclip",
            "--checkpoint",
            world.weights / "weights.safetensors",
            "--bpe",
            world.weights / "bpe.txt.gz",
        ],
        ("miniature",): [folder / "mini", "--dataset", "lsmdc"],
        ("cache", "list"): ["--cache-dir", folder / "cache"],
        ("cache", "clear"): ["--all", "--cache-dir", folder / "cache"],
    }
    return [*command, *(each for each in known.get(command, []) if each != command[0] or command != ("run",))]


def arguments(world: World, option: Option, value: object, folder: Path) -> list[object]:
    """Return a command line in which one option has a value, and the others are good."""
    given = base(world, option.command, folder)
    command, rest = given[: len(option.command)], given[len(option.command) :]
    if isinstance(option.parameter, click.Argument):
        index = next((at for at, each in enumerate(rest) if not str(each).startswith("--")), None)
        rest = [value, *(rest if index is None else rest[:index] + rest[index + 1 :])]
        return [*command, *rest]
    for name in option.parameter.opts:
        while name in rest:
            at = rest.index(name)
            rest = rest[:at] + rest[at + 2 :]
    return [*command, *rest, *option.given(value)]


_PLACES = (
    "denied file",
    "file in a denied folder",
    "read-only folder",
    "denied folder",
    "a file's inside",
    "long name",
    "long path",
    "dangling link",
    "link loop",
    "folder",
    "nothing there",
    "zero byte",
    "pipe",
    "empty file",
    "device",
)


def place(name: str, folder: Path) -> Path | str:
    """Make a path that something is wrong with, below a folder of the fault's own."""
    here = folder / "place"
    here.mkdir()
    path = here / "x.json"
    below = here / "folder" / "x"
    if "folder" in name and name != "folder":
        below.parent.mkdir()
        if name != "read-only folder":
            below.write_text("{}")
        below.parent.chmod(0o555 if name == "read-only folder" else 0)
    elif name in ("denied file", "a file's inside", "empty file"):
        path.write_text("" if name == "empty file" else "{}")
        path.chmod(0 if name == "denied file" else 0o644)
    elif "link" in name:
        path.symlink_to(path if name == "link loop" else here / "gone")
    elif name == "pipe":
        os.mkfifo(path)
    elif name == "device":
        _make_device(path)
    elsewhere: dict[str, Path | str] = {
        "file in a denied folder": below,
        "read-only folder": below.parent,
        "denied folder": below.parent,
        "a file's inside": path / "below",
        "long name": here / ("x" * 300),
        "long path": "x" * 5000,
        "folder": here,
        "zero byte": f"{here}/a\0b",
    }
    return elsewhere.get(name, path)


def _make_device(path: Path) -> None:
    """Make an endless device of the fault's own; where only root may, a socket, which is no file either."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        socket.socket(socket.AF_UNIX).bind(path.name)


def permissions(world: World, dice: random.Random, *, small: bool) -> Iterator[Fault]:
    """Every option that takes a path, given paths that something is wrong with, as an ordinary user.

    small: one such path an option, another one each time, instead of all.
    """
    for option in (option for option in options() if option.takes_path):
        weights = bool({option.parameter.name, option.parameter.opts[0].lstrip("-")} & _WEIGHTS)
        codes = frozenset({4, 2} if weights else {3, 2})
        for name in [dice.choice(_PLACES)] if small else _PLACES:
            yield _at_place(world, option, name, codes)
    for (variable, command), codes in _VARIABLES.items():
        for name in [dice.choice(_PLACES)] if small else _PLACES:
            if name != "zero byte":  # which no variable can hold
                yield _in_variable(variable, command, name, codes)


_VARIABLES = {
    ("XBENCH_DATA", ("datasets", "list")): frozenset({3}),
    ("XBENCH_DATA", ("datasets", "verify", "lsmdc")): frozenset({3}),
    ("XBENCH_CACHE", ("cache", "list")): frozenset({3}),
    ("XBENCH_CACHE", ("cache", "clear", "--all")): frozenset({3}),
    ("XBENCH_CACHE", ("models", "fetch", "clip-bpe")): frozenset({4}),
    ("XBENCH_CACHE", ("run", "--miniature", "--dataset", "lsmdc", "--dry-run")): frozenset({3}),
    ("XBENCH_CHECKPOINTS", ("models", "list")): frozenset({2}),
    ("XBENCH_DATASETS", ("datasets", "list")): frozenset({2}),
}
"""Variables that hold a path, with commands that use it, and the exit codes with which these name a fault."""


def _in_variable(variable: str, command: tuple[str, ...], name: str, codes: frozenset[int]) -> Fault:
    def act(folder: Path) -> int:
        os.environ[variable] = str(place(name, folder))
        as_ordinary_user()
        return xbench(*command)

    return Fault("permissions", f"{variable} {' '.join(command)}: {name}", act, codes)


def _at_place(world: World, option: Option, name: str, codes: frozenset[int]) -> Fault:
    def act(folder: Path) -> int:
        if "cache" in option.command:
            copied([world.root / "cache" / "features"], folder / "cache") if (
                world.root / "cache" / "features"
            ).exists() else None
        given = arguments(world, option, place(name, folder), folder)
        as_ordinary_user()
        print("$ xbench", *[repr(str(each))[:200] for each in given], file=sys.stderr)
        return xbench(*given)

    return Fault("permissions", f"{option.name}: {name}", act, codes)


def bounds(world: World, count: int, dice: random.Random) -> Iterator[Fault]:
    """Options with values at and beyond their bounds, but for those that take a path."""
    known = [option for option in options() if not option.takes_path and "--ray" not in option.parameter.opts]
    for number in range(count):
        option = known[number % len(known)]
        value = dice.choice(_WORDS)
        yield _with_value(world, option, value)


def _with_value(world: World, option: Option, value: str) -> Fault:
    def act(folder: Path) -> int:
        if getattr(option.parameter, "is_flag", False):
            return xbench(*base(world, option.command, folder), option.parameter.opts[0])
        return xbench(*arguments(world, option, value, folder))

    return Fault("bounds", f"{option.name} {value!r}", act, frozenset({1, 2, 3, 4}))
