"""A model by the name given to --model: one that comes with xbench, a plugin, a file or a module."""

from collections.abc import Callable
from typing import Any

from xbench.errors import ModelError, UsageError, XbenchError, did_you_mean
from xbench.registry.checkpoints import checkpoints
from xbench.scorers import builders
from xbench.scorers.arguments import Option, bind
from xbench.scorers.base import Scorer
from xbench.scorers.device import find_device
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.finding import is_reference, load_plugin, load_reference, plugins, what_failed
from xbench.scorers.foreign import Foreign
from xbench.scorers.named import resolve_named
from xbench.scorers.request import ModelRequest

__all__ = ["MODELS", "Model", "ModelRequest", "build", "check_request", "find", "require_scorer", "resolve"]

Model = Scorer | PrecomputedFeatures
"""What scores captions against videos: a model that encodes them, or features that are there already."""

MODELS: dict[str, Callable[..., Model]] = {
    "xclip": builders.xclip,
    "xclip-zeroshot": builders.xclip_zeroshot,
    "clip4clip": builders.clip4clip,
    "clip": builders.clip,
    "hf": builders.hf,
    "features": builders.features,
}
"""The models that come with xbench; the first line of each docstring says what it is."""

_NO_CHECKPOINT = (
    "--model xclip needs --checkpoint: the authors of X-CLIP released no fine-tuned weights. Pass what your "
    "own training saved (pytorch_model.bin.N of the published code), or start untrained from CLIP with "
    "--model xclip-zeroshot --clip ViT-B/32, or see xbench work with --miniature."
)
_FILES = ("checkpoint", "clip", "bpe", "text_features", "video_features")
_FROM_FILES = ("xclip", "clip4clip")
"""Models whose --checkpoint is a file on this machine."""
_MEMBERS = ("name", "video_input", "identity", "settings", "block")
_METHODS = ("encode_texts", "encode_videos", "similarity")


def build(request: ModelRequest) -> Model:
    """Build a model.

    Raises UsageError for a name or options that do not fit, ModelError for bad files and for a plugin that
    fails or does not give a scorer.
    """
    request = resolve(request)
    builder, arguments = _bound(request)
    if "device" in arguments:
        arguments["device"] = find_device(request.device)
    if request.name in MODELS:
        return MODELS[request.name](**arguments)
    try:
        scorer = builder(**arguments)
    except XbenchError:
        raise
    except Exception as error:
        raise ModelError(f"--model {request.name} cannot be built: {what_failed(error)}") from error
    return Foreign(require_scorer(scorer, request.name))


def check_request(request: ModelRequest) -> None:
    """Raise UsageError or ModelError, before any data is read, for a model that cannot be built as asked."""
    request = resolve(request)
    _bound(request)
    files = [request.bpe, request.text_features, request.video_features]
    if request.name in _FROM_FILES:
        files.append(request.checkpoint)  # elsewhere it may be a folder or a hub id
    for file in files:
        if file is not None and not file.exists():
            raise ModelError(f"There is no file {file}.")


def resolve(request: ModelRequest) -> ModelRequest:
    """Return a request for a model of checkpoints.yaml as one for its scorer; any other as it is.

    Fetches weights that have a url. Raises as `build` does.
    """
    if request.name in MODELS or is_reference(request.name):
        return request
    entry = checkpoints().checkpoints.get(request.name)
    return request if entry is None else resolve_named(request, entry, find)


def find(name: str) -> Callable[..., Any]:
    """Return the class or function behind a name; what comes with xbench wins over a plugin of that name.

    Raises UsageError for an unknown name, ModelError for a plugin or file that cannot be loaded.
    """
    if name in MODELS:
        return MODELS[name]
    found = load_reference(name) if is_reference(name) else load_plugin(name)
    if found is None:
        known = {*MODELS, *(plugin.name for plugin in plugins()), *checkpoints().checkpoints}
        raise UsageError(f"There is no model {name!r}.{did_you_mean(name, known)}")
    return found


def require_scorer(candidate: Any, name: str) -> Scorer:
    """Return an object that has the members of a Scorer. Raises ModelError naming those that it lacks."""
    missing = [member for member in _MEMBERS if not hasattr(candidate, member)]
    missing += [f"{method}()" for method in _METHODS if not callable(getattr(candidate, method, None))]
    if missing:
        raise ModelError(
            f"--model {name} gives a {type(candidate).__name__}, which is no scorer: it lacks "
            f"{', '.join(missing)}. See xbench.scorers.base.Scorer."
        )
    scorer: Scorer = candidate
    return scorer


def _bound(request: ModelRequest) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the class or function behind a request and the arguments to call it with."""
    if request.name == "xclip" and request.checkpoint is None and request.clip is None:
        raise ModelError(_NO_CHECKPOINT)
    builder = find(request.name)
    return builder, bind(builder, request.name, _options(request), request.args)


def _options(request: ModelRequest) -> dict[str, Option]:
    files = {key: getattr(request, key) for key in _FILES}
    return {key: Option(value, chosen=value is not None) for key, value in files.items()} | {
        "precision": Option(request.precision or "fp32", chosen=request.precision is not None),
        "device": Option(request.device),
        "words": Option(request.words, flag=False),
        "frames": Option(request.frames, flag=False),
    }
