"""`xbench run` from files to the record, as a user calls it."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.pipeline.conftest import STEMS, World, write_video
from xbench.cli import main
from xbench.engine.store import stored
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.video.decode import Taken, read_clip

ANNOTATIONS = Path("annotations") / "MSRVTT"


def invoke(arguments: list[str]) -> Result:
    """Call the command line as the shell does: with its exit codes and its two streams."""
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def record(world: World) -> dict[str, Any]:
    (path,) = world.output.glob("*.json")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_a_run_ends_with_a_table_and_a_record_that_agree(world: World) -> None:
    result = invoke(world.arguments())
    assert result.exit_code == 0, result.stderr
    saved = record(world)
    assert saved["queries"] == {"t2v": 6, "v2t": 6}
    assert set(saved["metrics"]["t2v"]) == {"R@1", "R@5", "R@10", "MdR", "MnR"}
    assert saved["metrics"]["t2v"]["R@10"]["value"] == 100.0
    assert "NOT COMPARABLE" in result.stdout
    assert saved["comparable"] is False
    assert f"{saved['metrics']['t2v']['MnR']['value']:.1f}" in result.stdout


def test_the_record_names_what_can_change_a_number(world: World) -> None:
    invoke(world.arguments("--precision", "fp32", "--threads", "2"))
    saved = record(world)
    assert saved["settings"]["passed"]["threads"] == 2
    assert saved["scorer"]["settings"]["threads"] == 2
    assert saved["scorer"]["settings"]["cpu"]
    assert saved["settings"]["defaulted"]["ties"] == "average"
    assert saved["checkpoint"]["file"] == "pytorch_model.bin.4"
    assert len(saved["checkpoint"]["sha256"]) == 64
    assert saved["scorer"]["settings"]["words"] == 8
    assert saved["scorer"]["settings"]["frames"] == 4
    assert saved["device"] == "cpu"
    assert {"torch", "av", "pillow", "transformers", "xbench"} <= saved["versions"].keys()
    assert saved["videos"]["looks"]["size"] == {"64x48": 6}
    assert saved["videos"]["looks"]["frames taken"] == {"3": 6}


def test_the_saved_matrix_gives_the_saved_metrics(world: World, tmp_path: Path) -> None:
    invoke(world.arguments("--save-similarity", str(tmp_path / "s.npy")))
    matrix = np.load(tmp_path / "s.npy")
    assert matrix.shape == (6, 6)
    saved = record(world)
    for direction, counts in (
        ("t2v", t2v_counts(matrix, np.arange(6))),
        ("v2t", v2t_counts(matrix, np.arange(6))),
    ):
        rank = (counts.better + 1 + counts.tied / 2).mean()
        assert saved["metrics"][direction]["MnR"]["value"] == pytest.approx(rank)


def test_json_is_the_record_and_nothing_else_is_on_stdout(world: World) -> None:
    result = invoke(world.arguments("--json"))
    assert json.loads(result.stdout) == record(world)


def test_a_second_run_encodes_nothing_and_gives_the_same_numbers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xbench.scorers.xclip.scorer import XClip

    first = json.loads(invoke(world.arguments("--json")).stdout)

    def forbidden(*_: object) -> None:
        raise AssertionError("a cached run must not encode")

    monkeypatch.setattr(XClip, "encode_texts", forbidden)
    monkeypatch.setattr(XClip, "encode_videos", forbidden)
    second = json.loads(invoke(world.arguments("--json")).stdout)
    assert second["metrics"] == first["metrics"]
    assert second["videos"] == first["videos"]


def test_a_video_that_moved_is_still_cached_and_one_that_changed_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xbench.scorers.xclip.scorer import XClip

    invoke(world.arguments())
    (world.videos / "somewhere").rename(world.videos / "elsewhere")
    write_video(world.videos / "elsewhere" / STEMS[2], seed=99)
    encoded: list[int] = []
    original = XClip.encode_videos
    monkeypatch.setattr(
        XClip,
        "encode_videos",
        lambda self, frames, mask: encoded.append(len(frames)) or original(self, frames, mask),
    )
    assert invoke(world.arguments()).exit_code == 0
    assert encoded == [1]


def test_missing_videos_stop_the_run_with_their_count_and_names(world: World) -> None:
    (world.videos / "somewhere" / STEMS[1]).unlink()
    result = invoke(world.arguments())
    assert result.exit_code == 3
    assert "1 of the 6 videos" in result.stderr
    assert STEMS[1] in result.stderr
    assert not world.output.exists() or not list(world.output.iterdir())
    assert not (world.cache / "features").exists() or not list(world.cache.rglob("*.safetensors"))


def test_allow_missing_scores_the_rest_and_says_so(world: World) -> None:
    (world.videos / "somewhere" / STEMS[1]).unlink()
    result = invoke(world.arguments("--allow-missing"))
    assert result.exit_code == 0, result.stderr
    saved = record(world)
    assert saved["videos"]["missing"] == [STEMS[1]]
    assert (saved["videos"]["wanted"], saved["videos"]["scored"]) == (6, 5)
    assert saved["queries"] == {"t2v": 5, "v2t": 5}
    assert any("missing" in reason for reason in saved["not_comparable_because"])


def test_unreadable_videos_stop_the_run_before_anything_is_encoded(world: World) -> None:
    (world.videos / "somewhere" / STEMS[0]).write_bytes(b"")
    (world.videos / "somewhere" / STEMS[3]).write_text("<html>not a video</html>")
    result = invoke(world.arguments())
    assert result.exit_code == 3
    assert "2 of the 6 videos" in result.stderr
    assert STEMS[0] in result.stderr
    assert STEMS[3] in result.stderr
    assert not list(world.cache.rglob("*.safetensors"))


def truncate(path: Path) -> None:
    """Damage the pictures of a clip from its middle on; its header stays whole."""
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    middle = start + (content.index(b"moov") - start) // 2
    content[middle : content.index(b"moov") - 4] = bytes(len(content[middle : content.index(b"moov") - 4]))
    path.write_bytes(content)


def test_damaged_videos_stop_the_run_and_nothing_encoded_is_lost(world: World) -> None:
    truncate(world.videos / "somewhere" / STEMS[4])
    result = invoke(world.arguments())
    assert result.exit_code == 3
    assert "1 of the 6 videos" in result.stderr
    assert STEMS[4] in result.stderr
    assert [each.videos for each in stored(world.cache)] == [5]


def test_allow_damaged_scores_what_there_is_and_the_record_lists_wanted_and_got(world: World) -> None:
    truncate(world.videos / "somewhere" / STEMS[4])
    (world.videos / "somewhere" / STEMS[0]).write_bytes(b"")
    for _ in range(2):  # the second time from the cache
        result = invoke(world.arguments("--allow-damaged"))
        assert result.exit_code == 0, result.stderr
    for path in world.output.glob("*.json"):
        saved = json.loads(path.read_text())
        faults = {fault["id"]: fault for fault in saved["videos"]["damaged"]}
        assert faults.keys() == {STEMS[0], STEMS[4]}
        assert 0 < faults[STEMS[4]]["got"] < faults[STEMS[4]]["wanted"] == 3
        assert (saved["videos"]["wanted"], saved["videos"]["scored"]) == (6, 5)
        assert saved["comparable"] is False
    assert invoke(world.arguments()).exit_code == 3  # cached features of a damaged video do not hide it


def test_limit_scores_the_first_videos_and_is_not_comparable(world: World) -> None:
    invoke(world.arguments("--limit", "3"))
    saved = record(world)
    assert saved["queries"] == {"t2v": 3, "v2t": 3}
    assert any("first 3 of 6" in reason for reason in saved["not_comparable_because"])


def test_a_dry_run_checks_everything_and_encodes_nothing(world: World) -> None:
    result = invoke(world.arguments("--dry-run"))
    assert result.exit_code == 0, result.stderr
    assert "6 videos" in result.stdout
    assert not list(world.cache.rglob("*.safetensors"))
    assert not world.output.exists()
    (world.videos / "somewhere" / STEMS[1]).unlink()
    assert invoke(world.arguments("--dry-run")).exit_code == 3


def test_a_dry_run_opens_the_videos_before_it_asks_for_a_vocabulary(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*world.arguments("--dry-run")]
    at = arguments.index("--bpe")
    del arguments[at : at + 2]
    monkeypatch.setenv("XBENCH_BPE", str(world.videos / "no-vocabulary.gz"))
    missing = invoke(arguments)
    assert missing.exit_code == 4
    assert "There is no vocabulary file" in missing.stderr
    monkeypatch.setenv("XBENCH_BPE", str(world.bpe))
    assert invoke(arguments).exit_code == 0
    monkeypatch.setenv("XBENCH_BPE", str(world.videos / "no-vocabulary.gz"))
    (world.videos / "somewhere" / STEMS[0]).write_bytes(b"")
    damaged = invoke(arguments)
    assert damaged.exit_code == 3
    assert STEMS[0] in damaged.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--dataset", "didemmo"], 2, "Did you mean 'didemo'"),
        (["--protocol", "didemo/paragraf"], 2, "Did you mean 'didemo/paragraph'"),
        (["--model", "xclipp"], 2, "Did you mean 'xclip'"),
        (["--device", "gpu"], 2, "cuda"),
        (["--device", "cuda:7"], 2, "--device cpu"),
        (["--miniature"], 2, "leave the options"),
        (["--no-cache"], 2, "contradict"),
        (["--videos", "/nonexistent-videos"], 2, "given twice"),
        (["--frobnicate"], 2, "No such option"),
    ],
)
def test_wrong_options_are_usage_errors_that_help(
    world: World, arguments: list[str], code: int, message: str
) -> None:
    result = invoke(world.arguments(*arguments))
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_checkpoint_the_error_says_what_the_user_can_do(world: World) -> None:
    arguments = world.arguments()
    at = arguments.index("--checkpoint")
    result = invoke(arguments[:at] + arguments[at + 2 :])
    assert result.exit_code == 4
    assert "released no fine-tuned weights" in result.stderr
    assert "--miniature" in result.stderr


def test_without_data_folders_the_error_names_the_variable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XBENCH_DATA", raising=False)
    result = invoke(["run", "--dataset", "didemo", "--checkpoint", str(world.checkpoint)])
    assert result.exit_code == 2
    assert "XBENCH_DATA" in result.stderr


def test_an_output_folder_that_cannot_be_written_is_told_before_the_work(world: World) -> None:
    world.output.write_text("a file")
    result = invoke(world.arguments())
    assert result.exit_code in (2, 3)
    assert not list(world.cache.rglob("*.safetensors"))


def test_a_whole_published_gallery_is_comparable_and_shows_the_difference(
    world: World, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real annotations of MSR-VTT 1k-A over 1000 copies of small clips, which are let pass here."""
    monkeypatch.setattr("xbench.pipeline.gallery._COPIES", 1.0)
    ids = [
        row["video_id"] for row in csv.DictReader((shared / ANNOTATIONS / "MSRVTT_JSFUSION_test.csv").open())
    ]
    (tmp_path / "links").mkdir()
    clips = sorted((world.videos / "somewhere").iterdir())
    for index, video in enumerate(ids):
        shutil.copy(clips[index % len(clips)], tmp_path / "links" / f"{video}.mp4")
    arguments = [
        *("run", "--dataset", "msrvtt", "--annotations", str(shared / ANNOTATIONS)),
        *(
            "--videos",
            str(tmp_path / "links"),
            "--checkpoint",
            str(world.checkpoint),
            "--bpe",
            str(world.bpe),
        ),
        *("--cache-dir", str(world.cache), "--output", str(world.output)),
    ]
    result = invoke(arguments)
    assert result.exit_code == 0, result.stderr
    saved = record(world)
    assert saved["comparable"] is True
    assert saved["protocol"]["matched"] == "msrvtt/1ka"
    assert "Comparable with published numbers of msrvtt/1ka" in result.stdout
    assert "46.1" in result.stdout  # the paper's t2v R@1 with ViT-B/32
    assert "Not comparable: the claim is for ViT-B/32" in result.stdout


def test_videos_that_share_a_file_are_not_comparable(world: World) -> None:
    somewhere = world.videos / "somewhere"
    (somewhere / STEMS[1]).unlink()
    (somewhere / STEMS[1]).symlink_to(somewhere / STEMS[0])
    result = invoke(world.arguments())
    assert result.exit_code == 0, result.stderr
    said = f"1 of 6 videos have the file of another video, e.g. {STEMS[1]} as {STEMS[0]}"
    assert said in record(world)["not_comparable_because"]


@pytest.mark.parametrize(("allowed", "field"), [(0.01, "reasons"), (0.5, "notes")])
def test_videos_with_the_very_bytes_of_another_are_counted(
    world: World, allowed: float, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xbench.pipeline.gallery._COPIES", allowed)
    somewhere = world.videos / "somewhere"
    shutil.copy(somewhere / STEMS[0], somewhere / STEMS[1])
    assert invoke(world.arguments()).exit_code == 0
    saved = record(world)
    said = f"1 of 6 videos have the very bytes of another's file, e.g. {STEMS[1]} as {STEMS[0]}"
    where = {"reasons": saved["not_comparable_because"], "notes": saved["protocol"]["notes"]}
    assert {name: said in told for name, told in where.items()} == {
        "reasons": field == "reasons",
        "notes": field == "notes",
    }


def afresh(world: World, *more: str) -> dict[str, Any]:
    """Run into an empty folder of results and return the record."""
    shutil.rmtree(world.output, ignore_errors=True)
    result = invoke(world.arguments(*more))
    assert result.exit_code == 0, result.stderr
    return record(world)


def entries(world: World) -> int:
    return sum(path.is_file() for path in (world.cache / "features").rglob("*"))


def test_the_pixel_rule_is_recorded_and_keeps_its_own_features(world: World) -> None:
    published = afresh(world)
    stored = entries(world)
    assert published["settings"]["defaulted"]["pixels"] == "published"
    assert published["videos"]["other_pixels"] == 0
    tagged = afresh(world, "--pixels", "tagged")
    assert tagged["settings"]["passed"]["pixels"] == "tagged"
    assert tagged["not_comparable_because"] == published["not_comparable_because"]
    assert entries(world) > stored


def between(filling: bytes, clip: bytes) -> bytes:
    """An MP4 file between boxes that mean nothing; its chunk offsets count from the start of the file."""
    moved = bytearray(clip)
    at = clip.find(b"stco") + 8
    for entry in range(int.from_bytes(clip[at : at + 4], "big")):
        place = at + 4 + 4 * entry
        offset = int.from_bytes(clip[place : place + 4], "big") + len(filling)
        moved[place : place + 4] = offset.to_bytes(4, "big")
    return filling + bytes(moved) + filling


def test_features_do_not_outlive_a_file_of_the_same_size_and_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that was preallocated, and filled in later under the same name and with the same ends."""
    first, second = world.videos / "somewhere" / STEMS[0], world.videos.parent / "other.mp4"
    write_video(second, seed=99)
    filling = b"\0\0\0\x08free" * 150_000  # more than the first and the last MiB
    files = [between(filling, path.read_bytes()) for path in (first, second)]
    size = max(map(len, files))
    first.write_bytes(files[0].ljust(size, b"\0"))
    afresh(world)
    decoded: list[Path] = []

    def watched(path: Path, *more: Any, **named: Any) -> Taken:
        decoded.append(path)
        return read_clip(path, *more, **named)

    monkeypatch.setattr("xbench.pipeline.features.read_clip", watched)
    afresh(world)
    assert decoded == []
    first.write_bytes(files[1].ljust(size, b"\0"))
    afresh(world)
    assert decoded == [first]


def test_a_cached_run_reads_no_video(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xbench.video.identity._TICK_NS", 0)  # the files are new
    afresh(world)

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("xbench.video.identity.content_key", refuse)
    monkeypatch.setattr("xbench.pipeline.gallery.probe", refuse)
    afresh(world)


def test_several_runs_may_check_one_output_folder_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from xbench.pipeline.plan import require_writable

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: require_writable(tmp_path, "The result"), range(200)))
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_has_no_json(world: World) -> None:
    result = invoke(world.arguments("--dry-run", "--json"))
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_similarity_that_cannot_be_saved_is_told_before_anything_is_encoded(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = invoke(world.arguments("--save-similarity", str(tmp_path / "file" / "s.npy")))
    assert result.exit_code == 3
    assert "similarity matrix" in result.stderr
    assert not list(world.cache.rglob("*.safetensors"))
