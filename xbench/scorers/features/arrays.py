"""Arrays in files of several kinds, with the lists of ids that stand in them. No code in a file is run."""

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.readers import (
    TEXT_BYTES,
    check_arrays,
    check_npy,
    check_safetensors,
    check_torch,
    open_file,
    parse_json,
    read_at_most,
    require_backed,
)

Array = NDArray[Any]
KINDS = ".npy, .npz, .safetensors, or a torch file of tensors"


@dataclass(frozen=True)
class Contents:
    """What a file holds: arrays of numbers by name (`""` for one without a name), and lists of strings."""

    path: Path
    arrays: Mapping[str, Array]
    lists: Mapping[str, tuple[str, ...]]
    other: frozenset[str] = frozenset()
    """Names of what is neither."""

    def names(self, key: str) -> tuple[str, ...] | None:
        """Return a list of ids; None without it. Raises DataError when `key` is there but no list of strings.

        Ids that are left unread would leave items in the wrong order.
        """
        if key in self.arrays or key in self.other:
            raise DataError(f"{self.path}: {key} must be a list of strings, one for each item.")
        return self.lists.get(key)


def read_arrays(path: Path) -> Contents:
    """Read an .npy (memory-mapped), .npz, .safetensors or torch file (`weights_only`), told by its content.

    Lists of strings are string arrays in an .npz, JSON lists in the metadata of a safetensors file, lists in
    a dict of a torch file. bfloat16 becomes float32; all other types stay. Raises DataError for a file that
    is missing, damaged, of another kind, or holds Python objects.
    """
    try:
        with open_file(path) as file:
            head = file.read(16)
        return _READERS[_kind(path, head)](path)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged file can raise anything out of its reader
        raise DataError(
            f"{path} is damaged, or holds Python objects beside arrays: {_first_line(error)}"
        ) from error


def read_ids(path: Path) -> tuple[str, ...]:
    """Read ids from a .json file (a list of strings), an .npy of strings, or a text file, one a line."""
    try:
        if path.suffix == ".json":
            return _strings(parse_json(read_at_most(path, TEXT_BYTES)), path)
        if path.suffix == ".npy":
            return _strings(_load(path, None).tolist(), path)
        lines = (
            read_at_most(path, TEXT_BYTES).decode("utf-8").removesuffix("\n").split("\n")
        )  # other line ends may stand in captions
        return tuple(line.removesuffix("\r") for line in lines)
    except FileNotFoundError as error:
        raise DataError(f"There is no file of ids {path}.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"The ids in {path} cannot be read: {_first_line(error)}") from error


def _kind(path: Path, head: bytes) -> str:
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return "npz" if all(name.endswith(".npy") for name in names) else "torch"
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"\x80"):
        return "torch"
    raise DataError(f"{path} is not a file of arrays: it is empty or of another kind. xbench reads {KINDS}.")


def _read_npy(path: Path) -> Contents:
    return _sorted(path, {"": _load(path, "c")})


def _load(path: Path, mode: Literal["c"] | None) -> Array:
    with open_file(path) as file:
        check_npy(file)
    array: Array = np.load(path, mmap_mode=mode, allow_pickle=False)
    return array


def _read_npz(path: Path) -> Contents:
    check_arrays(path)
    with np.load(path, allow_pickle=False) as archive:
        return _sorted(path, {name: archive[name] for name in archive.files})


def _read_safetensors(path: Path) -> Contents:
    from safetensors import safe_open

    with open_file(path) as opened:
        check_safetensors(opened)
    with safe_open(path, framework="pt") as file:
        tensors = {name: _from_torch(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    lists = {name: _strings(parse_json(text), path) for name, text in metadata.items() if text[:1] == "["}
    return Contents(path, tensors, lists, frozenset(metadata.keys() - lists.keys()))


def _read_torch(path: Path) -> Contents:
    import torch

    with open_file(path) as file:
        check_torch(file)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds Python objects beside tensors, lists and strings, and xbench runs no code from a "
            "file: save the tensor alone with torch.save."
        ) from error
    values = loaded if isinstance(loaded, Mapping) else {"": loaded}
    arrays = {str(key): _from_torch(value) for key, value in values.items() if torch.is_tensor(value)}
    lists = {str(key): _strings(list(value), path) for key, value in values.items() if _is_list(value)}
    return Contents(path, arrays, lists, frozenset(map(str, values)) - arrays.keys() - lists.keys())


_READERS = {"npy": _read_npy, "npz": _read_npz, "safetensors": _read_safetensors, "torch": _read_torch}


def _sorted(path: Path, found: Mapping[str, Array]) -> Contents:
    """Tell string arrays from arrays of numbers."""
    arrays = {name: array for name, array in found.items() if array.dtype.kind in "biufc"}
    lists = {
        name: _strings(array.tolist(), path)
        for name, array in found.items()
        if array.dtype.kind in "US" and array.ndim == 1
    }
    return Contents(path, arrays, lists, frozenset(found.keys() - arrays.keys() - lists.keys()))


def _from_torch(tensor: Any) -> Array:
    import torch

    require_backed("an array", tensor)
    tensor = tensor.detach()
    array: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], str)


def _strings(values: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str | bytes) for value in values):
        raise DataError(f"{path}: expected a list of ids as strings.")
    return tuple(value.decode("utf-8") if isinstance(value, bytes) else value for value in values)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or ['-'])[0]}"
