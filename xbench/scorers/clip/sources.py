"""CLIP weights from wherever a user has them, brought to OpenAI's layout."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from xbench.errors import ModelError
from xbench.registry.checkpoints import checkpoints
from xbench.registry.fetch import fetched
from xbench.scorers.clip.layout import clip_from_transformers
from xbench.scorers.weights import State, file_sha256, is_torchscript, read_weights

_ARCHIVE_EXTRAS = ("input_resolution", "context_length", "vocab_size")
"""Integers that OpenAI's archives hold besides the parameters."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_TOWERS = ("text_config", "vision_config")
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class ClipWeights:
    """CLIP's parameters in OpenAI's layout, float32, and the file that they came from."""

    state: State
    path: Path
    sha256: str


def load_clip(source: Path | str, *, trusted: frozenset[str] | None = None) -> ClipWeights:
    """Load CLIP weights from a backbone of checkpoints.yaml, a file, a folder or a Hugging Face hub id.

    Files: OpenAI's TorchScript archives (opened only when their sha256 is in `trusted`, by default those of
    checkpoints.yaml), state dicts in OpenAI's or transformers' layout. Folders and hub ids: a `CLIPModel` as
    transformers saves it. Raises ModelError for anything else.
    """
    if str(source) in checkpoints().clip:
        how = "Pass the file with --clip FILE when you have it."
        return _from_file(fetched(checkpoints().clip[str(source)], how), checkpoints().trusted)
    path = Path(source)
    if path.is_dir():
        return _from_folder(path)
    if path.exists() or not _HUB_ID.fullmatch(str(source)):
        return _from_file(path, checkpoints().trusted if trusted is None else trusted)
    return _from_folder(_from_hub(str(source)))


def _from_file(path: Path, trusted: frozenset[str]) -> ClipWeights:
    state = _open_archive(path, trusted) if path.is_file() and is_torchscript(path) else read_weights(path)
    return ClipWeights(_openai_layout(state, path), path, file_sha256(path))


def _open_archive(path: Path, trusted: frozenset[str]) -> State:
    sha256 = file_sha256(path)
    if sha256 not in trusted:
        raise ModelError(
            f"{path} is a TorchScript archive with the sha256 {sha256}, which is not in checkpoints.yaml. "
            "Such an archive can run code when it is opened, so xbench opens OpenAI's published ones only. "
            "Pass a plain state dict instead."
        )
    archive: torch.nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return {
        name: tensor.float() for name, tensor in archive.state_dict().items() if name not in _ARCHIVE_EXTRAS
    }


def _from_folder(folder: Path) -> ClipWeights:
    config = folder / "config.json"
    if config.is_file():
        _refuse_other_activations(config)
    for name in _WEIGHT_FILES:
        if (folder / name).is_file():
            return _from_file(folder / name, frozenset())
    raise ModelError(f"The folder {folder} holds no CLIP weights: {' or '.join(_WEIGHT_FILES)} is expected.")


def _refuse_other_activations(path: Path) -> None:
    try:
        config = json.loads(path.read_text("utf-8"))
        activations = {tower: (config.get(tower) or {}).get("hidden_act") for tower in _TOWERS}
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path} is not the configuration of a transformers CLIPModel.") from error
    for tower, activation in activations.items():
        if activation not in (None, "quick_gelu"):
            raise ModelError(
                f"{path} says hidden_act {activation!r} in {tower}; CLIP as X-CLIP uses it has quick_gelu, "
                "so these weights would give wrong features."
            )


def _openai_layout(state: State, path: Path) -> State:
    """Bring a state dict to OpenAI's layout; what does not fit is told by the check of names that follows."""
    if "text_model.embeddings.token_embedding.weight" not in state:
        return {name: tensor for name, tensor in state.items() if name not in _ARCHIVE_EXTRAS}
    try:
        return clip_from_transformers(state)
    except KeyError as error:
        raise ModelError(
            f"{path} looks like a transformers CLIPModel but lacks {error.args[0]!r}; one tower alone is not "
            "enough."
        ) from error


def _from_hub(hub_id: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        hf_hub_download(hub_id, "config.json")
        try:
            return Path(hf_hub_download(hub_id, _WEIGHT_FILES[0])).parent
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):
                raise
            return Path(hf_hub_download(hub_id, _WEIGHT_FILES[1])).parent
    except (HfHubHTTPError, EntryNotFoundError, OSError) as error:
        raise ModelError(
            f"There is no file or folder {hub_id}, and the CLIP weights of that hub id cannot be had: "
            f"{str(error).splitlines()[0]} Pass a file or folder with --clip, or fetch it on a machine with "
            "network access and copy the hub cache."
        ) from error
