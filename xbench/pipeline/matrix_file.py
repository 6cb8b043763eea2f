"""A similarity matrix from a file, turned so that rows are a split's captions and columns its videos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.errors import DataError, UsageError
from xbench.pipeline.ids import Ints, caption_ids, disagreement, rows_of, video_ids
from xbench.scorers.features.arrays import Contents, read_arrays, read_ids
from xbench.terms import MatrixRows

_BOTH: tuple[MatrixRows, ...] = get_args(MatrixRows)


@dataclass(frozen=True)
class MatrixFile:
    """Where a matrix stands and what is said about it; without ids it is in the protocol's order."""

    path: Path
    rows: MatrixRows | None = None
    row_ids: Path | None = None
    column_ids: Path | None = None


def read_matrix(file: MatrixFile, split: Split) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return the scores [T, V] of a split, and what the record should say about how they were found.

    The matrix is the array `similarity` or the only one with two dimensions; `row_ids` and `column_ids` may
    stand in the file, too. Ids bring rows and columns into the protocol's order.

    Raises DataError when the file holds no such matrix, when its shape is not that of the split, when its ids
    are not those of the split; UsageError when nothing tells rows from columns.
    """
    contents = read_arrays(file.path)
    matrix = _matrix(contents)
    row_ids = _ids(contents, "row_ids", file.row_ids, matrix.shape[0])
    column_ids = _ids(contents, "column_ids", file.column_ids, matrix.shape[1])
    readings = {
        rows: order
        for rows in ((file.rows,) if file.rows else _BOTH)
        if (order := _order(matrix.shape, rows, split, row_ids, column_ids)) is not None
    }
    if not readings:
        raise DataError(_why_not(file, matrix.shape, split, row_ids, column_ids))
    if len(readings) > 1:
        raise UsageError(_ambiguous(file.path, matrix.shape, named=bool(row_ids or column_ids)))
    ((rows, (row_order, column_order)),) = readings.items()
    facts = {"rows": rows, "ids": [name for name, ids in (("rows", row_ids), ("columns", column_ids)) if ids]}
    matrix = _taken(_taken(matrix, row_order, 0), column_order, 1)
    return (matrix if rows == "captions" else matrix.T), facts


Order = tuple[Ints | None, Ints | None]


def _order(
    shape: tuple[int, ...],
    rows: MatrixRows,
    split: Split,
    row_ids: tuple[str, ...] | None,
    column_ids: tuple[str, ...] | None,
) -> Order | None:
    """Return the order of rows and columns when the rows are what `rows` says; None when they cannot be."""
    if shape != _expected(split, rows):
        return None
    ways: tuple[list[list[str]], list[list[str]]] = (caption_ids(split), [video_ids(split)])
    for_rows, for_columns = ways if rows == "captions" else ways[::-1]
    order = []
    for ids, wanted in ((row_ids, for_rows), (column_ids, for_columns)):
        found = [rows_of(ids, way) for way in wanted] if ids else [None]
        matching = [way for way in found if way is not None]
        if ids and not matching:
            return None
        order.append(matching[0] if matching else None)
    return order[0], order[1]


def _expected(split: Split, rows: MatrixRows) -> tuple[int, int]:
    sizes = len(split.captions), len(split.videos)
    return sizes if rows == "captions" else sizes[::-1]


def _taken(matrix: NDArray[Any], order: Ints | None, axis: int) -> NDArray[Any]:
    if order is None or np.array_equal(order, np.arange(len(order))):
        return matrix
    return np.take(matrix, order, axis=axis)


def _matrix(contents: Contents) -> NDArray[Any]:
    candidates = {name: array for name, array in contents.arrays.items() if array.ndim == 2}
    matrix = candidates.get("similarity")
    if matrix is None and len(candidates) == 1:
        matrix = next(iter(candidates.values()))
    if matrix is None:
        held = [f"{name or 'an array'} {list(array.shape)}" for name, array in contents.arrays.items()]
        raise DataError(
            f"{contents.path} holds {', '.join(held) or 'no array of numbers'}, not a similarity matrix: "
            "save one matrix of captions x videos, under the name `similarity` where there are several."
        )
    if matrix.dtype.kind not in "fiu":
        raise DataError(f"{contents.path} is a matrix of {matrix.dtype}, not of real numbers.")
    return matrix


def _ids(contents: Contents, name: str, beside: Path | None, length: int) -> tuple[str, ...] | None:
    inside = contents.names(name)
    if inside is not None and beside is not None:
        raise UsageError(f"{contents.path} holds {name} itself: leave --{name.replace('_', '-')} out.")
    ids = inside if beside is None else read_ids(beside)
    if ids is not None and len(ids) != length:
        where, what = beside or contents.path, name.replace("_", " ")
        raise DataError(f"{where} has {len(ids)} {what} for the {length} of {contents.path}.")
    return ids


def _why_not(
    file: MatrixFile,
    shape: tuple[int, ...],
    split: Split,
    row_ids: tuple[str, ...] | None,
    column_ids: tuple[str, ...] | None,
) -> str:
    possible = [rows for rows in _BOTH if shape == _expected(split, rows)]
    if not possible or (file.rows and file.rows not in possible):
        wanted = _expected(split, file.rows or "captions")
        other = "" if file.rows else f" or {wanted[::-1]} (rows videos)"
        turned = " It is the other way round." if possible else ""
        return (
            f"{file.path} has shape {shape}, but {split.protocol} needs {wanted} "
            f"(rows {file.rows or 'captions'}){other}.{turned}"
        )
    rows = file.rows or possible[0]
    captions, videos = (row_ids, column_ids) if rows == "captions" else (column_ids, row_ids)
    said = []
    if captions and all(rows_of(captions, way) is None for way in caption_ids(split)):
        ways = caption_ids(split)
        closest = max(ways, key=lambda way: len(set(way) & set(captions)))
        said.append(f"of the {len(split.captions)} captions it {disagreement(captions, closest)}")
    if videos and rows_of(videos, video_ids(split)) is None:
        said.append(f"of the {len(split.videos)} videos it {disagreement(videos, video_ids(split))}")
    return f"The ids of {file.path}, rows {rows}, are not those of {split.protocol}: {'; '.join(said)}."


def _ambiguous(path: Path, shape: tuple[int, ...], *, named: bool) -> str:
    why = "its ids name captions and videos alike" if named else "it has no ids"
    return (
        f"{path} is square, {shape[0]} x {shape[1]}, and {why}: nothing tells whether its rows are captions "
        "or videos, and reading it the wrong way round would swap t2v and v2t. Say which: --rows captions or "
        "--rows videos."
    )
