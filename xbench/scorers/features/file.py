"""Feature vectors from a file: one for each item, or several with a mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.scorers.base import Features
from xbench.scorers.features.arrays import (
    ID_KINDS,
    IDS,
    MASKS,
    Array,
    Contents,
    beside,
    read_arrays,
    read_ids,
)
from xbench.storage import file_sha256

_HOLDS = (
    "Save one array (`features` where there are several), or one for each id; its ids (ids, video_ids, "
    "text_ids, names, filenames, keys); a mask (mask, attention_mask, video_mask) or lengths."
)


@dataclass(frozen=True)
class FeatureFile:
    """N items: `vectors` [N, D], or [N, L, D] with `mask` bool [N, L]; without `ids`, in protocol order."""

    path: Path
    sha256: str
    vectors: Array
    mask: NDArray[np.bool_] | None
    ids: tuple[str, ...] | None

    @property
    def several(self) -> bool:
        """Whether an item may have more than one vector."""
        return self.vectors.ndim == 3

    def rows(self, rows: NDArray[np.int64], *, normalise: bool) -> Features:
        """Return `vectors` float32 [R, L, D] and `mask` bool [R, L] of some items; L is 1 for single vectors.

        normalise: divide by the L2 norm. What the mask leaves out becomes zero. Raises DataError for vectors
        that are not finite, and for a zero vector that is to be normalised.
        """
        taken = self.vectors if np.array_equal(rows, np.arange(len(self.vectors))) else self.vectors[rows]
        vectors = torch.from_numpy(np.ascontiguousarray(taken, dtype=np.float32))
        vectors = vectors if self.several else vectors[:, None]
        mask = torch.ones(vectors.shape[:2], dtype=torch.bool)
        if self.mask is not None:
            mask = torch.from_numpy(self.mask[rows])
            vectors = vectors.masked_fill(~mask[..., None], 0.0)
        norms = torch.linalg.vector_norm(vectors, dim=-1)
        self._require(torch.isfinite(norms) | ~mask, rows, "that are NaN, infinite or overflow")
        if normalise:
            self._require((norms > 0) | ~mask, rows, "of length zero, which have no direction")
            vectors = vectors / norms.masked_fill(~mask, 1.0)[..., None]
        return {"vectors": vectors, "mask": mask}

    def _require(self, sound: torch.Tensor, rows: NDArray[np.int64], what: str) -> None:
        bad = torch.nonzero(~sound.all(dim=1)).flatten()
        if len(bad):
            row = int(rows[int(bad[0])])
            name = f"row {row}" if self.ids is None else repr(self.ids[row])
            raise DataError(
                f"{self.path} has vectors {what}: {len(bad)} of {len(rows)}, the first at {name}. Compute"
                " them again."
            )


def read_features(path: Path) -> FeatureFile:
    """Read feature vectors from .npy, .npz, .safetensors, .parquet or a torch file.

    The vectors are the array `features`, or the only one; ids (`ids`, `video_ids`, `names`, ...) and `mask`
    or `lengths` may stand in the file, or beside it as NAME.ids.txt (one a line), NAME.ids.json, NAME.ids.npy
    and NAME.mask.npy. A file of many arrays has one for each item, under its id: [D], or [L, D] with any L.
    Raises DataError for anything else: nothing in a file goes unread.
    """
    contents = read_arrays(path)
    ids_key, mask_key = contents.one_of(IDS), contents.one_of(MASKS)
    arrays = {name: array for name, array in contents.arrays.items() if name not in (ids_key, mask_key)}
    if "features" not in arrays and len(arrays) > 1 and ids_key is None and mask_key is None:
        contents.require_read(arrays, _HOLDS)
        vectors, mask, ids = _stacked(path, arrays)
    else:
        features = "features" if "features" in arrays else next(iter(arrays), None)
        if features is None:
            raise DataError(f"{path} holds no array of numbers. {_HOLDS}")
        contents.require_read((features, ids_key, mask_key), _HOLDS)
        vectors, mask, ids = arrays[features], None, None
    _check_vectors(path, vectors)
    ids = _ids(contents, ids_key, len(vectors)) if ids is None else ids
    mask = _mask(contents, mask_key, vectors) if mask is None else mask
    return FeatureFile(path, file_sha256(path), vectors, mask, ids)


Parts = tuple[Array, NDArray[np.bool_] | None, tuple[str, ...] | None]


def _check_vectors(path: Path, vectors: Array) -> None:
    if vectors.dtype.kind not in "fiu" or vectors.ndim not in (2, 3) or 0 in vectors.shape:
        raise DataError(
            f"{path} holds {vectors.dtype} of shape {list(vectors.shape)}: expected real numbers, "
            "[items, dimensions] or [items, vectors, dimensions]."
        )


def _stacked(path: Path, arrays: dict[str, Array]) -> Parts:
    """One array per id as one array, padded with zeros where an item has fewer vectors."""
    shapes = {array.shape[1:] if array.ndim == 2 else array.shape for array in arrays.values()}
    kinds = {array.ndim for array in arrays.values()}
    if len(shapes) != 1 or len(kinds) != 1 or not kinds <= {1, 2}:
        held = ", ".join(f"{name} {list(array.shape)}" for name, array in list(arrays.items())[:5])
        raise DataError(
            f"{path} holds {held}: expected an array `features`, or one array of equal width for each id."
        )
    ids, values = tuple(arrays), list(arrays.values())
    if values[0].ndim == 1:
        return np.stack(values), None, ids
    longest = max(len(value) for value in values)
    vectors = np.zeros((len(values), longest, values[0].shape[1]), np.result_type(*values))
    mask = np.zeros((len(values), longest), bool)
    for row, value in enumerate(values):
        vectors[row, : len(value)] = value
        mask[row, : len(value)] = True
    return vectors, mask, ids


def _ids(contents: Contents, key: str | None, length: int) -> tuple[str, ...] | None:
    path, files = contents.path, beside(contents.path, IDS, ID_KINDS)
    places = [*([f"it holds {key}"] if key is not None else []), *map(str, files.values())]
    if len(places) > 1:
        raise DataError(f"{path} has ids in more than one place: {', '.join(places)}. Keep one.")
    ids = read_ids(next(iter(files.values()))) if files else (contents.strings(key) if key else None)
    if ids is not None and len(ids) != length:
        raise DataError(
            f"{next(iter(files.values()), path)} has {len(ids)} ids for {length} items: give one for each."
        )
    return ids


def _mask(contents: Contents, key: str | None, vectors: Array) -> NDArray[np.bool_] | None:
    path, files = contents.path, beside(contents.path, MASKS, (".npy",))
    if len(files) + (key is not None) > 1:
        raise DataError(f"{path} has masks in more than one place: keep one of them.")
    for name, file in files.items():
        key, contents = name, Contents(file, {name: read_arrays(file).arrays.get("", np.empty(0))}, {})
    if key is None:
        return None
    if key not in contents.arrays:
        raise DataError(f"{contents.path}: {key} must be an array of numbers.")
    found = contents.arrays[key]
    return _from_lengths(path, found, vectors) if key == "lengths" else _checked_mask(path, found, vectors)


def _from_lengths(path: Path, lengths: Array, vectors: Array) -> NDArray[np.bool_]:
    """Turn how many of the first vectors are an item's own, [N], into a mask [N, L]."""
    if vectors.ndim != 3 or lengths.shape != vectors.shape[:1] or lengths.dtype.kind not in "iu":
        raise DataError(
            f"The lengths of {path} are {lengths.dtype} {list(lengths.shape)}, its features "
            f"{list(vectors.shape)}: expected whole numbers [items] for features [items, vectors,"
            " dimensions]."
        )
    if lengths.min() < 1 or lengths.max() > vectors.shape[1]:
        raise DataError(
            f"The lengths of {path} go from {lengths.min()} to {lengths.max()}: expected 1 to "
            f"{vectors.shape[1]}, the vectors of its items."
        )
    mask: NDArray[np.bool_] = np.arange(vectors.shape[1]) < lengths[:, None]
    return mask


def _checked_mask(path: Path, mask: Array, vectors: Array) -> NDArray[np.bool_]:
    if vectors.ndim != 3 or mask.shape != vectors.shape[:2]:
        raise DataError(
            f"The mask of {path} has shape {list(mask.shape)}, its features {list(vectors.shape)}:"
            " expected a mask [items, vectors] for features [items, vectors, dimensions]."
        )
    if not np.isin(mask, (0, 1)).all():
        raise DataError(f"The mask of {path} has other values than 0 and 1: keep to these.")
    mask = mask.astype(bool)
    if not mask.any(axis=1).all():
        raise DataError(
            f"The mask of {path} leaves {int((~mask.any(axis=1)).sum())} items without a vector: keep one"
            " of each."
        )
    kept: NDArray[np.bool_] = mask
    return kept
