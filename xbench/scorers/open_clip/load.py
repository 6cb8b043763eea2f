"""Build a model of open_clip with its tokenizer and transform: all of its weights or none."""

import hashlib
import importlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from xbench.errors import ModelError, UsageError, did_you_mean
from xbench.scorers.device import TOWERS
from xbench.scorers.weights import WeightFile, may_be_hub_id, require_finite, require_sound
from xbench.storage import file_sha256
from xbench.terms import Precision

T = TypeVar("T")

_SOURCES = (
    "Give --checkpoint a folder with open_clip_config.json, a hub id, or a file of weights with --model-args "
    "architecture=NAME; or --model-args architecture=NAME --model-args pretrained=TAG."
)


@dataclass(frozen=True)
class Parts:
    """A model with what prepares its input.

    tokenizer: texts to token ids int64 [B, length]. transform: a Pillow image to a float tensor [3, h, w].
    source: as the user named it. identity: what of weights, tokenizer and transform changes a feature; None
    where the tokenizer cannot be told from another. file: the weights, where they are one file.
    """

    model: Any
    tokenizer: Any
    transform: Callable[[Any], torch.Tensor]
    source: str
    identity: Mapping[str, Any] | None
    file: WeightFile | None


def load_open_clip(
    checkpoint: Path | None, architecture: str | None, pretrained: str | None, precision: Precision
) -> Parts:
    """Build what the options name, in float32 or the precision asked for, on the CPU.

    Raises UsageError without the library and for options that do not go together, ModelError for weights that
    cannot be had, are missing in part, or are of another shape than the architecture.
    """
    library = _library()
    name, weights = _named(library, checkpoint, architecture, pretrained)
    source = str(checkpoint) if checkpoint else f"{architecture} {pretrained}"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = _loaded(source, lambda: _create(library, name, weights))
    _refuse_other_activation(source, [str(warning.message) for warning in told])
    tokenizer = _loaded(f"The tokenizer of {source}", lambda: library.get_tokenizer(name))
    settings = dict(library.get_model_preprocess_cfg(model))
    transform = library.transform.image_transform_v2(
        library.transform.PreprocessCfg(**settings), is_train=False
    )
    # of the weights as they are stored: a result in bf16 is of the same model as one in fp32
    identity = _identity(model, tokenizer, settings, library.get_model_config(name))
    model.eval().requires_grad_(False)
    if TOWERS[precision] != torch.float32:
        model.to(TOWERS[precision])
    require_finite(model.state_dict(), source)
    file = None
    if checkpoint is not None and checkpoint.is_file():
        _refuse_other_shapes(library, model, checkpoint)
        file = WeightFile(checkpoint, file_sha256(checkpoint))
    return Parts(model, tokenizer, transform, source, identity, file)


def _library() -> Any:
    try:
        return importlib.import_module("open_clip")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--model open_clip needs a library that is not installed ({error.name}): install it with "
            "pip install 'xbench[open_clip]'."
        ) from error
    except Exception as error:  # torchvision beside another torch fails in many ways
        raise UsageError(
            f"open_clip is installed and cannot be imported: {type(error).__name__}: {error}. It needs the "
            "torchvision that belongs to this torch: install both anew, of one release."
        ) from error


def _named(
    library: Any, checkpoint: Path | None, architecture: str | None, pretrained: str | None
) -> tuple[str, str | None]:
    """Return open_clip's name of a model, and of its weights where the first does not tell them."""
    if architecture is not None and architecture not in library.list_models():
        raise UsageError(
            f"open_clip has no architecture {architecture!r}."
            f"{did_you_mean(architecture, library.list_models())}"
        )
    if checkpoint is None:
        if architecture is None or pretrained is None:
            raise UsageError(f"--model open_clip was given no weights. {_SOURCES}")
        known = library.list_pretrained_tags_by_model(architecture)
        if pretrained not in known:
            raise UsageError(
                f"{architecture} has no weights {pretrained!r}.{did_you_mean(pretrained, known)}"
            )
        return architecture, pretrained
    if pretrained is not None:
        raise UsageError(f"--checkpoint and pretrained={pretrained} name two sets of weights: give one.")
    if checkpoint.is_file():
        if architecture is None:
            raise UsageError(
                f"{checkpoint} does not tell its architecture: give it by --model-args architecture=NAME."
            )
        require_sound(checkpoint)
        return architecture, str(checkpoint)
    if architecture is not None:
        raise UsageError(
            f"{checkpoint} tells its architecture itself: leave architecture={architecture} out."
        )
    if checkpoint.is_dir():
        for path in sorted([*checkpoint.glob("*.bin"), *checkpoint.glob("*.pth")]):
            require_sound(path)
        return f"local-dir:{checkpoint}", None
    if checkpoint.exists() or not may_be_hub_id(str(checkpoint)):
        raise ModelError(f"There is no file or folder {checkpoint}. {_SOURCES}")
    return f"hf-hub:{checkpoint}", None


def _create(library: Any, name: str, weights: str | None) -> Any:
    return library.create_model(name, pretrained=weights, precision="fp32", require_pretrained=True)


def _loaded(what: str, load: Callable[[], T]) -> T:
    """Call `load`, turning whatever open_clip and what it uses raise into one message."""
    try:
        return load()
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise ModelError(f"{what} cannot be loaded: {type(error).__name__}: {first}. {_SOURCES}") from error


def _refuse_other_activation(source: str, told: list[str]) -> None:
    """Raise ModelError where open_clip warns that weights were trained with another activation."""
    wrong = next((text for text in told if "QuickGELU mismatch" in text), None)
    if wrong is not None:
        raise ModelError(
            f"{source}: {wrong} The wrong activation scores badly without a sign: name the architecture with "
            "-quickgelu at its end, or the one without."
        )


def _refuse_other_shapes(library: Any, model: Any, path: Path) -> None:
    """Raise ModelError for weights of another image size or text length, which open_clip interpolates."""
    if path.suffix in (".npz", ".npy"):
        return  # of big_vision, converted name by name
    stored = library.factory.load_state_dict(str(path))
    places = {tensor.numel() for name, tensor in stored.items() if "pos" in name}
    for name, parameter in model.named_parameters():
        if name.endswith(("positional_embedding", "pos_embed")) and parameter.numel() not in places:
            raise ModelError(
                f"{path} has no {name} of shape {list(parameter.shape)}, as the architecture has: it was "
                "trained with another image size or text length. Name its own architecture."
            )


def _identity(
    model: Any, tokenizer: Any, preprocess: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any] | None:
    """config: heads, pooling, masks and how captions are cleaned stand in no weight and no layer's name."""
    words = _vocabulary(tokenizer)
    if words is None:
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(memoryview(tensor.contiguous().view(-1).view(torch.uint8).numpy()))
    return {
        "weights": digest.hexdigest(),
        "model": hashlib.sha256(str(model).encode()).hexdigest(),
        "config": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
        "tokenizer": f"{type(tokenizer).__name__} {tokenizer.context_length} {words}",
        "preprocess": json.loads(json.dumps(dict(preprocess))),
    }


def _vocabulary(tokenizer: Any) -> str | None:
    """Return a hash of what turns text into tokens; None for a tokenizer that does not show it."""
    inner = getattr(getattr(tokenizer, "tokenizer", None), "backend_tokenizer", None)
    own = getattr(tokenizer, "encoder", None)
    if inner is None and own is None:
        return None
    text = inner.to_str() if inner is not None else json.dumps([own, str(tokenizer.bpe_ranks)])
    return hashlib.sha256(text.encode()).hexdigest()
