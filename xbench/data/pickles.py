"""Opening pickled captions without running code from them."""

import io
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

from xbench.data.files import read_bytes
from xbench.errors import DataError

_ADMITTED: dict[tuple[str, str], type] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    # What defaultdict(list) calls for a new key; `__builtin__` in pickles of Python 2.
    ("builtins", "list"): list,
    ("__builtin__", "list"): list,
}


class _Refused(pickle.UnpicklingError):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise _Refused(f"it asks for {module}.{name}")
        return _ADMITTED[module, name]


def read_pickle(path: Path) -> Any:
    """Unpickle containers, strings, numbers, OrderedDict and defaultdict(list).

    A pickle that names anything else, which could run code, is a DataError that names the file; so is a
    damaged one.
    """
    content = read_bytes(path)
    try:
        return _Unpickler(io.BytesIO(content), encoding="utf-8").load()
    except _Refused as error:
        raise DataError(
            f"{path}: refused, since {error}. Captions need only containers, strings and numbers; "
            "anything else in a pickle can run code. Get the file from its official source."
        ) from None
    # A damaged pickle can fail in any operation that its bytes happen to spell.
    except Exception as error:
        raise DataError(
            f"{path}: not a pickle, or a damaged one ({type(error).__name__}: {error})."
        ) from None


def read_pickled_dict(path: Path) -> dict[str, Any]:
    """Unpickle a file whose content must be a dictionary with string keys."""
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary of video ids, found {type(content).__name__}.")
    for key in content:
        if not isinstance(key, str):
            raise DataError(f"{path}: expected video ids as keys, found the key {key!r}.")
    return content
