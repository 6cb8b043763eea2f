"""Arrays in files of several kinds, with the lists of ids that stand in them. No code in a file is run."""

import glob
import pickle
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xbench.errors import DataError, explain
from xbench.readers import (
    TEXT_BYTES,
    check_arrays,
    check_npy,
    check_parquet,
    check_safetensors,
    check_torch,
    open_file,
    parse_json,
    read_at_most,
    require_backed,
)
from xbench.scorers.weights import checked_archive

Array = NDArray[Any]
_SINGLE = (str, int, float, bool)
KINDS = ".npy, .npz, .safetensors, .parquet, or a torch file of tensors"
IDS = (
    "ids",
    "video_ids",
    "text_ids",
    "caption_ids",
    "row_ids",
    "column_ids",
    "names",
    "filenames",
    "keys",
    "index",
    "__index_level_0__",
)
"""Names under which people keep the id of each item; the last is the index of a pandas table."""
MASKS = ("mask", "attention_mask", "video_mask", "text_mask", "lengths")
"""Names under which people keep which vectors of an item are its own: a mask, or how many of the first."""
ID_KINDS = (".txt", ".json", ".npy")


@dataclass(frozen=True)
class Contents:
    """What a file holds: arrays of numbers by name (`""` for one without a name), and lists of strings.

    Single texts and numbers beside them (an epoch, a model's name) say nothing about an item: they are left
    out.
    """

    path: Path
    arrays: Mapping[str, Array]
    lists: Mapping[str, tuple[str, ...]]
    other: frozenset[str] = frozenset()
    """Names of what is neither."""

    def __contains__(self, key: object) -> bool:
        """Whether the file has something under a name."""
        return key in self.arrays or key in self.lists or key in self.other

    def one_of(self, keys: Sequence[str]) -> str | None:
        """Return the one of `keys` that the file has. Raises DataError when it has several."""
        found = [key for key in keys if key in self]
        if len(found) > 1:
            raise DataError(
                f"{self.path} holds {' and '.join(found)}, and nothing says which counts: keep one."
            )
        return found[0] if found else None

    def strings(self, key: str) -> tuple[str, ...]:
        """Return the list under a name. Raises DataError when it is none: ids unread are items mixed up."""
        if key not in self.lists:
            raise DataError(f"{self.path}: {key} must be a list of strings, one for each item.")
        return self.lists[key]

    def require_read(self, used: Collection[str | None], expected: str) -> None:
        """Raise DataError naming what of the file was not used, and what it may hold."""
        unread = sorted((self.arrays.keys() | self.lists.keys() | self.other) - set(used))
        if unread:
            raise DataError(
                f"{self.path} holds {', '.join(unread)}, which nothing reads. {expected} Leave the rest out, "
                "or name it as what it is."
            )


def beside(path: Path, keys: Sequence[str], kinds: Sequence[str]) -> dict[str, Path]:
    """Return the files NAME.KEY.* that stand beside a file NAME.*, by key.

    Raises DataError for one of a kind that is not read, and for two of one key.
    """
    found: dict[str, Path] = {}
    for key in keys:
        for candidate in sorted(path.parent.glob(f"{glob.escape(f'{path.stem}.{key}')}.*")):
            if candidate.suffix not in kinds:
                raise DataError(
                    f"{candidate} stands beside {path.name}, and is none of the kinds that are read: save"
                    f" it as {' or '.join(kinds)}."
                )
            if key in found:
                raise DataError(f"{candidate} and {found[key]} both stand beside {path.name}: keep one.")
            found[key] = candidate
    return found


def read_arrays(path: Path) -> Contents:
    """Read an .npy (memory-mapped), .npz, .safetensors, .parquet or torch file (`weights_only`).

    Its content tells which it is, not its name. Lists of strings are string arrays in an .npz, JSON lists in
    the metadata of a safetensors file, lists in a dict of a torch file, columns of a Parquet file, in which a
    column of lists is an array. bfloat16 becomes float32; all other types stay. Raises DataError for a file
    that is missing, damaged, of another kind, or holds Python objects.
    """
    try:
        with open_file(path) as file:
            head = file.read(16)
        return _READERS[_kind(path, head)](path)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}: check the path.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {explain(error)}") from error
    except Exception as error:  # a damaged file can raise anything out of its reader
        raise DataError(
            f"{path} is damaged, or holds Python objects beside arrays ({_first_line(error)}): save its"
            " arrays again."
        ) from error


def read_ids(path: Path) -> tuple[str, ...]:
    """Read ids from a .json file (a list of strings), an .npy of strings, or a text file, one a line.

    A byte order mark and blank lines at the end, as editors leave them, are no ids.
    """
    try:
        if path.suffix == ".json":
            return _strings(parse_json(_text(path)), path)
        if path.suffix == ".npy":
            return _strings(_load(path, None).tolist(), path)
        lines = _text(path).split("\n")  # other line ends may stand in captions
        while lines and not lines[-1].strip():
            lines.pop()
        return tuple(line.removesuffix("\r") for line in lines)
    except FileNotFoundError as error:
        raise DataError(f"There is no file of ids {path}: check the path.") from error
    except OSError as error:
        raise DataError(f"The ids cannot be read: {explain(error)}") from error
    except ValueError as error:
        raise DataError(
            f"The ids in {path} cannot be read ({_first_line(error)}): save one a line, as UTF-8 text."
        ) from error


def _text(path: Path) -> str:
    return read_at_most(path, TEXT_BYTES).decode("utf-8-sig")


def _kind(path: Path, head: bytes) -> str:
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return "npz" if all(name.endswith(".npy") for name in names) else "torch"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"\x80"):
        return "torch"
    raise DataError(f"{path} is not a file of arrays: it is empty or of another kind. Give {KINDS}.")


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

    with path.open("rb") as opened:
        check_safetensors(opened)
    with safe_open(path, framework="pt") as file:
        tensors = {name: _from_torch(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    lists = {name: _strings(parse_json(text), path) for name, text in metadata.items() if text[:1] == "["}
    return Contents(path, tensors, lists, _texts_under(metadata.keys() - lists.keys()))


def _read_torch(path: Path) -> Contents:
    import torch

    with path.open("rb") as file:
        check_torch(file)
        if file.peek(4)[:4] == b"PK\x03\x04":
            checked_archive(file, path, DataError)
        try:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise DataError(
                f"{path} holds Python objects beside tensors, lists and strings, and xbench runs no "
                "code from a file: save the tensor alone with torch.save."
            ) from error
    values = loaded if isinstance(loaded, Mapping) else {"": loaded}
    arrays = {str(key): _from_torch(value) for key, value in values.items() if torch.is_tensor(value)}
    lists = {str(key): _strings(list(value), path) for key, value in values.items() if _is_list(value)}
    single = {str(key) for key, value in values.items() if value is None or isinstance(value, _SINGLE)}
    rest = frozenset(map(str, values)) - arrays.keys() - lists.keys() - single
    return Contents(path, arrays, lists, rest | _texts_under(single))


def _read_parquet(path: Path) -> Contents:
    import pyarrow.parquet

    check_parquet(path)
    table = pyarrow.parquet.read_table(path)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    arrays = {name: array for name, each in columns.items() if (array := _numbers(each)) is not None}
    lists = {
        name: _strings(each.to_pylist(), path)
        for name, each in columns.items()
        if each.type in (pyarrow.string(), pyarrow.large_string())
    }
    return Contents(path, arrays, lists, frozenset(columns.keys() - arrays.keys() - lists.keys()))


def _numbers(column: Any) -> Array | None:
    """Return a column of numbers [N], or of equally long lists of them [N, ...]; None for another."""
    import pyarrow.compute

    kind, types = column.type, pyarrow.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        array: Array = column.to_numpy(zero_copy_only=False)
        return array if column.null_count == 0 else None
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return None
    inner, lengths = _numbers(column.flatten()), pyarrow.compute.list_value_length(column).unique()
    if inner is None or column.null_count or len(lengths) != 1:
        return None
    return inner.reshape(len(column), lengths[0].as_py(), *inner.shape[1:])


_READERS = {
    "npy": _read_npy,
    "npz": _read_npz,
    "safetensors": _read_safetensors,
    "torch": _read_torch,
    "parquet": _read_parquet,
}


def _sorted(path: Path, found: Mapping[str, Array]) -> Contents:
    """Tell string arrays from arrays of numbers."""
    arrays = {name: array for name, array in found.items() if array.dtype.kind in "biufc"}
    lists = {
        name: _strings(array.tolist(), path)
        for name, array in found.items()
        if array.dtype.kind in "US" and array.ndim == 1
    }
    single = {name for name, array in found.items() if array.dtype.kind in "US" and array.ndim == 0}
    rest = frozenset(found.keys() - arrays.keys() - lists.keys() - single)
    return Contents(path, arrays, lists, rest | _texts_under(single))


def _texts_under(names: Iterable[str]) -> frozenset[str]:
    """Of the names of single texts, those under which one for each item is expected."""
    return frozenset(names) & (frozenset(IDS) | frozenset(MASKS))


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
