"""The diff: value, claim and difference; absent stays absent; what cannot be compared says why."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from record_examples import per_query, result

from xbench.cli.diff import command
from xbench.reports.published.claims import published_rows
from xbench.reports.published.difference import AgainstClaim, diff
from xbench.reports.published.text import render_difference
from xbench.reports.record.files import save
from xbench.reports.record.schema import (
    Metric,
    ProtocolRecord,
    Record,
    ScorerRecord,
    Settings,
    scoring_reasons,
)
from xbench.terms import Ties

VALUES = {"R@1": Metric(value=49.25, low=46.2, high=52.3), "R@10": Metric(value=70.0, low=69.0, high=71.0)}


def run_on(benchmark: str, protocol: str | None, backbone: str | None = "ViT-B/32", **changes: Any) -> Record:
    record = result(benchmark=benchmark, metrics={"t2v": VALUES, "v2t": VALUES}, **changes)
    renamed = ProtocolRecord(
        **record.protocol.model_dump() | {"requested": protocol or "x", "matched": protocol}
    )
    settings: dict[str, Any] = {"backbone": backbone, "variant": "seqTransf"} if backbone else {}
    scorer = ScorerRecord(name=record.scorer.name, settings=settings)
    return record.model_copy(update={"protocol": renamed, "scorer": scorer})


def comparison(record: Record, backbone: str) -> AgainstClaim:
    (found,) = [each for each in diff(record).comparisons if each.claim.backbone == backbone]
    return found


def test_value_claim_and_difference_stand_in_one_row() -> None:
    found = comparison(run_on("msrvtt", "msrvtt/1ka"), "ViT-B/32")
    assert found.comparable
    first = found.rows[0]
    assert (first.direction, first.metric, first.value, first.claimed) == ("t2v", "R@1", 49.25, 46.1)
    assert first.difference == pytest.approx(3.15)
    assert first.inside is False
    shown = render_difference(diff(run_on("msrvtt", "msrvtt/1ka")))
    assert ["t2v", "R@1", "49.2", "46.2", "-", "52.3", "46.1", "+3.1", "outside", "the", "interval"] in [
        line.split() for line in shown.splitlines()
    ]
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_the_comparable_claim_comes_first() -> None:
    assert [each.claim.backbone for each in diff(run_on("msrvtt", "msrvtt/1ka")).comparisons] == [
        "ViT-B/32",
        "ViT-B/16",
    ]
    sixteen = diff(run_on("msrvtt", "msrvtt/1ka", "ViT-B/16"))
    assert sixteen.comparisons[0].claim.backbone == "ViT-B/16"
    assert sixteen.comparisons[0].rows[0].inside is True


def test_a_value_that_the_paper_does_not_give_is_absent() -> None:
    found = comparison(run_on("didemo", "didemo/paragraph"), "ViT-B/32")
    absent = [row for row in found.rows if row.metric == "R@10"]
    assert [(row.claimed, row.difference, row.inside) for row in absent] == [(None, None, None)] * 2
    assert render_difference(diff(run_on("didemo", "didemo/paragraph"))).count("not given") == 4


def test_didemo_says_that_the_released_loader_scores_825_and_that_the_protocol_is_assumed() -> None:
    shown = " ".join(render_difference(diff(run_on("didemo", "didemo/paragraph"))).split())
    assert "it scores 825 of the 1004" in shown
    assert "The paper does not say which of the two it scored" in shown
    assert "Mind: protocol didemo/paragraph is assumed" in shown
    assert "825" not in render_difference(diff(run_on("msrvtt", "msrvtt/1ka")))


@pytest.mark.parametrize(
    ("benchmark", "protocol", "value"),
    [("msvd", "msvd/test", "90.4"), ("didemo", "didemo/paragraph", "76.8")],
)
def test_the_wrong_label_of_the_archive_is_told(benchmark: str, protocol: str, value: str) -> None:
    shown = " ".join(render_difference(diff(run_on(benchmark, protocol))).split())
    assert f"labels ViT-B/16 v2t {value} as R@10; the paper's own table gives it as R@5" in shown


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            run_on("msrvtt", "msrvtt/1kb"),
            "the claim is for msrvtt/1ka, the result for msrvtt/1kb",
        ),
        (run_on("msrvtt", None, not_comparable_because=["edited"]), "the result for no known protocol"),
        (
            run_on("msrvtt", "msrvtt/1ka", "ViT-L/14"),
            "the claim is for ViT-B/32, the result for ViT-L/14",
        ),
        (run_on("msrvtt", "msrvtt/1ka", None), "the result for an unknown backbone"),
        (
            run_on("msrvtt", "msrvtt/1ka", post_processing="dsl", not_comparable_because=["dsl"]),
            "post-processing: none for the claim, dsl for the result",
        ),
        (
            run_on("msrvtt", "msrvtt/1ka", scorer=ScorerRecord(name="xclip-zeroshot")),
            "the claim is fine-tuned, the result zero-shot",
        ),
    ],
)
def test_a_claim_of_something_else_says_why_it_cannot_be_compared(record: Record, reason: str) -> None:
    found = comparison(record, "ViT-B/32")
    assert not found.comparable
    assert any(reason in each for each in found.reasons)
    assert reason in " ".join(render_difference(diff(record)).split())


def test_another_temporal_variant_says_so() -> None:
    record = run_on("msrvtt", "msrvtt/1ka")
    settings: dict[str, Any] = {**record.scorer.settings, "variant": "seqLSTM"}
    other = record.model_copy(update={"scorer": ScorerRecord(name="xclip", settings=settings)})
    assert comparison(other, "ViT-B/32").reasons == ("the claim is for seqTransf, the result for seqLSTM",)


def test_a_result_that_is_not_comparable_says_so_at_the_end() -> None:
    shown = render_difference(diff(run_on("msrvtt", "msrvtt/1ka", not_comparable_because=["2 missing"])))
    assert shown.startswith("NOT COMPARABLE with published numbers: 2 missing\n")


def test_what_makes_a_result_not_comparable_stands_at_every_claim() -> None:
    record = run_on("msrvtt", "msrvtt/1ka", not_comparable_because=["2 of 1000 videos are missing"])
    found = comparison(record, "ViT-B/32")
    assert not found.comparable
    assert found.reasons == ("2 of 1000 videos are missing",)
    assert "Not comparable: 2 of 1000 videos are missing" in render_difference(diff(record))


def test_post_processing_that_the_claim_has_too_is_no_reason_against_it() -> None:
    why = scoring_reasons(Ties.AVERAGE, "dsl")
    record = run_on("msrvtt", "msrvtt/1ka", post_processing="dsl", not_comparable_because=why)
    processed = {
        entry.claim.model for entry in published_rows("msrvtt") if entry.claim.post_processing == "dsl"
    }
    assert processed
    for model in processed:
        for each in diff(record, model).comparisons:
            assert (why[0] in each.reasons) == (each.claim.post_processing != "dsl")


def test_an_unpublished_model_lists_those_that_are_published() -> None:
    record = run_on("lsmdc", "lsmdc/test").model_copy(update={"scorer": ScorerRecord(name="mine")})
    found = diff(record)
    assert found.comparisons == ()
    assert "There are no published numbers of mine on lsmdc; --model takes: " in render_difference(found)
    assert "X-CLIP" in found.others
    assert diff(record, "X-CLIP").comparisons


def test_every_published_model_can_be_compared_with() -> None:
    records = {
        name: run_on(name, protocol)
        for name, protocol in (
            ("msrvtt", "msrvtt/1ka"),
            ("msvd", "msvd/test"),
            ("lsmdc", "lsmdc/test"),
            ("didemo", "didemo/paragraph"),
            ("activitynet", "activitynet/val1-paragraph"),
        )
    }
    for entry in published_rows():
        shown = render_difference(diff(records[entry.claim.benchmark], entry.claim.model))
        assert entry.claim.model in shown
        assert max(len(line) for line in shown.splitlines()) <= 100


def test_the_command_prints_the_diff_of_a_saved_result(tmp_path: Path) -> None:
    path, _ = save(result(), per_query(), tmp_path)
    shown = CliRunner().invoke(command, [str(path)])
    assert shown.exit_code == 0
    assert "X-CLIP ViT-B/32 on msrvtt/1ka, fine-tuned" in shown.output
    other = CliRunner().invoke(command, [str(path), "--model", "clip4clip-meanP"])
    assert "CLIP4Clip-meanP ViT-B/32 on msrvtt/1ka" in other.output


def test_a_claim_inside_a_rough_interval_is_said_to_be_no_more() -> None:
    rough = {"R@1": Metric(value=49.2, low=40.0, high=60.0, rough=True)}
    record = run_on("msrvtt", "msrvtt/1ka").model_copy(update={"metrics": {"t2v": rough}})
    assert "inside the rough interval" in render_difference(diff(record))


def test_a_claim_whose_evaluation_sees_the_answer_is_refused_with_the_reason() -> None:
    difference = diff(run_on("msrvtt", "msrvtt/1ka"), "T-MASS")
    (found,) = difference.comparisons
    assert not found.comparable
    assert "pools each video with that video's own caption" in found.reasons[0]
    shown = " ".join(render_difference(difference).split())
    assert "Not comparable: the published evaluation pools each video" in shown
    assert "issues/7" in shown
    assert "50.2" not in shown


def several_captions(rule: str) -> Record:
    record = run_on("msvd", "msvd/test")
    protocol = record.protocol.model_copy(update={"v2t": rule})
    return record.model_copy(update={"protocol": protocol})


@pytest.mark.parametrize(
    ("model", "rule", "beside"),
    [("CE", "group-max", False), ("CE", "any-caption", True), ("X-CLIP", "group-max", True)],
)
def test_video_to_text_of_another_rule_is_not_set_side_by_side(model: str, rule: str, beside: bool) -> None:
    for each in diff(several_captions(rule), model).comparisons:
        claimed = {row.direction: row.claimed for row in each.rows if row.metric == "R@1"}
        assert claimed["t2v"] is not None
        assert (claimed["v2t"] is not None) == beside
        assert any("v2t is not set side by side" in caveat for caveat in each.caveats) == (not beside)


def test_an_unknown_second_stage_is_told_with_what_is_known_of_it() -> None:
    shown = " ".join(render_difference(diff(run_on("msrvtt", "msrvtt/1ka"), "UMT-25M")).split())
    assert "post-processing: unknown for the claim (the repository's evaluation takes" in shown


def test_a_value_with_a_note_shows_it() -> None:
    shown = " ".join(render_difference(diff(run_on("msrvtt", "msrvtt/1ka"), "CLIP-ViP")).split())
    assert "v2t R@1: 495 of 1008 entries" in shown


@pytest.mark.parametrize("way", ["limit", "missing"])
def test_a_smaller_gallery_shows_its_rows_and_what_such_a_thing_does(way: str) -> None:
    record = run_on("msrvtt", None if way == "limit" else "msrvtt/1ka", not_comparable_because=[way])
    if way == "limit":
        record = record.model_copy(update={"settings": Settings(passed={"limit": 100})})
    else:
        fewer = record.videos.model_copy(update={"wanted": record.videos.scored + 1, "missing": ["video7"]})
        record = record.model_copy(update={"videos": fewer})
    shown = " ".join(render_difference(diff(record)).split())
    assert "Seen: a smaller gallery makes every rank better." in shown
    assert "t2v R@1 49.2 46.2 - 52.3 46.1 +3.1" in shown
    assert "Seen:" not in render_difference(diff(run_on("msrvtt", "msrvtt/1ka")))
