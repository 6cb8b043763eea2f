"""QB-Norm through the doors: captions for a model, scores for a matrix; the record says what normalised."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xbench
from xbench.data.split import Caption, Split, Video
from xbench.errors import DataError, UsageError
from xbench.metrics.qbnorm import qbnorm_t2v_counts
from xbench.pipeline.bank import bank_of, read_captions, read_scores


def split_of(videos: int, captions: int = 1) -> Split:
    said = tuple(Caption(f"caption {row}", row // captions) for row in range(videos * captions))
    return Split("custom", "custom", tuple(Video(f"v{row}") for row in range(videos)), said)


def scores(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.6, (rows, columns)).astype(np.float32)


def test_a_matrix_is_normalised_by_the_scores_of_a_bank(tmp_path: Path) -> None:
    matrix, bank = scores(20, 20, 0), scores(50, 20, 1)
    np.save(tmp_path / "bank.npy", bank)
    found = xbench.evaluate(matrix, caption_to_video=np.arange(20), post="qbnorm", bank=tmp_path / "bank.npy")
    expected = qbnorm_t2v_counts(matrix, np.arange(20), bank_of(bank))
    assert found.record.post_processing == "qbnorm"
    assert found.record.metrics["t2v"]["R@1"].value == 100 * float((expected.better == 0).mean())
    raw = xbench.evaluate(matrix, caption_to_video=np.arange(20))
    assert found.record.metrics["v2t"] == raw.record.metrics["v2t"]
    assert any(note.startswith("QB-Norm with bank.npy (sha256 ") for note in found.record.protocol.notes)
    assert "post-processing (qbnorm) looked at a bank of captions" in found.record.not_comparable_because


def test_distances_of_a_bank_are_turned_as_those_of_the_set(tmp_path: Path) -> None:
    matrix, bank = scores(12, 12, 2), scores(9, 12, 3)
    np.save(tmp_path / "near.npy", bank)
    np.save(tmp_path / "far.npy", -bank)
    options: dict[str, Any] = {"caption_to_video": np.arange(12), "post": "qbnorm"}
    near = xbench.evaluate(matrix, bank=tmp_path / "near.npy", **options)
    far = xbench.evaluate(-matrix, bank=tmp_path / "far.npy", distance=True, **options)
    assert near.record.metrics == far.record.metrics


def test_columns_of_a_bank_are_found_by_their_ids(tmp_path: Path) -> None:
    bank, order = scores(5, 6, 4), np.random.default_rng(0).permutation(6)
    ids = np.array([f"v{column}" for column in order])
    np.savez(tmp_path / "bank.npz", similarity=bank[:, order], column_ids=ids)
    assert np.array_equal(read_scores(tmp_path / "bank.npz", split_of(6)), bank)


@pytest.mark.parametrize("shape", [(5, 4), (5,), (0, 6)])
def test_a_bank_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "bank.npy", np.zeros(shape, np.float32))
    with pytest.raises(DataError, match="--bank"):
        read_scores(tmp_path / "bank.npy", split_of(6))


def test_captions_of_a_bank_are_lines_or_a_json_list(tmp_path: Path) -> None:
    (tmp_path / "bank.txt").write_text("a man runs\n\na dog \na man runs\n", encoding="utf-8")
    (tmp_path / "bank.json").write_text(json.dumps(["a man runs", "a dog"]))
    for name in ("bank.txt", "bank.json"):
        assert read_captions(tmp_path / name).captions == ("a man runs", "a dog")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_bank_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "bank.txt").write_text(content)
    with pytest.raises(DataError, match="holds no captions"):
        read_captions(tmp_path / "bank.txt")


def test_a_json_bank_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bank.json").write_text("{}")
    with pytest.raises(DataError, match="a JSON list of captions"):
        read_captions(tmp_path / "bank.json")


def test_a_bank_without_qbnorm_and_qbnorm_without_a_bank_are_refused(tmp_path: Path) -> None:
    matrix = scores(6, 6, 0)
    for options in ({"post": "qbnorm"}, {"bank": tmp_path / "bank.npy"}):
        with pytest.raises(UsageError, match="go together"):
            xbench.evaluate(matrix, caption_to_video=np.arange(6), **options)


def test_forced_dual_softmax_says_that_its_prior_is_false() -> None:
    matrix = scores(12, 6, 1)
    with pytest.raises(UsageError, match="--force"):
        xbench.evaluate(matrix, caption_to_video=np.arange(12) // 2, post="dsl")
    found = xbench.evaluate(matrix, caption_to_video=np.arange(12) // 2, post="dsl", force=True)
    assert found.record.post_processing == "dsl"
    assert any("which is false here (12 captions of 6 videos)" in n for n in found.record.protocol.notes)


def test_a_model_encodes_the_bank(tmp_path: Path) -> None:
    bank = tmp_path / "bank.txt"
    bank.write_text("a red circle moves left\na blue square grows\na green star turns\n")
    asked: dict[str, Any] = {"miniature": True, "limit": 6, "cache_dir": tmp_path / "cache"}
    found = xbench.run("xclip", "didemo", post="qbnorm", bank=bank, **asked)
    assert found.record.post_processing == "qbnorm"
    assert any(n.startswith("QB-Norm with 3 captions of bank.txt") for n in found.record.protocol.notes)
    raw = xbench.run("xclip", "didemo", **asked)
    assert found.record.metrics["v2t"] == raw.record.metrics["v2t"]
