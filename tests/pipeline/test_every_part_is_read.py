"""Ids, masks and lengths under every name that people use: the right numbers, or an error naming the part."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from xbench.data.loading import load_split
from xbench.data.split import Split
from xbench.errors import DataError, UsageError
from xbench.metrics.ranking import t2v_counts
from xbench.pipeline.ids import rows_of
from xbench.pipeline.matrix import as_similarity
from xbench.pipeline.matrix_file import MatrixFile, read_matrix
from xbench.scorers.features.arrays import read_ids
from xbench.scorers.features.file import FeatureFile, read_features

ITEMS = 12
IDS = [f"clip{row:02d}" for row in range(ITEMS)]
RANDOM = np.random.default_rng(3)
VECTORS = RANDOM.normal(size=(ITEMS, 5)).astype(np.float32)
SEVERAL = RANDOM.normal(size=(ITEMS, 4, 5)).astype(np.float32)
LENGTHS = RANDOM.integers(1, 5, size=ITEMS)
MASK = np.arange(4) < LENGTHS[:, None]
ORDER = RANDOM.permutation(ITEMS)
SHUFFLED = [IDS[row] for row in ORDER]

Save = Callable[[Path, np.ndarray, str, list[str]], Path]


def npz(folder: Path, vectors: np.ndarray, key: str, ids: list[str]) -> Path:
    np.savez(folder / "f.npz", features=vectors, **{key: np.array(ids)})
    return folder / "f.npz"


def torch_dict(folder: Path, vectors: np.ndarray, key: str, ids: list[str]) -> Path:
    torch.save(
        {"embeddings": torch.from_numpy(vectors), key: ids, "epoch": 3, "model": "mine"}, folder / "f.pt"
    )
    return folder / "f.pt"


def safetensors(folder: Path, vectors: np.ndarray, key: str, ids: list[str]) -> Path:
    save_file({"features": vectors}, folder / "f.safetensors", {key: json.dumps(ids), "format": "pt"})
    return folder / "f.safetensors"


def parquet(folder: Path, vectors: np.ndarray, key: str, ids: list[str]) -> Path:
    pyarrow.parquet.write_table(pyarrow.table({key: ids, "vector": vectors.tolist()}), folder / "f.parquet")
    return folder / "f.parquet"


def beside(kind: str) -> Save:
    def save(folder: Path, vectors: np.ndarray, key: str, ids: list[str]) -> Path:
        np.save(folder / "f.npy", vectors)
        path = folder / f"f.{key}.{kind}"
        if kind == "npy":
            np.save(path, np.array(ids))
        else:
            path.write_text(json.dumps(ids) if kind == "json" else "\n".join([*ids, ""]))
        return folder / "f.npy"

    return save


FORMS = [npz, torch_dict, safetensors, parquet, *(beside(kind) for kind in ("txt", "json", "npy"))]
KEYS = ["ids", "video_ids", "text_ids", "names", "filenames", "keys"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("save", FORMS)
def test_ids_are_read_in_every_form_and_under_every_name(tmp_path: Path, save: Save, key: str) -> None:
    file = read_features(save(tmp_path, VECTORS[ORDER], key, SHUFFLED))
    assert file.ids == tuple(SHUFFLED)
    assert np.array_equal(file.vectors, VECTORS[ORDER])


@pytest.mark.parametrize("endings", [".mp4", ".AVI", ".npy"])
def test_names_of_files_are_ids_without_folder_and_extension(endings: str) -> None:
    rows = rows_of([f"some/where/{name}{endings}" for name in SHUFFLED], IDS)
    assert rows is not None
    assert [SHUFFLED[row] for row in rows] == IDS
    dotted = ["0001_A_00.00.51.926-00.00.54.129", "0001_A_00.00.51.926-00.00.54.130"]
    assert rows_of(dotted, dotted[::-1]) is not None
    assert rows_of([f"{name}.avi" for name in dotted], dotted) is not None
    assert rows_of(["a.mp4", "a.avi"], ["a", "b"]) is None


def kept(file: FeatureFile) -> torch.Tensor:
    return file.rows(np.arange(ITEMS), normalise=False)["mask"]


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, MASK) for key in ("mask", "attention_mask", "video_mask", "text_mask")]
    + [("attention_mask", MASK.astype(np.int64)), ("mask", MASK.astype(np.float32)), ("lengths", LENGTHS)],
)
def test_masks_and_lengths_are_read_under_every_name(tmp_path: Path, key: str, value: np.ndarray) -> None:
    np.savez(tmp_path / "f.npz", features=SEVERAL, **{key: value})
    torch.save({"features": torch.from_numpy(SEVERAL), key: torch.from_numpy(value)}, tmp_path / "f.pt")
    np.save(tmp_path / "g.npy", SEVERAL)
    np.save(tmp_path / f"g.{key}.npy", value)
    columns = {"features": SEVERAL.tolist(), key: value.tolist()}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "f.parquet")
    for name in ("f.npz", "f.pt", "g.npy", "f.parquet"):
        assert np.array_equal(kept(read_features(tmp_path / name)).numpy(), MASK), name


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"timestamps": np.zeros(ITEMS)}, "f.npz holds timestamps, which nothing reads"),
        ({"logit_scale": np.array(4.6)}, "f.npz holds logit_scale, which nothing reads"),
        ({"titles": np.array(IDS)}, "f.npz holds titles, which nothing reads"),
        ({"table": np.array([IDS])}, "f.npz holds table, which nothing reads"),
        ({"key_padding_mask": ~MASK}, "f.npz holds key_padding_mask, which nothing reads"),
        (
            {"ids": np.array(IDS), "filenames": np.array(SHUFFLED)},
            "holds ids and filenames, and nothing",
        ),
        ({"mask": MASK, "lengths": LENGTHS}, "holds mask and lengths, and nothing says"),
        ({"ids": np.arange(ITEMS)}, "ids must be a list of strings"),
        ({"video_ids": np.array("clip00")}, "video_ids must be a list of strings"),
        ({"lengths": LENGTHS + 4}, "expected 1 to 4"),
        ({"lengths": LENGTHS - 1}, "expected 1 to 4"),
        ({"lengths": LENGTHS[1:]}, r"lengths of .* are int64 \[11\]"),
        ({"lengths": MASK}, r"lengths of .* are bool \[12, 4\]"),
        ({"mask": np.array(["a"] * ITEMS)}, "mask must be an array of numbers"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, extra: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "f.npz", features=SEVERAL, **extra)
    with pytest.raises(DataError, match=said):
        read_features(tmp_path / "f.npz")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("f.ids.csv", "is none of the kinds that are read: save it as .txt or .json or .npy"),
        ("f.filenames.pkl", "is none of the kinds"),
        ("f.mask.pt", "is none of the kinds that are read: save it as .npy"),
    ],
)
def test_a_file_beside_that_is_not_read_is_named(tmp_path: Path, name: str, said: str) -> None:
    np.save(tmp_path / "f.npy", SEVERAL)
    (tmp_path / name).write_text("\n".join(IDS))
    with pytest.raises(DataError, match=f"{name} stands beside f.npy, and {said}"):
        read_features(tmp_path / "f.npy")


def test_ids_in_two_places_are_not_chosen_from(tmp_path: Path) -> None:
    npz(tmp_path, VECTORS, "names", IDS)
    (tmp_path / "f.ids.txt").write_text("\n".join(SHUFFLED))
    with pytest.raises(DataError, match=r"ids in more than one place: it holds names, .*f\.ids\.txt"):
        read_features(tmp_path / "f.npz")


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "\r\n \r\n"])
def test_a_byte_order_mark_and_blank_lines_at_the_end_are_no_ids(
    tmp_path: Path, start: str, end: str
) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes((start + "\n".join(IDS) + end).encode())
    assert read_ids(path) == tuple(IDS)


def test_a_torch_file_that_is_damaged_is_told_by_its_checksums(tmp_path: Path) -> None:
    path = torch_dict(tmp_path, VECTORS, "ids", IDS)
    whole = bytearray(path.read_bytes())
    whole[whole.find(VECTORS.tobytes()) + 9] ^= 16
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is damaged: the content of"):
        read_features(path)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    path = tmp_path_factory.mktemp("own") / "own.csv"
    path.write_text("\n".join(["video_id,caption", *(f"{name},a dog number {name}" for name in IDS)]))
    return load_split("msrvtt", path, None)


SCORES = VECTORS @ (VECTORS + 0.8 * RANDOM.normal(size=VECTORS.shape)).T


@settings(max_examples=20, deadline=None)
@given(rows=st.permutations(range(ITEMS)), columns=st.permutations(range(ITEMS)))
@pytest.mark.parametrize("names", [("row_ids", "column_ids"), ("text_ids", "video_ids")])
def test_permuting_rows_columns_and_ids_together_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, split: Split, names: tuple[str, str], rows, columns
) -> None:
    path = tmp_path_factory.mktemp("m") / "m.npz"
    ids = [[IDS[index] for index in order] for order in (rows, columns)]
    np.savez(path, similarity=SCORES[rows][:, columns], **dict(zip(names, ids, strict=True)))
    matrix, facts = read_matrix(MatrixFile(path, "captions"), split)
    assert np.array_equal(matrix, SCORES)
    assert facts["ids"] == ["rows", "columns"]
    turned = (
        {names[0]: ids[1], names[1]: ids[0]} if names[0] == "row_ids" else dict(zip(names, ids, strict=True))
    )
    np.savez(path, similarity=SCORES[rows][:, columns].T, **turned)
    assert np.array_equal(read_matrix(MatrixFile(path, "videos"), split)[0], SCORES)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16", "int64", "uint8"])
def test_distances_rank_as_the_scores_that_they_are_not(dtype: str) -> None:
    whole = np.digitize(SCORES, np.quantile(SCORES, np.linspace(0, 1, 100)))
    distances = (whole.max() - whole).astype(dtype)
    if np.issubdtype(np.dtype(dtype), np.signedinteger):
        distances[distances == distances.max()] = np.iinfo(dtype).max
        distances[distances == distances.min()] = np.iinfo(dtype).min
    expected = t2v_counts(-distances.astype(np.float64), np.arange(ITEMS))
    found = t2v_counts(as_similarity(distances), np.arange(ITEMS))
    assert np.array_equal(found.better, expected.better)
    assert np.array_equal(found.tied, expected.tied)


@pytest.mark.parametrize(
    ("extra", "error", "said"),
    [
        ({"unrelated": np.zeros(3)}, DataError, "holds unrelated, which nothing reads"),
        ({"similarity": SCORES, "v2t": SCORES.T}, DataError, "holds v2t, which nothing reads"),
        ({"ids": np.array(IDS)}, DataError, "holds ids, which nothing reads"),
        (
            {"row_ids": np.array(IDS), "text_ids": np.array(IDS)},
            DataError,
            "row_ids and text_ids for its rows",
        ),
    ],
)
def test_what_of_a_matrix_file_is_not_read_is_named(
    tmp_path: Path, split: Split, extra: dict[str, np.ndarray], error: type[Exception], said: str
) -> None:
    np.savez(tmp_path / "m.npz", **{"similarity": SCORES, **extra})
    with pytest.raises(error, match=said):
        read_matrix(MatrixFile(tmp_path / "m.npz", "captions"), split)


def test_ids_beside_a_matrix_are_read_or_named(tmp_path: Path, split: Split) -> None:
    np.save(tmp_path / "m.npy", SCORES[ORDER])
    (tmp_path / "m.row_ids.txt").write_text("\n".join(SHUFFLED))
    assert np.array_equal(read_matrix(MatrixFile(tmp_path / "m.npy", "captions"), split)[0], SCORES)
    np.save(tmp_path / "rows.npy", np.array(SHUFFLED))
    given_too = MatrixFile(tmp_path / "m.npy", "captions", row_ids=tmp_path / "rows.npy")
    with pytest.raises(DataError, match=r"m\.row_ids\.txt stands beside m\.npy, whose row_ids come from"):
        read_matrix(given_too, split)
    (tmp_path / "m.row_ids.txt").rename(tmp_path / "m.ids.txt")
    with pytest.raises(DataError, match=r"m\.ids\.txt stands beside m\.npy and does not say whose"):
        read_matrix(MatrixFile(tmp_path / "m.npy", "captions"), split)
    named = MatrixFile(tmp_path / "m.npy", "captions", row_ids=tmp_path / "m.ids.txt")
    assert np.array_equal(read_matrix(named, split)[0], SCORES)
    with pytest.raises(UsageError, match="nothing tells whether its rows"):
        read_matrix(MatrixFile(tmp_path / "m.npy", row_ids=tmp_path / "m.ids.txt"), split)
