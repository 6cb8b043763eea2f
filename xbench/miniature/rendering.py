"""Renders a miniature benchmark into a cache once; what is there is checked by hash before it is used."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from xbench.errors import DataError, UsageError, did_you_mean, explain
from xbench.miniature.backdrop import HEIGHT, WIDTH
from xbench.miniature.benchmarks import MANNERS, annotation_files, clips, file_names
from xbench.miniature.drawing import frame
from xbench.miniature.scene import Scene
from xbench.progress import stage
from xbench.readers import MIB, parse_json, read_at_most
from xbench.storage import file_sha256, scratch

RENDERING = "1"
"""Raised whenever a caption, a frame or the encoding changes: older renderings are then not used again."""

Stage = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class MiniaturePaths:
    """The two folders of a rendered benchmark, in its official layout."""

    annotations: Path
    videos: Path


def require_miniature(benchmark: str) -> None:
    """Raise UsageError for a benchmark that has no miniature."""
    if benchmark not in MANNERS:
        raise UsageError(f"There is no miniature of {benchmark!r}.{did_you_mean(benchmark, MANNERS)}")


def prepare(benchmark: str, cache: Path, progress: Stage = stage) -> MiniaturePaths:
    """Return a miniature benchmark below `cache`, rendering it if it is not there whole and unchanged.

    All or nothing: it is rendered beside its place and moved there in one step, so a run that is stopped
    leaves nothing that looks complete, and two runs at once both end with one whole rendering. Every file is
    held against the hash written when it was rendered; a damaged rendering is replaced. Raises UsageError for
    an unknown benchmark, DataError where the cache cannot be written.
    """
    require_miniature(benchmark)
    target = cache / "miniature" / f"{benchmark}-{RENDERING}"
    if not is_whole(target):
        try:
            _replace(target, benchmark, progress)
        except OSError as error:
            raise DataError(
                f"Cannot render the miniature into {target.parent}: {explain(error)} "
                "free some space there or choose another cache folder."
            ) from None
    return _below(target)


def render(benchmark: str, paths: MiniaturePaths, progress: Stage = stage) -> None:
    """Write the annotation files and the clips of a miniature benchmark into two folders, made if need be."""
    gallery = clips(benchmark)
    for folder in (paths.annotations, paths.videos):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in annotation_files(benchmark, gallery).items():
        (paths.annotations / name).write_bytes(data)
    names = file_names(benchmark, gallery)
    with (
        progress(f"Rendering the {benchmark} miniature", len(gallery), "clips") as advance,
        ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool,
    ):
        jobs = [
            pool.submit(write_clip, paths.videos / name, clip.scene)
            for name, clip in zip(names, gallery, strict=True)
        ]
        try:
            for job in as_completed(jobs):
                job.result()
                advance(1)
        finally:
            pool.shutdown(cancel_futures=True)


def is_whole(folder: Path) -> bool:
    """Say whether a rendering is there with exactly the files, unchanged, that were once rendered."""
    try:
        manifest = parse_json(read_at_most(folder / _MANIFEST, MIB))
        return bool(manifest == {"rendering": RENDERING, "sha256": _hashes(folder)})
    except (OSError, ValueError):
        return False


def _below(folder: Path) -> MiniaturePaths:
    return MiniaturePaths(folder / "annotations", folder / "videos")


def _replace(target: Path, benchmark: str, progress: Stage) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch(target.parent) as aside:
        fresh = aside / "fresh"
        render(benchmark, _below(fresh), progress)
        manifest = json.dumps({"rendering": RENDERING, "sha256": _hashes(fresh)}, indent=1)
        (fresh / _MANIFEST).write_text(f"{manifest}\n")
        if is_whole(target):
            return
        if target.exists():
            target.rename(aside / "damaged")
        try:
            fresh.rename(target)
        except OSError:
            # Another run may have put its rendering there in between; if it is whole, it is as good.
            if not is_whole(target):
                raise


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST)
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


FPS = 8

# One thread and cpu-independent: libx264 else picks what to skip by the number and kind of the cores.
_OPTIONS = {"preset": "veryfast", "crf": "16", "x264-params": "cpu-independent=1:bframes=0:keyint=32"}


def write_clip(path: Path, scene: Scene) -> None:
    """Encode a scene at FPS frames a second, WIDTH x HEIGHT, YUV 4:2:0; the ending names the container."""
    import av

    if "libx264" not in av.codecs_available:
        raise DataError(
            f"Cannot write {path}: this PyAV ({av.__version__}) was built without libx264; "
            "install the wheel from PyPI: pip install --force-reinstall --only-binary av av"
        )
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, FPS)
        for number in range(scene.seconds * FPS):
            picture = av.VideoFrame.from_ndarray(frame(scene, number / FPS), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
