"""YAML files that people write: every error names file, line and key."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from xbench.errors import UsageError, explain
from xbench.readers import MIB, check_yaml, read_at_most

Model = TypeVar("Model", bound=BaseModel)
_SHOWN = 5
_MEND = "Correct it there."


def read_lined(path: Path, model: type[Model]) -> Model:
    """Read a YAML file as a pydantic model.

    Raises UsageError, with the line and key of every fault, for a file that cannot be read, is no YAML, holds
    a key twice, or is not what the model wants.
    """
    try:
        text = read_at_most(path, MIB).decode("utf-8")
        check_yaml(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {explain(error)}") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{path}{line}: this is no YAML: {error.problem}. {_MEND}") from error
    except (yaml.YAMLError, ValueError) as error:  # not UTF-8, too much, or what is no number or date
        raise UsageError(f"{path}: this is no YAML: {error}. {_MEND}") from error
    _refuse_twice(path, root)
    try:
        return model.model_validate({} if values is None else values)
    except ValidationError as error:
        raise UsageError(_faults(path, root, error)) from error


def _refuse_twice(path: Path, node: "yaml.Node | None") -> None:
    """YAML takes the last of equal keys without a word."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twice(path, item)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise UsageError(
                f"{path}, line {line}: {key.value} stands here again, after line {seen[key.value]}: keep one."
            )
        seen[key.value] = line
        _refuse_twice(path, value)


def _faults(path: Path, root: "yaml.Node | None", error: ValidationError) -> str:
    said = []
    for fault in error.errors(include_url=False)[:_SHOWN]:
        line, keys = _find(root, fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        said.append(f"{path}, line {line}: {'.'.join(keys) or 'the whole file'}: {message}")
    if (more := error.error_count() - _SHOWN) > 0:
        said.append(f"and {more} more")
    return "\n".join([*said, _MEND])


def _find(root: "yaml.Node | None", where: tuple[Any, ...]) -> tuple[int, list[str]]:
    """Return the line of the deepest key on the way that is in the file, and the names on the way."""
    line, node, keys = 1, root, []
    for part in where:
        keys.append(str(part))
        entries = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((key, value) for key, value in entries if key.value == str(part)), None)
        if found is not None:
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            node = None
    return line, keys
