"""`xbench run --model features`: the same numbers from every form of file, no video file, and every fault."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

from tests.pipeline.conftest import STEMS, World
from xbench.cli import main
from xbench.metrics.ranking import t2v_counts, v2t_counts

RANDOM = np.random.default_rng(7)
TEXTS = RANDOM.normal(size=(6, 8)).astype(np.float32)
VIDEOS = (TEXTS + 0.9 * RANDOM.normal(size=(6, 8))).astype(np.float32) * RANDOM.uniform(1, 9, (6, 1))
VIDEOS = VIDEOS.astype(np.float32)
ORDER = np.array([3, 0, 5, 1, 2, 4])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def run(world: World, texts: Path, videos: Path, *more: str) -> Result:
    arguments = ["run", "--model", "features", "--dataset", "didemo", "--annotations", str(world.annotations)]
    arguments += ["--text-features", str(texts), "--video-features", str(videos)]
    arguments += ["--output", str(world.output), *([] if "--dry-run" in more else ["--json"]), *more]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def mean_ranks(result: Result) -> tuple[float, float]:
    assert result.exit_code == 0, result.stderr
    metrics = json.loads(result.stdout)["metrics"]
    return metrics["t2v"]["MnR"]["value"], metrics["v2t"]["MnR"]["value"]


def expected(similarity: np.ndarray) -> Any:
    sides = t2v_counts(similarity, np.arange(6)), v2t_counts(similarity, np.arange(6))
    return pytest.approx(tuple((counts.better + 1 + counts.tied / 2).mean() for counts in sides))


COSINE, DOT = unit(TEXTS) @ unit(VIDEOS).T, TEXTS @ VIDEOS.T


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Text and video features without ids, in protocol order."""
    np.save(tmp_path / "texts.npy", TEXTS)
    np.save(tmp_path / "videos.npy", VIDEOS)
    return tmp_path / "texts.npy", tmp_path / "videos.npy"


def test_the_two_similarities_differ_here() -> None:
    assert expected(COSINE) != expected(DOT).expected


def test_features_in_protocol_order_are_compared_by_cosine_or_dot(
    world: World, files: tuple[Path, Path]
) -> None:
    for video in (world.videos / "somewhere").iterdir():
        video.unlink()
    assert mean_ranks(run(world, *files)) == expected(COSINE)
    assert mean_ranks(run(world, *files, "--model-args", "similarity=dot")) == expected(DOT)


def test_the_record_says_what_was_compared(world: World, files: tuple[Path, Path]) -> None:
    record = json.loads(run(world, *files, "--model-args", "name=mine").stdout)
    assert record["scorer"]["name"] == "mine"
    assert record["scorer"]["settings"]["similarity"] == "cosine"
    assert record["scorer"]["settings"]["text_features"] == "texts.npy"
    assert len(record["scorer"]["identity"]["videos"]) == 64


def test_the_saved_matrix_is_the_similarity(world: World, files: tuple[Path, Path], tmp_path: Path) -> None:
    run(world, *files, "--save-similarity", str(tmp_path / "s.npy"))
    assert np.allclose(np.load(tmp_path / "s.npy"), COSINE, atol=1e-6)


def test_ids_inside_or_beside_bring_every_kind_of_file_into_order(world: World, tmp_path: Path) -> None:
    texts, videos = [f"{STEMS[index]}#0" for index in ORDER], [STEMS[index] for index in ORDER[::-1]]
    np.savez(tmp_path / "t.npz", features=TEXTS[ORDER], ids=texts)
    save_file({"features": VIDEOS[ORDER[::-1]]}, tmp_path / "v.safetensors", {"ids": json.dumps(videos)})
    assert mean_ranks(run(world, tmp_path / "t.npz", tmp_path / "v.safetensors")) == expected(COSINE)
    np.savez(tmp_path / "each.npz", **{STEMS[index]: TEXTS[index] for index in ORDER})
    save_file({STEMS[index]: VIDEOS[index] for index in ORDER}, tmp_path / "each.safetensors")
    assert mean_ranks(run(world, tmp_path / "each.npz", tmp_path / "each.safetensors")) == expected(COSINE)
    np.save(tmp_path / "beside.npy", TEXTS[ORDER])
    captions = [f"the cat {index} a dog runs {index}" for index in ORDER]
    (tmp_path / "beside.ids.json").write_text(json.dumps(captions))
    np.save(tmp_path / "more.npy", np.concatenate([VIDEOS[ORDER], VIDEOS]))
    others = [f"another video {index}" for index in range(6)]
    (tmp_path / "more.ids.txt").write_text("\n".join([*(STEMS[index] for index in ORDER), *others]))
    assert mean_ranks(run(world, tmp_path / "beside.npy", tmp_path / "more.npy")) == expected(COSINE)


def test_a_text_of_several_captions_names_one_feature_and_not_several(world: World, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("video_id,caption\nv,a dog\nw,a cat\nx,a dog\n")
    own = replace(world, annotations=tmp_path / "my.csv")
    np.savez(tmp_path / "v.npz", features=np.eye(3, dtype=np.float32), ids=["v", "w", "x"])
    np.savez(tmp_path / "t.npz", features=np.eye(3, dtype=np.float32), ids=["a dog", "a cat", "a dog"])
    refused = run(own, tmp_path / "t.npz", tmp_path / "v.npz")
    assert refused.exit_code == 3
    assert "2 rows have the id 'a dog'" in refused.stderr
    np.savez(tmp_path / "t.npz", features=np.eye(3, dtype=np.float32)[:2], ids=["a dog", "a cat"])
    assert mean_ranks(run(own, tmp_path / "t.npz", tmp_path / "v.npz"))[0] == pytest.approx(4 / 3 + 1 / 6)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_precisions_are_taken(world: World, tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "t.npy", TEXTS.astype(dtype))
    np.save(tmp_path / "v.npy", VIDEOS.astype(dtype))
    assert mean_ranks(run(world, tmp_path / "t.npy", tmp_path / "v.npy")) == expected(COSINE)


def maxsim(texts: list[np.ndarray], videos: list[np.ndarray]) -> np.ndarray:
    """ColBERT's late interaction, pair by pair."""
    return np.array([[(text @ video.T).max(axis=1).sum() for video in videos] for text in texts])


@pytest.fixture
def several(tmp_path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One to three vectors for each text, one to four for each video; saved as texts.npz and videos.npy."""
    texts = [RANDOM.normal(size=(1 + index % 3, 8)).astype(np.float32) for index in range(6)]
    videos = [RANDOM.normal(size=(1 + index % 4, 8)).astype(np.float32) for index in range(6)]
    np.savez(tmp_path / "texts.npz", **dict(zip(STEMS, texts, strict=True)))
    padded, mask = np.full((6, 4, 8), np.nan, np.float32), np.zeros((6, 4), np.uint8)
    for row, video in enumerate(videos):
        padded[row, : len(video)], mask[row, : len(video)] = video, 1
    np.save(tmp_path / "videos.npy", padded)
    np.save(tmp_path / "videos.mask.npy", mask)
    return texts, videos


def test_several_vectors_are_compared_by_maxsim_within_their_masks(
    world: World, tmp_path: Path, several: tuple[list[np.ndarray], list[np.ndarray]]
) -> None:
    texts, videos = several
    paths = tmp_path / "texts.npz", tmp_path / "videos.npy"
    run(world, *paths, "--save-similarity", str(tmp_path / "cosine.npy"))
    naive = maxsim([unit(text) for text in texts], [unit(video) for video in videos])
    assert np.allclose(np.load(tmp_path / "cosine.npy"), naive, atol=1e-5)
    more = ["--model-args", "similarity=maxsim-dot", "--save-similarity", str(tmp_path / "dot.npy")]
    run(world, *paths, *more)
    assert np.allclose(np.load(tmp_path / "dot.npy"), maxsim(texts, videos), atol=1e-5)


def test_one_vector_may_meet_several(
    world: World, tmp_path: Path, several: tuple[list[np.ndarray], list[np.ndarray]]
) -> None:
    np.save(tmp_path / "single.npy", TEXTS)
    run(world, tmp_path / "single.npy", tmp_path / "videos.npy", "--save-similarity", str(tmp_path / "s.npy"))
    naive = maxsim(list(unit(TEXTS)[:, None]), [unit(video) for video in several[1]])
    assert np.allclose(np.load(tmp_path / "s.npy"), naive, atol=1e-5)


def test_captions_of_equal_features_tie_exactly(world: World, tmp_path: Path) -> None:
    wide = RANDOM.normal(size=(8, 512)).astype(np.float32)
    np.save(tmp_path / "t.npy", wide[[0, 1, 0, 1, 0, 1]])
    np.save(tmp_path / "v.npy", wide[2:])
    record = json.loads(run(world, tmp_path / "t.npy", tmp_path / "v.npy").stdout)
    assert record["ties"]["tied"] == {"t2v": 0, "v2t": 6}


def test_a_missing_video_stops_the_run_and_a_missing_caption_always_does(
    world: World, files: tuple[Path, Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "v.npz", **{name: VIDEOS[index] for index, name in enumerate(STEMS[:5])})
    result = run(world, files[0], tmp_path / "v.npz")
    assert result.exit_code == 3
    assert f"no features for 1 of the 6 videos of didemo/paragraph: {STEMS[5]}" in result.stderr
    allowed = run(world, files[0], tmp_path / "v.npz", "--allow-missing")
    assert mean_ranks(allowed) is not None
    record = json.loads(allowed.stdout)
    assert record["videos"]["missing"] == [STEMS[5]]
    assert record["queries"] == {"t2v": 5, "v2t": 5}
    np.savez(tmp_path / "t.npz", **{name: TEXTS[index] for index, name in enumerate(STEMS[1:])})
    absent = run(world, tmp_path / "t.npz", files[1], "--allow-missing")
    assert absent.exit_code == 3
    assert "no features for 1 of the 6 captions" in absent.stderr


ZERO, NAN = TEXTS.copy(), TEXTS.copy()
ZERO[2], NAN[4, 1] = 0, np.nan


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (TEXTS[:5], "has 5 items and no ids"),
        (TEXTS[:, :4], "4 dimensions"),
        (ZERO, "of length zero, which have no direction: 1 of 6, the first at row 2"),
        (NAN, "NaN, infinite or overflow: 1 of 6, the first at row 4"),
        (TEXTS[0], "expected real numbers"),
        (TEXTS.astype(complex), "expected real numbers"),
        (np.array([["a"] * 6]), "no array of numbers"),
    ],
)
def test_features_that_do_not_fit_are_told(
    world: World, files: tuple[Path, Path], tmp_path: Path, features: np.ndarray, said: str
) -> None:
    np.save(tmp_path / "bad.npy", features)
    result = run(world, tmp_path / "bad.npy", files[1])
    assert result.exit_code == 3
    assert said in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"features": TEXTS, "ids": [*STEMS[:5], STEMS[0]]}, "several features for 1 ids"),
        ({"features": TEXTS, "ids": STEMS[:5]}, "5 ids for 6 items"),
        ({"features": TEXTS, "ids": np.arange(6)}, "ids must be a list of strings"),
        ({"a": TEXTS[0], "b": TEXTS[1], "ids": STEMS[:2]}, "holds b, which nothing reads"),
        ({"features": TEXTS, "mask": np.ones((6, 2))}, "expected a mask [items, vectors] for"),
        ({"features": np.ones((6, 2, 8)), "mask": np.full((6, 2), 2)}, "other values than 0 and 1"),
        ({"features": np.ones((6, 2, 8)), "mask": np.eye(6, 2)}, "4 items without a vector"),
        ({"a": TEXTS[0], "b": TEXTS}, "one array of equal width for each id"),
    ],
)
def test_contents_that_contradict_themselves_are_told(
    world: World, files: tuple[Path, Path], tmp_path: Path, content: dict[str, Any], said: str
) -> None:
    np.savez(tmp_path / "bad.npz", **content)
    result = run(world, tmp_path / "bad.npz", files[1])
    assert result.exit_code == 3
    assert said in result.stderr


def test_ids_in_two_places_are_an_error(world: World, files: tuple[Path, Path]) -> None:
    files[0].with_suffix(".ids.txt").write_text("\n".join(STEMS))
    files[0].with_suffix(".ids.json").write_text(json.dumps(STEMS))
    result = run(world, *files)
    assert result.exit_code == 3
    assert "both stand beside texts.npy: keep one" in result.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--videos", "."], "leave --videos out"),
        (["--model-args", "similarity=euclid"], "similarity=euclid: expected"),
        (["--checkpoint", "w.bin"], "--model features has no --checkpoint"),
    ],
)
def test_options_that_mean_nothing_here_are_refused(
    world: World, files: tuple[Path, Path], more: list[str], said: str
) -> None:
    result = run(world, *files, *more)
    assert result.exit_code == 2
    assert said in result.stderr


def test_cosine_of_several_vectors_is_refused(
    world: World, tmp_path: Path, several: tuple[list[np.ndarray], list[np.ndarray]]
) -> None:
    paths = tmp_path / "texts.npz", tmp_path / "videos.npy"
    result = run(world, *paths, "--model-args", "similarity=cosine")
    assert result.exit_code == 2
    assert "use maxsim" in result.stderr


def test_a_dry_run_matches_the_features_and_scores_nothing(world: World, files: tuple[Path, Path]) -> None:
    result = run(world, *files, "--dry-run")
    assert result.exit_code == 0
    assert "6 captions, 6 videos, features in" in result.stdout
    assert not world.output.exists()
    np.save(files[0], TEXTS[:5])
    assert run(world, *files, "--dry-run").exit_code == 3
