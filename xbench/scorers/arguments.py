"""Which model a run asks for, and its options as the model's arguments: by name, as annotations want them."""

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from xbench.errors import UsageError, did_you_mean
from xbench.terms import Precision

_WORDS = {"true": True, "false": False, "none": None, "null": None}
_FILES = ("checkpoint", "clip", "bpe", "text_features", "video_features")


@dataclass(frozen=True)
class ModelRequest:
    """A model as the options of a run ask for it.

    name: as given to --model. words and frames are the protocol's; a checkpoint's own shapes win over them.
    args: what --model-args says, text or values. precision: None for fp32, or what
    checkpoints.yaml says of the model. miniature: the folder of the small weights that a model may take where
    it is given none.
    """

    name: str
    checkpoint: Path | None = None
    clip: str | None = None
    bpe: Path | None = None
    precision: Precision | None = None
    device: str = "auto"
    words: int = 32
    frames: int = 12
    text_features: Path | None = None
    video_features: Path | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    miniature: Path | None = None

    @property
    def options(self) -> "dict[str, Option]":
        """What the run offers a model, by the names of the parameters that take it."""
        files = {key: getattr(self, key) for key in _FILES}
        return {key: Option(value, chosen=value is not None) for key, value in files.items()} | {
            "precision": Option(self.precision or "fp32", chosen=self.precision is not None),
            "device": Option(self.device),
            "words": Option(self.words, flag=False),
            "frames": Option(self.frames, flag=False),
        }


@dataclass(frozen=True)
class Option:
    """A value of the run that a model may take. `chosen`: the user asked for it, so a model must."""

    value: Any
    chosen: bool = False
    flag: bool = True
    """Whether the command line has an option for it; otherwise --model-args may set it."""


def bind(
    builder: Callable[..., Any], name: str, options: Mapping[str, Option], args: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keyword arguments with which to call a model.

    options: what the run offers (`checkpoint`, `device`, ...); a model gets those that it has parameters for.
    args: what --model-args says, text to be read as the parameter's annotation wants it, or a value.

    Raises UsageError for an option or argument that the model does not have, one that it needs, and a value
    of the wrong type. `name` is what messages call the model.
    """
    parameters = parameters_of(builder)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {key: value for key, value in parameters.items() if value.kind is not value.VAR_KEYWORD}
    bound = {}
    for key, option in options.items():
        if key in named or (open_ended and option.chosen):
            if option.value is not None:
                bound[key] = option.value
        elif option.chosen:
            raise UsageError(
                f"--model {name} has no {_flag(key, options)}: leave it out.{_known(named, options)}"
            )
    for key, value in args.items():
        if key in options and options[key].flag:
            raise UsageError(f"--model-args {key}=...: give it as {_flag(key, options)}.")
        if key not in named and not open_ended:
            raise UsageError(f"--model {name} has no argument {key!r}.{did_you_mean(key, named)}")
        bound[key] = read(value, named[key], key) if key in named and isinstance(value, str) else value
    for key, parameter in named.items():
        if parameter.default is parameter.empty and key not in bound:
            raise UsageError(f"--model {name} needs {_flag(key, options)}: give it.")
    return bound


def parameters_of(builder: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class or function that can be given by name, annotations resolved."""
    try:
        signature = inspect.signature(builder)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{builder!r} has no signature that can be read: wrap it in a function.") from error
    hints = _hints(builder)
    return {
        name: parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY)
    }


def read(text: str, parameter: inspect.Parameter, key: str) -> Any:
    """Read a text as a parameter wants it: by its annotation, else by its default's type, else as JSON.

    Raises UsageError when the text is no such value.
    """
    wanted = parameter.annotation
    if wanted in (parameter.empty, Any) or isinstance(wanted, str):
        simple = type(parameter.default) in (bool, int, float, str)
        wanted = type(parameter.default) if simple else None
    adapter = _adapter(wanted) if wanted is not None else None
    if adapter is None:
        return _plain(text)
    for candidate in (text, _plain(text)):
        try:
            return adapter.validate_python(candidate)
        except ValidationError:
            continue
    raise UsageError(f"--model-args {key}={text}: expected {_shown(wanted)}.")


def _adapter(annotation: Any) -> "TypeAdapter[Any] | None":
    """None for a type that pydantic cannot read, e.g. a torch.dtype."""
    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, PydanticUndefinedAnnotation, TypeError):
        return None


def _plain(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _hints(builder: Callable[..., Any]) -> dict[str, Any]:
    """Annotations may name what is not there at run time; then they stay text and are not used."""
    try:
        return typing.get_type_hints(builder.__init__ if inspect.isclass(builder) else builder)
    except Exception:
        return {}


def _flag(key: str, options: Mapping[str, Option]) -> str:
    has_flag = key in options and options[key].flag
    return f"--{key.replace('_', '-')}" if has_flag else f"--model-args {key}=..."


def _known(named: Mapping[str, inspect.Parameter], options: Mapping[str, Option]) -> str:
    if not named:
        return " It takes no options."
    return f" It takes {', '.join(_flag(key, options) for key in named)}."


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
