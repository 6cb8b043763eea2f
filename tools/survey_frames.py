"""Count, for each kind of clip that docs/frames.md speaks of, the frames that equal those of OpenCV.

    python tools/survey_frames.py [CLIPS PER KIND AND CONTAINER]

Runs with the OpenCV that is installed, under the pixel rule that it stands for. Every clip is intact, so each
that is called damaged is a false alarm; those are counted too.
"""

import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "video"))

import cv2  # noqa: E402
from made_clips import irregular, make, make_packed  # noqa: E402
from published_extractor import FAMILY, extract  # noqa: E402

from xbench.video.choice import Sampling  # noqa: E402
from xbench.video.decode import DamagedVideo, UnreadableVideo, read_clip  # noqa: E402

ALL = Sampling(max_frames=10_000)
QUIET = {"x265-params": "log-level=none"}
QUICK = {"deadline": "realtime", "cpu-used": "8"}
BT709, DISPLAY_P3, BT2020, SMPTE240M = (1, 1, 1), (1, 12, 1), (9, 9, 14), (7, 7, 7)
HLG, PQ = (9, 9, 18), (9, 9, 16)
H265 = {"codec": "libx265", "options": QUIET}
DEEP = {**H265, "pixels": "yuv420p10le"}
VP9 = {"codec": "libvpx-vp9", "b_frames": 0, "options": QUICK}
VP8 = {"codec": "libvpx", "b_frames": 0, "options": QUICK}
MPEG4 = {"codec": "mpeg4", "b_frames": 0}
MPEG2 = {"codec": "mpeg2video"}
BY_FIELD = {"field": "tff", "b_frames": 0}

VARIABLE = [
    ("mp4", {}),
    ("mov", {}),
    ("mkv", {}),
    ("mp4", H265),
    ("mkv", H265),
    ("mkv", MPEG4),
    ("webm", VP9),
]
DROPPED = [
    ("avi", {}),
    ("avi", MPEG4),
    ("mp4", MPEG4),
    ("flv", {}),
    ("wmv", {"codec": "wmv2", "b_frames": 0}),
]
CONSTANT: list[tuple[str, dict[str, Any]]] = [
    ("mp4", {}),
    ("mov", {"rate": Fraction(30000, 1001)}),
    ("m4v", {"codec": "mpeg4"}),
    ("3gp", MPEG4),
    ("mkv", H265),
    ("webm", VP8),
    ("webm", VP9),
    ("flv", {"codec": "flv", "b_frames": 0}),
    ("wmv", {"codec": "wmv2", "b_frames": 0}),
    ("asf", {"codec": "wmv1", "b_frames": 0}),
    ("avi", {"codec": "mjpeg", "b_frames": 0, "pixels": "yuvj420p"}),
    ("mkv", {"codec": "ffv1", "b_frames": 0, "size": (101, 67)}),
    ("mov", {"codec": "prores_ks", "b_frames": 0, "pixels": "yuv422p10le"}),
    ("mp4", {"pixels": "yuv420p10le"}),
    ("mp4", {"mux": {"movflags": "dash+frag_keyframe+empty_moov+global_sidx"}}),
]
STREAMS = [("mpg", MPEG2), ("vob", MPEG2), ("ts", {}), ("mts", MPEG2), ("m2ts", {})]
TAGGED: list[tuple[str, dict[str, Any]]] = [
    ("mp4", {"tags": BT709}),
    ("mp4", {"tags": BT709, "full_range": True, "pixels": "yuvj420p"}),
    ("mp4", {"tags": DISPLAY_P3}),
    ("mp4", {"tags": BT2020}),
    ("mp4", {"tags": SMPTE240M}),
    ("webm", {**VP9, "full_range": True}),
]
HDR = [("mov", {**DEEP, "tags": HLG}), ("mp4", {**DEEP, "tags": PQ})]
INTERLACED = [
    ("mp4", {**BY_FIELD, "options": {"x264-params": "interlaced=1:tff=1"}}),
    ("mkv", {**BY_FIELD, **MPEG2}),
    ("avi", {**BY_FIELD, **MPEG4}),
    ("avi", {**BY_FIELD, "codec": "dvvideo", "size": (720, 576)}),
]
GOPS, SIZES = (12, 25, 60, 250), ((96, 64), (64, 120), (128, 96))


def kinds(count: int) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
    """Yield kind, number, ending and options of each clip."""
    tables = {
        "variable rate": (VARIABLE, 2 * count),
        "dropped frames": (DROPPED, count),
        "constant rate": (CONSTANT, count),
        "program and transport streams": (STREAMS, count),
        "tagged": (TAGGED, count),
        "HLG and PQ": (HDR, 1),
        "interlaced": (INTERLACED, count),
    }
    for kind, (table, times) in tables.items():
        for number, (ending, options) in enumerate(islice(cycle(table), len(table) * times)):
            yield kind, number, ending, options
    for number in range(4 * count):
        yield "MPEG-4 with packed B-frames in AVI", number, "avi", {}


def make_clip(path: Path, kind: str, number: int, options: dict[str, Any]) -> None:
    """Write one clip, whose length, distance of key frames and size go by its number."""
    frames, gop = 60 + 13 * (number % 9), GOPS[number % len(GOPS)]
    if kind.startswith("MPEG-4 with packed"):
        make_packed(path, frames=frames, gop=gop + 1, b_frames=1 + number % 2)
        return
    options = {"frames": frames, "gop": gop, **options}
    if kind == "variable rate":
        options["times"] = irregular(number, frames)
    if kind == "dropped frames":
        options |= {"times": [40 * (time // 40) for time in irregular(4 * number + 1, frames)]}
        options["base"] = Fraction(1, 25) if path.suffix == ".avi" else Fraction(1, 1000)
    if kind in ("constant rate", "tagged") and options.get("pixels") != "yuv420p10le":
        options.setdefault("size", SIZES[number % len(SIZES)])
    make(path, **options)


def main() -> None:
    """Print the table."""
    rows: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, number, ending, options in kinds(int(sys.argv[1]) if len(sys.argv) > 1 else 4):
            path = Path(folder) / f"clip.{ending}"
            make_clip(path, kind, number, options)
            expected = extract(path)
            try:
                frames, alarm = list(read_clip(path, None, ALL, None, FAMILY).frames), 0
            except DamagedVideo as error:
                frames, alarm = list(error.clip.frames), 1
            except UnreadableVideo:
                frames, alarm = [], 1
            same = sum(np.array_equal(one, other) for one, other in zip(frames, expected, strict=False))
            row = rows.setdefault(kind, [0, 0, 0, 0])
            for at, more in enumerate((1, len(expected), same, alarm)):
                row[at] += more
            if same < len(expected) or alarm:
                told = f"{len(frames)} frames" + (", called damaged" if alarm else "")
                print(
                    f"  {kind} {number} .{ending}: {same} of {len(expected)} equal, {told}", file=sys.stderr
                )
    print(f"OpenCV {cv2.__version__}, pixels {FAMILY}\n")
    print("| clips | | frames of OpenCV | equal | called damaged |\n|---|---|---|---|---|")
    for kind, row in rows.items():
        print(f"| {kind} | " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
