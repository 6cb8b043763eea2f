"""Write docs/messages.md: every message that a user can meet, read off the places that raise it.

python tools/make_messages.py            # writes the page
python tools/make_messages.py --check    # exit code 1 when the page is not what the code says
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import xbench
from xbench.errors import XbenchError

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "messages.md"
_HEAD = """# Messages and exit codes

Made from the code by `tools/make_messages.py`. A message goes to stderr as one paragraph, `Error: ...`, and
ends the command with its exit code; in Python it is an exception of the class named. What stands in angle
brackets is filled in. A message says what was wrong, where, and what to do; one that left you guessing is a
fault worth reporting.

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


@dataclass(frozen=True, order=True)
class Message:
    """A template of a message and the place that raises it."""

    room: str
    error: str
    text: str


def error_classes() -> dict[str, type[XbenchError]]:
    """Every error class of the package by its name."""
    for module in pkgutil.walk_packages(xbench.__path__, "xbench."):
        if not module.name.startswith(("xbench.scorers.xclip.fused", "xbench.pools", "xbench.__main__")):
            importlib.import_module(module.name)
    found, waiting = {}, [XbenchError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found


def messages(classes: set[str]) -> list[Message]:
    """The messages of the package whose template stands where they are raised."""
    found = set()
    for path in sorted((ROOT / "xbench").rglob("*.py")):
        room = ".".join(path.relative_to(ROOT / "xbench").with_suffix("").parts[:2])
        found |= {Message(room, error, text) for error, text in _raised(ast.parse(path.read_text()), classes)}
    return sorted(found)


def _raised(tree: ast.AST, classes: set[str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
            for argument in node.args[:1]:
                if (text := _template(argument)) is not None:
                    yield node.func.id, text


def _template(node: ast.expr) -> str | None:
    """A message with what is filled in as `<name>`; None for one that is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else _blank(part.value)  # type: ignore[attr-defined]
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_template(node.left) or _blank(node.left), _template(node.right) or _blank(node.right)]
        return "".join(parts)
    if isinstance(node, ast.IfExp):
        return _template(node.body)
    return None


def _blank(node: ast.expr) -> str:
    text = ast.unparse(node)
    if "did_you_mean" in text:
        return " Did you mean <the closest>?"
    words = re.findall(r"[A-Za-z]+", re.sub(r"'[^']*'", "", text)) or ["value"]
    return f"<{words[-1] if words[-1] not in ('strerror', 'join', 'str') else words[0]}>"


def page(found: list[Message], classes: dict[str, type[XbenchError]]) -> str:
    """The whole page."""
    by_error: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for message in found:
        by_error[message.error][message.room].append(message.text)
    lines = [_HEAD]
    for name in sorted(by_error, key=lambda name: (classes[name].exit_code, name)):
        summary = (inspect.getdoc(classes[name]) or "").splitlines()[0]
        lines += [f"## {name}: exit code {classes[name].exit_code}", "", summary, ""]
        for room, texts in sorted(by_error[name].items()):
            lines += [f"**{room}**", ""]
            lines += [f"- `{' '.join(text.split()).replace('`', chr(39))}`" for text in sorted(texts)]
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> int:
    classes = error_classes()
    text = page(messages(set(classes)), classes)
    if "--check" in sys.argv:
        if PAGE.read_text("utf-8") == text:
            return 0
        print(f"{PAGE} is not what the code says: run python tools/make_messages.py", file=sys.stderr)
        return 1
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
