"""The published frame extraction, written out plainly: seek to each second, transform each frame.

What `dataloaders/rawvideo_util.py` of the published code does through OpenCV, with CLIP's transform: bicubic
resize and centre crop in Pillow, then a float tensor, normalised.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def extract(path: Path, size: int = 224) -> torch.Tensor:
    """Return one frame for each second of a video, float32 [n, 3, size, size]."""
    capture = cv2.VideoCapture(str(path))
    frames, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), int(capture.get(cv2.CAP_PROP_FPS))
    pictures = []
    for second in range(math.ceil(frames / rate) + 1):
        capture.set(cv2.CAP_PROP_POS_FRAMES, second * rate)
        found, picture = capture.read()
        if not found:
            break
        pictures.append(transform(Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)), size))
    capture.release()
    return torch.stack(pictures)


def transform(image: Image.Image, size: int) -> torch.Tensor:
    """Resize the smaller side, crop the centre, normalise."""
    width, height = image.size
    short, long = min(width, height), int(size * max(width, height) / min(width, height))
    if short != size:
        image = image.resize((size, long) if width <= height else (long, size), Image.Resampling.BICUBIC)
    left, top = (round((side - size) / 2) for side in image.size)
    pixels = np.array(image.crop((left, top, left + size, top + size)).convert("RGB"))
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div(255)
    return (tensor - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
