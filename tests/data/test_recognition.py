"""What was loaded is named by its content, whatever was asked for and whatever order it stands in."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xbench.data import recognition as recognition_module
from xbench.data.loading import load_split
from xbench.data.recognition import Differences, Recognition, pack, recognise
from xbench.data.split import Caption, Split, Video, window_hash
from xbench.registry.datasets import CUSTOM, Benchmark, Hashes, Protocol, benchmark, protocols

CAPTIONS = [("v1", "one"), ("v2", "two  spaces"), ("v2", "three"), ("v3", "four"), ("v4", "five")]


def make(pairs: list[tuple[str, str]], protocol: str = "didemo/paragraph") -> Split:
    index: dict[str, int] = {}
    captions = tuple(Caption(text, index.setdefault(video, len(index))) for video, text in pairs)
    videos = tuple(Video(video, (0, 31)) for video in index)
    return Split(protocol.split("/", maxsplit=1)[0], protocol, videos, captions)


def publish(split: Split, **changes: object) -> Protocol:
    """A protocol whose published content is this split."""
    facts = asdict(split.fingerprint())
    counts = {name: facts.pop(name) for name in ("videos", "captions")}
    facts.pop("windows")
    return protocols()[split.protocol].model_copy(update=counts | {"sha256": Hashes(**facts)} | changes)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the given (protocol, split) pairs the only published ones."""

    def publish_only(*published: tuple[Protocol, Split]) -> None:
        entries = {protocol.id: protocol for protocol, _ in published}
        only: Benchmark = benchmark(published[0][0].benchmark).model_copy(update={"protocols": entries})
        monkeypatch.setattr(recognition_module, "benchmark", lambda _: only)
        monkeypatch.setattr(recognition_module, "_stored", lambda: pack(published))

    return publish_only


@pytest.fixture
def paragraph(known: Callable[..., None]) -> Split:
    split = make(CAPTIONS)
    known((publish(split), split))
    return split


def test_the_published_content_is_comparable_without_a_note(paragraph: Split) -> None:
    assert recognise(paragraph) == Recognition("didemo/paragraph", (), ())
    assert recognise(paragraph).comparable


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(CAPTIONS))
def test_order_never_matters(paragraph: Split, order: list[tuple[str, str]]) -> None:
    recognition = recognise(make(order))
    assert recognition.protocol == "didemo/paragraph"
    assert recognition.comparable
    expected = () if order == CAPTIONS else ("the captions stand in another order",)
    assert tuple(note[:35] for note in recognition.notes) == expected


def test_white_space_alone_is_noted_and_comparable(paragraph: Split) -> None:
    recognition = recognise(make([(video, f" {text.replace('  ', ' ')}\n") for video, text in CAPTIONS]))
    assert recognition == Recognition(
        "didemo/paragraph", ("white space differs from didemo/paragraph, ids equal",), ()
    )


def test_missing_videos_are_counted_and_named(paragraph: Split) -> None:
    recognition = recognise(make([pair for pair in CAPTIONS if pair[0] in ("v1", "v3")]))
    assert recognition.protocol is None
    assert recognition.notes == ("2 of the 4 videos of didemo/paragraph; missing: v2, v4",)
    assert recognition.reasons == recognition.notes


def test_a_video_of_another_set_is_named(paragraph: Split) -> None:
    recognition = recognise(make([*CAPTIONS, ("new", "text")]))
    assert recognition.reasons == ("1 video that didemo/paragraph does not have: new",)


def test_changed_text_is_counted_per_video(paragraph: Split) -> None:
    changed = [(video, text.replace("three", "3").replace("five", "5")) for video, text in CAPTIONS]
    assert recognise(make(changed)).reasons == ("other text than didemo/paragraph in 2 videos: v2, v4",)


def test_a_lost_caption_is_said_with_both_counts(paragraph: Split) -> None:
    reasons = recognise(make([pair for pair in CAPTIONS if pair[1] != "three"])).reasons
    assert reasons == (
        "other text than didemo/paragraph in 1 video (4 captions, didemo/paragraph has 5): v2",
    )


def test_a_reason_names_two_ids_and_the_whole_list_is_kept(known: Callable[..., None]) -> None:
    split = make([(f"v{n:02}", "text") for n in range(30)])
    known((publish(split), split))
    recognition = recognise(make([("v00", "text"), ("v01", "other"), ("w", "text")]))
    assert recognition.reasons == (
        "2 of the 30 videos of didemo/paragraph; missing: v02, v03 and 26 more; "
        "1 video that didemo/paragraph does not have: w; other text than didemo/paragraph in 1 video "
        "(3 captions, didemo/paragraph has 30): v01",
    )
    missing = tuple(f"v{n:02}" for n in range(2, 30))
    assert recognition.differences == (Differences("didemo/paragraph", missing, ("w",), ("v01",)),)


def test_nothing_in_common_is_said(paragraph: Split) -> None:
    assert recognise(make([("other", "one")])).reasons == (
        "none of the 1 videos is of any known protocol of didemo",
    )


def test_another_protocol_than_asked_for_is_named_with_what_happened(known: Callable[..., None]) -> None:
    whole, lost = make(CAPTIONS), make(CAPTIONS[:3], "didemo/paragraph-825")
    known((publish(whole), whole), (publish(lost), lost))
    recognition = recognise(replace(lost, protocol="didemo/paragraph"))
    assert recognition.protocol == "didemo/paragraph-825"
    assert recognition.comparable
    assert recognition.notes == (
        "this is didemo/paragraph-825, not didemo/paragraph: 3 captions; "
        "the copy lost the 179 ids that end in .mp4",
    )


def test_the_protocol_asked_for_is_described_first_and_then_a_nearer_one(known: Callable[..., None]) -> None:
    whole = make(CAPTIONS)
    part = make([pair for pair in CAPTIONS if pair[0] in ("v1", "v2")], "didemo/sentences")
    known((publish(whole), whole), (publish(part), part))
    for asked in ("didemo/paragraph", "didemo/sentences"):
        reasons = recognise(make([("v1", "one")], asked)).reasons
        assert reasons[0].startswith(f"1 of the {4 if asked == 'didemo/paragraph' else 2} videos of {asked};")
        assert [reason.split(" of ")[2][:3] for reason in reasons[1:]] == (
            ["did"] if asked == "didemo/paragraph" else []
        )


def test_equal_ids_with_other_text_are_other_text_and_no_part_of_a_neighbour(
    known: Callable[..., None],
) -> None:
    """The neighbour has half of the videos, with just this text."""
    whole = make(CAPTIONS)
    text = [(video, f"first {video}") for video in ("v1", "v2", "v3", "v4")]
    neighbour = make(text[:2], "didemo/sentences")
    known((publish(whole), whole), (publish(neighbour), neighbour))
    assert recognise(make(text)).reasons == (
        "other text than didemo/paragraph in 4 videos (4 captions, didemo/paragraph has 5): v1, v2 and "
        "2 more",
    )


def test_validation_sets_are_named_and_never_comparable(known: Callable[..., None]) -> None:
    split = make(CAPTIONS, "didemo/paragraph-val")
    known((publish(split), split))
    recognition = recognise(split)
    assert recognition.protocol == "didemo/paragraph-val"
    assert recognition.reasons == (
        "didemo/paragraph-val is a validation set, which never stands beside test rows",
    )


def test_lsmdc_validation_is_recognised_by_its_count() -> None:
    split = make([(f"clip{n}", "text") for n in range(7408)], "lsmdc/val")
    recognition = recognise(split)
    assert recognition.protocol == "lsmdc/val"
    assert "by its 7408 captions alone" in recognition.notes[0]
    assert not recognition.comparable


def test_lsmdc_header_bug_is_recognised_and_not_comparable(known: Callable[..., None]) -> None:
    split = make(CAPTIONS, "lsmdc/header-bug-999")
    known((publish(split), split))
    recognition = recognise(replace(split, protocol="lsmdc/test"))
    assert recognition.protocol == "lsmdc/header-bug-999"
    assert "first row of the file was read as a header" in recognition.notes[0]
    assert not recognition.comparable


def test_lsmdc_whose_ids_are_not_public_is_described_by_counts() -> None:
    recognition = recognise(make([("clip", "text")], "lsmdc/test"))
    assert recognition.protocol is None
    assert recognition.reasons[0].startswith("1 video and 1 captions, no known protocol of lsmdc")


def test_lsmdc_edited_text_under_equal_ids_is_said(
    known: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make(CAPTIONS, "lsmdc/test")
    known((publish(split), split))
    monkeypatch.setattr(recognition_module, "_stored", dict)
    edited = replace(split, captions=(*split.captions[:-1], Caption("edited", 3)))
    assert recognise(edited).reasons == (
        "ids equal to those of lsmdc/test, but the text of some captions differs",
    )


def test_a_limited_split_is_never_comparable(paragraph: Split) -> None:
    recognition = recognise(paragraph.limit(2))
    assert recognition.protocol is None
    assert recognition.reasons == ("limited to the first 2 of 4 videos of didemo/paragraph",)


def test_a_limit_that_leaves_exactly_another_protocol_is_not_comparable(known: Callable[..., None]) -> None:
    whole, part = make(CAPTIONS), make(CAPTIONS[:3], "didemo/paragraph-825")
    known((publish(whole), whole), (publish(part), part))
    assert not recognise(whole.limit(2)).comparable


def test_custom_annotations_are_never_comparable_even_with_published_content(paragraph: Split) -> None:
    recognition = recognise(replace(paragraph, protocol=CUSTOM))
    assert recognition.protocol == "didemo/paragraph"
    assert not recognition.comparable
    assert "custom" in recognition.reasons[0]


def test_edited_durations_are_not_comparable(known: Callable[..., None], activitynet: Path) -> None:
    split = load_split("activitynet", activitynet)
    known((publish(split, windows=window_hash(split.videos)), split))
    assert recognise(split).comparable
    longer = tuple(replace(video, window=(0, 99)) for video in split.videos)
    recognition = recognise(replace(split, videos=longer))
    assert recognition.protocol == "activitynet/val1-paragraph"
    assert recognition.reasons == (
        "the annotated durations, which limit the frames, are not those of activitynet/val1-paragraph",
    )
