"""What a report reads beyond the record: only what is the run's own, whatever a stranger's record names."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xbench
from xbench.pipeline.material import find_places, gather
from xbench.reports.record.files import Measurement, read
from xbench.reports.record.schema import Settings

VIDEOS = 30


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "seed=1" / "own.csv"
    path.parent.mkdir()
    rows = "".join(f"clip{i},shape number {i}\n" for i in range(VIDEOS))
    path.write_text("video_id,caption\n" + rows)
    return path


@pytest.fixture
def measured(tmp_path: Path, annotations: Path) -> Measurement:
    split = xbench.load_split("msrvtt", annotations, "custom")
    similarity = np.random.default_rng(0).standard_normal((VIDEOS, VIDEOS)).astype(np.float32)
    similarity[np.diag_indices(VIDEOS)] += 2
    np.save(tmp_path / "own.npy", similarity)
    np.save(tmp_path / "other.npy", similarity[::-1].copy())
    return read(Path(str(xbench.evaluate(similarity, split=split).save(tmp_path / "results"))))


def told(measured: Measurement, **paths: Any) -> Measurement:
    """The record as a stranger may have written it."""
    passed = {"dataset": "msrvtt", "protocol": "custom"} | {name: str(path) for name, path in paths.items()}
    record = measured.record.model_copy(update={"settings": Settings(passed=passed)})
    return Measurement(record, measured.per_query, measured.path)


def test_what_the_run_was_given_is_found_again(
    measured: Measurement, annotations: Path, tmp_path: Path
) -> None:
    own = told(measured, annotations=annotations, save_similarity=tmp_path / "own.npy")
    material = gather(own, find_places(own.record, None, None, None))
    assert material.captions is not None
    assert material.captions[3] == "shape number 3"
    assert material.similarity is not None


def test_recorded_files_of_other_content_are_left_out(
    measured: Measurement, annotations: Path, tmp_path: Path
) -> None:
    other = annotations.with_name("other.csv")
    other.write_text(annotations.read_text().replace("number 3", "number three"))
    foreign = told(measured, annotations=other, save_similarity=tmp_path / "other.npy")
    material = gather(foreign, find_places(foreign.record, None, None, None))
    assert (material.captions, material.similarity) == (None, None)
    assert len(material.missing) == 2


@pytest.mark.parametrize(
    "name", ["pipe", "nothing", "hf:someone/something", "/", "/dev/zero", "x" * 5000, "a\0b"]
)
def test_recorded_paths_that_are_no_files_or_folders_are_not_followed(
    measured: Measurement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XBENCH_DATA", raising=False)
    os.mkfifo(tmp_path / "pipe")
    foreign = told(measured, annotations=name, videos=name, save_similarity=name)
    places = find_places(foreign.record, None, None, None)
    assert (places.annotations.path, places.videos.path, places.similarity.path) == (None, None, None)


def test_nothing_is_written_where_a_record_says(
    measured: Measurement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def folders(benchmark: str, cache: Path) -> tuple[Path, Path]:
        seen.append(cache)
        return tmp_path, tmp_path

    monkeypatch.setattr("xbench.pipeline.material.miniature_folders", folders)
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "mine"))
    foreign = told(measured, cache_dir=tmp_path / "theirs")
    record = foreign.record.model_copy(update={"miniature": True})
    find_places(record, None, None, None)
    assert seen == [tmp_path / "mine"]
    assert not (tmp_path / "theirs").exists()
