"""`xbench score`: metrics of a matrix from elsewhere, and the errors for what is no such matrix."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.pipeline.conftest import World
from xbench.cli import main


def score(world: World, matrix: Path, *more: str) -> Result:
    arguments = ["score", str(matrix), "--dataset", "didemo", "--annotations", str(world.annotations), *more]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_the_metrics_are_those_of_the_matrix(world: World, tmp_path: Path) -> None:
    matrix = np.eye(6, dtype=np.float32)
    matrix[0, 1] = 2.0  # the first caption ranks its video second, the second video its caption second
    np.save(tmp_path / "s.npy", matrix)
    result = score(world, tmp_path / "s.npy", "--json")
    assert result.exit_code == 0, result.stderr
    metrics = json.loads(result.stdout)["metrics"]
    assert metrics["t2v"]["R@1"]["value"] == pytest.approx(100 * 5 / 6)
    assert metrics["v2t"]["R@1"]["value"] == pytest.approx(100 * 5 / 6)
    assert metrics["t2v"]["MnR"]["value"] == pytest.approx(7 / 6)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_any_real_dtype_is_ranked_as_it_is(world: World, tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "s.npy", np.eye(6, dtype=dtype))
    assert (
        json.loads(score(world, tmp_path / "s.npy", "--json").stdout)["metrics"]["t2v"]["R@1"]["value"] == 100
    )


def test_ties_are_average_unless_asked_otherwise(world: World, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.zeros((6, 6)))
    values = {}
    for ties in ("average", "optimistic", "pessimistic", "reference"):
        saved = json.loads(score(world, tmp_path / "s.npy", "--json", "--ties", ties).stdout)
        values[ties] = saved["metrics"]["t2v"]["R@1"]["value"]
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
        (np.zeros((6, 5)), r"(6, 6)"),
        (np.zeros(36), r"(6, 6)"),
        (np.zeros((6, 6), dtype=complex), "real numbers"),
        (np.array([["a"] * 6] * 6), "real numbers"),
        (np.array([[None] * 6] * 6), "not an .npy file"),
    ]
    for content, message in cases:
        np.save(path, content, allow_pickle=True)  # type: ignore[arg-type]
        result = score(world, path)
        assert result.exit_code == 3
        assert message in result.stderr
    path.write_bytes(b"")
    assert score(world, path).exit_code == 3
    path.write_text("1,2\n3,4\n")
    assert score(world, path).exit_code == 3
    missing = score(world, tmp_path / "absent.npy")
    assert missing.exit_code == 3
    assert "absent.npy" in missing.stderr
