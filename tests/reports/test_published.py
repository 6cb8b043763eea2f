"""published.csv: every fact of the collection, marked by standing; nothing invented, nothing lost."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.errors import UsageError
from xbench.metrics.measures import parse_measure
from xbench.registry import shipped
from xbench.reports.published.claims import (
    Claim,
    Published,
    PublishedRow,
    find_model,
    published_model,
    published_rows,
    published_values,
)


def value_of(model: str, backbone: str, benchmark: str, side: str, metric: str) -> float | None:
    (entry,) = published_rows(benchmark, model, backbone)
    found = entry.value(side, metric)
    return None if found is None else found.value


def test_all_values_are_there_and_typed() -> None:
    values = published_values()
    assert len(values) == 1565
    assert {value.claim.benchmark for value in values} == {"msrvtt", "msvd", "lsmdc", "didemo", "activitynet"}
    assert {value.direction for value in values} == {"t2v", "v2t"}
    assert all(str(parse_measure(value.metric)) == value.metric for value in values)
    assert all(value.claim.protocol.startswith(f"{value.claim.benchmark}/") for value in values)
    assert all(0 < value.value <= 100 for value in values if value.metric.startswith("R@"))
    assert all(value.source and value.source_url.startswith("https://") for value in values)


def test_no_value_of_the_collection_was_lost_or_changed(shared: Path) -> None:
    fields = ("model", "backbone", "dataset", "direction", "metric", "value", "source_url")

    def facts(path: Path) -> Counter[tuple[str, ...]]:
        with path.open(encoding="utf-8", newline="") as stream:
            return Counter(tuple(row[field] for field in fields) for row in csv.DictReader(stream))

    assert facts(shared / "published_numbers.csv") <= facts(shipped("results/published.csv"))


def test_what_is_zero_shot_saw_no_train_split() -> None:
    assert not [v for v in published_values() if v.claim.setting == "zero-shot" and v.claim.train_split]


def test_what_a_secondary_source_says_is_secondary() -> None:
    told = [
        v for v in published_values() if v.source.startswith(("secondary", "aggregator", "paperswithcode"))
    ]
    assert told
    assert {value.standing for value in told} == {"secondary"}


def test_a_recall_of_1000_queries_is_a_whole_number_of_them_or_says_why_not() -> None:
    of_1000 = {"msrvtt/1ka", "msrvtt/1ka-official-text", "msrvtt/1kb", "lsmdc/test"}
    for value in published_values():
        single = value.claim.model not in ("CE", "TeachText-CE+")  # means of three seeds
        if value.claim.protocol in of_1000 and value.metric.startswith("R@") and single:
            whole = abs(10 * value.value - round(10 * value.value)) < 1e-6
            assert whole or value.note, value


def test_clip_vips_percentages_are_counts_of_1008() -> None:
    odd = {v.value: v.note for v in published_values() if v.claim.model == "CLIP-ViP" and v.note}
    assert {
        value: round(100 * count / 1008, 4) for value, count in zip(odd, (495, 768, 847), strict=True)
    } == {value: value for value in odd}
    assert all("of 1008 entries" in note for note in odd.values())


def test_recalls_of_one_source_grow_with_k() -> None:
    found: dict[tuple[object, ...], dict[int, float]] = {}
    for value in published_values():
        if value.metric.startswith("R@"):
            key = (value.claim, value.direction, value.source, value.quoted_by)
            found.setdefault(key, {})[int(value.metric[2:])] = value.value
    for recalls in found.values():
        by_k = [recalls[k] for k in sorted(recalls)]
        assert by_k == sorted(by_k)


def test_every_v2t_value_of_several_captions_names_its_rule() -> None:
    for value in published_values():
        several = value.claim.benchmark == "msvd" and value.direction == "v2t"
        assert not several or value.claim.v2t_rule, value
    rules = {v.claim.model: v.claim.v2t_rule for v in published_values() if v.claim.benchmark == "msvd"}
    assert (rules["CE"], rules["X-CLIP"], rules["InternVideo"]) == ("any-caption", "group-max", "unknown")


def test_a_second_stage_that_the_source_does_not_name_is_unknown() -> None:
    post = {v.claim.model: v.claim.post_processing for v in published_values()}
    for model, word in post.items():
        if model.startswith(("InternVideo2-s2", "UMT-")):
            assert word == "unknown"
        if model.startswith("InternVideo2-CLIP"):
            assert word == "none"
    for value in published_values():
        assert value.claim.post_processing not in ("unknown", "rerank") or value.claim.post_detail, value


def test_a_family_known_to_use_several_didemo_sets_has_an_unknown_protocol() -> None:
    for value in published_values():
        claim = value.claim
        assert (claim.protocol_basis == "unknown") == claim.protocol.endswith("/unknown")
        if claim.benchmark == "didemo" and claim.model.startswith(("InternVideo2", "UMT-")):
            assert claim.protocol == "didemo/unknown"


def test_an_evaluation_that_sees_the_answer_says_so_with_a_source() -> None:
    told = {v.claim.model for v in published_values() if v.claim.evaluation}
    assert told == {"T-MASS"}
    for value in published_values():
        assert bool(value.claim.evaluation) == value.claim.evaluation_url.startswith("https://")


def test_x_clips_rows_are_the_authors_own_from_the_papers_tables() -> None:
    own = [value for value in published_values() if value.claim.model.startswith("X-CLIP")]
    assert len(own) == 80
    assert {value.standing for value in own} == {"primary"}
    assert all(value.source.startswith("arXiv:2207.07285 (X-CLIP paper), tab:") for value in own)


def test_x_clips_known_values() -> None:
    assert value_of("X-CLIP", "ViT-B/16", "msrvtt", "t2v", "R@1") == 49.3
    assert value_of("X-CLIP", "ViT-B/32", "didemo", "v2t", "R@5") == 72.2
    assert value_of("X-CLIP", "ViT-B/32", "activitynet", "t2v", "MnR") == 7.9


@pytest.mark.parametrize("benchmark", ["msvd", "lsmdc", "didemo", "activitynet"])
@pytest.mark.parametrize("metric", ["R@10", "MdR"])
def test_what_the_paper_does_not_give_is_absent(benchmark: str, metric: str) -> None:
    for backbone in ("ViT-B/32", "ViT-B/16"):
        for side in ("t2v", "v2t"):
            assert value_of("X-CLIP", backbone, benchmark, side, metric) is None


def test_values_with_the_archives_wrong_label_stand_as_in_the_paper() -> None:
    assert value_of("X-CLIP", "ViT-B/16", "msvd", "v2t", "R@5") == 90.4
    assert value_of("X-CLIP", "ViT-B/16", "didemo", "v2t", "R@5") == 76.8


def test_post_processing_is_a_claim_of_its_own() -> None:
    post = {entry.claim.post_processing for entry in published_rows("msrvtt", "TS2-Net", "ViT-B/32")}
    assert {"none", "inverted-softmax"} <= post
    for entry in published_rows():
        assert len({value.claim.post_processing for value in entry.values}) == 1


def test_what_others_quote_is_secondary() -> None:
    for value in published_values():
        if value.quoted_by == "X-CLIP authors":
            assert value.standing == "secondary"
    tame = [value for value in published_values() if value.claim.model == "TAME"]
    assert {value.standing for value in tame} == {"primary"}


CLAIM = Claim("M", "ViT-B/32", "msvd", "msvd/test", "stated", "", "fine-tuned", "none")


@given(
    st.lists(st.tuples(st.sampled_from(["primary", "secondary"]), st.integers(1, 3)), min_size=1, max_size=6)
)
def test_the_primary_value_is_used_and_contradictions_stay(found: list[tuple[str, int]]) -> None:
    values = tuple(
        Published(CLAIM, "t2v", "R@1", float(number), standing, "", f"source {index}", "")  # type: ignore[arg-type]
        for index, (standing, number) in enumerate(found)
    )
    entry = PublishedRow(CLAIM, values)
    used = entry.value("t2v", "R@1")
    assert used is not None
    assert (used.standing == "primary") == any(value.standing == "primary" for value in values)
    others = {value.source for value in entry.contradictions("t2v", "R@1")}
    assert others == {value.source for value in values if value.value != used.value}
    assert entry.value("v2t", "R@1") is None
    assert entry.contradictions("v2t", "R@1") == []


def test_models_are_found_by_name_whatever_the_case() -> None:
    assert find_model("x-clip") == "X-CLIP"
    with pytest.raises(UsageError, match="Did you mean 'CLIP4Clip-meanP'"):
        find_model("clip4clip-mean")
    assert published_model("xclip") == "X-CLIP"
    assert published_model("clip4clip", "meanP") == "CLIP4Clip-meanP"
    assert published_model("my model") is None
