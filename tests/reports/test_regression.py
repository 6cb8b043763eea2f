"""The gate: what fails, what is forgiven, what is unusable, and what CI gets to read."""

import json
import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from record_examples import per_query, result

from xbench.cli.check import command
from xbench.errors import DataError, RegressionError, UsageError
from xbench.metrics.counts import Counts
from xbench.reports.check.gates import parse_limits
from xbench.reports.check.regression import check_against_run
from xbench.reports.record.files import read, save
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import Damage, ScorerRecord, Videos, scoring_reasons
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


def test_without_limits_a_drop_fails_if_it_is_more_than_chance(files: Files) -> None:
    slightly = files.check(files.saved(demoted(3)))
    assert code(slightly) == 0
    assert "ok, not significant" in slightly.output
    clearly = files.check(files.saved(demoted(25)))
    assert code(clearly) == 1
    for name in ("t2v.R@1", "v2t.R@1"):
        assert re.search(rf"{name} worse by 1\d\.\d+, more than chance", str(clearly.exception))
    assert code(files.check(files.saved(demoted(7)), "--significance", "0.2")) == 1
    assert code(files.check(files.saved(demoted(7)), "--significance", "0.001")) == 0


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
@pytest.mark.parametrize("options", [(), ("--significance", "0.05")])
def test_a_limit_holds_whatever_the_significance(
    files: Files, limit: str, expected: int, options: tuple[str, ...]
) -> None:
    worse = files.saved(demoted(1))  # one of 200 queries: exactly 0.5 points of R@1
    assert code(files.check(worse, "--max-drop", f"t2v.R@1={limit}", *options)) == expected


def test_only_the_metrics_with_a_limit_are_checked_unless_the_others_are_to_be_tested(files: Files) -> None:
    worse = files.saved(demoted(30))
    outcome = files.check(worse, "--max-drop", "t2v.R@1=90")
    assert code(outcome) == 0
    assert "passed: 1 metric\n" in outcome.output
    both = files.check(worse, "--max-drop", "R@1=90", "--significance", "0.05")
    assert code(both) == 1
    assert "t2v.R@5 worse by" in str(both.exception)
    assert "R@1 worse by" not in str(both.exception)


def test_a_limit_below_what_the_set_resolves_is_warned_about(files: Files) -> None:
    outcome = files.check(files.saved(demoted(3)), "--max-drop", "t2v.R@1=2", "--max-drop", "v2t.R@1=20")
    said = " ".join(outcome.output.split())
    assert code(outcome) == 0
    (resolved,) = re.findall(r"t2v\.R@1: the limit 2 is below ([\d.]+), the smallest difference", said)
    assert 2 < float(resolved) < 20
    assert "v2t.R@1: the limit" not in said
    assert " resolves" in outcome.output


def test_a_check_against_itself_says_that_it_cannot_fail(files: Files) -> None:
    assert "is its own baseline" in files.check(files.base).output
    assert "is its own baseline" not in files.check(files.saved(demoted(1))).output


def test_a_baseline_that_is_no_file_is_told_what_to_be(files: Files) -> None:
    outcome = files.check(files.base, baseline="publishd")
    assert code(outcome) == 3
    assert "or `published`" in str(outcome.exception)


def test_where_one_side_has_no_counts_there_is_no_test_and_a_limit_is_needed(files: Files) -> None:
    claim = files.saved(demoted(3))
    claim.with_suffix(".npz").unlink()
    for path, baseline in ((claim, files.base), (files.base, claim)):
        outcome = files.check(path, baseline=str(baseline))
        assert code(outcome) == 2
        assert "is a claim without per-query counts" in str(outcome.exception)
        assert code(files.check(path, "--significance", "0.05", baseline=str(baseline))) == 2
        allowed = files.check(path, "--max-drop", "R@1=2", baseline=str(baseline))
        assert code(allowed) == 0
        assert "passed: 2 metrics, no test" in allowed.output
        assert "no test: the " in allowed.output
    assert code(files.check(claim, "--max-drop", "R@1=1")) == 1


def test_an_edited_baseline_fails_the_gate(files: Files) -> None:
    raw = json.loads(files.base.read_text())
    raw["metrics"]["t2v"]["R@1"]["value"] = 12.5
    files.base.write_text(json.dumps(raw))
    for limits in ((), ("--max-drop", "R@1=1")):
        outcome = files.check(files.saved(demoted(3)), *limits)
        assert code(outcome) == 3
        assert "t2v R@1 is 12.5, its counts give" in str(outcome.exception)


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


def gallery(wanted: int, **lacking: Any) -> dict[str, Any]:
    """A record of a split of which 200 videos were scored."""
    protocol = result(COUNTS).protocol
    sizes = protocol.fingerprint.model_copy(update={"videos": wanted, "captions": wanted})
    return {
        "protocol": protocol.model_copy(update={"fingerprint": sizes}),
        "videos": Videos(wanted=wanted, scored=200, **lacking),
        "not_comparable_because": ["videos are missing or unreadable"],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"benchmark": "msvd"},
        gallery(201, missing=["video9"]),
        {"post_processing": "dsl", "not_comparable_because": ["dsl"]},
    ],
)
def test_another_fingerprint_is_unusable(files: Files, changes: dict[str, Any]) -> None:
    assert code(files.check(files.saved(COUNTS, **changes))) == 2


def without(*ids: str, damaged: tuple[str, ...] = ()) -> dict[str, Any]:
    """A run of 202 videos of which two are missing or have no frame."""
    faults = [Damage(id=video, wanted=12, got=0, cause="no frame") for video in damaged]
    return gallery(202, missing=list(ids), damaged=faults)


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


@pytest.mark.parametrize(("policy", "p"), [(Ties.OPTIMISTIC, 1.0), (Ties.PESSIMISTIC, 2 * 0.5**8)])
def test_the_p_value_ranks_ties_as_the_records_do(files: Files, policy: Ties, p: float) -> None:
    ways = {"policy": policy, "not_comparable_because": scoring_reasons(policy), "measures": "R@1"}
    base, path = files.saved(COUNTS, **ways), files.saved(tied(8), **ways)
    verdict = check_against_run(read(path), read(base), {})
    assert [gate.p for gate in verdict.gates] == [pytest.approx(p)] * 2  # by Holm, of two metrics
    assert bool(verdict.failures) == (policy is Ties.PESSIMISTIC)


def test_no_test_pairs_queries_that_reference_counts_several_times(files: Files) -> None:
    ways = {"policy": Ties.REFERENCE, "not_comparable_because": scoring_reasons(Ties.REFERENCE)}
    base = files.saved(COUNTS, **ways)
    path = files.saved(demoted(1), **ways)
    assert code(files.check(path, "--max-drop", "R@1=0", baseline=str(base))) == 1
    for options in ((), ("--significance", "0.05")):
        outcome = files.check(path, *options, baseline=str(base))
        assert code(outcome) == 2
        assert "reference" in str(outcome.exception)


def test_a_set_of_ones_own_gates_against_its_own_baseline(files: Files) -> None:
    custom = {"comparable": False, "not_comparable_because": ["limited to 200 videos"]}
    base = files.saved(COUNTS, **custom)
    assert code(files.check(files.saved(demoted(30), **custom), baseline=str(base))) == 1
    assert code(files.check(base, baseline=str(base))) == 0
    assert code(files.check(base, "--max-drop", "R@1=1", baseline="published")) == 3


def test_missing_and_damaged_files_are_data_errors(files: Files, tmp_path: Path) -> None:
    assert code(files.check(tmp_path / "nothing.json")) == 3
    assert code(files.check(files.base, baseline=str(tmp_path / "nothing.json"))) == 3
    files.base.with_suffix(".npz").write_bytes(b"PK")
    assert code(files.check(files.base)) == 3


PAPER = {
    "t2v": {"R@1": 46.1, "R@5": 73.0, "R@10": 83.1, "MdR": 2.0, "MnR": 13.2},
    "v2t": {"R@1": 46.8, "R@5": 73.3, "R@10": 84.0, "MdR": 2.0, "MnR": 12.2},
}
"""X-CLIP ViT-B/32 on MSR-VTT 1k-A; v2t MnR is larger than the paper's, which needs ranks below 1."""


def ranked(values: dict[str, float]) -> NDArray[np.int64]:
    """How many of 1,000 items beat each right one, so that recalls and mean rank come out as `values`."""
    first, five, ten = (round(10 * values[name]) for name in ("R@1", "R@5", "R@10"))
    better = np.repeat([0, 1, 5, 10], [first, five - first, ten - five, 1000 - ten])
    lacking = round(1000 * (values["MnR"] - 1)) - int(better.sum())
    each, rest = divmod(lacking, 1000 - ten)
    better[ten:] += each
    better[-1] += rest
    assert better.min() == 0
    assert better.max() < 1000
    return better


def near_the_paper(files: Files, **changes: float) -> Path:
    """A result of X-CLIP ViT-B/32 on MSR-VTT with the paper's numbers but for `changes` in t2v."""
    t2v = PAPER["t2v"] | {name.replace("_", "@"): value for name, value in changes.items()}
    base = per_query()
    none = np.zeros(1000, dtype=np.int64)
    counts = replace(
        base,
        t2v=replace(base.t2v, better=ranked(t2v), tied=none),
        v2t=replace(base.v2t, better=ranked(PAPER["v2t"]), tied=none),
    )
    return files.saved(counts)


EVERY = [
    part for limit in ("R@1=0.1", "t2v.R@5=0", "t2v.R@10=0", "t2v.MnR=0") for part in ("--max-drop", limit)
]


def test_published_numbers_are_a_baseline(files: Files) -> None:
    assert code(files.check(near_the_paper(files), *EVERY, baseline="published")) == 0
    worse = files.check(near_the_paper(files, R_1=45.4), *EVERY, baseline="published")
    assert code(worse) == 1
    assert "source: arXiv:2207.07285" in worse.output
    allowed = files.check(near_the_paper(files, R_1=45.4), "--max-drop", "t2v.R@1=1", baseline="published")
    assert code(allowed) == 0
    assert "no test: published numbers have no per-query counts" in allowed.output


def test_published_numbers_need_a_limit_because_nothing_can_be_tested(files: Files) -> None:
    for options in ((), ("--significance", "0.05"), ("--max-drop", "R@1=1", "--significance", "0.05")):
        outcome = files.check(near_the_paper(files), *options, baseline="published")
        assert code(outcome) == 2
        assert "published numbers have no per-query counts" in str(outcome.exception)
        assert "--max-drop" in str(outcome.exception)


def test_published_numbers_of_another_model_or_backbone_can_be_named(files: Files) -> None:
    path = near_the_paper(files)
    assert code(files.check(path, *EVERY, baseline="published:X-CLIP/ViT-B/32")) == 0
    assert code(files.check(path, *EVERY, baseline="published:X-CLIP/ViT-B/16")) == 1
    other = files.check(path, *EVERY, baseline="published:clip4clip-meanP")
    assert "CLIP4Clip-meanP ViT-B/32" in other.output
    for unknown in ("published:X-Clop", "published:X-CLIP/ViT-L/14"):
        assert code(files.check(path, *EVERY, baseline=unknown)) == 2
    nameless = files.saved(COUNTS, scorer=ScorerRecord(name="mine"))
    assert code(files.check(nameless, *EVERY, baseline="published")) == 2


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
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    outcome = files.check(files.saved(demoted(30)), "--max-drop", "R@1=0.5", "--junit", str(junit))
    text = summary.read_text()
    assert text.startswith("before\n### xbench check: msrvtt/small failed")
    assert "| t2v.R@1" in text
    assert "FAILED: 2 of 2 metrics" in text
    suite = ET.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert [case.get("name") for case in suite] == ["t2v.R@1", "v2t.R@1"]
    for case in suite:
        values = {each.get("name"): each.get("value") for each in case.iter("property")}
        assert {"baseline", "result", "drop", "allowed", "resolves"} <= set(values)
        assert values["drop"] in ("+14.5", "+15.0")
        failure = case.find("failure")
        assert failure is not None
        assert "worse by" in (failure.get("message") or "")
    lines = [line for line in outcome.output.splitlines() if line.startswith("::error ")]
    assert [line.split("::")[2].split()[0] for line in lines] == ["t2v.R@1", "v2t.R@1"]
    assert code(files.check(files.base, "--junit", str(tmp_path / "no" / "folder.xml"))) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [(("--max-drop", "R@1=x"), 2), (("--max-drop", "P@1=1"), 2), ((), 3)],
)
def test_ci_gets_junit_and_an_annotation_when_the_check_cannot_be_made(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], expected: int
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    junit = tmp_path / "junit.xml"
    files.base.with_suffix(".npz").write_bytes(b"other%")
    outcome = files.check(files.base, *options, "--junit", str(junit))
    assert code(outcome) == expected
    suite = ET.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "1")
    error = suite.find("testcase/error")
    assert error is not None
    assert error.get("message") == str(outcome.exception)
    assert outcome.stdout.startswith("::error title=xbench check::")
    assert len(outcome.stdout.splitlines()) == 1


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
    assert "no baseline baselines/msrvtt-small.json" in first.stderr
    accepted = evaluate(files.base, accept="1")
    assert accepted.returncode == 0, accepted.stderr
    assert "baselines/msrvtt-small.json" in accepted.stdout
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
