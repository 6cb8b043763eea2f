"""A model by the name given to --model: one that comes with xbench, a plugin, a file or a module."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from xbench.errors import DataError, ModelError, UsageError, XbenchError, did_you_mean, os_errors
from xbench.registry.checkpoints import checkpoints
from xbench.registry.scorers import SHIPPED
from xbench.scorers.arguments import ModelRequest, bind
from xbench.scorers.base import Scorer, ScorerInfo, info_of
from xbench.scorers.declared import MEMBERS, methods_of, require_declared
from xbench.scorers.device import find_device
from xbench.scorers.every_pair import EveryPair, is_reranker_only
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.finding import MEND, is_reference, load_plugin, load_reference, plugins, what_failed
from xbench.scorers.foreign import Foreign
from xbench.scorers.named import resolve_named

__all__ = ["Model", "ModelRequest", "ResolvedModel", "find", "is_shipped", "require_scorer", "resolve"]

Model = Scorer | PrecomputedFeatures
"""What scores captions against videos: a model that encodes them, or features that are there already."""

_WEIGHTS = {"checkpoint", "clip", "bpe"}
"""Options that are about the model; what else it reads is data."""


@dataclass(frozen=True)
class ResolvedModel:
    """A model that was found and whose options fit it; nothing of it is loaded yet.

    Two that are equal build the same model.
    """

    request: ModelRequest
    """With the weights and settings of checkpoints.yaml, and the miniature's where it stands in."""
    info: ScorerInfo
    _builder: Callable[..., Any] = field(repr=False)
    _arguments: Mapping[str, Any] = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process unpickles is found there: builders of plugins and files cannot travel."""
        return resolve, (self.request,)

    def build(self) -> Model:
        """Load it. Each weight file is opened once, and the model's `file` says which that was.

        Raises ModelError for bad files and for a plugin that fails or does not give a scorer, UsageError for
        settings that do not fit the weights or the device.
        """
        arguments = dict(self._arguments)
        if "device" in arguments:
            arguments["device"] = find_device(self.request.device)
        if is_shipped(self.request.name):
            with os_errors(ModelError, f"--model {self.request.name} cannot be built"):
                model: Model = self._builder(**arguments)
            return model
        try:
            scorer = self._builder(**arguments)
        except XbenchError:
            raise
        except Exception as error:
            raise ModelError(
                f"--model {self.request.name} cannot be built: {what_failed(error)}. {MEND}"
            ) from error
        return Foreign(require_scorer(scorer, self.request.name), self.request.checkpoint)


def resolve(request: ModelRequest) -> ResolvedModel:
    """Find a model and check, before any data is read, that it can be built as asked. Called once a run.

    A name of checkpoints.yaml brings its scorer, weights (fetched when they have a url) and settings. Raises
    UsageError for a name or options that do not fit, ModelError for files that are not there and for a plugin
    or file of code that cannot be loaded.
    """
    request = _with_named_weights(request)
    builder = find(request.name)
    info = info_of(builder)
    if info.zero_shot is None and request.clip in checkpoints().clip:
        info = replace(info, zero_shot=True)  # as they were published
    request = _with_miniature_weights(request, info)
    if info.without_checkpoint and request.checkpoint is None and request.clip is None:
        raise ModelError(info.without_checkpoint)
    arguments = bind(builder, request.name, request.options, request.args)
    for option in sorted(info.files):
        file = getattr(request, option)
        if file is None:
            continue
        kind = ModelError if option in _WEIGHTS else DataError
        with os_errors(kind, f"--{option.replace('_', '-')} cannot be read"):
            if not file.exists():
                raise kind(f"There is no file {file}: check the path.")
    return ResolvedModel(request, info, builder, arguments)


def find(name: str) -> Callable[..., Any]:
    """Return the class or function behind a name; what comes with xbench wins over a plugin of that name.

    Raises UsageError for an unknown name, ModelError for a plugin or file that cannot be loaded.
    """
    found: Callable[..., Any] | None
    if is_shipped(name):
        found = pkgutil.resolve_name(SHIPPED[name])
    else:
        found = load_reference(name) if is_reference(name) else load_plugin(name)
    if found is None:
        known = {*SHIPPED, *(plugin.name for plugin in plugins()), *checkpoints().checkpoints}
        raise UsageError(f"There is no model {name!r}.{did_you_mean(name, known)}")
    return found


def is_shipped(name: str) -> bool:
    """Whether a scorer of this name comes with xbench."""
    return name in SHIPPED


def require_scorer(candidate: Any, name: str) -> Scorer:
    """Return an object that is a Scorer as far as can be seen without encoding.

    A re-ranker that lacks what scores a block is taken for one that is asked for every pair. Raises
    ModelError naming the members that it lacks, or the one that no run could use.
    """
    if is_reranker_only(candidate):
        candidate = EveryPair(candidate)
    missing = [member for member in MEMBERS if not _has(candidate, member)]
    missing += [
        f"{method}()" for method in methods_of(candidate) if not callable(getattr(candidate, method, None))
    ]
    if missing:
        raise ModelError(
            f"--model {name} gives a {type(candidate).__name__}, which is no scorer: it lacks "
            f"{', '.join(missing)}. See xbench.scorers.base.Scorer."
        )
    require_declared(candidate)
    scorer: Scorer = candidate
    return scorer


def _has(candidate: Any, member: str) -> bool:
    try:
        return hasattr(candidate, member)
    except Exception:  # a property of the user's that fails: it is there, and told as a fault
        return True


def _with_named_weights(request: ModelRequest) -> ModelRequest:
    entry = checkpoints().checkpoints.get(request.name)  # read first: a fault in a user's file is told
    if entry is None or is_reference(request.name):
        return request
    return resolve_named(request, entry, find)


def _with_miniature_weights(request: ModelRequest, info: ScorerInfo) -> ModelRequest:
    """Give a model the small weights that are made for it, unless it has its own."""
    if request.miniature is None or request.checkpoint is not None or request.clip is not None:
        return request
    folder, given = request.miniature, {"bpe"} if request.bpe is not None else set()
    stand_ins: dict[str, Any] = {
        key: folder / name for key, name in info.miniature_weights.items() if key not in given
    }
    return replace(request, **stand_ins)
