"""Weight files as plain tensors: nothing in a file is executed, and a file that is no weights says so."""

import hashlib
import pickle
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch

from xbench.errors import ModelError, XbenchError, explain
from xbench.progress import say
from xbench.readers import check_safetensors, check_torch, open_file, require_backed
from xbench.scorers.state_dicts import State, Which, find_state, require_finite

__all__ = ["State", "WeightFile", "Weights", "Which", "checked_archive", "read_weights", "require_sound"]

_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class WeightFile:
    """The file that weights came from, for records and caches."""

    path: Path
    sha256: str
    notes: tuple[str, ...] = ()
    """What was done to find the weights in it, and what nobody can check."""
    which: Which | None = None
    """What was taken of a file that holds more."""

    @property
    def version(self) -> str:
        """What tells these weights from all others."""
        return self.sha256 if self.which is None else f"{self.sha256} {self.which}"

    @property
    def settings(self) -> dict[str, str]:
        """The notes as a setting of the record; none without them."""
        return {"weights": "; ".join(self.notes)} if self.notes else {}


@dataclass(frozen=True)
class Weights:
    """What a weight file holds, and which file that was: hashed and read in one opening."""

    file: WeightFile
    state: State


def read_weights(path: Path, trusted: frozenset[str] = frozenset(), *, which: Which | None = None) -> Weights:
    """Read a state dict from a torch file (`weights_only`) or a safetensors file, whatever its name is.

    Half-precision tensors are upcast to float32. What training code wraps around a state dict and puts before
    its names is taken off, see `find_state`, also for `which`. trusted: the sha256 of TorchScript archives
    that may be opened, although they can hold code.

    Raises ModelError, naming the file, when it is missing, truncated or foreign, when its checksums tell that
    it is damaged, and when a parameter is NaN or infinite.
    """
    with _opened(path) as file:
        _limit(file, path)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        head = file.read(512)
        file.seek(0)
        notes = checked_archive(file, path, ModelError) if head[:4] == _ZIP else ()
        loaded = _loaded(file, path, head, sha256, trusted)
    found = find_state(loaded, str(path), which)
    _require_backed(found.state, path)
    require_finite(found.state, str(path))
    return Weights(WeightFile(path, sha256, (*notes, *found.notes), which), _as_float32(found.state))


def require_sound(path: Path) -> None:
    """Raise ModelError for a torch archive whose content is not what its checksums say."""
    with _opened(path) as file:
        _limit(file, path)
        if file.peek(4)[:4] == _ZIP:
            checked_archive(file, path, ModelError)


def checked_archive(file: BufferedReader, path: Path, refuse: type[XbenchError]) -> tuple[str, ...]:
    """Hold what a zip archive contains against its CRC-32; say so where it was written without them.

    Raises `refuse` naming the damaged entry. torch does not look at them when it loads.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if not any(entry.CRC for entry in archive.infolist()):
                say(f"{path} was written without checksums: damage to it would not be seen.")
                return ("written without checksums",)
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise refuse(_truncated(path)) from error
    finally:
        file.seek(0)
    if damaged is not None:
        raise refuse(
            f"{path} is damaged: the content of {damaged} in it is not what its checksum says. Download or "
            "copy it again, and compare its sha256 with the source's."
        )
    return ()


def _limit(file: BufferedReader, path: Path) -> None:
    """Refuse what would cost more than weights do, before anything in it is unpacked."""
    head = file.peek(9)
    try:
        if head[8:9] == b"{":
            check_safetensors(file)
        elif head[:4] == _ZIP or head[:1] == b"\x80":
            check_torch(file)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{_truncated(path)} ({error})") from error


def _loaded(file: BufferedReader, path: Path, head: bytes, sha256: str, trusted: frozenset[str]) -> Any:
    if head[8:9] == b"{":
        return _read_safetensors(file, path)
    if head[:4] != _ZIP and head[:1] != b"\x80":
        raise ModelError(f"{path} is not a weight file: {_what_it_looks_like(head)}.")
    if head[:4] == _ZIP and _holds_code(file):
        if sha256 in trusted:
            return _read_archive(file)
        raise ModelError(
            f"{path} is a TorchScript archive with the sha256 {sha256}, which is not in checkpoints.yaml. "
            "Such an archive can run code when it is opened, so xbench opens OpenAI's published ones only, "
            "where CLIP weights are asked for. Pass a plain state dict: torch.save(model.state_dict(), ...)."
        )
    return _read_torch(file, path)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        file = open_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"There is no weight file {path}.") from error
    except OSError as error:
        raise ModelError(f"The weight file {path} cannot be read: {explain(error)}") from error
    except ValueError as error:
        raise ModelError(f"The weight file cannot be read: {error}.") from error
    with file:
        yield file


def _holds_code(file: BufferedReader) -> bool:
    """Whether a zip archive is TorchScript's, which holds code besides weights."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    file.seek(0)
    return any(name.split("/")[1:2] == ["constants.pkl"] for name in names)


def _read_archive(file: BufferedReader) -> Any:
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


def _require_backed(state: State, path: Path) -> None:
    for name, tensor in state.items():
        try:
            require_backed(name, tensor)
        except ValueError as error:
            raise ModelError(f"{path} holds no weights: {error}.") from error


def _as_float32(state: State) -> State:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
