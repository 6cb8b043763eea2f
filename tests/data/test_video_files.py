"""Which file belongs to a video id, and that indexing a folder is safe."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from xbench.data.split import Caption, Split, Video
from xbench.data.video_files import VideoFolder, resolve
from xbench.errors import DataError


def touch(root: Path, *names: str) -> VideoFolder:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return VideoFolder.index(root)


def found(folder: VideoFolder, video: str, benchmark: str) -> str | None:
    path = folder.find(video, benchmark)
    return None if path is None else path.relative_to(folder.root).as_posix()


def split_of(benchmark: str, *ids: str) -> Split:
    videos = tuple(Video(video) for video in ids)
    return Split(benchmark, f"{benchmark}/x", videos, tuple(Caption("text", n) for n in range(len(ids))))


@pytest.mark.parametrize("extension", [".mp4", ".AVI", ".3g2", ".MTS", ".webm"])
def test_an_id_finds_its_file_with_any_video_extension_in_any_folder(tmp_path: Path, extension: str) -> None:
    folder = touch(tmp_path, f"a/b/video7{extension}", "video7.txt", "video7.mp4.part", "video70.mp4")
    assert found(folder, "video7", "msrvtt") == f"a/b/video7{extension}"


def test_an_exact_file_name_wins_over_extensions(tmp_path: Path) -> None:
    folder = touch(tmp_path, "x.mov", "x.mov.mp4", "x.mp4")
    assert found(folder, "x.mov", "didemo") == "x.mov"


def test_didemo_then_id_with_extension_then_stem_with_another(tmp_path: Path) -> None:
    folder = touch(tmp_path, "x.mov.mp4", "x.mp4", "y.mp4", "z.", "w")
    assert found(folder, "x.mov", "didemo") == "x.mov.mp4"
    assert found(folder, "y.mov", "didemo") == "y.mp4"
    assert found(folder, "y.", "didemo") == "y.mp4"
    assert found(folder, "z.", "didemo") == "z."
    assert found(folder, "z", "didemo") == "z."
    assert found(folder, "w.mov", "didemo") == "w"


def test_didemo_id_whose_file_is_gone_is_an_error_if_two_others_share_its_stem(tmp_path: Path) -> None:
    folder = touch(tmp_path, "1@N0_a.avi", "sub/1@N0_a.mp4")
    with pytest.raises(DataError, match=r"'1@N0_a\.mov' has 2 files: .*1@N0_a\.avi and .*1@N0_a\.mp4"):
        folder.find("1@N0_a.mov", "didemo")


@pytest.mark.parametrize("names", [("a/v1.mp4", "b/v1.mp4"), ("v1.mp4", "v1.webm"), ("a/v1", "b/v1")])
def test_two_candidates_at_one_level_are_an_error_that_names_both(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    with pytest.raises(DataError) as error:
        touch(tmp_path, *names).find("v1", "msrvtt")
    assert all(str(tmp_path / name) in str(error.value) for name in names)


def test_links_to_one_file_are_one_candidate(tmp_path: Path) -> None:
    touch(tmp_path, "a/v1.mp4")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "v1.mp4").symlink_to(tmp_path / "a" / "v1.mp4")
    assert found(VideoFolder.index(tmp_path), "v1", "msrvtt") == "a/v1.mp4"


def test_nothing_is_cut_off_an_id_with_dots(tmp_path: Path) -> None:
    clip = "1012_Unbreakable_00.05.16.065-00.05.21.941"
    folder = touch(tmp_path, "movie/1012_Unbreakable_00.05.16.065-00.05.21.avi", "1012_Unbreakable_00.mp4")
    assert found(folder, clip, "lsmdc") is None
    assert found(touch(tmp_path, f"movie/{clip}.avi"), clip, "lsmdc") == f"movie/{clip}.avi"


@pytest.mark.parametrize("benchmark", ["msrvtt", "msvd", "lsmdc", "activitynet"])
def test_only_didemo_looks_for_the_stem_with_another_extension(tmp_path: Path, benchmark: str) -> None:
    assert found(touch(tmp_path, "x.mp4"), "x.mov", benchmark) is None


def test_activitynet_files_stand_with_or_without_prefix(tmp_path: Path) -> None:
    folder = touch(tmp_path, "v_aaaaaaaaaaa.mp4", "bbbbbbbbbbb.mkv", "v_v_ccccccccc.mp4")
    assert found(folder, "aaaaaaaaaaa", "activitynet") == "v_aaaaaaaaaaa.mp4"
    assert found(folder, "bbbbbbbbbbb", "activitynet") == "bbbbbbbbbbb.mkv"
    assert found(folder, "v_ccccccccc", "activitynet") == "v_v_ccccccccc.mp4"
    assert found(folder, "aaaaaaaaaaa", "msrvtt") is None


def test_names_with_a_leading_dash_or_dot_are_ordinary(tmp_path: Path) -> None:
    folder = touch(tmp_path, "-4wsuPCjDBc_5_15.avi", "._video1.mp4")
    assert found(folder, "-4wsuPCjDBc_5_15", "msvd") == "-4wsuPCjDBc_5_15.avi"
    assert found(folder, "video1", "msrvtt") is None


@pytest.mark.parametrize(("written", "id_"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_accent_is_found_however_it_is_written(tmp_path: Path, written: str, id_: str) -> None:
    there, asked = (unicodedata.normalize(form, "crème brûlée") for form in (written, id_))
    folder = touch(tmp_path, f"{there}.mp4", "creme brulee.mp4")
    assert found(folder, asked, "msvd") == f"{there}.mp4"
    assert found(touch(tmp_path, f"{asked}.mp4"), asked, "msvd") == f"{asked}.mp4"


def test_link_cycles_dead_links_and_self_links_end(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "dead.mp4").symlink_to(tmp_path / "nowhere.mp4")
    folder = touch(tmp_path, "real/v1.mp4")
    assert found(folder, "v1", "msrvtt") == "real/v1.mp4"
    assert found(folder, "dead", "msrvtt") is None


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "disk", "v1.mp4")
    root = tmp_path / "root"
    root.mkdir()
    (root / "videos").symlink_to(tmp_path / "disk")
    assert found(VideoFolder.index(root), "v1", "msrvtt") == "videos/v1.mp4"


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        VideoFolder.index(tmp_path / "none")


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        VideoFolder.index(tmp_path)


def test_resolve_gives_paths_and_the_missing_ids_in_order(tmp_path: Path) -> None:
    folder = touch(tmp_path, "b.mp4")
    resolved = resolve(split_of("msrvtt", "c", "b", "a"), folder)
    assert resolved.paths == {"b": tmp_path / "b.mp4"}
    assert resolved.missing == ("c", "a")


def test_resolve_counts_all_ambiguous_ids_and_names_the_first_ten(tmp_path: Path) -> None:
    ids = [f"v{number:02}" for number in range(12)]
    folder = touch(tmp_path, *[f"{sub}/{video}.mp4" for video in ids for sub in "ab"])
    with pytest.raises(DataError, match="first 10 of 12") as error:
        resolve(split_of("msrvtt", *ids), folder)
    assert "'v09'" in str(error.value)
    assert "'v10'" not in str(error.value)


def test_ids_with_one_file_are_told_in_a_published_protocol(tmp_path: Path) -> None:
    folder = touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "c.mp4").symlink_to(tmp_path / "b.mp4")
    assert resolve(split_of("didemo", "a.mov", "b.mp4"), folder).shared == ()
    folder = VideoFolder.index(tmp_path)
    resolved = resolve(split_of("didemo", "a.mov", "b.mov", "a.avi", "c.mp4", "d.mp4"), folder)
    assert resolved.shared == (("a.avi", "a.mov"), ("c.mp4", "b.mov"))
    assert resolved.paths["a.avi"] == resolved.paths["a.mov"]


def test_ids_with_one_file_are_an_error_in_a_users_own_annotations(tmp_path: Path) -> None:
    folder = touch(tmp_path, "a.mp4", "b.mp4")
    split = replace(split_of("msrvtt", "a", "b", "a.mp4"), protocol="custom")
    with pytest.raises(DataError, match=r"videos 'a' and 'a\.mp4' have one file, .*a\.mp4: give each video"):
        resolve(split, folder)
    assert not resolve(replace(split_of("msrvtt", "a", "b"), protocol="custom"), folder).shared


def test_a_file_without_extension_that_hides_a_video_is_an_error(tmp_path: Path) -> None:
    folder = touch(tmp_path, "video7", "video7.mp4", "video8")
    with pytest.raises(DataError, match=r"'video7' has 2 files: .*video7 and .*video7\.mp4"):
        folder.find("video7", "msrvtt")
    assert found(folder, "video8", "msrvtt") == "video8"
