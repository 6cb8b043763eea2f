"""Feature vectors from a file: one for each item, or several with a mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.errors import DataError
from xbench.scorers.base import Features
from xbench.scorers.features.arrays import Array, Contents, read_arrays, read_ids
from xbench.storage import file_sha256


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
                f"{self.path} has vectors {what}: {len(bad)} of {len(rows)}, the first at {name}."
            )


def read_features(path: Path) -> FeatureFile:
    """Read feature vectors from .npy, .npz, .safetensors or a torch file.

    The vectors are the array `features`, or the only one; `ids` and `mask` may stand in the file, or beside
    it as NAME.ids.txt (one a line), NAME.ids.json and NAME.mask.npy. A file of many arrays has one for each
    item, under its id: [D], or [L, D] with any L. Raises DataError for anything else.
    """
    contents = read_arrays(path)
    vectors, mask, ids = _parts(contents)
    if vectors.dtype.kind not in "fiu" or vectors.ndim not in (2, 3) or 0 in vectors.shape:
        raise DataError(
            f"{path} holds {vectors.dtype} of shape {list(vectors.shape)}: features are real numbers, "
            "[items, dimensions], or [items, vectors, dimensions]."
        )
    ids = _ids(path, ids, len(vectors))
    mask = _mask(path, mask, vectors)
    return FeatureFile(path, file_sha256(path), vectors, mask, ids)


Parts = tuple[Array, Array | None, tuple[str, ...] | None]


def _parts(contents: Contents) -> Parts:
    ids = contents.names("ids")
    arrays = {name: array for name, array in contents.arrays.items() if name != "mask"}
    if "features" in arrays or len(arrays) == 1:
        vectors = arrays["features"] if "features" in arrays else next(iter(arrays.values()))
        return vectors, contents.arrays.get("mask"), ids
    shapes = {array.shape[1:] if array.ndim == 2 else array.shape for array in arrays.values()}
    kinds = {array.ndim for array in arrays.values()}
    alone = ids is None and "mask" not in contents.arrays  # these belong to an array of all items
    if len(shapes) != 1 or len(kinds) != 1 or not kinds <= {1, 2} or not alone:
        held = ", ".join(f"{name} {list(array.shape)}" for name, array in list(arrays.items())[:5])
        raise DataError(
            f"{contents.path} holds {held or 'no array of numbers'}: expected an array `features`, or one "
            "array of equal width for each id."
        )
    return _stacked(arrays)


def _stacked(arrays: dict[str, Array]) -> Parts:
    """One array per id as one array, padded with zeros where an item has fewer vectors."""
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


def _ids(path: Path, inside: tuple[str, ...] | None, length: int) -> tuple[str, ...] | None:
    beside = [found for kind in ("txt", "json") if (found := path.with_suffix(f".ids.{kind}")).is_file()]
    if len(beside) + (inside is not None) > 1:
        places = [*(["it holds ids"] if inside is not None else []), *map(str, beside)]
        raise DataError(f"{path} has ids in more than one place: {', '.join(places)}. Keep one.")
    ids = read_ids(beside[0]) if beside else inside
    if ids is not None and len(ids) != length:
        raise DataError(f"{beside[0] if beside else path} has {len(ids)} ids for {length} items.")
    return ids


def _mask(path: Path, inside: Array | None, vectors: Array) -> NDArray[np.bool_] | None:
    beside = path.with_suffix(".mask.npy")
    mask: Any = inside if inside is not None or not beside.is_file() else read_arrays(beside).arrays[""]
    if mask is None:
        return None
    if vectors.ndim != 3 or mask.shape != vectors.shape[:2]:
        raise DataError(
            f"The mask of {path} has shape {list(mask.shape)}, its features {list(vectors.shape)}: a mask "
            "[items, vectors] goes with features [items, vectors, dimensions]."
        )
    if not np.isin(mask, (0, 1)).all():
        raise DataError(f"The mask of {path} has other values than 0 and 1.")
    mask = mask.astype(bool)
    if not mask.any(axis=1).all():
        raise DataError(f"The mask of {path} leaves {int((~mask.any(axis=1)).sum())} items without a vector.")
    kept: NDArray[np.bool_] = mask
    return kept
