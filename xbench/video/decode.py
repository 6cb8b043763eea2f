"""From a video file to the frames that a model sees, by the published rule to the frame and the pixel.

The rule is that of the published extractor (`dataloaders/rawvideo_util.py`, which reads through OpenCV).
Each video is decoded once, from its start to the last wanted frame. Where the published code finds no frame,
or may find another one, the clip's `notes` say so.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xbench.errors import DataError
from xbench.video.choice import MAY_DIFFER, PIXELS_MAY_DIFFER, Choice, choose
from xbench.video.container import UnreadableVideo, VideoInfo, probe
from xbench.video.frames import decode
from xbench.video.pixels import PixelRule, Pixels
from xbench.video.sampling import Sampling, Window
from xbench.video.transform import resize_and_crop

FRAME_RULES = 1
"""Goes up when the same file gives other frames, so that features of the old ones are not used again."""

__all__ = ["FRAME_RULES", "Clip", "DamagedVideo", "UnreadableVideo", "VideoInfo", "probe", "read_clip"]


@dataclass(frozen=True)
class Clip:
    """The frames taken from one video.

    frames: uint8 [n, 3, size, size], resized and cropped; or RGB [n, H, W, 3] when no size was asked for.
    source: the index of each frame, in decoding order. notes: where the published code would find no frame or
    may find another one. pixels_differ: whether the other pixel rule would give other pixels.
    """

    frames: NDArray[np.uint8]
    source: tuple[int, ...]
    info: VideoInfo
    notes: tuple[str, ...] = ()
    pixels_differ: bool = False


class DamagedVideo(DataError):  # noqa: N818
    """A file that fails after some of the wanted frames: `got` of `wanted`, because of `cause`.

    Both count before the cut to max_frames. `clip` holds what could be had.
    """

    def __init__(self, path: Path, wanted: int, got: int, cause: str, clip: Clip) -> None:
        super().__init__(
            f"{path} is damaged: {got} of {wanted} wanted frames can be read, then {cause}."
            " Replace the file, or allow damaged videos."
        )
        self.path, self.wanted, self.got, self.cause, self.clip = path, wanted, got, cause, clip


def read_clip(
    path: Path,
    window: Window | None,
    sampling: Sampling,
    size: int | None,
    pixels: PixelRule = "published",
) -> Clip:
    """Decode the frames of `path` that `sampling` picks between the seconds of `window` (None: all of it).

    pixels: whose colours, OpenCV 4's or those that the file's tags say. With `size`, frames are resized and cropped as CLIP does; without, they come as stored, upright. Safe to
    call from several threads.

    Raises UnreadableVideo when no frame can be had (not a video, no frame in the window), DamagedVideo when
    the file fails after some of the wanted frames.
    """

    def transform(picture: Pixels) -> Pixels:
        return picture if size is None else resize_and_crop(Image.fromarray(picture), size)

    choice = choose(path, window, sampling)
    decoded = decode(path, set(choice.taken(choice.frames)), pixels, transform)
    if decoded.fault:
        choice = replace(choice, fault=decoded.fault)
    frames = min(decoded.count, choice.frames) if decoded.ended else choice.frames
    source = choice.taken(frames)
    if not source:
        raise UnreadableVideo(path, choice.fault or _no_frame(choice, frames))
    missing = set(source) - set(decoded.pictures)
    if missing:
        # Fewer frames came out than the packets promised (two fields each make one), so others are taken.
        decoded.pictures |= decode(path, missing, pixels, transform).pictures
    notes = choice.notes or ((MAY_DIFFER,) if decoded.skipped and sampling.rule == "published" else ())
    notes += () if decoded.exact else (PIXELS_MAY_DIFFER,)
    clip = Clip(
        np.stack([decoded.pictures[index] for index in source]),
        tuple(source),
        choice.info,
        notes,
        decoded.differs,
    )
    got = len(choice.found(frames))
    if choice.fault and got < choice.wanted:
        raise DamagedVideo(path, choice.wanted, got, choice.fault, clip)
    return clip


def _no_frame(choice: Choice, frames: int) -> str:
    if not frames or choice.window is None:
        return "it holds no frame that decodes"
    start, end = choice.window
    return f"no frame lies between second {start:g} and {end:g} of its {frames / choice.info.fps:.1f} seconds"
