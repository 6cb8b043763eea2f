"""What a report shows beyond the record: captions, video ids, the matrix, frames of each video shown."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xbench.data.loading import load_split
from xbench.data.split import Split
from xbench.data.video_files import VideoFolder, resolve
from xbench.errors import DataError, UsageError, XbenchError, explain
from xbench.pipeline.plan import miniature_folders
from xbench.progress import stage
from xbench.readers import check_npy, open_file
from xbench.registry.datasets import is_known
from xbench.registry.folders import default_folders
from xbench.reports.page.findings import (
    Material,
    Strip,
    outcomes_of,
    require_own_matrix,
    shown_queries,
    videos_shown,
)
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import keys_of_captions, keys_of_videos
from xbench.reports.record.schema import Record
from xbench.sampling import frame_rule
from xbench.storage import cache_dir, user_path
from xbench.video.choice import Sampling
from xbench.video.decode import DamagedVideo, UnreadableVideo, read_clip

T = TypeVar("T")
_SIDE, _QUALITY = 96, 60
"""Pixels of a frame that is shown, and its JPEG quality."""
_SHOWN_FRAMES = 4
_MANY = 12
"""Frames of a clip where the record tells none: scores or features that came from elsewhere."""
_MATRIX = "Give the .npy file that --save-similarity wrote."


@dataclass(frozen=True)
class Place:
    """Where something may be. `named` by the user, so that a fault there is an error and not a gap."""

    path: Path | None
    named: bool = False


@dataclass(frozen=True)
class Places:
    """Where a report looks for what the record does not hold."""

    annotations: Place
    videos: Place
    similarity: Place


def find_places(
    record: Record, annotations: Path | None, videos: Path | None, similarity: Path | None
) -> Places:
    """Return the paths given, else those that the run was given, else those below $XBENCH_DATA.

    A record may be anybody's: of its paths only regular files and folders that are there are taken, what they
    hold must be what was scored (the captions, the ranks), and nothing is written or fetched by them.
    """
    known = is_known(record.benchmark, record.settings.passed.get("dataset"))
    default = (default_folders(record.benchmark) if known else None) or (None, None)
    if record.miniature and not (annotations and videos):
        default = miniature_folders(record.benchmark, cache_dir())
    return Places(
        _place(annotations, recorded(record, "annotations") or default[0]),
        _place(videos, recorded(record, "videos") or default[1]),
        _place(similarity, recorded(record, "save_similarity")),
    )


def gather(measured: Measurement, places: Places) -> Material:
    """Read what there is.

    What is not there by default is left out, and `missing` says so. Raises DataError when something that the
    user named is not there, is damaged, or is not of this run.
    """
    material, split = _texts(measured, places)
    if split is None or material.video_ids is None:
        return material
    return with_strips(measured, material, places, _shown_videos(measured, material), split)


def with_strips(
    measured: Measurement,
    material: Material,
    places: Places,
    videos: Sequence[int],
    split: Split | None = None,
) -> Material:
    """Return the material, whose ids are known, with frames of some videos; raises as `gather` does."""
    if not videos:
        return material
    assert material.video_ids is not None
    assert places.annotations.path is not None
    known = split or _read_split(measured, places.annotations.path)
    numbers = {material.video_ids[video]: video for video in videos}
    missing = list(material.missing)
    strips = _attempt(
        places.videos,
        lambda path: _strips(measured.record, known, path, numbers),
        missing,
        "videos",
        "--videos DIR",
    )
    return replace(material, strips=strips or {}, missing=tuple(missing))


def gather_texts(measured: Measurement, places: Places) -> Material:
    """Read the matrix, captions and ids, as far as they are there and of this run, and no video.

    Raises DataError as `gather` does.
    """
    return _texts(measured, places)[0]


def _texts(measured: Measurement, places: Places) -> tuple[Material, Split | None]:
    missing: list[str] = []
    matrix = _attempt(
        places.similarity,
        lambda path: _own_matrix(measured, path),
        missing,
        "similarity scores",
        "--similarity FILE.npy",
    )
    split = _attempt(
        places.annotations, lambda path: _read_split(measured, path), missing, "captions", "--annotations DIR"
    )
    captions, ids = (None, None) if split is None else _named(measured, split)
    return Material(matrix, captions, ids, missing=tuple(missing)), split


def _own_matrix(measured: Measurement, path: Path) -> NDArray[np.floating]:
    matrix = _read_matrix(path)
    require_own_matrix(measured, matrix)
    return matrix


def _place(given: Path | None, otherwise: Path | None) -> Place:
    return Place(otherwise) if given is None else Place(given, named=True)


def recorded(record: Record, option: str) -> Path | None:
    """A path that the run was given, if there is a regular file or a folder, and not the whole disk."""
    value = record.settings.passed.get(option)
    if not isinstance(value, str):
        return None
    path = user_path(value)
    try:
        usable = path.is_file() or (path.is_dir() and path.resolve() != Path(path.anchor or "/").resolve())
    except (OSError, ValueError):
        return None  # no permission, a name that is too long, a NUL
    return path if usable else None


def _attempt(place: Place, read: Callable[[Path], T], missing: list[str], what: str, option: str) -> T | None:
    if place.path is None:
        missing.append(f"The {what} are not at hand: give {option}.")
        return None
    try:
        return read(place.path)
    except XbenchError as error:
        if place.named:
            raise
        missing.append(f"The {what} are not at hand ({error}): give {option}.")
        return None


def _read_matrix(path: Path) -> NDArray[np.floating]:
    try:
        with open_file(path) as file:
            check_npy(file)
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot read the similarity: {explain(error)}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"cannot read the similarity {path}: {error}. {_MATRIX}") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise DataError(f"{path} holds no matrix of floating-point scores. {_MATRIX}")
    return matrix


def _read_split(measured: Measurement, path: Path) -> Split:
    """The split that the run scored; more videos and captions than those do no harm."""
    protocol = measured.record.protocol.requested
    split = load_split(measured.record.benchmark, path, protocol)
    owners = [split.videos[caption.video].id for caption in split.captions]
    keys = keys_of_captions([caption.text for caption in split.captions], owners)
    if not np.isin(measured.counts.caption_keys, keys).all():
        raise DataError(
            f"the annotations at {path} are not those that {measured.file} was scored with: give"
            " --annotations those"
        )
    return split


def _named(measured: Measurement, split: Split) -> tuple[list[str], list[str]]:
    """The captions and video ids in the order of the run's queries."""
    ids = [video.id for video in split.videos]
    owners = [ids[caption.video] for caption in split.captions]
    texts = [caption.text for caption in split.captions]
    by_caption = dict(zip(keys_of_captions(texts, owners).tolist(), texts, strict=True))
    by_video = dict(zip(keys_of_videos(ids).tolist(), ids, strict=True))
    captions = [by_caption[key] for key in measured.counts.caption_keys.tolist()]
    return captions, [by_video[key] for key in measured.counts.video_keys.tolist()]


def _shown_videos(measured: Measurement, material: Material) -> list[int]:
    outcomes = outcomes_of(measured, material.similarity)
    return videos_shown({side: shown_queries(measured, found, side) for side, found in outcomes.items()})


def _strips(record: Record, split: Split, folder: Path, wanted: dict[str, int]) -> dict[int, Strip]:
    """Some of the scored frames of each wanted video that has a file that decodes."""
    few = split.without(video.id for video in split.videos if video.id not in wanted)
    paths = resolve(few, VideoFolder.index(folder)).paths
    with stage("reading videos", len(paths), "videos") as advance:
        found = {}
        for video in few.videos:
            if video.id in paths:
                found[wanted[video.id]] = _strip(record, paths[video.id], video.window)
                advance(1)
    return {video: strip for video, strip in found.items() if strip is not None}


def _strip(record: Record, path: Path, window: tuple[float, float] | None) -> Strip | None:
    settings = record.scorer.settings
    many, rule = settings.get("frames"), settings.get("sampling")
    sampling = Sampling(many if isinstance(many, int) else _MANY, _rule(rule))
    pixels = {**record.settings.defaulted, **record.settings.passed}.get("pixels")
    try:
        clip = read_clip(path, window, sampling, _SIDE, "tagged" if pixels == "tagged" else "published")
    except DamagedVideo as damaged:
        clip = damaged.clip
    except (UnreadableVideo, OSError):
        return None
    total = len(clip.frames)
    chosen = np.unique(np.linspace(0, total - 1, min(_SHOWN_FRAMES, total)).round().astype(int))
    row = np.concatenate([_bordered(clip.frames[index]) for index in chosen], axis=1)
    stream = io.BytesIO()
    Image.fromarray(row).save(stream, "JPEG", quality=_QUALITY)
    seconds = tuple(clip.times[index] for index in chosen)
    return Strip(stream.getvalue(), seconds, total if rule else None)


def _rule(said: object) -> str:
    """The rule by which frames were taken; the published one where the record tells none that gives any."""
    try:
        known = frame_rule(str(said))
    except UsageError:
        return "published"
    return "published" if known.name == "none" else str(known)


def _bordered(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame [3, H, W] as a picture that ends in a line, so that the next can be told from it."""
    picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
    picture[:, -1] = 255
    return picture
