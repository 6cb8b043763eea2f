"""A similarity matrix from a file, turned so that rows are a split's captions and columns its videos."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.errors import DataError, UsageError
from xbench.pipeline.ids import Ints, caption_ids, disagreement, rows_of, video_ids
from xbench.scorers.features.arrays import ID_KINDS, IDS, Contents, beside, read_arrays, read_ids
from xbench.terms import MatrixRows

_BOTH: tuple[MatrixRows, ...] = get_args(MatrixRows)


@dataclass(frozen=True)
class MatrixFile:
    """Where a matrix stands and what is said about it; without ids it is in the protocol's order."""

    path: Path
    rows: MatrixRows | None = None
    row_ids: Path | None = None
    column_ids: Path | None = None


Some = tuple[str, ...] | None
Ids = dict[str, tuple[str, ...]]
"""Ids by the name under which they were found: those of a side (`row_ids`) or of a kind (`video_ids`)."""

_CAPTIONS = ("text_ids", "caption_ids")
_VIDEOS = ("video_ids",)
_SIDES = ("row_ids", "column_ids")
_NAMES = (*_SIDES, *_CAPTIONS, *_VIDEOS)
_IDS = "Give the ids in the order of the matrix, as the protocol's files have them."
_HOLDS = "A file of scores holds one matrix and ids: row_ids and column_ids, or text_ids and video_ids."


def read_matrix(file: MatrixFile, split: Split) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return the scores [T, V] of a split, and what the record should say about how they were found.

    The matrix is the array `similarity` or the only one with two dimensions; ids of its sides may stand in
    the file, too, or beside it as NAME.row_ids.txt and the like. Ids bring rows and columns into the
    protocol's order.

    Raises DataError when the file holds no such matrix or anything that is not read, when its shape is not
    that of the split, when its ids are not those of the split; UsageError when nothing tells rows from
    columns.
    """
    contents = read_arrays(file.path)
    name, matrix = _matrix(contents)
    ids = _all_ids(contents, file)
    contents.require_read((name, *_NAMES), _HOLDS)
    readings = {
        rows: order
        for rows in ((file.rows,) if file.rows else _BOTH)
        if (order := _order(matrix.shape, rows, split, *_of_sides(file.path, ids, rows))) is not None
    }
    if not readings:
        raise DataError(_why_not(file, matrix.shape, split, ids))
    if len(readings) > 1:
        raise UsageError(_ambiguous(file.path, matrix.shape, named=bool(ids)))
    ((rows, (row_order, column_order)),) = readings.items()
    sides = zip(("rows", "columns"), _of_sides(file.path, ids, rows), strict=True)
    facts: dict[str, Any] = {"rows": rows, "ids": [side for side, found in sides if found]}
    matrix = _taken(_taken(matrix, row_order, 0), column_order, 1)
    return (matrix if rows == "captions" else matrix.T), facts


def _of_sides(path: Path, ids: Ids, rows: MatrixRows) -> tuple[Some, Some]:
    """Return the ids of rows and columns when the rows are what `rows` says."""
    kinds = (_CAPTIONS, _VIDEOS) if rows == "captions" else (_VIDEOS, _CAPTIONS)
    found = []
    for side, kind in zip(_SIDES, kinds, strict=True):
        places = [name for name in (side, *kind) if name in ids]
        if len(places) > 1:
            raise DataError(f"{path} has {' and '.join(places)} for its {side[:-4]}s: keep one.")
        found.append(ids[places[0]] if places else None)
    return found[0], found[1]


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


def _matrix(contents: Contents) -> tuple[str, NDArray[Any]]:
    """Return the matrix and its name."""
    candidates = [name for name, array in contents.arrays.items() if array.ndim == 2]
    name = "similarity" if "similarity" in candidates else candidates[0] if len(candidates) == 1 else None
    if name is None:
        held = [f"{name or 'an array'} {list(array.shape)}" for name, array in contents.arrays.items()]
        raise DataError(
            f"{contents.path} holds {', '.join(held) or 'no array of numbers'}, not a similarity matrix: "
            "save one matrix of captions x videos, under the name `similarity` where there are several."
        )
    matrix = contents.arrays[name]
    if matrix.dtype.kind not in "fiu":
        raise DataError(
            f"{contents.path} is a matrix of {matrix.dtype}, not of real numbers: save the scores as floats."
        )
    return name, matrix


def _all_ids(contents: Contents, file: MatrixFile) -> Ids:
    """Collect ids from the file, from beside it, and from the options."""
    inside = {name: contents.strings(name) for name in _NAMES if name in contents}
    files = beside(file.path, _NAMES, ID_KINDS)
    given = {side: path for side, path in zip(_SIDES, (file.row_ids, file.column_ids), strict=True) if path}
    for name in inside.keys() & given.keys():
        raise UsageError(f"{file.path} holds {name} itself: leave --{name.replace('_', '-')} out.")
    _refuse_unread(file, files, inside.keys() | given.keys(), given)
    read = {name: read_ids(path) for name, path in (files | given).items()}
    for name, length in zip(_SIDES, _matrix(contents)[1].shape, strict=True):
        ids = (inside | read).get(name)
        if ids is not None and len(ids) != length:
            where, what = (files | given).get(name) or contents.path, name.replace("_", " ")
            raise DataError(
                f"{where} has {len(ids)} {what} for the {length} of {contents.path}: give one for each."
            )
    return inside | read


def _refuse_unread(
    file: MatrixFile, files: Mapping[str, Path], known: Collection[str], given: Mapping[str, Path]
) -> None:
    """Raise DataError for a file of ids beside the matrix that would not be used."""
    for name in files.keys() & known:
        if given.get(name) != files[name]:
            raise DataError(
                f"{files[name]} stands beside {file.path.name}, whose {name} come from elsewhere: keep one"
                " of the two."
            )
    for path in beside(file.path, [name for name in IDS if name not in _NAMES], ID_KINDS).values():
        if path not in given.values():
            raise DataError(
                f"{path} stands beside {file.path.name} and does not say whose ids it holds: pass it as "
                "--row-ids or --column-ids."
            )


def _why_not(file: MatrixFile, shape: tuple[int, ...], split: Split, ids: Ids) -> str:
    possible = [rows for rows in _BOTH if shape == _expected(split, rows)]
    if not possible or (file.rows and file.rows not in possible):
        wanted = _expected(split, file.rows or "captions")
        other = "" if file.rows else f" or {wanted[::-1]} (rows videos)"
        turned = (
            " It is the other way round: leave --rows out."
            if possible
            else " Save one row or column for each."
        )
        return (
            f"{file.path} has shape {shape}, but {split.protocol} needs {wanted} "
            f"(rows {file.rows or 'captions'}){other}.{turned}"
        )
    rows = file.rows or possible[0]
    sides = _of_sides(file.path, ids, rows)
    captions, videos = sides if rows == "captions" else sides[::-1]
    said = []
    if captions and all(rows_of(captions, way) is None for way in caption_ids(split)):
        ways = caption_ids(split)
        closest = max(ways, key=lambda way: len(set(way) & set(captions)))
        said.append(f"of the {len(split.captions)} captions it {disagreement(captions, closest)}")
    if videos and rows_of(videos, video_ids(split)) is None:
        said.append(f"of the {len(split.videos)} videos it {disagreement(videos, video_ids(split))}")
    return (
        f"The ids of {file.path}, rows {rows}, are not those of {split.protocol}: {'; '.join(said)}. {_IDS}"
    )


def _ambiguous(path: Path, shape: tuple[int, ...], *, named: bool) -> str:
    why = "its ids name captions and videos alike" if named else "it has no ids"
    return (
        f"{path} is square, {shape[0]} x {shape[1]}, and {why}: nothing tells whether its rows are captions "
        "or videos, and reading it the wrong way round would swap t2v and v2t. Say which: --rows captions or "
        "--rows videos."
    )
