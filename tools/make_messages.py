"""Write docs/messages.md: every message that a user can meet, read off the places that raise it.

python -m tools.make_messages            # writes the page
python -m tools.make_messages --check    # exit code 1 when the page is not what the code says
"""

import importlib
import inspect
import os
import pkgutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click.testing
import numpy as np

import xbench
from tools.message_templates import Message, messages
from xbench.cli import main as xbench_command
from xbench.errors import XbenchError
from xbench.video.choice import Sampling
from xbench.video.decode import read_clip

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "messages.md"
_HEAD = """# Messages and exit codes

Made from the code by `tools/make_messages.py`, which also ran the examples. A message goes to stderr as one
paragraph, `Error: ...`, and ends the command with its exit code; in Python it is an exception of the class
named. What stands in angle brackets is filled in. A message says what was wrong, where, and what to do; one
that left you guessing is a fault worth reporting.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | a regression was found (`check`) |
| 2 | usage: a wrong option, an unknown name, options that do not go together |
| 3 | data: annotations, videos, scores or records that are missing, corrupt or wrong |
| 4 | a model, checkpoint or vocabulary that is missing, corrupt or does not fit |
| 70 | a fault of xbench itself, with a traceback |
| 130 | stopped by Ctrl-C: the same command goes on from there |
| 141 | the reader of a pipe went away |
"""
_INNER = """## Exceptions within

Raised and caught within xbench. What ends a command is a message of the classes above, or an exit code alone.

| class | what it says |
|---|---|
"""


def error_classes() -> dict[str, type[XbenchError]]:
    """Every error class of the package that a user can meet, by its name."""
    return {kind.__name__: kind for kind in _exceptions() if issubclass(kind, XbenchError)}


def inner_classes() -> dict[str, type[BaseException]]:
    """The other exceptions of the package, by their names; a leading underscore is a file's own business."""
    found = {kind.__name__: kind for kind in _exceptions() if not issubclass(kind, XbenchError)}
    return {name: kind for name, kind in sorted(found.items()) if not name.startswith("_")}


def _exceptions() -> list[type[BaseException]]:
    kinds = set()
    for module in pkgutil.walk_packages(xbench.__path__, "xbench."):
        if module.name != "xbench.__main__":
            members = vars(importlib.import_module(module.name)).values()
            kinds |= {kind for kind in members if isinstance(kind, type) and issubclass(kind, BaseException)}
    return [kind for kind in kinds if kind.__module__.startswith("xbench")]


def examples() -> dict[str, tuple[str, str]]:
    """For each error class what was done and what it said, in a folder that is thrown away afterwards."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return {name: (done, act()) for name, (done, act) in _EXAMPLES.items()}
        finally:
            os.chdir(here)


def _command(*arguments: str) -> str:
    return click.testing.CliRunner().invoke(xbench_command, arguments).stderr.strip()


def _regression() -> str:
    """Two results of eight captions, of which the later one has lost two."""
    similarity = np.eye(8)
    _result("before", similarity)
    similarity[0, 1] = similarity[1, 2] = 2
    _result("after", similarity)
    return _command("check", "after.json", "--baseline", "before.json", "--max-drop", "t2v.R@1=5")


def _result(name: str, similarity: np.ndarray) -> None:
    path = xbench.evaluate(similarity, caption_to_video=range(len(similarity))).save(name)
    path.with_suffix(".npz").rename(path.with_suffix(".npz").name)
    path.rename(f"{name}.json")


def _unreadable() -> str:
    Path("clip.mp4").write_text("<!DOCTYPE html><html>Log in to download</html>", "utf-8")
    return _decode()


def _damaged() -> str:
    whole = (ROOT / "tests" / "fixtures" / "video" / "d_232x170_10fps_mpeg4.mp4").read_bytes()
    middle, hole = len(whole) // 2, len(whole) // 10
    Path("clip.mp4").write_bytes(whole[:middle] + bytes(hole) + whole[middle + hole :])
    return _decode()


def _decode() -> str:
    try:
        read_clip(Path("clip.mp4"), None, Sampling(max_frames=12), 224)
    except XbenchError as error:
        return f"Error: {error}"
    raise AssertionError("the clip was read")


_COMMANDS = {
    "UsageError": "xbench run --model xclip --dataset mrsvtt",
    "DataError": "xbench leaderboard results",
    "ModelError": "xbench run --model xclip --dataset didemo --miniature --checkpoint epoch4.bin",
}
_EXAMPLES: dict[str, tuple[str, Callable[[], str]]] = {
    "RegressionError": ("xbench check after.json --baseline before.json --max-drop t2v.R@1=5", _regression),
    "UnreadableVideo": ("a login page that was saved as clip.mp4", _unreadable),
    "DamagedVideo": ("clip.mp4 with a hole in its middle", _damaged),
    **{name: (line, lambda line=line: _command(*line.split()[1:])) for name, line in _COMMANDS.items()},
}


def page(
    found: Sequence[Message],
    classes: Mapping[str, type[XbenchError]],
    inner: Mapping[str, type[BaseException]],
    shown: Mapping[str, tuple[str, str]],
) -> str:
    """The whole page."""
    by_error: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for message in found:
        by_error[message.error][message.room].add(" ".join(message.text.split()).replace("`", "'"))
    lines = [_HEAD]
    for name in sorted(shown, key=lambda name: (classes[name].exit_code, name)):
        done, said = shown[name]
        lines += [f"## {name}: exit code {classes[name].exit_code}", "", _summary(classes[name]), ""]
        lines += [f"For example, `{done}`:", "", "```text", said, "```", ""]
        for room, texts in sorted(by_error[name].items()):
            lines += [f"**{room}**", "", *(f"- `{text}`" for text in sorted(texts)), ""]
    lines.append(_INNER + "\n".join(f"| `{name}` | {_summary(kind)} |" for name, kind in inner.items()))
    return "\n".join(lines) + "\n"


def _summary(kind: type[BaseException]) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]


def text() -> str:
    """The page as the code stands."""
    classes = error_classes()
    return page(messages(ROOT / "xbench", classes.keys()), classes, inner_classes(), examples())


def main() -> int:
    if "--check" not in sys.argv:
        PAGE.write_text(text(), "utf-8")
        return 0
    if PAGE.read_text("utf-8") == text():
        return 0
    print(f"{PAGE} is not what the code says: run python -m tools.make_messages", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
