"""No order, no trust: scores that rank like guesses, worse than guesses, or with ids on one side only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import xbench
from xbench.cli import main
from xbench.data.split import Split
from xbench.errors import DataError
from xbench.metrics.ranking import t2v_counts
from xbench.pipeline.trust import judge_model

ITEMS = 40
IDS = [f"clip{row:03d}" for row in range(ITEMS)]
RANDOM = np.random.default_rng(5)
TEXTS = RANDOM.normal(size=(ITEMS, 12)).astype(np.float32)
VIDEOS = (TEXTS + 0.9 * RANDOM.normal(size=TEXTS.shape)).astype(np.float32)
ORDER = RANDOM.permutation(ITEMS)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


COSINE = unit(TEXTS) @ unit(VIDEOS).T
CHANCE = "no better than chance (mean rank"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return annotations(tmp_path, ITEMS)


def annotations(folder: Path, videos: int) -> Path:
    lines = ["video_id,caption", *(f"{name},a dog number {name}" for name in IDS[:videos])]
    (folder / "own.csv").write_text("\n".join(lines))
    return folder / "own.csv"


def score(own: Path, matrix: np.ndarray, *more: str, **ids: list[str]) -> Result:
    path = own.parent / "m.npz"
    np.savez(path, similarity=matrix, **ids)
    options = ["--dataset", "msrvtt", "--annotations", str(own), "--rows", "captions", "--json"]
    return CliRunner().invoke(main, ["score", str(path), *options, *more], catch_exceptions=False)


def features(own: Path, texts: np.ndarray, videos: np.ndarray, **ids: list[str]) -> Result:
    np.save(own.parent / "t.npy", texts)
    np.savez(own.parent / "v.npz", features=videos, **ids)
    options = [
        "--dataset",
        "msrvtt",
        "--annotations",
        str(own),
        "--json",
        "--output",
        str(own.parent / "out"),
    ]
    options += ["--text-features", str(own.parent / "t.npy"), "--video-features", str(own.parent / "v.npz")]
    return CliRunner().invoke(main, ["run", "--model", "features", *options], catch_exceptions=False)


def record(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def doubts(result: Result) -> tuple[str, str]:
    """Reasons and notes of a record, each as one text."""
    found = record(result)
    return " | ".join(found["not_comparable_because"]), " | ".join(found["protocol"]["notes"])


def test_a_matrix_in_the_protocols_order_is_trusted(own: Path) -> None:
    reasons, notes = doubts(score(own, COSINE))
    assert "chance" not in reasons + notes


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("axis", [0, 1])
def test_a_random_permutation_of_one_axis_without_ids_is_not_comparable(
    own: Path, axis: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(ITEMS)
    reasons, _ = doubts(score(own, np.take(COSINE, order, axis)))
    assert CHANCE in reasons
    assert "is this the protocol's order?" in reasons
    names = ["row_ids", "column_ids"]
    one_side = {names[1 - axis]: IDS}
    reasons, notes = doubts(score(own, np.take(COSINE, order, axis), **one_side))
    assert CHANCE in reasons
    known, other = ("videos", "captions") if axis == 0 else ("captions", "videos")
    assert f"ids were given for the {known} only: the {other} are taken to be in" in notes
    right = {names[axis]: [IDS[index] for index in order], names[1 - axis]: IDS}
    assert "chance" not in "".join(doubts(score(own, np.take(COSINE, order, axis), **right)))


def test_features_in_another_order_are_not_comparable_and_ids_put_them_right(own: Path) -> None:
    assert CHANCE in doubts(features(own, TEXTS, VIDEOS[ORDER]))[0]
    right = record(features(own, TEXTS, VIDEOS[ORDER], video_ids=[IDS[index] for index in ORDER]))
    assert right["metrics"] == record(features(own, TEXTS, VIDEOS))["metrics"]
    assert "ids were given for the videos only" in " ".join(right["protocol"]["notes"])


def test_what_ranks_worse_than_guesses_is_refused_and_may_be_a_distance(own: Path) -> None:
    refused = score(own, 1 - COSINE)
    assert refused.exit_code == 3
    assert "worse than guesses (mean rank" in refused.stderr
    assert "Are these distances?" in refused.stderr
    assert "--distance" in refused.stderr
    with_ids = score(own, 1 - COSINE, row_ids=IDS, column_ids=IDS)
    assert with_ids.exit_code == 3
    right = record(score(own, 1 - COSINE, "--distance"))
    assert right["metrics"] == record(score(own, COSINE))["metrics"]
    assert right["scorer"]["settings"]["distance"] is True
    turned = score(own, COSINE, "--distance")
    assert turned.exit_code == 3
    assert "Are these similarities? Then leave --distance out." in turned.stderr
    away = features(own, TEXTS, -VIDEOS)
    assert away.exit_code == 3, away.stderr


def test_evaluate_refuses_and_takes_distances_too() -> None:
    owners = list(range(ITEMS))
    with pytest.raises(DataError, match=r"Are these distances\?"):
        xbench.evaluate(1 - COSINE, caption_to_video=owners)
    right = xbench.evaluate(1 - COSINE, caption_to_video=owners, distance=True)
    assert right.metrics == xbench.evaluate(COSINE, caption_to_video=owners).metrics
    guessed = xbench.evaluate(COSINE[ORDER], caption_to_video=owners)
    assert any(CHANCE in reason for reason in guessed.record.not_comparable_because)


def test_below_twenty_videos_there_is_a_note_only(tmp_path: Path) -> None:
    own = annotations(tmp_path, 19)
    for matrix in (COSINE[:19, :19], 1 - COSINE[:19, :19]):
        reasons, notes = doubts(score(own, matrix))
        assert "chance" not in reasons
        assert "19 videos, below 20, are too few to tell" in notes
    assert "too few" not in doubts(score(own, COSINE[:19, :19], row_ids=IDS[:19], column_ids=IDS[:19]))[1]


@pytest.mark.parametrize(
    ("matrix", "said"),
    [(COSINE[ORDER], "no better than chance"), (-COSINE, "worse than chance"), (COSINE, None)],
)
def test_a_model_at_or_below_chance_gets_a_warning_and_keeps_its_number(
    capsys: pytest.CaptureFixture[str], own: Path, matrix: np.ndarray, said: str | None
) -> None:
    split: Split = xbench.load_split("msrvtt", own)
    trust = judge_model(
        t2v_counts(matrix, split.caption_to_video), split, "Mine.similarity (mine.py, line 3)"
    )
    assert trust.reasons == ()
    err = capsys.readouterr().err
    if said is None:
        assert (err, trust.notes) == ("", ())
    else:
        assert f"Warning: the scores are {said}" in err
        assert said in trust.notes[0]
    minus = "is a minus forgotten in Mine.similarity (mine.py, line 3)?"
    assert (minus in err) == (said == "worse than chance")


INPUTS = {
    "score 01_matrix_text_ids.npz --rows captions": (45.0, 4.075, 32.5, 4.525),
    "run --video-features 02_videos_video_ids.npz": (45.0, 4.075, 32.5, 4.525),
    "run --video-features 03_videos.npy": (45.0, 4.075, 32.5, 4.525),
    "run --video-features 04_videos_video_mask.npz": (72.5, 1.85, 70.0, 1.95),
    "run --video-features 05_videos_lengths.npz": (72.5, 1.85, 70.0, 1.95),
    "score 06_cosine_distance.npy --rows captions": None,
    "score 06_cosine_distance.npy --rows captions --distance": (45.0, 4.075, 32.5, 4.525),
    "score 07_matrix.npy --rows captions --row-ids 07_ids_bom.txt": (45.0, 4.075, 32.5, 4.525),
    "score 07_matrix.npy --rows captions --row-ids 08_ids_blank_end.txt": (45.0, 4.075, 32.5, 4.525),
}


@pytest.mark.parametrize("line", INPUTS)
def test_files_that_were_misread_give_their_right_values(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    if not (shared / "cases" / "inputs").is_dir():
        pytest.skip("the files are not on this machine")
    monkeypatch.chdir(shared / "cases" / "inputs")
    arguments = [*line.split(), "--dataset", "msrvtt", "--annotations", "annotations.csv", "--json"]
    if arguments[0] == "run":
        arguments += ["--model", "features", "--text-features", "texts.npy", "--output", str(tmp_path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    if INPUTS[line] is None:
        assert result.exit_code == 3
        return
    metrics = record(result)["metrics"]
    found = [metrics[side][name]["value"] for side in ("t2v", "v2t") for name in ("R@1", "MnR")]
    assert found == pytest.approx(INPUTS[line])
