"""Boards: sorted, ties as ties, own results apart from claims, nothing on a board that does not belong."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub.repocard_data import model_index_to_eval_results
from record_examples import per_query, result, with_recall

from xbench.cli.leaderboard import command
from xbench.errors import DataError, UsageError
from xbench.metrics.counts import Counts
from xbench.registry.datasets import protocols
from xbench.reports.board.boards import Filter, boards
from xbench.reports.board.latex import render_latex
from xbench.reports.board.model_index import model_index
from xbench.reports.board.rows import Board, BoardRow
from xbench.reports.board.text import render_boards, render_csv
from xbench.reports.check.regression import check_against_run
from xbench.reports.compare.paired import compare
from xbench.reports.published.claims import published_rows
from xbench.reports.record.files import Measurement, read_all, save
from xbench.reports.record.per_query import PerQuery
from xbench.reports.record.schema import (
    Checkpoint,
    Metric,
    ProtocolRecord,
    Record,
    ScorerRecord,
    Videos,
    protocol_of,
    scoring_reasons,
)
from xbench.reports.record.text import render
from xbench.terms import Ties

BASE = per_query()
NASTY = ["<script>alert(1)</script>", "=cmd()", "@SUM(A1)", "a|b`c*d_e", "\\input{x}", "+1", "\x1b[2J"]


def measured(
    folder: Path, name: str = "xclip", counts: PerQuery | None = None, **changes: Any
) -> Measurement:
    counts = counts or BASE
    scorer = ScorerRecord(name=name, settings={"backbone": "ViT-B/32"})
    record = result(counts, resamples=500, **{"scorer": scorer} | changes)
    path, saved = save(record, counts, folder)
    return Measurement(saved, counts, path)


def scored(folder: Path, name: str, value: float, **changes: Any) -> Measurement:
    """A measurement with this text-to-video R@1, and nothing else printed."""
    counts = with_recall(value, BASE)
    found = result(counts, measures="R@1", resamples=500).metrics["t2v"]["R@1"]
    printed = found.model_copy(update={"value": value})
    return measured(folder, name, counts, **{"metrics": {"t2v": {"R@1": printed}}} | changes)


def shifted(counts: PerQuery, queries: int) -> PerQuery:
    better = counts.t2v.better.copy()
    better[np.flatnonzero(better == 0)[:queries]] = 50
    t2v = Counts(better, counts.t2v.tied, counts.t2v.right, counts.t2v.nan_rivals, 0)
    return PerQuery(t2v, counts.v2t, counts.caption_to_video, counts.caption_keys, counts.video_keys)


def rows(saved: list[Measurement], **options: Any) -> tuple[BoardRow, ...]:
    return boards(saved, Filter(directions=["t2v"]), **options)[0].rows


def test_rows_are_sorted_and_what_prints_alike_shares_a_place(tmp_path: Path) -> None:
    values = {"a": 40.0, "b": 49.31, "c": 49.29, "d": 45.0, "e": 45.04}
    found = rows([scored(tmp_path, name, value) for name, value in values.items()])
    assert [(row.place, row.model) for row in found] == [
        ("1=", "b"),
        ("1=", "c"),
        ("3=", "d"),
        ("3=", "e"),
        ("5", "a"),
    ]
    assert [row.mark for row in found[:2]] == ["best", "best"]


def test_a_board_ranks_by_the_first_recall_whatever_its_k(tmp_path: Path) -> None:
    few = {"t2v": {"MdR": Metric(value=1), "R@100": Metric(value=80), "R@20": Metric(value=40)}}
    many = {"t2v": {"MdR": Metric(value=2), "R@100": Metric(value=70), "R@20": Metric(value=60)}}
    saved = [measured(tmp_path, "few", metrics=few), measured(tmp_path, "many", metrics=many)]
    (board,) = boards(saved, Filter(directions=["t2v"]))
    assert board.metrics == ("R@20", "R@100", "MdR")
    assert [row.model for row in board.rows] == ["many", "few"]


def test_what_is_not_significantly_worse_than_the_best_is_marked_by_a_paired_test(tmp_path: Path) -> None:
    base = per_query(seed=4)
    found = rows([
        measured(tmp_path, "best", base),
        measured(tmp_path, "close", shifted(base, 3)),
        measured(tmp_path, "far", shifted(base, 40)),
    ])  # fmt: skip
    assert [(row.model, row.mark) for row in found] == [("best", "best"), ("close", "even"), ("far", "")]
    interval = found[2].values["R@1"].interval
    assert interval is not None


def claim_of(measurement: Measurement) -> Measurement:
    """The record as it is read when its .npz is gone."""
    return Measurement(measurement.record, None, measurement.path, "no counts")


def test_a_record_without_counts_is_a_claim_never_best_or_even_and_nothing_is_even_with_it(
    tmp_path: Path,
) -> None:
    named = (("a", 50.0), ("b", 49.8), ("c", 49.7))
    saved = [scored(tmp_path, name, value) for name, value in named]
    assert [row.mark for row in rows(saved)] == ["best", "even", "even"]
    claims = list(map(claim_of, saved))
    for shown, marks in (
        (claims, ["", "", ""]),
        ([claims[0], *saved[1:]], ["", "", ""]),
        ([saved[0], claims[1], saved[2]], ["best", "", "even"]),
    ):
        found = rows(shown)
        assert [row.mark for row in found] == marks
        assert [row.place for row in found] == ["1", "2", "3"]
    assert not any(row.measured for row in rows(claims))
    text = render_boards(boards(claims))
    assert "measured 2026" not in text
    assert "claimed: " in text
    assert "without its per-query counts nothing proves it" in " ".join(text.split())


def test_a_result_takes_one_place_however_many_records_it_has(tmp_path: Path) -> None:
    why = {"post_processing": "dsl", "not_comparable_because": scoring_reasons(Ties.AVERAGE, "dsl")}
    first, worse = scored(tmp_path, "A", 50.0), scored(tmp_path, "C", 40.0)
    again = scored(tmp_path, "A", 50.0, created="2026-01-03T00:00:00Z")  # as `--post dsl` saves it again
    processed = scored(tmp_path, "A", 55.0, **why)
    found = boards([first, processed, again, worse], Filter(directions=["t2v"]))
    assert [[(row.model, row.place) for row in board.rows] for board in found] == [
        [("A", "1"), ("C", "2")],
        [("A", "1")],
    ]
    row = found[0].rows[0]
    assert (row.source, row.date) == (again.file, "2026-01-03")
    assert row.remarks[-1] == f"also in {first.file}"
    kept = rows([first, claim_of(again), worse])[0]
    assert (kept.source, kept.measured) == (first.file, True)


def test_the_same_scorer_with_other_weights_or_settings_is_another_result(tmp_path: Path) -> None:
    def scorer(**settings: str) -> ScorerRecord:
        return ScorerRecord(name="x", settings=settings, identity={"scorer": "x"})

    different = [
        measured(tmp_path, scorer=scorer(sampling="published", device="cpu")),
        measured(tmp_path, scorer=scorer(sampling="uniform", device="cpu")),
        measured(tmp_path, scorer=scorer(sampling="uniform"), checkpoint=Checkpoint(file="a", sha256="1")),
        measured(tmp_path, scorer=scorer(sampling="uniform"), checkpoint=Checkpoint(file="a", sha256="2")),
    ]
    assert len(rows(different)) == 4
    again = measured(tmp_path, scorer=scorer(sampling="uniform", device="cuda"), created="2026-02-02")
    assert len(rows([*different, again])) == 4


def test_zero_shot_results_and_claims_have_boards_of_their_own(tmp_path: Path) -> None:
    zero = ScorerRecord(name="xclip-zeroshot", settings={"backbone": "ViT-B/32"})
    told = ScorerRecord(name="mine", zero_shot=True)
    saved = [
        scored(tmp_path, "tuned", 50.0),
        measured(tmp_path, scorer=zero),
        measured(tmp_path, scorer=told),
    ]
    choice = Filter(directions=["t2v"], protocols=["msrvtt/1ka"])
    raw = [each for each in boards(saved, choice, include_published=True) if each.kind == "raw"]
    assert [board.zero_shot for board in raw] == [False, True]
    assert [board.title.endswith(", zero-shot") for board in raw] == [False, True]
    for board in raw:
        claims = {row.setting for row in board.rows if not row.measured}
        assert claims == {"zero-shot" if board.zero_shot else "fine-tuned"}
        assert len([row for row in board.rows if row.measured]) == (2 if board.zero_shot else 1)


def test_a_claim_is_best_by_its_number_and_nothing_is_even_with_it(tmp_path: Path) -> None:
    (board,) = [
        board
        for board in boards([scored(tmp_path, "mine", 57.0)], include_published=True)
        if (board.protocol, board.direction, board.kind) == ("msrvtt/1ka", "t2v", "raw")
        and not board.zero_shot
    ]
    best = board.rows[0]
    assert (best.model, best.mark, best.measured) == ("VidLA", "best", False)
    marks = {row.model: row.mark for row in board.rows if row.measured}
    assert marks == {"mine": ""}
    assert all(row.mark in ("", "best") for row in board.rows if not row.measured)


def test_results_that_are_not_comparable_have_no_place_and_come_last(tmp_path: Path) -> None:
    saved = [
        scored(tmp_path, "subset", 99.0, not_comparable_because=["limited to 300 videos"]),
        scored(tmp_path, "whole", 40.0),
    ]
    found = rows(saved)
    assert [(row.model, row.place) for row in found] == [("whole", "1"), ("subset", "")]
    assert found[1].remarks == ("not comparable: limited to 300 videos",)
    only = boards(saved, Filter(comparable_only=True))
    assert [row.model for row in only[0].rows] == ["whole"]


def test_post_processed_results_never_share_a_board_with_raw_ones(tmp_path: Path) -> None:
    reason = ["post-processing (dsl) looked at the whole test set"]
    saved = [
        scored(tmp_path, "raw", 40.0),
        scored(tmp_path, "raw", 45.0, post_processing="dsl", not_comparable_because=reason),
    ]
    found = boards(saved, Filter(directions=["t2v"]), include_published=True)
    for board in found:
        raw = board.kind in ("raw", "evaluation")
        assert {row.post_processing == "none" for row in board.rows} == {raw}
    processed = next(b for b in found if b.kind == "processed" and b.protocol == "msrvtt/1ka")
    dsl = next(row for row in processed.rows if row.measured)
    assert dsl.place
    assert not dsl.honest
    for choice in (Filter(comparable_only=True), Filter(comparable_only=True, benchmarks=["msrvtt"])):
        assert {board.kind for board in boards(saved, choice, include_published=True)} == {"raw"}


def test_each_way_of_making_a_number_has_a_board_of_its_own() -> None:
    found = boards([], Filter(directions=["t2v"], protocols=["msrvtt/1ka"]), include_published=True)
    assert list(dict.fromkeys(board.kind for board in found)) == ["raw", "processed", "unknown", "evaluation"]
    models = {
        kind: {
            row.model for board in found if board.kind == kind and not board.zero_shot for row in board.rows
        }
        for kind in ("raw", "unknown", "evaluation")
    }
    assert models["evaluation"] == {"T-MASS"}
    assert {"UMT-25M", "InternVideo2-s2-6B"} <= models["unknown"]
    assert not models["unknown"] & models["raw"]
    assert not any(row.honest for board in found if board.kind == "evaluation" for row in board.rows)
    assert "evaluation sees the right answer" in render_boards(found)


def test_video_to_text_of_another_rule_has_a_board_of_its_own() -> None:
    found = boards([], Filter(directions=["v2t"], protocols=["msvd/test"]), include_published=True)
    by_rule = {board.rule: {row.model for row in board.rows} for board in found if board.kind == "raw"}
    assert by_rule["any-caption"] == {"CE"}
    assert "X-CLIP" in by_rule["group-max"]
    assert "(v2t), v2t rule any-caption" in render_boards(found)


def test_every_published_claim_stands_on_one_board_per_direction(tmp_path: Path) -> None:
    found = boards([], include_published=True)
    shown = sum(len(board.rows) for board in found)
    assert shown == sum(len({value.direction for value in entry.values}) for entry in published_rows())
    for board in found:
        assert all(row.source for row in board.rows)


def test_filters_choose_benchmark_protocol_and_direction() -> None:
    def protocols_of(**filters: Any) -> set[tuple[str, str]]:
        return {(b.protocol, b.direction) for b in boards([], Filter(**filters), include_published=True)}

    assert protocols_of(benchmarks=["lsmdc"], directions=["t2v"]) == {
        ("lsmdc/test", "t2v"),
        ("lsmdc/test-999", "t2v"),
    }
    assert protocols_of(protocols=["msrvtt/full"]) == {("msrvtt/full", "t2v")}


def own(protocol: str = "msrvtt/1ka", matched: str | None = None, ids: str = "0" * 64) -> ProtocolRecord:
    """Content of the user's own, or what they gave as `custom`."""
    known = result().protocol
    fingerprint = known.fingerprint.model_copy(update={"ids": ids})
    changes = {"requested": protocol, "matched": matched, "fingerprint": fingerprint, "title": "MSR-VTT 1k-A"}
    return known.model_copy(update=changes)


WHY = {"not_comparable_because": ["no known protocol"]}


def test_own_content_never_stands_on_the_board_of_the_protocol_that_was_asked_for(tmp_path: Path) -> None:
    saved = [
        scored(tmp_path, "whole", 40.0),
        scored(tmp_path, "edited", 90.0, protocol=own(), **WHY),
        scored(tmp_path, "mine", 95.0, protocol=own("custom", "msrvtt/1ka"), **WHY),
    ]
    found = {board.protocol: board for board in boards(saved, Filter(directions=["t2v"]))}
    assert [row.model for row in found.pop("msrvtt/1ka").rows] == ["whole"]
    assert [row.model for _, board in sorted(found.items()) for row in board.rows] == ["mine", "edited"]
    assert all("(own content " in name for name in found)


def test_own_sets_share_a_board_only_if_the_same_was_scored(tmp_path: Path) -> None:
    partial = Videos(wanted=1000, scored=999, missing=["video1"])
    different = [
        scored(tmp_path, "a", 40.0, protocol=own("custom"), **WHY),
        scored(tmp_path, "b", 41.0, protocol=own("custom", ids="1" * 64), **WHY),
        scored(tmp_path, "c", 42.0, protocol=own("custom"), videos=partial, **WHY),
    ]
    again = scored(tmp_path, "d", 43.0, protocol=own("custom"), **WHY)
    found = boards([*different, again], Filter(directions=["t2v"]))
    assert sorted([row.model for row in board.rows] for board in found) == [["b"], ["c"], ["d", "a"]]


def test_every_report_calls_own_content_by_the_same_name(tmp_path: Path) -> None:
    saved = measured(tmp_path, protocol=own(), **WHY)
    name = protocol_of(saved.record)
    assert name.startswith("msrvtt/1ka (own content ")
    assert render(saved.record).startswith(f"{name}: ")
    assert compare([saved] * 2).protocol == name
    assert check_against_run(saved, saved, {}, None).protocol == name
    (first, *_) = yaml.safe_load(model_index([saved]))["model-index"][0]["results"]
    assert first["dataset"]["config"] == name
    assert first["dataset"]["name"].startswith(name)


def card_of(record: Record) -> Measurement:
    return Measurement(record, BASE)


def test_the_model_card_names_the_split_that_was_scored() -> None:
    def split_of(protocol: ProtocolRecord) -> str | None:
        card = yaml.safe_load(model_index([card_of(result(protocol=protocol, **WHY))]))
        split: str | None = card["model-index"][0]["results"][0]["dataset"].get("split")
        return split

    validation = [name for name, each in protocols().items() if each.validation]
    assert validation
    assert {split_of(own(name, name)) for name in validation} == {"validation"}
    assert split_of(own("msrvtt/1ka", "msrvtt/1ka")) == "test"
    assert split_of(own()) is None


def test_a_record_that_is_given_twice_stands_once(tmp_path: Path) -> None:
    saved = measured(tmp_path / "results")
    copy = tmp_path / "copy.json"
    copy.write_bytes(saved.path.read_bytes())
    link = tmp_path / "link.json"
    link.symlink_to(saved.path)
    found, skipped = read_all([tmp_path / "results", saved.path, copy, link])
    assert [each.path for each in found] == [saved.path]
    assert skipped == [f"{path} is the same record as {saved.path}" for path in (saved.path, copy, link)]


@pytest.fixture
def nasty(tmp_path: Path) -> list[Board]:
    return boards([scored(tmp_path, name, 40.0 + i) for i, name in enumerate(NASTY)], include_published=True)


def test_text_fits_100_columns_with_every_claim(nasty: list[Board]) -> None:
    shown = render_boards(nasty)
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert "\x1b" not in shown
    assert "claimed: arXiv:2207.07285" in shown
    assert "measured 2026-01-02" in shown


def test_nothing_in_a_name_is_markup(nasty: list[Board]) -> None:
    markdown, latex = render_boards(nasty, "md"), render_latex(nasty, "boards")
    assert "<script>" not in markdown
    assert "a\\|b\\`c\\*d\\_e" in markdown
    assert "\\input{x}" not in latex
    assert "\\textbackslash{}input\\{x\\}" in latex


def test_no_cell_of_the_csv_is_a_formula(nasty: list[Board]) -> None:
    table = list(csv.DictReader(io.StringIO(render_csv(nasty))))
    assert all(
        not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in table for cell in row.values()
    )
    assert {"'=cmd()", "'@SUM(A1)", "'+1", "<script>alert(1)</script>"} <= {row["model"] for row in table}
    own = next(row for row in table if row["model"] == "'=cmd()")
    assert (own["R@1"], own["kind"]) == ("41", "measured")
    assert 35 < float(own["R@1 low"]) < 41
    claim = next(row for row in table if row["model"] == "X-CLIP" and row["direction"] == "t2v")
    assert claim["kind"] == "claimed"
    assert claim["source_url"] == "https://arxiv.org/abs/2207.07285"


def test_model_index_is_read_back_by_the_hub_library() -> None:
    record = result(resamples=200)
    titled = ProtocolRecord(**record.protocol.model_dump() | {"title": "MSR-VTT 1k-A"})
    whole = record.model_copy(update={"protocol": titled})
    limited: Record = result(protocol=own(), not_comparable_because=["limited: 40 videos"])
    raw = yaml.safe_load(model_index([card_of(whole), card_of(limited)]))
    assert "&id" not in model_index([card_of(whole), card_of(limited)])
    name, found = model_index_to_eval_results(raw["model-index"])
    assert name == "xclip ViT-B/32"
    first = next(each for each in found if each.metric_type == "recall_at_1")
    assert first.task_type == "text-to-video-retrieval"
    assert (first.dataset_name, first.dataset_type, first.dataset_config) == (
        "MSR-VTT 1k-A",
        "msrvtt",
        "msrvtt/1ka",
    )
    assert first.metric_value == pytest.approx(whole.metrics["t2v"]["R@1"].value, abs=1e-3)
    low, high = first.metric_args["confidence_interval_95"]
    assert low < first.metric_value < high
    assert any("NOT COMPARABLE: limited: 40 videos" in each.dataset_name for each in found)


def test_a_card_has_one_value_for_a_model_and_a_data_set(tmp_path: Path) -> None:
    first, second = scored(tmp_path, "features", 45.0), scored(tmp_path, "features", 2.5)
    with pytest.raises(UsageError, match=f"{first.file} and {second.file} are both of features ViT-B/32 on"):
        model_index([first, second])
    labelled = [
        Measurement(each.record.model_copy(update={"label": label}), each.per_query, each.path)
        for each, label in ((first, "epoch 4"), (second, "epoch 5"))
    ]
    index = yaml.safe_load(model_index(labelled))["model-index"]
    assert [model["name"] for model in index] == ["features ViT-B/32, epoch 4", "features ViT-B/32, epoch 5"]
    assert len(yaml.safe_load(model_index([first, first]))["model-index"]) == 1


def test_the_command_writes_the_format_that_the_ending_says(tmp_path: Path) -> None:
    scored(tmp_path / "results", "xclip", 40.0)
    for name, start in (("a.html", "<!doctype html>"), ("a.md", "## msrvtt"), ("a.csv", "protocol,")):
        outcome = CliRunner().invoke(command, [str(tmp_path / "results"), "-o", str(tmp_path / name)])
        assert outcome.exit_code == 0, outcome.exception
        assert (tmp_path / name).read_text().startswith(start)
        assert (outcome.stdout, outcome.stderr) == ("", f"Wrote {tmp_path / name}\n")


def test_the_command_says_what_it_leaves_out(tmp_path: Path) -> None:
    scored(tmp_path, "xclip", 40.0)
    (tmp_path / "other.json").write_text("{}")
    outcome = CliRunner().invoke(command, [str(tmp_path)])
    assert outcome.exit_code == 0
    assert "Skipped: " in outcome.stderr
    assert "other.json is no result of xbench" in outcome.stderr
    assert "Skipped" not in outcome.stdout


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--dataset", "msrvt"], UsageError),
        (["--protocol", "msrvtt/nope"], UsageError),
        (["--dataset", "lsmdc"], DataError),
        (["--format", "model-index", "--include-published"], UsageError),
        (["-o", "/nowhere/at/all.md"], DataError),
        (["-o", "board.pdf"], UsageError),
    ],
)
def test_a_choice_that_leaves_nothing_is_an_error(
    tmp_path: Path, options: list[str], error: type[Exception]
) -> None:
    scored(tmp_path, "xclip", 40.0)
    assert isinstance(CliRunner().invoke(command, [str(tmp_path), *options]).exception, error)


def test_the_miniature_never_gets_into_a_model_card(tmp_path: Path) -> None:
    measured(tmp_path, miniature=True, not_comparable_because=["the miniature"])
    outcome = CliRunner().invoke(command, [str(tmp_path), "--format", "model-index"])
    assert isinstance(outcome.exception, UsageError)
    assert outcome.stdout == ""


def test_a_folder_without_results_is_an_error(tmp_path: Path) -> None:
    assert isinstance(CliRunner().invoke(command, [str(tmp_path)]).exception, DataError)
    assert isinstance(CliRunner().invoke(command, [str(tmp_path / "nothing")]).exception, DataError)
