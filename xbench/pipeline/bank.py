"""The bank of `--bank`: training captions for QB-Norm, as text or as scores that were computed elsewhere."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.errors import DataError, explain
from xbench.metrics.counts import to_numpy
from xbench.metrics.qbnorm import QueryBank
from xbench.metrics.ranking import chunks
from xbench.pipeline.ids import rows_of, video_ids
from xbench.scorers.features.arrays import read_arrays
from xbench.storage import file_sha256


@dataclass(frozen=True)
class Bank:
    """A bank and the file that it came from. captions: the distinct ones; empty where the file has scores."""

    path: Path
    sha256: str
    captions: tuple[str, ...] = ()


def read_captions(path: Path) -> Bank:
    """Read a bank of captions: a text file with one on each line, or a JSON list of them.

    Raises DataError for a file that holds none, or something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found: Any = json.loads(text) if path.suffix == ".json" else text.splitlines()
    except OSError as error:
        raise DataError(f"--bank: {explain(error)}") from error
    except ValueError as error:
        raise DataError(f"--bank: {path} cannot be read ({error}): save it as UTF-8 text or JSON.") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise DataError(f"--bank: {path} must be a JSON list of captions, or text with one on each line.")
    captions = tuple(dict.fromkeys(each.strip() for each in found if each.strip()))
    if not captions:
        raise DataError(f"--bank: {path} holds no captions: write one on each line.")
    return Bank(path, file_sha256(path), captions)


def read_scores(path: Path, split: Split) -> NDArray[Any]:
    """Read the scores [B, V] of a bank's captions against the videos of a split, higher is closer.

    Columns are in the protocol's order, unless the file has `column_ids`. Raises DataError for anything else.
    """
    contents = read_arrays(path)
    matrices = [name for name, array in contents.arrays.items() if array.ndim == 2]
    unread = {*contents.arrays, *contents.lists, *contents.other} - {*matrices, "row_ids", "column_ids"}
    if len(matrices) != 1 or unread:
        held = ", ".join(sorted(map(repr, unread | set(matrices)))) or "nothing"
        raise DataError(f"--bank: {path} must hold one matrix, bank captions x videos; it holds {held}.")
    matrix, wanted = to_numpy(contents.arrays[matrices[0]]), video_ids(split)
    if matrix.dtype.kind not in "fiu" or not len(matrix):
        raise DataError(
            f"--bank: {path} holds no scores: {matrix.dtype}, shape {matrix.shape}. Save real numbers,"
            " [bank captions, videos]."
        )
    order = (
        rows_of(contents.strings("column_ids"), wanted)
        if "column_ids" in contents
        else np.arange(matrix.shape[1])
    )
    if order is None or not len(order) == len(wanted) == matrix.shape[1]:
        raise DataError(
            f"--bank: {path} has {matrix.shape[1]} columns, and they are not the {len(wanted)} videos of"
            f" {split.protocol}: give one row for each caption of the bank, one column for each video."
        )
    return matrix[:, order]


def bank_of(scores: NDArray[Any]) -> QueryBank:
    """Return the bank whose scores [B, V] are at hand."""
    captions, videos = scores.shape
    bank = QueryBank(captions, videos)
    for columns in chunks(videos, captions):
        bank.add(scores[:, columns], columns)
    return bank


def remarks(bank: Bank, tested: Sequence[str]) -> list[str]:
    """Return what the record says of a bank: what it is, and whether captions of the test are in it."""
    what = f"{len(bank.captions):,} captions of {bank.path.name}" if bank.captions else bank.path.name
    said = (
        f"QB-Norm with {what} (sha256 {bank.sha256[:12]}); the dynamic inverted softmax with beta 20 and one"
        " video a caption, as its authors have them; video-to-text is raw, for its bank would hold videos"
    )
    shared = len(set(bank.captions) & set(tested))
    if not shared:
        return [said]
    return [
        said,
        f"{shared} of the bank's captions are captions of this set: is it a bank of training captions?",
    ]
