"""The published extractor written out plainly over OpenCV: seek to each second, stop at the first miss."""

import math
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
FAMILY: Literal["published", "tagged"] = (
    "published" if tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 13) else "tagged"
)
"""The pixel rule that the installed OpenCV stands for."""


def extract(path: Path, window: tuple[int, int] | None = None) -> list[Picture]:
    """Return the RGB frames [H, W, 3] that the published code takes, before the cut to max_frames."""
    capture = cv2.VideoCapture(str(path))
    frames, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), int(capture.get(cv2.CAP_PROP_FPS))
    length = math.ceil(frames / rate)
    start, end = (0, length) if window is None else (window[0], min(window[1], length))
    if window is not None:
        capture.set(cv2.CAP_PROP_POS_FRAMES, start * rate)
    pictures = []
    for second in range(start, end + 1):
        capture.set(cv2.CAP_PROP_POS_FRAMES, second * rate)
        found, picture = capture.read()
        if not found:
            break
        pictures.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    capture.release()
    return pictures


def slices(pictures: list[Picture], max_frames: int) -> list[Picture]:
    """Return the published cut of too many frames."""
    if len(pictures) <= max_frames:
        return pictures
    return [pictures[i] for i in np.linspace(0, len(pictures) - 1, num=max_frames, dtype=int)]


def read_in_turn(path: Path) -> list[Picture]:
    """Return every RGB frame that OpenCV decodes from start to end, without a seek."""
    capture, pictures = cv2.VideoCapture(str(path)), []
    while (answer := capture.read())[0]:
        pictures.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2RGB))
    return pictures
