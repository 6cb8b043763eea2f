"""Text tables: at most 100 columns, the values as papers print them, and no silent incomparability."""

from pathlib import Path

from record_examples import per_query, result

from xbench import Result
from xbench.reports.page.findings import Material
from xbench.reports.page.report import render_report
from xbench.reports.record.files import Measurement
from xbench.reports.record.schema import (
    Metric,
    ProtocolRecord,
    Record,
    ScorerRecord,
    VideoNote,
    Videos,
    scoring_reasons,
)
from xbench.reports.record.text import render, render_many, signed
from xbench.terms import Ties


def of_protocol(name: str, **changes: object) -> Record:
    record = result(**changes)
    renamed = record.protocol.model_copy(update={"requested": name, "matched": name})
    return record.model_copy(update={"protocol": ProtocolRecord(**renamed.model_dump())})


def test_a_result_shows_both_directions_with_the_digits_of_the_papers() -> None:
    values = {"R@1": Metric(value=49.25), "MdR": Metric(value=2.0), "MRR": Metric(value=0.5678)}
    shown = render(result(metrics={"t2v": values, "v2t": {"R@1": Metric(value=8.04)}}))
    lines = [line.split() for line in shown.splitlines()]
    assert ["R@1", "MdR", "MRR"] in lines
    assert ["t2v", "49.2", "2.0", "0.568"] in lines
    assert ["v2t", "8.0"] in lines
    assert "msrvtt/1ka: xclip ViT-B/32, 1000 captions, 1000 videos" in shown
    assert "NOT COMPARABLE" not in shown


def test_what_is_not_comparable_says_so_and_why_in_at_most_100_columns() -> None:
    reasons = ["3 videos are missing: " + ", ".join(f"video{number}" for number in range(60)), "limited"]
    shown = render(result(not_comparable_because=reasons, videos=Videos(wanted=43, scored=40)))
    assert "NOT COMPARABLE with published numbers, because:" in shown
    assert "video59" in shown
    assert "  - limited" in shown
    assert "40 of 43 videos" in shown
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_intervals_stand_below_their_values_and_many_measures_fit() -> None:
    names = ["R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "MRR", "nDCG@10", "RSum"]
    values = {name: Metric(value=100 + i, low=99.04, high=300.25) for i, name in enumerate(names)}
    shown = render(result(metrics={"t2v": values}))
    lines = [line.split() for line in shown.splitlines()]
    assert ["95%", *(["99.0", "-", "300.2"] * 6)] in lines
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert all(name in shown for name in names)


def test_ties_and_vanished_queries_are_told() -> None:
    counts = per_query()
    tied = int((counts.t2v.tied > 0).sum())
    assert tied > 0
    assert f"t2v: {tied} of 1000 queries are tied; ties ranked: average" in render(result(counts))
    record = result(policy=Ties.REFERENCE, not_comparable_because=scoring_reasons(Ties.REFERENCE))
    ties = record.ties.model_copy(update={"vanished": {"t2v": 2, "v2t": 0}})
    shown = render(record.model_copy(update={"ties": ties}))
    assert "t2v: 2 of 1000 queries have no finite score and vanished" in shown
    assert "v2t: 0 of" not in shown


def test_five_benchmarks_make_one_table() -> None:
    names = ["msrvtt/1ka", "msvd/test", "lsmdc/test", "didemo/paragraph", "activitynet/val1-paragraph"]
    results = [of_protocol(name) for name in names[:4]]
    results.append(of_protocol(names[4], not_comparable_because=["limited to 40 videos"]))
    shown = render_many(results)
    lines = shown.splitlines()
    assert max(len(line) for line in lines) <= 100
    assert [line.split()[0] for line in lines if " t2v " in line] == names
    assert sum(" v2t " in line for line in lines) == 5
    assert "activitynet/val1-paragraph *" in shown
    assert "* activitynet/val1-paragraph: NOT COMPARABLE with published numbers:" in shown
    assert shown.count("didemo/paragraph *") == 0


def test_comparable_is_said_only_where_there_is_a_published_row_to_compare_with() -> None:
    counts = per_query()
    for name, said, unsaid in (
        ("msrvtt/1ka", "Comparable with published numbers of msrvtt/1ka.", "no published row"),
        ("didemo/sentences", "The full protocol didemo/sentences; no published row.", "Comparable with"),
    ):
        record = of_protocol(name)
        page = render_report(Measurement(record, counts, Path("a.json")), Material())
        for shown in (render(record), page, Result(record, counts)._repr_html_()):
            assert said in " ".join(shown.split())
            assert unsaid not in shown
        both = render_many([record, record])
        assert (said in both) == (name == "didemo/sentences")


def test_several_models_are_told_apart() -> None:
    other = result(scorer=ScorerRecord(name="clip4clip", settings={"backbone": "ViT-B/16"}))
    dsl = result(post_processing="dsl", not_comparable_because=scoring_reasons(Ties.AVERAGE, "dsl"))
    shown = render_many([result(), other, dsl])
    assert "clip4clip ViT-B/16" in shown
    assert "xclip ViT-B/32 + dsl" in shown
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_a_note_that_is_a_reason_is_said_once_and_a_note_of_many_videos_once() -> None:
    why = "998 of the 1000 videos of msrvtt/1ka; missing: video1, video2"
    plain = result()
    changed = plain.model_copy(
        update={
            "comparable": False,
            "not_comparable_because": [why],
            "protocol": plain.protocol.model_copy(update={"notes": [why, "white space differs"]}),
            "videos": plain.videos.model_copy(
                update={"notes": [VideoNote(id=str(index), note="odd frames") for index in range(3)]}
            ),
        }
    )
    text = render(changed)
    assert text.count("998 of the 1000 videos") == 1
    assert "Note: white space differs" in text
    assert text.count("odd frames") == 1
    assert "Note: 3 of " in text


def test_a_difference_that_rounds_to_zero_has_no_minus() -> None:
    assert [signed(value, 1) for value in (-0.04, 0.04, -0.06, 1.25)] == ["+0.0", "+0.0", "-0.1", "+1.2"]


def test_an_interval_of_too_few_queries_is_called_rough() -> None:
    rough = Metric(value=40.0, low=21.0, high=60.0, rough=True)
    steady = Metric(value=2.0, low=1.0, high=3.0)
    shown = render(
        result(metrics={"t2v": {"R@1": rough, "MdR": steady, "MnR": rough}, "v2t": {"R@1": rough}})
    )
    assert (
        "\nRough intervals (too few queries, or too few that matter, for 95%): t2v R@1, MnR; v2t R@1" in shown
    )
    assert "Rough" not in render(result(metrics={"t2v": {"MdR": steady}}))


def test_only_a_rough_interval_says_so_in_the_record() -> None:
    assert Metric(value=0.0, low=0.0, high=0.0).model_dump() == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert Metric(value=0.0, low=0.0, high=1.0, rough=True).model_dump()["rough"] is True
