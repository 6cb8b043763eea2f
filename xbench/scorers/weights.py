"""Weight files as plain tensors: nothing in a file is executed, and a file that is no weights says so."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from xbench.errors import ModelError

State = dict[str, torch.Tensor]
"""A state dict: parameter name -> tensor."""

_WRAPPERS = ("state_dict", "model_state_dict", "model")


def read_weights(path: Path) -> State:
    """Read a state dict from a torch file (`weights_only`) or a safetensors file, whatever its name is.

    Half-precision tensors are upcast to float32. A dict around the state dict (`state_dict`,
    `model_state_dict`, `model`) and the `module.` prefix of data-parallel training are taken off.

    Raises ModelError for a missing, truncated or foreign file, naming it.
    """
    head = _head(path)
    if is_zip(head) or head[:1] == b"\x80":
        loaded = _read_torch(path)
    elif head[8:9] == b"{":
        loaded = _read_safetensors(path)
    else:
        raise ModelError(f"{path} is not a weight file: {_what_it_looks_like(head)}.")
    return _as_float32(_state_in(loaded, path))


def is_zip(head: bytes) -> bool:
    """Whether a file that begins with `head` is a zip archive, as torch.save and TorchScript write."""
    return head[:4] == b"PK\x03\x04"


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive, which holds code besides weights."""
    if not is_zip(_head(path)):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/")[1:2] == ["constants.pkl"] for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise ModelError(_truncated(path)) from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError as error:
        raise ModelError(f"There is no weight file {path}.") from error
    except OSError as error:
        raise ModelError(f"The weight file {path} cannot be read: {error.strerror}.") from error


def _read_torch(path: Path) -> Any:
    if is_torchscript(path):
        raise ModelError(
            f"{path} is a TorchScript archive, which can run code when it is opened. Pass a plain state dict "
            "(torch.save(model.state_dict(), ...)). OpenAI's own CLIP archives are known by their sha256 and "
            "are accepted where CLIP weights are asked for."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} cannot be opened as plain weights: it is damaged or holds objects other than tensors, "
            "and xbench does not run code from a file. Save the state dict alone: "
            "torch.save(model.state_dict(), ...)."
        ) from error
    except Exception as error:  # A damaged file can raise anything out of the unpickler.
        raise ModelError(_truncated(path)) from error


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(_truncated(path)) from error


def _truncated(path: Path) -> str:
    return f"{path} is truncated or corrupt ({path.stat().st_size} bytes): download or copy it again."


def _what_it_looks_like(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if not head:
        return "it is empty"
    if text.startswith(b"<"):
        return "it is an HTML page, as a failed download or a login page leaves behind; download it again"
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the file itself with `git lfs pull`"
    return "it is neither a torch file nor safetensors"


def _state_in(loaded: Any, path: Path) -> State:
    while isinstance(loaded, Mapping) and not _is_state(loaded):
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            raise ModelError(f"{path} holds no state dict: its entries are {_listed(loaded)}.")
        loaded = inner
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{path} holds a {type(loaded).__name__}, not a state dict.")
    names = [str(name) for name in loaded]
    prefix = "module." if all(name.startswith("module.") for name in names) else ""
    return {str(name)[len(prefix) :]: tensor for name, tensor in loaded.items()}


def _is_state(loaded: Mapping[Any, Any]) -> bool:
    return bool(loaded) and all(isinstance(value, torch.Tensor) for value in loaded.values())


def _listed(loaded: Mapping[Any, Any]) -> str:
    return ", ".join(repr(key) for key in list(loaded)[:5]) or "none"


def _as_float32(state: State) -> State:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
