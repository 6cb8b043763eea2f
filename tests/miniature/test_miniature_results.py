"""The recorded results of the miniature: reached by a fresh run, and never taken for the real benchmarks'."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from xbench.cli import main
from xbench.miniature import MANNERS, checkpoint_path, vocabulary_path
from xbench.pipeline.plan import plan_runs
from xbench.pipeline.run import run
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.xclip.load import load_xclip
from xbench.scorers.xclip.scorer import XClip

RECORDS = Path(__file__).resolve().parents[2] / "results" / "miniature"
ALL = pytest.mark.parametrize("benchmark", MANNERS)

if not RECORDS.is_dir():
    pytest.skip("results/ is not part of this installation", allow_module_level=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def scorer() -> XClip:
    return load_xclip(checkpoint_path(), tokenizer=ClipTokenizer(vocabulary_path()))


def recorded(benchmark: str) -> dict[str, Any]:
    [path] = RECORDS.glob(f"{benchmark}-*.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@ALL
def test_a_fresh_run_is_within_one_query_of_the_record(benchmark, cache, scorer):
    [plan] = plan_runs([{"model": scorer, "dataset": benchmark, "miniature": True, "cache_dir": cache}])
    [measured] = run(scorer, plan)
    fresh = measured.record
    record = recorded(benchmark)
    assert fresh.protocol.fingerprint.pairs == record["protocol"]["fingerprint"]["pairs"]
    assert not fresh.comparable
    for side in ("t2v", "v2t"):
        one_query = 100 / record["queries"][side]
        for name in ("R@1", "R@5", "R@10"):
            then = record["metrics"][side][name]["value"]
            assert fresh.metrics[side][name].value == pytest.approx(then, abs=one_query + 1e-6), (side, name)


@ALL
def test_the_record_is_of_the_shipped_checkpoint_and_has_learned(benchmark):
    record = recorded(benchmark)
    assert record["checkpoint"]["file"] == checkpoint_path().name
    assert record["checkpoint"]["sha256"] == load_sha256()
    assert all(record["metrics"][side]["R@1"]["value"] >= 30 for side in ("t2v", "v2t"))


def load_sha256() -> str:
    from xbench.storage import file_sha256

    return file_sha256(checkpoint_path())


@ALL
def test_the_record_says_that_it_is_not_comparable(benchmark):
    record = recorded(benchmark)
    assert record["miniature"] is True
    assert record["comparable"] is False
    assert any("miniature" in reason for reason in record["not_comparable_because"])


def test_the_command_runs_it_and_says_that_it_is_not_comparable(cache, tmp_path):
    arguments = ["run", "--dataset", "lsmdc", "--miniature", "--cache-dir", str(cache)]
    outcome = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    assert "NOT COMPARABLE" in outcome.stdout
    assert "miniature" in outcome.stdout


@ALL
def test_it_never_stands_on_the_board_of_the_real_benchmark(benchmark):
    arguments = ["leaderboard", str(RECORDS), "--dataset", benchmark, "--include-published"]
    outcome = CliRunner().invoke(main, [*arguments, "--format", "csv"])
    assert outcome.exit_code == 0, outcome.output
    ours = [line for line in outcome.stdout.splitlines() if "xclip," in line]
    assert ours
    assert all("miniature" in line for line in ours)


@ALL
def test_the_difference_from_a_paper_says_that_it_is_the_miniature(benchmark):
    [path] = RECORDS.glob(f"{benchmark}-*.json")
    outcome = CliRunner().invoke(main, ["diff", str(path)])
    assert outcome.exit_code == 0, outcome.output
    assert "the result for its miniature" in " ".join(outcome.stdout.split())


def test_a_limited_miniature_says_that_it_is_limited(cache, tmp_path):
    arguments = ["run", "--dataset", "lsmdc", "--miniature", "--limit", "8", "--cache-dir", str(cache)]
    outcome = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    assert "first 8 of 120" in " ".join(outcome.stdout.split())
