"""Find a model by what is given to --model: a plugin, a file or a module. Only what is named is loaded.

A model is a class or a function; called with the options of the run, it gives a scorer (see `base`).
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from xbench.errors import ModelError, UsageError, XbenchError, did_you_mean

Builder = Callable[..., Any]
"""A class or function that gives a scorer."""

MEND = "Mend it there, or ask its author."

GROUP = "xbench.scorers"
"""The entry points group under which a package announces its scorers."""

SWITCH = "XBENCH_PLUGINS"
"""Set to 0, no installed plugin is looked for."""


@dataclass(frozen=True)
class Plugin:
    """A scorer that an installed package announces. It is not loaded."""

    name: str
    value: str
    """Where it is: `package.module:attribute`."""
    package: str
    """Name and version of the distribution."""


def plugins() -> list[Plugin]:
    """Return the installed plugins by name, none of them loaded; none at all with XBENCH_PLUGINS=0."""
    if os.environ.get(SWITCH) == "0":
        return []
    found = {
        Plugin(entry.name, entry.value, f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?")
        for entry in importlib.metadata.entry_points(group=GROUP)
    }
    return sorted(found, key=lambda plugin: (plugin.name, plugin.value))


def load_plugin(name: str) -> Builder | None:
    """Load the plugin of a name; None when no package announces it.

    Raises ModelError when it is broken, UsageError when several packages announce it.
    """
    named = [plugin for plugin in plugins() if plugin.name == name]
    if not named:
        return None
    if len(named) > 1:
        listed = ", ".join(f"{plugin.value} of {plugin.package}" for plugin in named)
        raise UsageError(f"Several plugins are named {name!r}: {listed}. Write --model package.module:Class.")
    try:
        return _load(named[0].value)
    except UsageError as error:
        raise ModelError(f"The plugin {name!r} of {named[0].package} is broken: {error} {MEND}") from error
    except Exception as error:
        raise ModelError(
            f"The plugin {name!r} of {named[0].package} cannot be loaded: {what_failed(error)}. {MEND}"
        ) from error


def is_reference(name: str) -> bool:
    """Whether a --model names code (`file.py:Class`, `package.module:Class`) and not a model."""
    return ":" in name or name.endswith(".py")


def load_reference(reference: str) -> Builder:
    """Load `path/to/file.py:Class` or `package.module:Class`.

    Raises UsageError when there is no such file, module or class, ModelError when its code fails.
    """
    try:
        return _load(reference)
    except XbenchError:
        raise
    except Exception as error:
        raise ModelError(f"--model {reference} cannot be loaded: {what_failed(error)}. {MEND}") from error


def what_failed(error: BaseException) -> str:
    """Describe an exception in someone else's code in a line: its type, its message, file and line."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename[:1] != "<"]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _load(reference: str) -> Builder:
    where, _, attribute = reference.rpartition(":")
    if not where or not attribute:
        raise UsageError(f"{reference} names no class: write {reference.rstrip(':')}:Class.")
    module = _module_of_file(Path(where)) if where.endswith(".py") else _module(where)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{where} has no {attribute!r}.{did_you_mean(part, _callables(found))}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{reference} is a {type(found).__name__}: name a class or function.")
    builder: Builder = found
    return builder


def _module(name: str) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, but something that it needs is not
        raise UsageError(
            f"There is no module {name!r}: install it, start in the folder that holds it, or give the file: "
            "--model path/to/file.py:Class."
        ) from error


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"There is no file {path}: check the path.")
    path = path.resolve()
    name = f"xbench_model_{hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    _make_importable(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickles look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _make_importable(folder: Path) -> None:
    """Let a model import its neighbours. Last on the path, so that a `datasets/` there shadows no library."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _callables(module: Any) -> list[str]:
    own = getattr(module, "__name__", None)
    names = (name for name in dir(module) if name[:1] != "_" and callable(getattr(module, name)))
    return [name for name in names if getattr(getattr(module, name), "__module__", own) == own]
