"""`xbench score`: metrics of a matrix from elsewhere, and the errors for what is no such matrix."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from tests.pipeline.conftest import STEMS, World
from xbench.api.evaluating import load_split
from xbench.cli import main

SWAPPED = np.eye(6, dtype=np.float32)
SWAPPED[0, 1] = 2.0
SWAPPED[2, 1] = 3.0
"""Captions 0 and 2 rank their video second; video 1 ranks its caption third: t2v 4/6, v2t 5/6."""


def score(world: World, matrix: Path, *more: str, rows: str | None = "captions") -> Result:
    arguments = ["score", str(matrix), "--dataset", "didemo", "--annotations", str(world.annotations), *more]
    if rows is not None:
        arguments += ["--rows", rows]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def recalls(result: Result) -> tuple[float, float]:
    """R@1 of both directions."""
    assert result.exit_code == 0, result.stderr
    metrics = json.loads(result.stdout)["metrics"]
    return metrics["t2v"]["R@1"]["value"], metrics["v2t"]["R@1"]["value"]


EXPECTED = pytest.approx((100 * 4 / 6, 100 * 5 / 6))


def test_the_metrics_are_those_of_the_matrix(world: World, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", SWAPPED)
    result = score(world, tmp_path / "s.npy", "--json")
    assert recalls(result) == EXPECTED
    assert json.loads(result.stdout)["metrics"]["t2v"]["MnR"]["value"] == pytest.approx(8 / 6)


def test_every_kind_of_file_gives_the_same(world: World, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", similarity=SWAPPED)
    save_file({"similarity": SWAPPED}, tmp_path / "s.safetensors")
    torch.save(torch.from_numpy(SWAPPED), tmp_path / "s.pt")
    torch.save({"similarity": torch.from_numpy(SWAPPED), "epoch": 3}, tmp_path / "t.pt")
    torch.save(torch.from_numpy(SWAPPED), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_torch_file({"scores": torch.from_numpy(SWAPPED).bfloat16()}, tmp_path / "half.safetensors")
    paths = sorted(path for path in tmp_path.iterdir() if path.is_file())
    assert len(paths) == 6
    for path in paths:
        assert recalls(score(world, path, "--json")) == EXPECTED, path


def test_a_matrix_the_other_way_round_is_turned(world: World, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", SWAPPED.T)
    assert recalls(score(world, tmp_path / "s.npy", "--json", rows="videos")) == EXPECTED
    assert recalls(score(world, tmp_path / "s.npy", "--json", "--transpose", rows=None)) == EXPECTED
    both = score(world, tmp_path / "s.npy", "--transpose")
    assert both.exit_code == 2
    assert "--transpose says" in both.stderr


def test_a_square_matrix_without_ids_is_refused_until_its_rows_are_named(
    world: World, tmp_path: Path
) -> None:
    np.save(tmp_path / "s.npy", SWAPPED)
    result = score(world, tmp_path / "s.npy", rows=None)
    assert result.exit_code == 2
    assert "--rows captions" in result.stderr
    assert "it has no ids" in result.stderr


def test_shape_tells_the_sides_where_there_are_more_captions_than_videos(
    world: World, tmp_path: Path
) -> None:
    matrix = np.repeat(np.eye(6), 2, axis=0)
    arguments = ["--json", "--protocol", "didemo/sentences"]
    for name, saved in (("s.npy", matrix), ("t.npy", matrix.T)):
        np.save(tmp_path / name, saved)
        result = score(world, tmp_path / name, *arguments, rows=None)
        assert recalls(result) == (100, 100)
        assert json.loads(result.stdout)["queries"] == {"t2v": 12, "v2t": 6}
    wrong = score(world, tmp_path / "t.npy", *arguments, rows="captions")
    assert wrong.exit_code == 3
    assert "needs (12, 6) (rows captions). It is the other way round: leave --rows out." in wrong.stderr


def test_own_annotations_are_scored_unless_a_published_protocol_is_named(
    world: World, tmp_path: Path
) -> None:
    np.save(tmp_path / "s.npy", np.eye(2))
    (tmp_path / "my.csv").write_text("video_id,caption\nv,a dog\nw,a cat\n")
    own = ["--annotations", str(tmp_path / "my.csv"), "--json"]
    assert recalls(score(world, tmp_path / "s.npy", *own)) == (100, 100)
    assert load_split("didemo", tmp_path / "my.csv").protocol == "custom"
    named = score(world, tmp_path / "s.npy", *own, "--protocol", "didemo/paragraph")
    assert named.exit_code == 2
    assert "my.csv holds your own annotations" in named.stderr


CAPTIONS = [f"{name}#0" for name in STEMS]
ORDER = np.array([3, 0, 5, 1, 2, 4])


def test_ids_bring_rows_and_columns_into_order_and_tell_the_sides(world: World, tmp_path: Path) -> None:
    rows, columns = [CAPTIONS[index] for index in ORDER], [STEMS[index] for index in ORDER[::-1]]
    shuffled = SWAPPED[ORDER][:, ORDER[::-1]]
    np.savez(tmp_path / "s.npz", similarity=shuffled, row_ids=rows, column_ids=columns)
    save_file(
        {"s": np.ascontiguousarray(shuffled.T)},
        tmp_path / "s.safetensors",
        {"row_ids": json.dumps(columns), "column_ids": json.dumps(rows)},
    )
    torch.save({"s": torch.from_numpy(shuffled), "row_ids": rows, "column_ids": columns}, tmp_path / "s.pt")
    for name in ("s.npz", "s.safetensors", "s.pt"):
        assert recalls(score(world, tmp_path / name, "--json", rows=None)) == EXPECTED, name


def test_ids_may_stand_beside_the_file_and_captions_may_be_named_by_text(
    world: World, tmp_path: Path
) -> None:
    np.save(tmp_path / "s.npy", SWAPPED[ORDER])
    texts = [f"the cat {index} a dog runs {index}" for index in range(6)]
    (tmp_path / "rows.json").write_text(json.dumps([texts[index] for index in ORDER]))
    (tmp_path / "columns.txt").write_text("\r\n".join(STEMS) + "\r\n")
    beside = ["--row-ids", str(tmp_path / "rows.json"), "--column-ids", str(tmp_path / "columns.txt")]
    assert recalls(score(world, tmp_path / "s.npy", "--json", *beside, rows=None)) == EXPECTED


def test_a_text_that_several_captions_share_is_no_id(world: World, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("video_id,caption\nv,a dog\nw,a cat\nx,a dog\n")
    own = ["--annotations", str(tmp_path / "my.csv"), "--json"]
    np.savez(tmp_path / "s.npz", similarity=np.eye(3)[[2, 0, 1]], row_ids=["a dog", "a dog", "a cat"])
    refused = score(world, tmp_path / "s.npz", *own)
    assert refused.exit_code == 3
    assert "2 rows have the id 'a dog'" in refused.stderr
    assert "VIDEO#N" in refused.stderr
    np.savez(tmp_path / "s.npz", similarity=np.eye(3)[[2, 0, 1]], row_ids=["x#0", "v#0", "w#0"])
    assert recalls(score(world, tmp_path / "s.npz", *own)) == (100, 100)


def test_video_ids_on_both_sides_do_not_tell_them_apart(world: World, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", similarity=SWAPPED, row_ids=STEMS, column_ids=STEMS)
    result = score(world, tmp_path / "s.npz", rows=None)
    assert result.exit_code == 2
    assert "its ids name captions and videos alike" in result.stderr
    assert recalls(score(world, tmp_path / "s.npz", "--json")) == EXPECTED


@pytest.mark.parametrize(
    ("row_ids", "column_ids", "said"),
    [
        ([*CAPTIONS[:5], "other"], STEMS, "of the 6 captions it lacks 1, e.g. '6@N00_6_f.mpg#0' and adds 1"),
        (CAPTIONS, [*STEMS[:5], STEMS[0]], "of the 6 videos it lacks 1, e.g. '6@N00_6_f.mpg'"),
        (CAPTIONS[:5], STEMS, "5 row ids for the 6"),
    ],
)
def test_ids_that_are_not_the_protocols_are_an_error(
    world: World, tmp_path: Path, row_ids: list[str], column_ids: list[str], said: str
) -> None:
    np.savez(tmp_path / "s.npz", similarity=SWAPPED, row_ids=row_ids, column_ids=column_ids)
    result = score(world, tmp_path / "s.npz")
    assert result.exit_code == 3
    assert said in result.stderr


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_any_real_dtype_is_ranked_as_it_is(world: World, tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "s.npy", np.eye(6, dtype=dtype))
    assert recalls(score(world, tmp_path / "s.npy", "--json")) == (100, 100)


def test_ties_are_average_unless_asked_otherwise(world: World, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.zeros((6, 6)))
    values = {}
    for ties in ("average", "optimistic", "pessimistic", "reference"):
        values[ties] = recalls(score(world, tmp_path / "s.npy", "--json", "--ties", ties))[0]
    assert values == pytest.approx(
        {"average": 100 / 6, "optimistic": 100, "pessimistic": 0, "reference": 100 / 6}
    )


def test_a_score_that_is_not_finite_is_an_error_with_its_count(world: World, tmp_path: Path) -> None:
    matrix = np.eye(6)
    matrix[:, 2] = np.nan
    np.save(tmp_path / "s.npy", matrix)
    result = score(world, tmp_path / "s.npy", "--output", str(tmp_path / "out"))
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: 6 of the")
    assert not (tmp_path / "out").exists()
    reference = score(world, tmp_path / "s.npy", "--ties", "reference")
    assert reference.exit_code == 0
    assert "vanished" in reference.stdout
    assert "NOT COMPARABLE" in reference.stdout


def test_what_is_no_matrix_of_the_protocol_is_told(world: World, tmp_path: Path) -> None:
    path = tmp_path / "s.npy"
    cases: list[tuple[object, str]] = [
        (np.zeros((6, 5)), "has shape (6, 5), but didemo/paragraph needs (6, 6)"),
        (np.zeros(36), "holds an array [36], not a similarity matrix"),
        (np.zeros((6, 6), dtype=complex), "not of real numbers"),
        (np.array([["a"] * 6] * 6), "no array of numbers"),
        (np.array([[None] * 6] * 6), "holds Python objects"),
    ]
    for content, message in cases:
        np.save(path, content, allow_pickle=True)  # type: ignore[arg-type]
        result = score(world, path)
        assert result.exit_code == 3
        assert message in result.stderr


@pytest.mark.parametrize(
    "content", [b"", b"1,2\n3,4\n", b"PK\x03\x04 cut", b"\x93NUMPY\x01\x00", b"\x80\x02}."]
)
def test_a_file_that_is_damaged_or_of_another_kind_is_told(
    world: World, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "s.npy").write_bytes(content)
    result = score(world, tmp_path / "s.npy")
    assert result.exit_code == 3
    assert "s.npy" in result.stderr
    assert "Traceback" not in result.stderr


def test_ids_that_are_no_strings_are_not_left_unread(world: World, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", similarity=SWAPPED, row_ids=ORDER)
    torch.save({"similarity": torch.from_numpy(SWAPPED), "column_ids": ORDER.tolist()}, tmp_path / "s.pt")
    save_file({"s": SWAPPED}, tmp_path / "s.safetensors", {"row_ids": ",".join(STEMS)})
    for name in ("s.npz", "s.pt", "s.safetensors"):
        result = score(world, tmp_path / name)
        assert result.exit_code == 3
        assert "_ids must be a list of strings" in result.stderr


def test_a_torch_file_with_code_is_not_opened(world: World, tmp_path: Path) -> None:
    torch.save({"similarity": torch.eye(6), "model": torch.nn.Linear(2, 2)}, tmp_path / "s.pt")
    result = score(world, tmp_path / "s.pt")
    assert result.exit_code == 3
    assert "runs no code from a file" in result.stderr


def test_a_missing_file_is_told(world: World, tmp_path: Path) -> None:
    missing = score(world, tmp_path / "absent.npy")
    assert missing.exit_code == 3
    assert "absent.npy" in missing.stderr
