"""Load a model of transformers with its tokenizer and image processor, all of it or nothing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.errors import ModelError
from xbench.scorers.clip.kinds import refuse_other_models
from xbench.scorers.hf.pictures import frames_processor, image_processor, video_settings
from xbench.scorers.weights import may_be_hub_id, read_weights, require_finite, require_sound
from xbench.storage import file_sha256

_KEPT = (".safetensors", ".bin", ".json", ".txt", ".model")
"""Files of a model folder that can change a feature."""


@dataclass(frozen=True)
class Parts:
    """A model with what prepares its input. `version`: what tells these weights from others, if known."""

    model: Any
    tokenizer: Any
    images: Any
    source: str
    version: str | None


def load_hf(source: str) -> Parts:
    """Load a folder that transformers saved, or a Hugging Face hub id. Code in a repository is never run.

    Raises ModelError when it cannot be had, when weights are missing in it, and when the model has no
    features of texts and of images or videos.
    """
    folder = Path(source)
    if not folder.is_dir() and (folder.exists() or not may_be_hub_id(source)):
        if folder.is_file():
            _refuse_checkpoints(folder)
        raise ModelError(
            f"{source} is neither a folder that transformers saved nor a hub id: give --model hf one of"
            " these."
        )
    if folder.is_dir():
        for path in sorted(folder.glob("*.bin")):
            require_sound(path)
    model = _model(source)
    text = hasattr(model, "get_text_features")
    if not text or not (hasattr(model, "get_image_features") or hasattr(model, "get_video_features")):
        raise ModelError(
            f"{source} is a {type(model).__name__}, which has no get_text_features with get_image_features"
            " or get_video_features: it does not compare texts with images by a vector each. Name another"
            " model, or write a scorer for it, see docs/scorers.md."
        )
    from transformers import AutoTokenizer

    tokenizer = _loaded(
        source, "tokenizer", lambda: AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    )
    _check_vocabulary(source, len(tokenizer), model)
    images = _images(source, of_videos=not hasattr(model, "get_image_features"))
    model.float().eval().requires_grad_(False)
    require_finite(dict(model.named_parameters()), source)
    return Parts(model, tokenizer, images, source, _version(folder, model))


def _refuse_checkpoints(path: Path) -> None:
    """Raise ModelError, naming the right model, for a checkpoint of another one."""
    try:
        names = read_weights(path).state
    except ModelError:
        return  # no weights at all
    refuse_other_models(names, str(path), "hf")


def _images(source: str, *, of_videos: bool) -> Any:
    """Return what makes a model's pixels of a frame."""
    settings = _loaded(source, "video processor", lambda: video_settings(source)) if of_videos else None
    if settings is not None:
        return _loaded(source, "video processor", lambda: frames_processor(source, settings))
    return _loaded(source, "image processor", lambda: image_processor(source))


def _model(source: str) -> Any:
    from transformers import AutoModel

    model, seen = _loaded(
        source,
        "model",
        lambda: AutoModel.from_pretrained(source, trust_remote_code=False, output_loading_info=True),
    )
    for what in ("missing_keys", "mismatched_keys"):
        if seen.get(what):
            names = sorted(str(name) for name in seen[what])
            raise ModelError(
                f"{source} has {len(names)} {what.replace('_', ' ')} for {type(model).__name__}, e.g. "
                f"{names[0]}: transformers would fill them with random numbers. Pass the whole model."
            )
    return model


def _check_vocabulary(source: str, tokens: int, model: Any) -> None:
    """Without its files, transformers makes a tokenizer that knows no word and says nothing."""
    rows = model.config.get_text_config().vocab_size
    if not rows // 2 <= tokens <= rows:
        raise ModelError(
            f"The tokenizer of {source} knows {tokens} tokens, its text encoder {rows}: put the model's"
            " own files (tokenizer.json or the like) there."
        )


def _loaded(source: str, what: str, load: Any) -> Any:
    """Call `load`, turning whatever transformers raises into one message."""
    try:
        return load()
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(f"The {what} of {source} needs a library, install it: {error}") from error
    except Exception as error:  # OSError, ValueError, KeyError, hub errors: it depends on what is wrong
        raise ModelError(
            f"The {what} of {source} cannot be loaded: {(str(error).splitlines() or [''])[0]} Pass a folder "
            "that transformers saved whole, or fetch the hub id on a machine with network access and copy "
            "the hub cache."
        ) from error


def _version(folder: Path, model: Any) -> str | None:
    """The sha256 of all files of a folder, or the commit of a hub id, if transformers tells it."""
    if not folder.is_dir():
        commit = getattr(model.config, "_commit_hash", None)
        return f"commit {commit}" if commit else None
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _KEPT and path.is_file():
            digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()
