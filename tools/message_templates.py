"""Read the templates of messages off the source of the package: what stands where an error is raised."""

import ast
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

_DEPTH = 5
_MOST = 16  # outcomes of one message that are told apart
_SPEAKING = ("explain", "_explain", "did_you_mean")
_GRAMMAR = ("strerror", "join", "str", "or", "and", "not", "if", "else", "for", "in", "repr", "map", "sorted")
_FIELDS = ("without_checkpoint",)  # messages that are kept in a field until they are needed
_SYSTEM = "<what the system refused, and what to do about it>"


@dataclass(frozen=True, order=True)
class Message:
    """A template of a message, the error class and the room that raise it, and where (`file:line`)."""

    room: str
    error: str
    text: str
    place: str


@dataclass(frozen=True)
class _Here:
    """Where an expression stands: its file and the functions around it, the innermost last."""

    path: Path
    around: tuple[ast.FunctionDef, ...]


class Package:
    """The parsed files of a package, with what is defined and called where."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(folder.rglob("*.py"))}
        self.functions: dict[str, list[tuple[ast.FunctionDef, _Here]]] = {}
        self.calls: dict[str, list[tuple[ast.Call, _Here]]] = {}
        self.keywords: dict[str, list[tuple[ast.expr, _Here]]] = {}
        self.raised: list[tuple[ast.Call, _Here]] = []
        for path, tree in self.trees.items():
            self._index(tree, _Here(path, ()))

    def _index(self, node: ast.AST, here: _Here) -> None:
        if isinstance(node, ast.FunctionDef):
            self.functions.setdefault(node.name, []).append((node, here))
            here = _Here(here.path, (*here.around, node))
        if isinstance(node, ast.Call):
            self.calls.setdefault(_called(node), []).append((node, here))
            for keyword in node.keywords:
                if keyword.arg:
                    self.keywords.setdefault(keyword.arg, []).append((keyword.value, here))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            self.raised.append((node.exc, here))
        for child in ast.iter_child_nodes(node):
            self._index(child, here)

    def file(self, module: str) -> Path:
        """The file of a module or of the package of that name."""
        path = self.folder.parent.joinpath(*module.split("."))
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    def function(self, name: str, here: _Here) -> tuple[ast.FunctionDef, _Here] | None:
        """What a name means in a file: its own function, else the only one of that name in the package."""
        known = self.functions.get(name, [])
        near = [found for found in known if found[1].path == here.path]
        one = near if near or name.startswith("_") else known
        return one[0] if len(one) == 1 else None


def messages(folder: Path, classes: Set[str]) -> list[Message]:
    """Every message of the package, one for each outcome of a condition that is written out in it.

    Raises ValueError naming the places whose message cannot be read off.
    """
    package = Package(folder)
    found, hidden = set(), []
    for call, errors, here in _made(package, classes):
        place = f"{here.path.relative_to(folder.parent)}:{call.lineno}"
        if not (read := list(_messages_of(package, call, here))):
            hidden.append(place)
        room = ".".join(here.path.relative_to(folder).with_suffix("").parts[:2])
        found |= {Message(room, error, text, place) for text in read for error in errors}
    if hidden:
        raise ValueError(f"These messages cannot be read off: {', '.join(hidden)}")
    return sorted(found)


def _made(package: Package, classes: Set[str]) -> Iterator[tuple[ast.Call, set[str], _Here]]:
    """Every place that makes an error of a class, named there or passed to it."""
    for name in classes:
        for call, here in package.calls.get(name, []):
            yield call, {name}, here
    for call, here in package.raised:
        if isinstance(call.func, ast.Name) and call.func.id not in classes:
            passed = {
                node.id
                for node, _ in _values(package, call.func, here)
                if isinstance(node, ast.Name) and node.id in classes
            }
            if passed:
                yield call, passed, here
    for call, here in package.calls.get("os_errors", []):
        errors = {
            node.id for node, _ in _values(package, call.args[0], here) if isinstance(node, ast.Name)
        } & classes
        yield call, errors, here


def _messages_of(package: Package, call: ast.Call, here: _Here) -> Iterator[str]:
    name = _called(call)
    if name == "os_errors":
        yield from (f"{text}: {_SYSTEM}" for text in _templates(package, call.args[1], here))
        return
    built = _constructor(package, name)
    if built is None:
        yield from _templates(package, call.args[0], here) if call.args else ()
        return
    told, inside = built
    for text in _templates(package, told, inside):
        yield from _filled(package, text, call, inside.around[-1], here)


def _filled(
    package: Package, text: str, call: ast.Call, constructor: ast.FunctionDef, here: _Here
) -> Iterator[str]:
    """A message made by a class of its own, with the texts that it is given filled in."""
    names = [argument.arg for argument in constructor.args.args[1:]]
    texts = [text]
    for name, argument in zip(names, call.args, strict=False):
        given = [said for said in _templates(package, argument, here) if " " in said]
        texts = [one.replace(f"<{name}>", said) for one in texts for said in given or [f"<{name}>"]]
    yield from texts


def _constructor(package: Package, name: str) -> tuple[ast.expr, _Here] | None:
    """What a class with a constructor of its own hands to `super().__init__`."""
    for path, tree in package.trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                for made in ast.walk(node):
                    if isinstance(made, ast.FunctionDef) and made.name == "__init__":
                        for call in ast.walk(made):
                            if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
                                return call.args[0], _Here(path, (made,))
    return None


def _templates(package: Package, node: ast.expr, here: _Here, depth: int = 0) -> list[str]:
    """The texts that an expression can be, with what is filled in as `<name>`; none if it cannot be told."""
    texts: list[str] = []
    for value, there in _values(package, node, here, depth):
        texts += _texts(package, value, there, depth)
    return list(dict.fromkeys(texts))


def _texts(package: Package, node: ast.expr, here: _Here, depth: int) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Call):
        return _of_call(package, node, here, depth)
    if isinstance(node, ast.JoinedStr):
        parts = [
            [str(part.value)] if isinstance(part, ast.Constant) else _part(package, part.value, here, depth)
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        ]
        return _joined(parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([_part(package, side, here, depth) for side in (node.left, node.right)])
    return []


def _of_call(package: Package, call: ast.Call, here: _Here, depth: int) -> list[str]:
    """What `text.format(...)`, `text.join([...])` and the functions that speak for themselves say."""
    name = _called(call)
    if name in _SPEAKING:
        return [_blank(call)]
    if not isinstance(call.func, ast.Attribute):
        return []
    if name == "format":
        wanted = _templates(package, call.func.value, here, depth)
        return [text.replace("{}", "<option>") for text in wanted]
    return _elements(package, call.args[0], here, depth) if name == "join" and call.args else []


def _elements(package: Package, node: ast.expr, here: _Here, depth: int) -> list[str]:
    """Lines that are joined: those written out, with the rest as a blank."""
    if not isinstance(node, ast.List):
        return []
    parts = [
        _blank(one.value) if isinstance(one, ast.Starred) else _part(package, one, here, depth)[0]
        for one in node.elts
    ]
    return [" ".join(parts)]


def _part(package: Package, node: ast.expr, here: _Here, depth: int) -> list[str]:
    """A part of a longer text: what it says when it says a sentence or nothing, else a blank."""
    values = _values(package, node, here, depth + 1) if depth < _DEPTH else []
    read = [
        _texts(package, value, there, depth + 1)
        for value, there in values
        if not (isinstance(value, ast.Constant) and value.value is None)
    ]
    told = [text for texts in read for text in texts] if all(read) else []
    written = [text for text in told if " " in text.strip() or not text or isinstance(node, ast.IfExp)]
    return written if written and len(written) == len(told) else [_blank(node)]


def _joined(parts: list[list[str]]) -> list[str]:
    texts = [""]
    for part in parts:
        texts = [text + one for text in texts for one in part][:_MOST]
    return texts


def _values(package: Package, node: ast.expr, here: _Here, depth: int = 0) -> list[tuple[ast.expr, _Here]]:
    """The expressions that a name, a call or a condition stands for; the expression itself when it is one."""
    if isinstance(node, ast.IfExp):
        branches = (node.body, node.orelse)
    elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        branches = tuple(node.values)
    else:
        found = _meant(package, node, here) if depth < _DEPTH else []
        return [value for one, there in found for value in _values(package, one, there, depth + 1)] or [
            (node, here)
        ]
    return [value for one in branches for value in _values(package, one, here, depth + 1)]


def _meant(package: Package, node: ast.expr, here: _Here) -> list[tuple[ast.expr, _Here]]:
    if isinstance(node, ast.Name):
        return _assigned(package, node.id, here)
    if isinstance(node, ast.Subscript):
        held = [
            (one, there) for one, there in _values(package, node.value, here) if isinstance(one, ast.Dict)
        ]
        return [(value, there) for one, there in held for value in one.values]
    if isinstance(node, ast.Attribute) and node.attr in _FIELDS:
        return package.keywords.get(node.attr, [])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in _SPEAKING:
        return _returned(package, node.func.id, here)
    return []


def _returned(package: Package, name: str, here: _Here) -> list[tuple[ast.expr, _Here]]:
    """What a function of the package that makes a text can return."""
    if (defined := package.function(name, here)) is None:
        return []
    function, there = defined
    if not (isinstance(function.returns, ast.Name) and function.returns.id == "str"):
        return []
    inside = _Here(there.path, (*there.around, function))
    return [(one.value, inside) for one in ast.walk(function) if isinstance(one, ast.Return) and one.value]


def _assigned(package: Package, name: str, here: _Here) -> list[tuple[ast.expr, _Here]]:
    """What a name was set to: in the functions around, by their callers, or at the top of the file."""
    for depth in range(len(here.around), 0, -1):
        function, there = here.around[depth - 1], _Here(here.path, here.around[:depth])
        if set_here := [
            (one.value, there)
            for one in ast.walk(function)
            if isinstance(one, ast.Assign) and any(_is(target, name) for target in one.targets)
        ]:
            return set_here
        if name in [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]:
            return _passed(package, function, name, here)
    path = here.path
    for one in ast.walk(package.trees[path]):
        if isinstance(one, ast.ImportFrom) and one.module and name in [alias.name for alias in one.names]:
            path = package.file(one.module)
    return [
        (one.value, _Here(path, ()))
        for one in (package.trees[path].body if path in package.trees else [])
        if isinstance(one, ast.Assign) and any(_is(target, name) for target in one.targets)
    ]


def _passed(
    package: Package, function: ast.FunctionDef, name: str, here: _Here
) -> list[tuple[ast.expr, _Here]]:
    if function.name == "__init__":
        return []
    positions = [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")]
    found = []
    for call, there in package.calls.get(function.name, []):
        if function.name.startswith("_") and there.path != here.path:
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        given |= dict(zip(positions, call.args, strict=False))
        if name in given:
            found.append((given[name], there))
    return found


def _is(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _blank(node: ast.expr) -> str:
    text = ast.unparse(node)
    if "did_you_mean" in text:
        return " Did you mean <the closest>?"
    if "explain(" in text:
        return _SYSTEM
    words = re.findall(r"[A-Za-z]+", re.sub(r"'[^']*'", "", text))
    named = [word for word in words if word not in _GRAMMAR] or ["value"]
    return f"<{named[-1]}>"
