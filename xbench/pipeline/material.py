"""What a report shows beyond the record: captions, video ids, the matrix, a picture of each video shown."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xbench.data.loading import load_split
from xbench.data.split import Split
from xbench.data.video_files import VideoFolder, resolve
from xbench.errors import DataError, XbenchError
from xbench.pipeline.options import split_by_benchmark
from xbench.pipeline.plan import miniature_folders
from xbench.registry.folders import default_folders
from xbench.reports.compare.pairing import Run
from xbench.reports.page.findings import Material, shown_queries
from xbench.reports.record.per_query import keys_of_captions, keys_of_videos
from xbench.reports.record.schema import Result
from xbench.storage import cache_dir
from xbench.video.decode import DamagedVideo, UnreadableVideo, read_clip
from xbench.video.sampling import Sampling

T = TypeVar("T")
_PICTURE = (192, 144)
_QUALITY = 60


@dataclass(frozen=True)
class Source:
    """Where something may be. `named` by the user, so that a fault there is an error and not a gap."""

    path: Path | None
    named: bool = False


@dataclass(frozen=True)
class Sources:
    """Where a report looks for what the record does not hold."""

    annotations: Source
    videos: Source
    similarity: Source


def find_material_sources(
    result: Result, annotations: Path | None, videos: Path | None, similarity: Path | None
) -> Sources:
    """Return the paths given, else those that the run was given, else those below $XBENCH_DATA."""
    default = default_folders(result.benchmark) or (None, None)
    if result.miniature and not (annotations and videos):
        recorded_cache = _recorded(result, "cache_dir")
        default = miniature_folders(result.benchmark, recorded_cache or cache_dir())
    return Sources(
        _source(annotations, _recorded(result, "annotations") or default[0]),
        _source(videos, _recorded(result, "videos") or default[1]),
        _source(similarity, _recorded(result, "save_similarity")),
    )


def gather(run: Run, sources: Sources) -> Material:
    """Read what there is.

    What is not there by default is left out, and `missing` says so. Raises DataError when something that the
    user named is not there, is damaged, or is not of this run.
    """
    missing: list[str] = []
    matrix = _attempt(sources.similarity, _read_matrix, missing, "similarity scores", "--similarity FILE.npy")
    material = Material(similarity=matrix)
    split = _attempt(
        sources.annotations, lambda path: _read_split(run, path), missing, "captions", "--annotations DIR"
    )
    if split is None:
        return replace(material, missing=tuple(missing))
    captions, ids = _named(run, split)
    material = replace(material, captions=captions, video_ids=ids)
    shown = _shown_videos(run, material)
    pictures = _attempt(
        sources.videos,
        lambda path: _pictures(split, path, {ids[video]: video for video in shown}),
        missing,
        "videos",
        "--videos DIR",
    )
    return replace(material, thumbnails=pictures or {}, missing=tuple(missing))


def _source(given: Path | None, otherwise: Path | None) -> Source:
    return Source(otherwise) if given is None else Source(given, named=True)


def _recorded(result: Result, option: str) -> Path | None:
    """A path that the run was given; older records hold what was typed, a list of `[BENCHMARK=]PATH`."""
    value = result.settings.passed.get(option)
    if isinstance(value, list):
        own = [text for text in map(str, value) if text.startswith(f"{result.benchmark}=") or len(value) == 1]
        value = split_by_benchmark(option, own, [result.benchmark]).get(result.benchmark)
    return Path(value).expanduser() if isinstance(value, str) else None


def _attempt(
    source: Source, read: Callable[[Path], T], missing: list[str], what: str, option: str
) -> T | None:
    if source.path is None:
        missing.append(f"The {what} are not at hand: give {option}.")
        return None
    try:
        return read(source.path)
    except XbenchError as error:
        if source.named:
            raise
        missing.append(f"The {what} are not at hand ({error}): give {option}.")
        return None


def _read_matrix(path: Path) -> NDArray[np.floating]:
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot read the similarity {path}: {error}") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise DataError(f"{path} holds no matrix of floating-point scores")
    return matrix


def _read_split(run: Run, path: Path) -> Split:
    """The split that the run scored; more videos and captions than those do no harm."""
    protocol = run.result.protocol.requested
    split = load_split(run.result.benchmark, path, protocol)
    owners = [split.videos[caption.video].id for caption in split.captions]
    keys = keys_of_captions([caption.text for caption in split.captions], owners)
    if not np.isin(run.per_query.caption_keys, keys).all():
        raise DataError(f"the annotations at {path} are not those that {run.path.name} was scored with")
    return split


def _named(run: Run, split: Split) -> tuple[list[str], list[str]]:
    """The captions and video ids in the order of the run's queries."""
    ids = [video.id for video in split.videos]
    owners = [ids[caption.video] for caption in split.captions]
    texts = [caption.text for caption in split.captions]
    by_caption = dict(zip(keys_of_captions(texts, owners).tolist(), texts, strict=True))
    by_video = dict(zip(keys_of_videos(ids).tolist(), ids, strict=True))
    captions = [by_caption[key] for key in run.per_query.caption_keys.tolist()]
    return captions, [by_video[key] for key in run.per_query.video_keys.tolist()]


def _shown_videos(run: Run, material: Material) -> list[int]:
    queries = [query for shown in shown_queries(run, material.similarity) for query in shown]
    return sorted({video for query in queries for video in (query.video, *dict(query.wrong))})


def _pictures(split: Split, folder: Path, wanted: dict[str, int]) -> dict[int, bytes]:
    """A small JPEG from the middle of each wanted video that has a file that decodes."""
    few = split.without(video.id for video in split.videos if video.id not in wanted)
    paths = resolve(few, VideoFolder.index(folder)).paths
    pictures = {
        wanted[video.id]: _picture(paths[video.id], video.window) for video in few.videos if video.id in paths
    }
    return {video: data for video, data in pictures.items() if data is not None}


def _picture(path: Path, window: tuple[float, float] | None) -> bytes | None:
    try:
        frames = read_clip(path, window, Sampling(1, "uniform"), None).frames
    except DamagedVideo as damaged:
        frames = damaged.clip.frames
    except (UnreadableVideo, OSError):
        return None
    image = Image.fromarray(frames[0])
    image.thumbnail(_PICTURE)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
