"""Weight files as plain tensors: nothing in a file is executed, and a file that is no weights says so."""

import hashlib
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch

from xbench.errors import ModelError

State = dict[str, torch.Tensor]
"""A state dict: parameter name -> tensor."""

_WRAPPERS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class WeightFile:
    """The file that weights came from, for records and caches."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Weights:
    """What a weight file holds, and which file that was: hashed and read in one opening."""

    file: WeightFile
    state: State


def read_weights(path: Path, trusted: frozenset[str] = frozenset()) -> Weights:
    """Read a state dict from a torch file (`weights_only`) or a safetensors file, whatever its name is.

    Half-precision tensors are upcast to float32. A dict around the state dict (`state_dict`,
    `model_state_dict`, `model`) and the `module.` prefix of data-parallel training are taken off.
    trusted: the sha256 of TorchScript archives that may be opened, although they can hold code.

    Raises ModelError for a missing, truncated or foreign file, naming it.
    """
    with _opened(path) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        state = _as_float32(_state_in(_loaded(file, path, sha256 in trusted, sha256), path))
    return Weights(WeightFile(path, sha256), state)


def _loaded(file: BufferedReader, path: Path, trusted: bool, sha256: str) -> Any:
    head = file.read(512)
    file.seek(0)
    if head[8:9] == b"{":
        return _read_safetensors(file, path)
    if head[:4] != b"PK\x03\x04" and head[:1] != b"\x80":
        raise ModelError(f"{path} is not a weight file: {_what_it_looks_like(head)}.")
    if head[:4] == b"PK\x03\x04" and _holds_code(file, path):
        return _read_archive(file, path, trusted, sha256)
    return _read_torch(file, path)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise ModelError(f"There is no weight file {path}.") from error
    except OSError as error:
        raise ModelError(f"The weight file {path} cannot be read: {error.strerror}.") from error
    with file:
        yield file


def _holds_code(file: BufferedReader, path: Path) -> bool:
    """Whether a zip archive is TorchScript's, which holds code besides weights."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.split("/")[1:2] == ["constants.pkl"] for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise ModelError(_truncated(path)) from error
    finally:
        file.seek(0)


def _read_archive(file: BufferedReader, path: Path, trusted: bool, sha256: str) -> Any:
    if not trusted:
        raise ModelError(
            f"{path} is a TorchScript archive with the sha256 {sha256}, which is not in checkpoints.yaml. "
            "Such an archive can run code when it is opened, so xbench opens OpenAI's published ones only, "
            "where CLIP weights are asked for. Pass a plain state dict: torch.save(model.state_dict(), ...)."
        )
    archive: torch.nn.Module = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    return archive.state_dict()


def _read_torch(file: BufferedReader, path: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} cannot be opened as plain weights: it is damaged or holds objects other than tensors, "
            "and xbench does not run code from a file. Save the state dict alone: "
            "torch.save(model.state_dict(), ...)."
        ) from error
    except Exception as error:  # A damaged file can raise anything out of the unpickler.
        raise ModelError(_truncated(path)) from error


def _read_safetensors(file: BufferedReader, path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(file.read())
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
