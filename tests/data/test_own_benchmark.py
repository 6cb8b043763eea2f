"""A benchmark of one's own: an invented sixth one, from its YAML file to a board."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from xbench.cli import main
from xbench.data.loading import load_split
from xbench.data.recognition import recognise
from xbench.errors import DataError, UsageError
from xbench.pipeline.plan import by_benchmark
from xbench.registry import datasets as registry
from xbench.registry.datasets import benchmark, benchmarks, find_protocol

CLIPS = 24
YAML = """\
benchmarks:
  cooking:
    name: Cooking
    words: 20
    frames: 8
    protocols:
      test:
        title: Cooking, two captions a clip
        v2t: any-caption
        read: {file: captions.tsv, id: clip, caption: said, start: from, end: to}
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What one test names, the next one does not know."""
    monkeypatch.setattr(registry, "_named", {})
    monkeypatch.setenv("XBENCH_DATASETS", "")
    return


@pytest.fixture
def cooking(tmp_path: Path) -> Path:
    """The file of a benchmark with 24 clips, two captions and a window each, and its features beside it."""
    rows = [f"c{n}\t{verb} dish {n}\t{n / 10}\t{n + 3}" for n in range(CLIPS) for verb in ("stir", "taste")]
    (tmp_path / "captions.tsv").write_text("\n".join(["clip\tsaid\tfrom\tto", *rows, "\t\t\t", ""]), "utf-8")
    rng = np.random.default_rng(3)
    videos = rng.normal(size=(CLIPS, 8)).astype(np.float32)
    texts = np.repeat(videos, 2, axis=0) + rng.normal(size=(2 * CLIPS, 8)).astype(np.float32) / 2
    np.save(tmp_path / "videos.npy", videos)
    np.save(tmp_path / "texts.npy", texts)
    np.save(tmp_path / "similarity.npy", texts @ videos.T)
    path = tmp_path / "cooking.yaml"
    path.write_text(YAML, "utf-8")
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def run(cooking: Path, to: str, dataset: str | Path | None = None) -> Result:
    folder = cooking.parent
    return call(
        *("run", "--model", "features", "--dataset", dataset or cooking, "--output", folder / to),
        *("--text-features", folder / "texts.npy", "--video-features", folder / "videos.npy"),
    )


def record(cooking: Path, to: str) -> dict:
    (path,) = (cooking.parent / to).glob("*.json")
    return dict(json.loads(path.read_text("utf-8")))


def with_fingerprint(cooking: Path) -> Path:
    printed = call("datasets", "fingerprint", cooking)
    assert printed.exit_code == 0, printed.output
    cooking.write_text(YAML + printed.stdout, "utf-8")
    return cooking


def test_from_the_file_to_a_board(cooking: Path) -> None:
    first = run(cooking, "before")
    assert first.exit_code == 0, first.output
    assert "cooking/test has no fingerprint yet" in record(cooking, "before")["not_comparable_because"][0]
    with_fingerprint(cooking)
    assert call("datasets", "verify", cooking).exit_code == 0
    second = run(cooking, "after")
    assert "The full protocol cooking/test; no published row." in second.stdout
    found = record(cooking, "after")
    assert found["comparable"]
    assert found["protocol"]["v2t"] == "any-caption"
    scored = call(
        "score", cooking.parent / "similarity.npy", "--dataset", cooking, "--output", cooking.parent / "score"
    )
    assert scored.exit_code == 0, scored.output
    folders = [cooking.parent / name for name in ("before", "after", "score")]
    board = call("leaderboard", *folders, "--dataset", cooking, "--protocol", "cooking/test")
    assert board.stdout.count("cooking/test (own benchmark") == 2
    assert "own content" not in board.stdout
    everything = call("leaderboard", *folders).stdout
    assert "cooking/test (own content" in everything


def test_v2t_follows_the_rule_of_the_file(cooking: Path) -> None:
    """With any-caption a video's rank is that of its best caption among all captions."""
    for rule in ("any-caption", "group-max"):
        cooking.write_text(YAML.replace("any-caption", rule), "utf-8")
        matrix = cooking.parent / "similarity.npy"
        call("score", matrix, "--dataset", cooking, "--output", cooking.parent / rule)
    similarity = np.load(matrix)
    own = np.arange(2 * CLIPS) // 2
    best = [1 + (similarity[:, v] > similarity[own == v, v].max()).sum() for v in range(CLIPS)]
    assert record(cooking, "any-caption")["metrics"]["v2t"]["MnR"]["value"] == pytest.approx(np.mean(best))
    assert record(cooking, "group-max")["metrics"]["v2t"]["MnR"]["value"] != pytest.approx(np.mean(best))


@pytest.mark.parametrize(
    ("old", "new"),
    [("stir dish 7", "stir dish 70"), ("c9\t", "c99\t"), ("\t3\n", "\t4\n"), ("0.5\t", "0.4\t")],
)
def test_a_changed_copy_is_not_comparable(cooking: Path, old: str, new: str) -> None:
    with_fingerprint(cooking)
    captions = cooking.parent / "captions.tsv"
    captions.write_text(captions.read_text("utf-8").replace(old, new), "utf-8")
    entry = benchmark(cooking)
    recognition = recognise(load_split(entry.id, cooking.parent))
    assert not recognition.comparable
    assert "cooking/test" in recognition.reasons[0]
    assert call("datasets", "verify", cooking).exit_code == 3


def test_two_benchmarks_of_one_name_stand_on_two_boards(cooking: Path) -> None:
    with_fingerprint(cooking)
    run(cooking, "one")
    captions = cooking.parent / "captions.tsv"
    captions.write_text(captions.read_text("utf-8").replace("stir", "boil"), "utf-8")
    with_fingerprint(cooking)
    run(cooking, "two")
    shown = call("leaderboard", cooking.parent / "one", cooking.parent / "two").stdout
    names = {line for line in shown.splitlines() if "(own benchmark" in line}
    assert len(names) == 4
    assert record(cooking, "one")["comparable"]
    assert record(cooking, "two")["comparable"]


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
def test_every_kind_of_caption_file_gives_the_same_split(cooking: Path, suffix: str) -> None:
    wanted = load_split(benchmark(cooking).id, cooking.parent)
    header, *rows = [line.split("\t") for line in (cooking.parent / "captions.tsv").read_text().splitlines()]
    entries = [dict(zip(header, row, strict=True)) for row in rows if row[0]]
    content = {
        "csv": "\n".join(",".join(row) for row in [header, *rows]),
        "json": json.dumps([each | {"from": float(each["from"])} for each in entries]),
        "jsonl": "\n".join(map(json.dumps, entries)),
    }
    (cooking.parent / f"captions.{suffix}").write_text(content[suffix], "utf-8")
    cooking.write_text(YAML.replace("captions.tsv", f"captions.{suffix}"), "utf-8")
    assert load_split(benchmark(cooking).id, cooking.parent) == wanted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  cooking:", "  msvd:", "line 2: benchmarks.msvd.id: msvd is a name of xbench's own"),
        ("  cooking:", "  all:", "line 2: benchmarks.all.id: all is a name of xbench's own"),
        ("    name: Cooking", "    id: msvd", "line 1: benchmarks: cooking: leave out id"),
        ("        title", "        id: msvd/test\n        title", "cooking/test: leave out id"),
        (
            "      test:",
            "      custom:",
            "line 7: .*protocols.custom: custom is the protocol",
        ),
        ("words: 20", "words: 0", "line 4: benchmarks.cooking.words"),
        ("any-caption", "best", "line 9: benchmarks.cooking.protocols.test.v2t"),
        ("file: captions.tsv", "file: captions.xml", r"line 10: .*read.file: name a .csv"),
        ("file: captions.tsv", "file: /etc/captions.csv", "line 10: .*relative"),
        (", end: to", "", "line 10: .*start needs an end"),
        ("id: clip", "ids: clip", "line 10: .*read.ids"),
        ("    words: 20", "    fetch: {a.csv: {bytes: 1, sha256: " + 64 * "0" + "}}", "cooking.fetch"),
        ("id: clip", "id: said", "line 10: .*need a column each"),
        ("words: 20", "window: [5, 1]", "line 4: .*window"),
        ("words: 20", "window: [0, .nan]", "line 4: .*window"),
        ("benchmarks:", "benchmark:", "line 1: benchmark"),
    ],
)
def test_faults_of_the_file_are_told_by_line_and_key(cooking: Path, old: str, new: str, message: str) -> None:
    cooking.write_text(YAML.replace(old, new), "utf-8")
    with pytest.raises(UsageError, match=message) as error:
        benchmark(cooking)
    assert str(cooking) in str(error.value)


def test_hashes_without_their_counts_or_windows_are_no_fingerprint(cooking: Path) -> None:
    lines = with_fingerprint(cooking).read_text("utf-8").splitlines()
    cooking.write_text("\n".join(line for line in lines if "windows" not in line), "utf-8")
    with pytest.raises(UsageError, match="sha256 without windows"):
        benchmark(cooking)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c0\tother window\t1\t9", "line 51: 'c0' is scored from 1 to 9 seconds here"),
        ("new\tends first\t9\t1", "line 51: expected a part of the video"),
        ("new\tno number\t?\t1", "line 51: expected 'from' in seconds"),
        ("new\tnever\t0\tinf", "line 51: expected 'to' in seconds"),
        ("new\t \t0\t1", "line 51: expected a clip and a said, one is empty"),
    ],
)
def test_wrong_rows_are_told_by_line(cooking: Path, row: str, message: str) -> None:
    with (cooking.parent / "captions.tsv").open("a", encoding="utf-8") as file:
        file.write(f"{row}\n")
    with pytest.raises(DataError, match=message):
        load_split(benchmark(cooking).id, cooking.parent)


@pytest.mark.parametrize("folder", ["~nobody-of-this-name/x", "nowhere", "/nowhere", "a\\0b"])
def test_folders_that_are_none_are_named(cooking: Path, folder: str) -> None:
    cooking.write_text(YAML.replace("    words", f'    annotations: "{folder}"\n    words'), "utf-8")
    outcome = call("datasets", "verify", cooking)
    assert outcome.exit_code == 3, outcome.output
    assert "is not a folder" in outcome.stderr


def test_a_home_that_nobody_has_is_a_path_like_any_other() -> None:
    outcome = call("score", "x.npy", "--dataset", "msvd", "--annotations", "~nobody-of-this-name/x")
    assert outcome.exit_code == 3, outcome.output
    assert "~nobody-of-this-name" in outcome.stderr


def test_what_own_benchmarks_do_not_have_is_said(cooking: Path) -> None:
    for arguments in (
        ("datasets", "fetch", cooking),
        ("miniature", cooking.parent / "m", "--dataset", cooking),
    ):
        outcome = call(*arguments)
        assert outcome.exit_code == 2, outcome.output
        assert "cooking" in outcome.stderr
    assert not (cooking.parent / "m").exists()


def test_two_files_of_one_name_are_refused(cooking: Path) -> None:
    other = cooking.with_name("other.yaml")
    other.write_text(YAML, "utf-8")
    benchmark(cooking)
    with pytest.raises(UsageError, match="both name the benchmark cooking"):
        benchmark(other)


def test_a_layer_adds_names_and_is_not_read_for_shipped_ones(
    cooking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XBENCH_DATASETS", str(cooking))
    assert benchmark("cooking").home == cooking.resolve()
    assert find_protocol("cooking/test") is not None
    assert "cooking/test" in call("datasets", "list").stdout
    cooking.write_text("benchmarks: [", "utf-8")
    assert benchmark("msvd").home is None
    with pytest.raises(UsageError, match="no YAML"):
        benchmark("cooking")
    monkeypatch.delenv("XBENCH_DATASETS")
    monkeypatch.chdir(cooking.parent)
    os.replace(cooking, "datasets.yaml")
    Path("datasets.yaml").write_text(YAML, "utf-8")
    assert benchmark("cooking").home == Path("datasets.yaml").resolve()


def test_a_sixth_shipped_benchmark_needs_no_room(
    cooking: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprint = call("datasets", "fingerprint", cooking).stdout
    (tmp_path / "data").mkdir()
    (tmp_path / "captions.tsv").rename(tmp_path / "data" / "captions.tsv")
    more = YAML.split("\n", 1)[1].replace(
        "    words",
        "    annotations: data\n    videos: data/videos\n    default_protocol: cooking/test\n    words",
    )
    monkeypatch.setattr(registry, "_named", {})
    shipped = {"datasets.yaml": tmp_path / "six.yaml"}
    original = registry.shipped("datasets.yaml").read_text("utf-8")
    shipped["datasets.yaml"].write_text(original + more, "utf-8")
    monkeypatch.setattr(registry, "shipped", shipped.get)
    monkeypatch.setenv("XBENCH_DATA", str(tmp_path))
    benchmarks.cache_clear()
    try:
        with pytest.raises(UsageError, match="cooking/test: a protocol needs its sha256"):
            benchmarks()
        shipped["datasets.yaml"].write_text(original + more + fingerprint, "utf-8")
        assert call("datasets", "verify", "cooking").exit_code == 0
        refused = call("run", "--dataset", "cooking", "--miniature", "--dry-run")
        assert refused.exit_code == 2
        assert "There is no miniature of 'cooking'" in refused.stderr
        every = [each["dataset"] for each in by_benchmark({"dataset": ["all"], "miniature": True})]
        assert every == [name for name in benchmarks() if name != "cooking"]
        assert "left out: cooking" in capsys.readouterr().err
    finally:
        benchmarks.cache_clear()
