"""A model by the name given to --model: one that comes with xbench, a plugin, a file or a module."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xbench.errors import ModelError, UsageError, XbenchError, did_you_mean
from xbench.scorers import builders
from xbench.scorers.arguments import Option, bind
from xbench.scorers.base import Scorer
from xbench.scorers.device import find_device
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.finding import is_reference, load_plugin, load_reference, plugins, what_failed
from xbench.scorers.xclip.precision import Precision

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
_MEMBERS = ("name", "video_input", "identity", "settings", "block")
_METHODS = ("encode_texts", "encode_videos", "similarity")


@dataclass(frozen=True)
class ModelRequest:
    """Which model to build, from what, and where it computes.

    name: as given to --model. words and frames are the protocol's; a checkpoint's own shapes win over them.
    args: what --model-args says, text or values.
    """

    name: str
    checkpoint: Path | None = None
    clip: str | None = None
    bpe: Path | None = None
    precision: Precision = "fp32"
    device: str = "auto"
    words: int = 32
    frames: int = 12
    text_features: Path | None = None
    video_features: Path | None = None
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs_videos(self) -> bool:
        """Whether video files are decoded for it."""
        return self.name != "features"


def build(request: ModelRequest) -> Model:
    """Build a model.

    Raises UsageError for a name or options that do not fit, ModelError for bad files and for a plugin that
    fails or does not give a scorer.
    """
    builder = find(request.name)
    arguments = bind(builder, request.name, _options(request), request.args)
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
    return require_scorer(scorer, request.name)


def check_request(request: ModelRequest) -> None:
    """Raise UsageError or ModelError, before any data is read, for a model that cannot be built as asked."""
    if request.name == "xclip" and request.checkpoint is None and request.clip is None:
        raise ModelError(_NO_CHECKPOINT)
    bind(find(request.name), request.name, _options(request), request.args)
    for file in (request.checkpoint, request.bpe, request.text_features, request.video_features):
        if file is not None and not file.exists():
            raise ModelError(f"There is no file {file}.")


def find(name: str) -> Callable[..., Any]:
    """Return the class or function behind a name; what comes with xbench wins over a plugin of that name.

    Raises UsageError for an unknown name, ModelError for a plugin or file that cannot be loaded.
    """
    if name in MODELS:
        return MODELS[name]
    found = load_reference(name) if is_reference(name) else load_plugin(name)
    if found is None:
        known = {*MODELS, *(plugin.name for plugin in plugins())}
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


def _options(request: ModelRequest) -> dict[str, Option]:
    files = {key: getattr(request, key) for key in _FILES}
    return {key: Option(value, chosen=value is not None) for key, value in files.items()} | {
        "precision": Option(request.precision, chosen=request.precision != "fp32"),
        "device": Option(request.device),
        "words": Option(request.words, flag=False),
        "frames": Option(request.frames, flag=False),
    }
