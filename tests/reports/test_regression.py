"""The gate: what fails, what is forgiven, what is unusable, and what CI gets to read."""

import os
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from record_examples import per_query, result

from xbench.cli.check import command
from xbench.errors import DataError, RegressionError, UsageError
from xbench.metrics.counts import Counts
from xbench.reports.check.gates import parse_limits
from xbench.reports.check.regression import check_against_run
from xbench.reports.record.files import read, save
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Damage, Metric, ScorerRecord, Videos, scoring_reasons
from xbench.terms import Ties

ROOT = Path(__file__).resolve().parent.parent.parent
COUNTS = per_query(200, seed=1)


def demoted(queries: int) -> PerQuery:
    """The run in which some queries that were ranked first fall to rank 40, both ways."""

    def worse(counts: Counts) -> Counts:
        better = counts.better.copy()
        better[(better == 0).nonzero()[0][:queries]] = 39
        return Counts(better, counts.tied, counts.right, counts.nan_rivals, counts.nonfinite)

    return PerQuery(
        worse(COUNTS.t2v),
        worse(COUNTS.v2t),
        COUNTS.caption_to_video,
        COUNTS.caption_keys,
        COUNTS.video_keys,
    )


class Files:
    """Saved results to check."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = self.saved(COUNTS)

    def saved(self, counts: PerQuery, **changes: Any) -> Path:
        return save(result(counts, **changes), counts, self.folder)[0]

    def check(self, path: Path, *options: str, baseline: str | None = None) -> Result:
        return CliRunner().invoke(command, [str(path), "--baseline", baseline or str(self.base), *options])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "results")


def code(outcome: Result) -> int:
    """The exit code that the command line gives."""
    if outcome.exception is None or isinstance(outcome.exception, SystemExit):
        return outcome.exit_code
    assert isinstance(outcome.exception, RegressionError | UsageError | DataError), outcome.exception
    return outcome.exception.exit_code


def test_an_equal_result_passes(files: Files) -> None:
    outcome = files.check(files.base)
    assert code(outcome) == 0
    assert "passed: 10 metrics" in outcome.output
    assert max(len(line) for line in outcome.output.splitlines()) <= 100


def test_any_drop_fails_without_limits(files: Files) -> None:
    outcome = files.check(files.saved(demoted(1)))
    assert code(outcome) == 1
    assert "FAILED" in outcome.output


def test_improvement_never_fails(files: Files) -> None:
    worse = files.saved(demoted(30))
    assert code(files.check(files.base, baseline=str(worse))) == 0
    assert code(files.check(files.base, "--significance", "0.05", baseline=str(worse))) == 0
    assert (
        code(files.check(files.base, "--max-drop", "MnR=0", "--max-drop", "MdR=0", baseline=str(worse))) == 0
    )


def test_a_higher_rank_is_a_drop(files: Files) -> None:
    outcome = files.check(files.saved(demoted(30)), "--max-drop", "t2v.MnR=1")
    assert code(outcome) == 1
    assert "t2v.MnR worse by" in outcome.output


@pytest.mark.parametrize(("limit", "expected"), [("0.4", 1), ("0.5", 0), ("0.6", 0), ("100", 0)])
def test_a_drop_up_to_the_limit_passes(files: Files, limit: str, expected: int) -> None:
    worse = files.saved(demoted(1))  # one of 200 queries: exactly 0.5 points of R@1
    assert code(files.check(worse, "--max-drop", f"t2v.R@1={limit}")) == expected


def test_only_the_metrics_with_a_limit_are_checked(files: Files) -> None:
    outcome = files.check(files.saved(demoted(30)), "--max-drop", "t2v.R@1=90")
    assert code(outcome) == 0
    assert "passed: 1 metric\n" in outcome.output


def test_a_check_against_itself_says_that_it_cannot_fail(files: Files) -> None:
    assert "is its own baseline" in files.check(files.base).output
    assert "is its own baseline" not in files.check(files.saved(demoted(1))).output


def test_a_baseline_that_is_no_file_is_told_what_to_be(files: Files) -> None:
    outcome = files.check(files.base, baseline="publishd")
    assert code(outcome) == 3
    assert "or `published`" in str(outcome.exception)


def test_a_drop_by_chance_is_forgiven_only_with_significance(files: Files) -> None:
    slightly, clearly = files.saved(demoted(3)), files.saved(demoted(25))
    for path, plain, tested in ((slightly, 1, 0), (clearly, 1, 1)):
        assert code(files.check(path, "--max-drop", "R@1=0.5")) == plain
        outcome = files.check(path, "--max-drop", "R@1=0.5", "--significance", "0.05")
        assert code(outcome) == tested
        assert ("ok, not significant" in outcome.output) == (tested == 0)
    assert code(files.check(clearly, "--max-drop", "R@1=99", "--significance", "0.05")) == 0


def test_a_missing_metric_fails_even_with_significance(files: Files) -> None:
    record = result(COUNTS)
    without = {side: {"R@1": metrics["R@1"]} for side, metrics in record.metrics.items()}
    path = files.saved(COUNTS, metrics=without)
    for options in ([], ["--significance", "0.05"], ["--max-drop", "t2v.R@5=9"]):
        outcome = files.check(path, *options)
        assert code(outcome) == 1
        assert "missing in the result" in outcome.output
    outcome = files.check(files.base, "--max-drop", "t2v.R@5=1", baseline=str(path))
    assert code(outcome) == 1
    assert "missing in the baseline" in outcome.output


@pytest.mark.parametrize(
    "changes",
    [
        {"benchmark": "msvd"},
        {"videos": Videos(wanted=201, scored=200, missing=["video9"])},
        {"post_processing": "dsl", "not_comparable_because": ["dsl"]},
    ],
)
def test_another_fingerprint_is_unusable(files: Files, changes: dict[str, Any]) -> None:
    assert code(files.check(files.saved(COUNTS, **changes))) == 2


def without(*ids: str, damaged: tuple[str, ...] = ()) -> dict[str, Any]:
    """A run of 200 videos in which some are missing and some have no frame."""
    faults = [Damage(id=video, wanted=12, got=0, cause="no frame") for video in damaged]
    videos = Videos(wanted=200, scored=200 - len(ids) - len(damaged), missing=list(ids), damaged=faults)
    return {"videos": videos, "not_comparable_because": ["videos are missing or unreadable"]}


def test_another_gallery_of_the_same_size_is_unusable_by_the_record_alone(files: Files) -> None:
    base = files.saved(COUNTS, **without("video1", damaged=("video2",)))
    same = files.saved(COUNTS, **without("video2", damaged=("video1",)))
    for changes in (without("video1", damaged=("video3",)), without("video1", "video4")):
        other = files.saved(COUNTS, **changes)
        other.with_suffix(".npz").unlink()
        outcome = files.check(other, baseline=str(base))
        assert code(outcome) == 2
        assert "videos not scored in the first only: video2" in str(outcome.exception)
    assert code(files.check(same, baseline=str(base))) == 0


def test_a_video_with_some_frames_counts_as_scored(files: Files) -> None:
    fault = Damage(id="video1", wanted=12, got=5, cause="cut short")
    damaged = Videos(wanted=200, scored=200, damaged=[fault])
    path = files.saved(COUNTS, videos=damaged, not_comparable_because=["1 video is damaged"])
    assert code(files.check(path)) == 0


def test_other_queries_in_the_counts_are_unusable_even_where_the_records_agree(files: Files) -> None:
    keys = COUNTS.video_keys.copy()
    keys[0] += 1
    other = PerQuery(COUNTS.t2v, COUNTS.v2t, COUNTS.caption_to_video, COUNTS.caption_keys, keys)
    outcome = files.check(files.saved(other))
    assert code(outcome) == 2
    assert "their per-query files hold other queries" in str(outcome.exception)


def tied(queries: int) -> PerQuery:
    """The run in which some queries that were ranked first tie with 39 others, both ways."""

    def level(counts: Counts) -> Counts:
        more = counts.tied.copy()
        more[((counts.better == 0) & (counts.tied == 0)).nonzero()[0][:queries]] = 39
        return Counts(counts.better, more, counts.right, counts.nan_rivals, counts.nonfinite)

    return PerQuery(
        level(COUNTS.t2v), level(COUNTS.v2t), COUNTS.caption_to_video, COUNTS.caption_keys, COUNTS.video_keys
    )


@pytest.mark.parametrize(("policy", "p"), [(Ties.OPTIMISTIC, 1.0), (Ties.PESSIMISTIC, 0.5**8)])
def test_the_p_value_ranks_ties_as_the_records_do(files: Files, policy: Ties, p: float) -> None:
    ways = {"policy": policy, "not_comparable_because": scoring_reasons(policy)}
    base, path = files.saved(COUNTS, **ways), files.saved(tied(8), **ways)
    verdict = check_against_run(read(path), read(base), parse_limits(["t2v.R@1=0"]), significance=0.05)
    assert [gate.p for gate in verdict.gates] == [pytest.approx(p)]
    assert bool(verdict.failures) == (policy is Ties.PESSIMISTIC)


def test_no_test_pairs_queries_that_reference_counts_several_times(files: Files) -> None:
    ways = {"policy": Ties.REFERENCE, "not_comparable_because": scoring_reasons(Ties.REFERENCE)}
    base = files.saved(COUNTS, **ways)
    path = files.saved(demoted(1), **ways)
    assert code(files.check(path, baseline=str(base))) == 1
    outcome = files.check(path, "--significance", "0.05", baseline=str(base))
    assert code(outcome) == 2
    assert "reference" in str(outcome.exception)


def test_a_set_of_ones_own_gates_against_its_own_baseline(files: Files) -> None:
    custom = {"comparable": False, "not_comparable_because": ["limited to 200 videos"]}
    base = files.saved(COUNTS, **custom)
    assert code(files.check(files.saved(demoted(1), **custom), baseline=str(base))) == 1
    assert code(files.check(base, baseline=str(base))) == 0
    assert code(files.check(base, baseline="published")) == 3


def test_missing_and_damaged_files_are_data_errors(files: Files, tmp_path: Path) -> None:
    assert code(files.check(tmp_path / "nothing.json")) == 3
    assert code(files.check(files.base, baseline=str(tmp_path / "nothing.json"))) == 3
    files.base.with_suffix(".npz").unlink()
    assert code(files.check(files.base)) == 0
    assert code(files.check(files.base, "--significance", "0.05")) == 3


def near_the_paper(files: Files, **values: float) -> Path:
    """A result of X-CLIP ViT-B/32 on MSR-VTT with the paper's t2v numbers but for `values`."""
    paper = {"R@1": 46.1, "R@5": 73.0, "R@10": 83.1, "MdR": 2.0, "MnR": 13.2}
    v2t = {"R@1": 46.8, "R@5": 73.3, "R@10": 84.0, "MdR": 2.0, "MnR": 9.1}
    named = paper | {name.replace("_", "@"): value for name, value in values.items()}
    metrics = {
        "t2v": {name: Metric(value=value) for name, value in named.items()},
        "v2t": {name: Metric(value=value) for name, value in v2t.items()},
    }
    return files.saved(COUNTS, metrics=metrics)


def test_published_numbers_are_a_baseline(files: Files) -> None:
    assert code(files.check(near_the_paper(files), baseline="published")) == 0
    assert code(files.check(near_the_paper(files, R_1=46.06), baseline="published")) == 0  # prints as 46.1
    worse = files.check(near_the_paper(files, R_1=45.4), baseline="published")
    assert code(worse) == 1
    assert "source: arXiv:2207.07285" in worse.output
    allowed = files.check(near_the_paper(files, R_1=45.4), "--max-drop", "t2v.R@1=1", baseline="published")
    assert code(allowed) == 0


def test_published_numbers_never_forgive_a_drop_as_chance(files: Files) -> None:
    outcome = files.check(near_the_paper(files, R_1=45.4), "--significance", "0.05", baseline="published")
    assert code(outcome) == 1
    assert "published numbers have no per-query counts" in " ".join(outcome.output.split())


def test_published_numbers_of_another_model_or_backbone_can_be_named(files: Files) -> None:
    path = near_the_paper(files)
    assert code(files.check(path, baseline="published:X-CLIP/ViT-B/32")) == 0
    assert code(files.check(path, baseline="published:X-CLIP/ViT-B/16")) == 1
    assert "CLIP4Clip-meanP ViT-B/32" in files.check(path, baseline="published:clip4clip-meanP").output
    for unknown in ("published:X-Clop", "published:X-CLIP/ViT-L/14"):
        assert code(files.check(path, baseline=unknown)) == 2
    nameless = files.saved(COUNTS, scorer=ScorerRecord(name="mine"))
    assert code(files.check(nameless, baseline="published")) == 2


@pytest.mark.parametrize(
    ("scorer", "reason"),
    [
        (
            ScorerRecord(name="xclip", settings={"backbone": "ViT-B/32", "variant": "seqLSTM"}),
            "the claim is for seqTransf, the result for seqLSTM",
        ),
        (
            ScorerRecord(name="xclip-zeroshot", settings={"backbone": "ViT-B/32"}),
            "the claim is fine-tuned, the result zero-shot",
        ),
        (ScorerRecord(name="xclip"), "an unknown backbone"),
    ],
)
def test_published_numbers_of_something_else_are_no_baseline(
    files: Files, scorer: ScorerRecord, reason: str
) -> None:
    outcome = files.check(files.saved(COUNTS, scorer=scorer), "--max-drop", "R@1=99", baseline="published")
    assert code(outcome) == 2
    assert reason in str(outcome.exception)


def test_a_metric_that_no_source_gives_cannot_pass(files: Files) -> None:
    outcome = files.check(near_the_paper(files), "--max-drop", "t2v.R@50=9", baseline="published")
    assert code(outcome) == 1
    assert "missing in the result" in outcome.output or "missing in the baseline" in outcome.output


@pytest.mark.parametrize(
    "text", ["R@1", "R@1=", "R@1=-1", "x2v.R@1=1", "t2v.R@0=1", "t2v.R@1=1=2", "=1", "R@1=nan"]
)
def test_a_limit_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_limits([text])


def test_a_limit_without_direction_is_for_both() -> None:
    assert {f"{side}.{measure}": drop for (side, measure), drop in parse_limits(["r@1=.5"]).items()} == {
        "t2v.R@1": 0.5,
        "v2t.R@1": 0.5,
    }


def test_ci_gets_a_summary_and_junit(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary, junit = tmp_path / "summary.md", tmp_path / "junit.xml"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files.check(files.saved(demoted(30)), "--max-drop", "R@1=0.5", "--junit", str(junit))
    text = summary.read_text()
    assert text.startswith("before\n### xbench check: msrvtt/1ka failed")
    assert "| t2v.R@1" in text
    assert "FAILED: 2 of 2 metrics" in text
    suite = ET.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert [case.get("name") for case in suite] == ["t2v.R@1", "v2t.R@1"]
    assert all("worse by" in (case[0].get("message") or "") for case in suite)
    assert code(files.check(files.base, "--junit", str(tmp_path / "no" / "folder.xml"))) == 3


@pytest.fixture
def training_repository(files: Files, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with an `xbench` on the PATH whose `run` puts a saved result into --output."""
    tool = tmp_path / "bin" / "xbench"
    tool.parent.mkdir()
    tool.write_text(
        f"""#!{sys.executable}
import os, shutil, sys
from pathlib import Path
from xbench.cli import main
if sys.argv[1] == "run":
    output, record = Path(sys.argv[sys.argv.index("--output") + 1]), Path(os.environ["MEASURED"])
    output.mkdir(parents=True, exist_ok=True)
    shutil.copy(record, output)
    shutil.copy(record.with_suffix(".npz"), output)
else:
    main()
"""
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    work = tmp_path / "training"
    work.mkdir()
    return work, {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def test_the_example_script_gates_against_what_was_accepted_and_passes_nothing_without_it(
    files: Files, training_repository: tuple[Path, dict[str, str]]
) -> None:
    work, environment = training_repository

    def evaluate(record: Path, *options: str, accept: str = "0") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(ROOT / "examples" / "ci.sh"), "--model", "xclip", "--dataset", "msrvtt", *options],
            cwd=work,
            env={**environment, "MEASURED": str(record), "ACCEPT": accept},
            capture_output=True,
            text=True,
            check=False,
        )

    first = evaluate(files.base)
    assert first.returncode == 2
    assert "no baseline baselines/msrvtt-1ka.json" in first.stderr
    accepted = evaluate(files.base, accept="1")
    assert accepted.returncode == 0, accepted.stderr
    assert "baselines/msrvtt-1ka.json" in accepted.stdout
    assert evaluate(files.base).returncode == 0
    assert evaluate(files.saved(demoted(3))).returncode == 0
    failed = evaluate(files.saved(demoted(30)))
    assert failed.returncode == 1
    assert "t2v.R@1 worse by" in failed.stderr
    assert list((work / "xbench-results").glob("run-*/*.xml"))
    assert evaluate(files.saved(COUNTS, benchmark="msvd")).returncode == 2
    assert evaluate(files.base, "--post", "dsl").returncode == 2
    assert evaluate(files.saved(demoted(30)), accept="1").returncode == 0
    assert evaluate(files.saved(demoted(30))).returncode == 0
    assert len(list((work / "baselines").iterdir())) == 2


def test_the_example_workflow_calls_the_example_script() -> None:
    workflow = yaml.safe_load((ROOT / "examples" / "github-actions.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["xbench"]["steps"]]
    assert any(step.startswith("sh ci/xbench.sh --model xclip") for step in steps)
