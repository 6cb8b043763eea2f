"""Many checkpoints, one decision: all on one protocol, the best by a rule on the test protocol."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xbench.data.recognition import members
from xbench.errors import DataError, UsageError, did_you_mean
from xbench.metrics.measures import Measure, parse_measure, parse_measures
from xbench.pipeline.candidates import measure_all
from xbench.pipeline.gallery import contents_of
from xbench.pipeline.plan import RunPlan, plan_runs, require_writable
from xbench.pipeline.run import Models, memory_of_contents, run
from xbench.progress import say
from xbench.registry.datasets import Benchmark, benchmark
from xbench.registry.scorers import SHIPPED
from xbench.reports.record.files import Measurement, read, save
from xbench.reports.record.schema import DIRECTIONS, Fingerprint, Record, Selection
from xbench.scorers.catalog import ResolvedModel
from xbench.storage import file_sha256
from xbench.terms import DEFAULT_METRICS, Direction

CANDIDATES = "candidates"
"""Below the folder of results: the records of all candidates."""


@dataclass(frozen=True)
class Rule:
    """By what the best candidate is chosen: a measure of a direction."""

    direction: Direction
    measure: Measure

    def __str__(self) -> str:
        """Return it as it is written: `t2v.R@1`."""
        return f"{self.direction}.{self.measure}"

    def require_among(self, metrics: str | None) -> None:
        """Raise UsageError unless a list of measures, None for the usual ones, has this one."""
        if self.measure not in parse_measures(metrics or DEFAULT_METRICS):
            raise UsageError(f"--by {self}: --metrics must have {self.measure}, too.")

    def value(self, measured: Measurement) -> float:
        """Return a candidate's number."""
        return measured.record.metrics[self.direction][str(self.measure)].value

    def best(self, candidates: Sequence[Measurement]) -> Measurement:
        """Return the best candidate; of equal ones the first."""
        sign = 1 if self.measure.higher_is_better else -1
        return max(candidates, key=lambda candidate: sign * self.value(candidate))


def read_rule(text: str) -> Rule:
    """Read `t2v.R@1`. Raises UsageError for another direction or measure."""
    side, _, name = text.partition(".")
    for direction in DIRECTIONS:
        if direction == side and name:
            return Rule(direction, parse_measure(name))
    raise UsageError(f"--by {text}: write DIRECTION.MEASURE, e.g. t2v.R@1 or v2t.MdR.")


def find_candidates(patterns: Sequence[str]) -> list[Path]:
    """Return the files that paths with * and ? name, each once, numbers in their order: .9 before .10.

    Raises DataError for a pattern that no file has.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matching = [Path(name) for name in glob.glob(str(Path(pattern).expanduser()), recursive=True)]
        if not matching:
            raise DataError(f"--checkpoint {pattern}: there is no such file. Check the path or pattern.")
        found |= dict.fromkeys(sorted(matching, key=_natural))
    return list(found)


def protocol_of_selection(dataset: str, select: str, test: str | None) -> str:
    """Return the protocol on which candidates are compared: `val`, `test`, or one by its name.

    test: the protocol that the chosen one is scored on, None for the benchmark's usual one. Raises UsageError
    where there is no validation set, saying what there is.
    """
    entry = benchmark(dataset)
    if select == "test":
        return test or entry.default_protocol
    if select != "val":
        name = select if "/" in select else f"{entry.id}/{select}"
        known = [each.id for each in entry.protocols.values() if each.read is not None]
        if name not in known:
            raise UsageError(f"--select {select}: there is no such protocol.{did_you_mean(name, known)}")
        return name
    for each in entry.protocols.values():
        if each.validation and each.read is not None:
            return each.id
    raise UsageError(_no_validation(entry))


def _no_validation(entry: Benchmark) -> str:
    tested = members(entry.protocols[entry.default_protocol]) or {}
    apart = [
        name
        for name, each in entry.protocols.items()
        if each.read is not None and tested and not tested.keys() & (members(each) or tested).keys()
    ]
    other = f"Choose on {' or '.join(apart)} (--select)" if apart else "No protocol is free of its videos"
    return (
        f"{entry.name} has no validation set in use: published code chooses its checkpoint on the test set. "
        f"{other}. Or compare runs on captions of your own, or choose as published code does with "
        "--select test, which marks the result."
    )


def plan_sweep(
    given: Mapping[str, Any], candidates: Sequence[Path], protocol: str, output: Path
) -> list[RunPlan]:
    """Return a plan for each candidate on a protocol; the other options are those of `xbench.run`."""
    require_writable(output, "The result")
    return plan_runs([{**given, "checkpoint": file, "protocol": protocol} for file in candidates])


def compare_candidates(plans: Sequence[RunPlan], folder: Path) -> list[Measurement]:
    """Carry out the plans of candidates, saving each record at once; one that is there already is read.

    Raises DataError for one that a worker measured on other files or with other code than are here.
    """
    known = _saved(folder)
    contents = _contents(plans[0]) if known or plans[0].ray else None  # all have one gallery
    found: dict[int, Measurement] = {}
    for index, plan in enumerate(plans):
        there = next((each for each in known if _is_of(each, plan, contents)), None)
        if there is not None:
            say(f"{plan.label}: measured already, {there.file}")
            found[index] = there
    todo = [index for index in range(len(plans)) if index not in found]
    for place, measured in measure_all([plans[index] for index in todo]):
        plan = plans[todo[place]]
        if plan.ray and (other := _made_of_others(measured.record, plan, contents)):
            raise DataError(
                f"{plan.label} was measured on a machine with other {' and '.join(other)} than this one: "
                "give every machine the same files and versions, then run the same command again."
            )
        path, record = save(measured.record, measured.counts, folder)
        found[todo[place]] = replace(measured, record=record, path=path)
    return [found[index] for index in range(len(plans))]


def decide(best: Measurement, plan: RunPlan | None, selection: Selection, output: Path) -> Measurement:
    """Score the chosen candidate by its plan on the test protocol, and save the record, which says how.

    plan: None where it was chosen on the test protocol itself. Then the record is marked, and so it is where
    a video of the test protocol was among those that it was chosen on.
    """
    measured = best if plan is None else run(Models().of(plan), plan)[0]
    chosen_on = {int(key) for key in best.counts.video_keys}
    overlaps = any(int(key) in chosen_on for key in measured.counts.video_keys)
    among = selection.tried if overlaps else 0
    changed = {"selection": selection, "chosen_on_test_among": among, "per_query": None}
    path, record = save(measured.record.model_copy(update=changed), measured.counts, output)
    return replace(measured, record=record, path=path)


def _saved(folder: Path) -> list[Measurement]:
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(read(path))
        except DataError as error:
            say(f"Left aside: {error}")
    return found


def _contents(plan: RunPlan) -> str | None:
    """The digest of the video files that a plan reads; None where it reads none, or one cannot be read."""
    return None if plan.found is None else contents_of(plan.found, memory_of_contents(plan))


def _is_of(measured: Measurement, plan: RunPlan, contents: str | None) -> bool:
    """Whether a record is what a plan would give: same data, settings, weights and xbench.

    contents: the digest of the video files as they are now. Code that is not xbench's may have changed since:
    its models are measured again.
    """
    record = measured.record
    if not isinstance(plan.model, ResolvedModel) or plan.model.request.name not in SHIPPED:
        return False
    if record.videos.missing != list(plan.found.missing if plan.found else ()) or record.videos.damaged:
        return False
    same = measured.per_query is not None and record.settings.passed == plan.passed
    same = same and record.protocol.fingerprint == Fingerprint(**asdict(plan.split.fingerprint()))
    return same and record.checkpoint is not None and not _made_of_others(record, plan, contents)


def _made_of_others(record: Record, plan: RunPlan, contents: str | None) -> list[str]:
    """What a record was made of that is not what is here: videos, weights, vocabulary and so on."""
    from xbench.pipeline.record import git_revision, versions

    file = _checkpoint(plan)
    weights = file_sha256(file) if file is not None and file.is_file() else None
    pairs = {
        "libraries": (record.versions, versions()),
        "revision of xbench": (record.git, git_revision()),
    }
    if plan.found is not None:
        pairs["videos"] = record.videos.contents or "", contents
    if record.checkpoint is not None:
        pairs["weights"] = record.checkpoint.sha256, weights
    vocabulary = (record.scorer.identity or {}).get("vocabulary")
    if vocabulary is not None:
        pairs["vocabulary"] = str(vocabulary), _vocabulary(plan)
    return [what for what, (there, here) in pairs.items() if there != here]


def _vocabulary(plan: RunPlan) -> str:
    """The sha256 of CLIP's vocabulary for a plan: options name it, a variable or a library brings it."""
    from xbench.scorers.clip.bpe import clip_tokenizer

    return clip_tokenizer(plan.model.request.bpe if isinstance(plan.model, ResolvedModel) else None).sha256


def _checkpoint(plan: RunPlan) -> Path | None:
    return plan.model.request.checkpoint if isinstance(plan.model, ResolvedModel) else None


def _natural(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
