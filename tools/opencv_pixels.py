"""Keeps the small clips of tests/fixtures/video/pixels and what each family of OpenCV makes of them.

    python tools/opencv_pixels.py make     writes the clips (PyAV)
    python tools/opencv_pixels.py hash     adds the pixels of the OpenCV that is installed to opencv.json

A `hash` belongs to each version that the tests speak of, in an environment of its own that needs
opencv-python-headless and numpy only. The clips are kept because another encoder would write others.
"""

import hashlib
import json
import lzma
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "fixtures" / "video" / "pixels"
sys.path.insert(0, str(ROOT / "tests" / "video"))

BT709, DISPLAY_P3, BT2020, SMPTE240M = (1, 1, 1), (1, 12, 13), (9, 9, 14), (7, 7, 7)
HLG, PQ = (9, 9, 18), (9, 9, 16)
DEEP = {"codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": "log-level=none"}}
CLIPS: dict[str, dict[str, Any]] = {
    "untagged.mp4": {},
    "bt709.mp4": {"tags": BT709},
    "bt709-full.mp4": {"tags": BT709, "full_range": True, "pixels": "yuvj420p"},
    "display-p3.mp4": {"tags": DISPLAY_P3},
    "bt2020.mp4": {"tags": BT2020},
    "smpte240m.mp4": {"tags": SMPTE240M},
    "full-range.webm": {"codec": "libvpx-vp9", "full_range": True, "b_frames": 0},
    "10bit.mkv": {"pixels": "yuv420p10le", "b_frames": 0},
    "10bit-hevc.mp4": DEEP,
    "hlg.mov": {**DEEP, "tags": HLG},
    "pq.mp4": {**DEEP, "tags": PQ},
    "prores.mov": {"codec": "prores_ks", "pixels": "yuv422p10le", "b_frames": 0, "frames": 2},
    "interlaced.mp4": {"field": "tff", "options": {"x264-params": "interlaced=1:tff=1"}, "b_frames": 0},
    "interlaced-bt709.mp4": {
        "tags": BT709,
        "field": "bff",
        "options": {"x264-params": "interlaced=1:bff=1"},
        "b_frames": 0,
    },
    "interlaced-mpeg2.mkv": {"codec": "mpeg2video", "field": "tff", "rate": 25, "b_frames": 0},
    "interlaced-mpeg4.avi": {"codec": "mpeg4", "field": "tff", "b_frames": 0},
    "dv.avi": {"codec": "dvvideo", "size": (720, 576), "rate": 25, "frames": 1, "b_frames": 0},
}


def make_clips() -> None:
    """Write the clips; DV, whose frames have one size whatever they show, is packed."""
    from made_clips import make

    FOLDER.mkdir(exist_ok=True)
    for name, options in CLIPS.items():
        path = make(FOLDER / name, **{"rate": 1, "frames": 3, **options})
        if name.startswith("dv"):
            Path(f"{path}.xz").write_bytes(lzma.compress(path.read_bytes()))
            path.unlink()


def hash_clips() -> None:
    """Add what the installed OpenCV gives, through the published extractor, under its version."""
    import cv2
    from published_extractor import extract

    record = FOLDER / "opencv.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    known[cv2.__version__] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in CLIPS:
            path = FOLDER / name
            if not path.exists():
                path = Path(folder) / name
                path.write_bytes(lzma.decompress((FOLDER / f"{name}.xz").read_bytes()))
            pictures = extract(path)
            digest = hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest()
            known[cv2.__version__][name] = {"frames": len(pictures), "sha256": digest}
    record.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    {"make": make_clips, "hash": hash_clips}[sys.argv[1]]()
