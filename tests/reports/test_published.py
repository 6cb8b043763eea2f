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
    assert len(values) == 1092
    assert {value.claim.benchmark for value in values} == {"msrvtt", "msvd", "lsmdc", "didemo", "activitynet"}
    assert {value.direction for value in values} == {"t2v", "v2t"}
    assert all(str(parse_measure(value.metric)) == value.metric for value in values)
    assert all(value.claim.protocol.startswith(f"{value.claim.benchmark}/") for value in values)
    assert all(0 < value.value <= 100 for value in values if value.metric.startswith("R@"))
    assert all(value.source and value.source_url.startswith("https://") for value in values)


def test_no_fact_was_lost_or_changed(shared: Path) -> None:
    def facts(path: Path) -> Counter[tuple[tuple[str, str], ...]]:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return Counter(tuple(sorted((k, v) for k, v in row.items() if k != "standing")) for row in rows)

    assert facts(shipped("results/published.csv")) == facts(shared / "published_numbers.csv")


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
        if value.quoted_by == "X-CLIP authors" or "paperswithcode" in value.source:
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
