"""The five adapters on small folders in the published layouts."""

import json
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path

import pytest
from pairs import pairs

from xbench.data.loading import load_split
from xbench.errors import DataError, UsageError
from xbench.registry.datasets import benchmarks


def crlf(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def test_msrvtt_1ka_is_the_csv_as_it_stands(msrvtt: Path) -> None:
    split = load_split("msrvtt", msrvtt)
    assert (split.benchmark, split.protocol) == ("msrvtt", "msrvtt/1ka")
    assert pairs(split) == [("video3", "squares, told otherwise"), ("video7", "a dot, told otherwise")]
    assert [video.window for video in split.videos] == [None, None]


def test_msrvtt_official_text_is_chosen_by_the_pickled_index_in_its_order(msrvtt: Path) -> None:
    split = load_split("msrvtt", msrvtt, "msrvtt/1ka-official-text")
    assert pairs(split) == [("video7", "something red"), ("video3", "squares\nmeet")]


def test_msrvtt_20captions_has_all_captions_in_csv_order_of_videos(msrvtt: Path) -> None:
    split = load_split("msrvtt", msrvtt, "msrvtt/1ka-20captions")
    assert [video for video, _ in pairs(split)] == ["video3"] * 2 + ["video7"] * 3
    assert split.caption_to_video.tolist() == [0, 0, 1, 1, 1]


def test_msrvtt_full_takes_the_test_split_only(msrvtt: Path) -> None:
    split = load_split("msrvtt", msrvtt, "full")
    assert [video.id for video in split.videos] == ["video7", "video3"]
    assert len(split.captions) == 5


def test_msrvtt_1kb_takes_the_lowest_sen_id_of_each_listed_video(msrvtt: Path) -> None:
    split = load_split("msrvtt", msrvtt, "msrvtt/1kb")
    assert pairs(split) == [("video9", "a line falls"), ("video7", "something red")]


def test_msrvtt_index_past_the_captions_is_an_error(msrvtt: Path) -> None:
    (msrvtt / "jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps({"video7": 3}))
    with pytest.raises(
        DataError, match=r"jsfusion_val_caption_idx\.pkl: video 'video7': 3 is no index of its 3"
    ):
        load_split("msrvtt", msrvtt, "msrvtt/1ka-official-text")


def test_msrvtt_caption_of_an_unknown_video_is_an_error_with_its_place(msrvtt: Path) -> None:
    path = msrvtt / "MSRVTT_data.json"
    content = json.loads(path.read_text("utf-8"))
    content["sentences"][4]["video_id"] = "video999"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(DataError, match=r"sentences\[4\]: a caption for 'video999'"):
        load_split("msrvtt", msrvtt, "msrvtt/full")


def test_msrvtt_listed_video_without_captions_is_an_error(msrvtt: Path) -> None:
    (msrvtt / "test_list_miech.txt").write_text("video9\nvideo8\n", "utf-8")
    with pytest.raises(DataError, match="no caption of 'video8'"):
        load_split("msrvtt", msrvtt, "msrvtt/1kb")


def test_msrvtt_same_video_twice_in_the_csv_is_an_error_with_both_lines(msrvtt: Path) -> None:
    with (msrvtt / "MSRVTT_JSFUSION_test.csv").open("a") as file:
        file.write("ret2,msr3,video3,again\n")
    with pytest.raises(DataError, match="line 4: video id 'video3' is already on line 2"):
        load_split("msrvtt", msrvtt)


def test_msvd_has_every_sentence_in_list_order(msvd: Path) -> None:
    split = load_split("msvd", msvd)
    assert pairs(split) == [("-b_1_2", "a line falls"), ("a_0_9", "a dot moves"), ("a_0_9", "dot")]


def test_msvd_first_caption_and_validation_list(msvd: Path) -> None:
    assert [text for _, text in pairs(load_split("msvd", msvd, "first-caption"))] == [
        "a line falls",
        "a dot moves",
    ]
    assert pairs(load_split("msvd", msvd, "msvd/val")) == [("c_3_4", "squares meet")]


@pytest.mark.parametrize("container", [dict, OrderedDict, lambda items: defaultdict(list, items)])
@pytest.mark.parametrize("pickle_protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_msvd_loads_token_lists_from_any_pickled_container(
    msvd: Path, container: type, pickle_protocol: int
) -> None:
    expected = load_split("msvd", msvd)
    captions = json.loads((msvd / "captions_msvd.json").read_text("utf-8"))
    tokens = container({video: [text.split() for text in texts] for video, texts in captions.items()})
    (msvd / "raw-captions.pkl").write_bytes(pickle.dumps(tokens, pickle_protocol))
    (msvd / "captions_msvd.json").unlink()
    assert load_split("msvd", msvd) == expected


def test_msvd_listed_videos_without_captions_are_an_error_that_counts_them(msvd: Path) -> None:
    (msvd / "test_list.txt").write_text("-b_1_2\nx_1_2\ny_1_2\n", "utf-8")
    with pytest.raises(DataError, match=r"no captions of 2 videos of test_list\.txt: x_1_2, y_1_2"):
        load_split("msvd", msvd)


@pytest.mark.parametrize(
    ("name", "first"),
    [("test", "1012_Unbreakable_00.05"), ("test-999", "1012_Unbreakable_00.24"), ("test-998", "3064")],
)
def test_lsmdc_protocols_leave_out_their_clips(lsmdc: Path, name: str, first: str) -> None:
    split = load_split("lsmdc", lsmdc, f"lsmdc/{name}")
    assert split.videos[0].id.startswith(first)
    assert pairs(split)[-1][1] == " a caption with a space before it"


def test_lsmdc_wrong_number_of_columns_is_an_error_with_the_line(lsmdc: Path) -> None:
    with (lsmdc / "LSMDC16_challenge_1000_publictect.csv").open("a") as file:
        file.write("clip\tcaption only\n")
    with pytest.raises(DataError, match="line 4: expected 6 TAB-separated columns"):
        load_split("lsmdc", lsmdc)


def test_lsmdc_line_of_column_names_is_not_a_clip(lsmdc: Path) -> None:
    expected = load_split("lsmdc", lsmdc)
    path = lsmdc / "LSMDC16_challenge_1000_publictect.csv"
    path.write_text("clip\tstart\tend\tfrom\tto\tcaption\n" + path.read_text("utf-8"), "utf-8")
    assert load_split("lsmdc", lsmdc) == expected


def test_lsmdc_header_bug_cannot_be_run_by_name(lsmdc: Path) -> None:
    with pytest.raises(UsageError, match="an accident that xbench recognises"):
        load_split("lsmdc", lsmdc, "lsmdc/header-bug-999")


def test_didemo_paragraph_joins_the_sentences_of_listed_file_names_in_file_order(didemo: Path) -> None:
    split = load_split("didemo", didemo)
    assert pairs(split) == [
        ("1@N0_a_f.mov", "then it stops a car comes"),
        ("2@N0_b_f.mp4", "a bird lands\n"),
        ("3@N0_c_f.", "a ball rolls"),
    ]
    assert {video.window for video in split.videos} == {(0, 31)}


def test_didemo_temporal_merges_names_and_sorts_by_the_majority_segment(didemo: Path) -> None:
    first = pairs(load_split("didemo", didemo, "didemo/paragraph-temporal"))[0]
    # Segments (0, 1); (1, 1), named first of two with one vote each; (2, 2).
    assert first == ("1@N0_a_f", "a car comes a door opens then it stops")


def test_didemo_without_a_list_takes_every_file_name(didemo: Path) -> None:
    split = load_split("didemo", didemo, "didemo/paragraph-1037")
    assert [video.id for video in split.videos] == [
        "1@N0_a_f.mov",
        "2@N0_b_f.mp4",
        "1@N0_a_f.mp4",
        "3@N0_c_f.",
        "4@N0_d_f.avi",
    ]


def test_didemo_sentences_stay_single_and_825_drops_mp4(didemo: Path) -> None:
    assert len(load_split("didemo", didemo, "didemo/sentences").captions) == 4
    dropped = load_split("didemo", didemo, "didemo/paragraph-825")
    assert [video.id for video in dropped.videos] == ["1@N0_a_f.mov", "3@N0_c_f."]


def test_activitynet_has_the_order_of_the_list_and_unstripped_paragraphs(activitynet: Path) -> None:
    split = load_split("activitynet", activitynet)
    assert pairs(split) == [("v_bbbbbbbbb", " A ñ."), ("aaaaaaaaaaa", "One.   Two.")]
    assert [video.window for video in split.videos] == [(0, 7), (0, 13)]


def test_activitynet_sentences_and_val2_stand_in_the_order_of_their_file(activitynet: Path) -> None:
    sentences = load_split("activitynet", activitynet, "val1-sentences")
    assert pairs(sentences) == [("aaaaaaaaaaa", "One."), ("aaaaaaaaaaa", "  Two."), ("v_bbbbbbbbb", " A ñ.")]
    assert pairs(load_split("activitynet", activitynet, "val2-paragraph")) == [("aaaaaaaaaaa", "Else.")]


def test_activitynet_id_with_and_without_prefix_is_an_error(activitynet: Path) -> None:
    path = activitynet / "val_1.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"aaaaaaaaaaa": content["v_aaaaaaaaaaa"]}), "utf-8")
    with pytest.raises(DataError, match="with and without 'v_'"):
        load_split("activitynet", activitynet)


@pytest.mark.parametrize("name", list(benchmarks()))
def test_crlf_copies_and_a_missing_final_newline_change_nothing(
    name: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    expected = load_split(name, folder)
    for path in [*folder.glob("*.csv"), *folder.glob("*.txt")]:
        path.write_bytes(path.read_bytes().rstrip())
        assert load_split(name, folder) == expected
        crlf(path)
        assert load_split(name, folder) == expected
    for path in folder.glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")), indent=1), "utf-8")
        crlf(path)
        assert load_split(name, folder) == expected


def test_unknown_names_are_usage_errors_that_suggest(didemo: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'didemo'"):
        load_split("didemoo", didemo)
    with pytest.raises(UsageError, match="Did you mean 'didemo/paragraph-temporal'"):
        load_split("didemo", didemo, "paragraph-temporl")
    with pytest.raises(UsageError, match="DiDeMo has no protocol 'msvd/test'"):
        load_split("didemo", didemo, "msvd/test")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_limit_keeps_the_first_videos_with_their_captions(msvd: Path, count: int) -> None:
    split = load_split("msvd", msvd)
    limited = split.limit(count)
    kept = {video.id for video in split.videos[:count]}
    assert pairs(limited) == [pair for pair in pairs(split) if pair[0] in kept]
    assert limited.cut_from == (2 if count < 2 else None)


def test_limit_of_nothing_is_a_usage_error(msvd: Path) -> None:
    with pytest.raises(UsageError, match="limit of 0"):
        load_split("msvd", msvd).limit(0)
