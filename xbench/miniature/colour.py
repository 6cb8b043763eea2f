"""The colours of the miniature and their conversion to video range YUV (BT.601) in integers."""

import numpy as np
from numpy.typing import NDArray

PALETTE = {
    "red": (222, 38, 38),
    "orange": (250, 138, 18),
    "yellow": (252, 226, 40),
    "green": (38, 168, 58),
    "blue": (34, 84, 224),
    "purple": (134, 46, 178),
    "pink": (252, 128, 190),
    "white": (250, 250, 250),
}
OUTLINE = (24, 24, 40)

_MATRIX = ((66, 129, 25, 16), (-38, -74, 112, 128), (112, -94, -18, 128))


def yuv(rgb: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int32]:
    """Return Y, U, V (16 to 240) of RGB values (0 to 255); the last axis holds the three, any shape."""
    wide = np.asarray(rgb, dtype=np.int32)
    planes = [
        ((wide[..., 0] * r + wide[..., 1] * g + wide[..., 2] * b + 128) >> 8) + offset
        for r, g, b, offset in _MATRIX
    ]
    return np.stack(planes, axis=-1)
