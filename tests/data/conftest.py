"""Small annotation folders in the published layouts, with made-up captions."""

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

CAPTIONS = {
    "video7": ["a red dot moves", "a dot moves  to the left ", "something red"],
    "video3": ['two squares, and a "circle"', "squares\nmeet"],
    "video9": ["a line falls", "a line falls"],
}
SPLITS = {"video7": "test", "video3": "test", "video9": "train"}


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def official(captions: dict[str, list[str]], splits: dict[str, str]) -> dict[str, Any]:
    """The content of an MSR-VTT JSON file; sen_ids count down within a video, so the last has the lowest."""
    sentences = []
    for position, (video, texts) in enumerate(captions.items()):
        for offset, text in enumerate(texts):
            number = 100 * position + len(texts) - offset
            sentences.append({"caption": text, "video_id": video, "sen_id": number})
    videos = [{"video_id": video, "split": split, "id": 0} for video, split in splits.items()]
    return {"info": {}, "videos": videos, "sentences": sentences}


@pytest.fixture
def msrvtt(tmp_path: Path) -> Path:
    folder = tmp_path / "MSRVTT"
    folder.mkdir()
    with (folder / "MSRVTT_JSFUSION_test.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["key", "vid_key", "video_id", "sentence"])
        writer.writerow(["ret0", "msr3", "video3", "squares, told otherwise"])
        writer.writerow(["ret1", "msr7", "video7", "a dot, told otherwise"])
    write_json(folder / "MSRVTT_data.json", official(CAPTIONS, SPLITS))
    (folder / "jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps({"video7": 2, "video3": 1}))
    (folder / "test_list_miech.txt").write_text("video9\nvideo7", encoding="utf-8")
    return folder


@pytest.fixture
def msvd(tmp_path: Path) -> Path:
    folder = tmp_path / "MSVD"
    folder.mkdir()
    (folder / "test_list.txt").write_text("-b_1_2\na_0_9\n", encoding="utf-8")
    (folder / "val_list.txt").write_text("c_3_4", encoding="utf-8")
    texts = {"a_0_9": ["a dot moves", "dot"], "-b_1_2": ["a line falls"], "c_3_4": ["squares meet"]}
    write_json(folder / "captions_msvd.json", texts)
    return folder


@pytest.fixture
def lsmdc(tmp_path: Path) -> Path:
    folder = tmp_path / "LSMDC"
    folder.mkdir()
    rows = [
        ("1012_Unbreakable_00.05.16.065-00.05.21.941", "SOMEONE waits."),
        ("1012_Unbreakable_00.24.58.622-00.25.06.004", "He looks up."),
        ("3064_SPARKLE_2012_01.10.49.683-01.10.52.477", " a caption with a space before it"),
    ]
    times = "\t".join(["00.05.16.065", "00.05.21.941"] * 2)
    text = "".join(f"{clip}\t{times}\t{caption}\n" for clip, caption in rows)
    (folder / "LSMDC16_challenge_1000_publictect.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def didemo(tmp_path: Path) -> Path:
    folder = tmp_path / "DiDeMo"
    folder.mkdir()
    sentences = [
        ("1@N0_a_f.mov", "then it stops", [[2, 2], [3, 3], [2, 2]]),
        ("2@N0_b_f.mp4", "a bird lands\n", [[0, 0]]),
        ("1@N0_a_f.mov", "a car comes", [[0, 1], [2, 2], [0, 1]]),
        ("1@N0_a_f.mp4", "a door opens", [[1, 1], [0, 0]]),
        ("3@N0_c_f.", "a ball rolls", [[4, 4]]),
        ("4@N0_d_f.avi", "of the validation set", [[0, 0]]),
    ]
    entries = [{"video": name, "description": text, "times": times} for name, text, times in sentences]
    write_json(folder / "test_data.json", entries)
    (folder / "test_list.txt").write_text("1@N0_a_f.mov\r\n2@N0_b_f.mp4\r\n3@N0_c_f.\r\n", encoding="utf-8")
    return folder


@pytest.fixture
def activitynet(tmp_path: Path) -> Path:
    folder = tmp_path / "ActivityNet"
    folder.mkdir()
    entries = {
        "v_aaaaaaaaaaa": {"duration": 12.01, "timestamps": [], "sentences": ["One.", "  Two."]},
        "v_v_bbbbbbbbb": {"duration": 7, "timestamps": [], "sentences": [" A ñ."]},
    }
    write_json(folder / "val_1.json", entries)
    write_json(folder / "val_2.json", {"v_aaaaaaaaaaa": entries["v_aaaaaaaaaaa"] | {"sentences": ["Else."]}})
    write_json(folder / "val_ids.json", ["v_v_bbbbbbbbb", "v_zzzzzzzzzzz", "v_aaaaaaaaaaa"])
    return folder
