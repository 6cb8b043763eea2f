"""Draws a scene at a time as planar YUV 4:2:0, with integers and exact float operations only.

Only + - * / sqrt, comparisons and sorting are used (no sine, no matrix product): these round alike on every
machine, so a frame is the same everywhere, bit for bit.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xbench.miniature.backdrop import HEIGHT, WIDTH, backdrop
from xbench.miniature.colour import OUTLINE, PALETTE, yuv
from xbench.miniature.scene import Look, Scene, look

Plane = NDArray[np.uint8]
Field = NDArray[np.float64]

_QUARTERS = 4
_LINE = 1.3


def frame(scene: Scene, time: float) -> Plane:
    """Return the scene at `time` seconds: uint8 [HEIGHT * 3 / 2, WIDTH], the planes Y, U, V (I420)."""
    picture = backdrop(scene.backdrop, scene.variant).copy()
    for index in range(len(scene.actors)):
        _draw(picture, scene.actors[index].shape, look(scene, index, time))
    return picture


def _draw(picture: Plane, shape: str, now: Look) -> None:
    opacity = round(now.opacity * 255)
    if not opacity:
        return
    quarter = _QUARTERS * HEIGHT
    x = round(now.x * quarter) + _QUARTERS * (WIDTH - HEIGHT) // 2
    y, radius = round(now.y * quarter), round(now.radius * quarter)
    left, top = (x - radius) // _QUARTERS // 2 * 2 - 2, (y - radius) // _QUARTERS // 2 * 2 - 2
    outer, inner = _masks(shape, radius, x - left * _QUARTERS, y - top * _QUARTERS)
    old, new = np.array(PALETTE[now.colour]), np.array(PALETTE[now.towards])
    turned = round(now.turned * 256)
    _blend(picture, outer * opacity // 255, yuv(np.array(OUTLINE)), left, top)
    _blend(picture, inner * opacity // 255, yuv((old * (256 - turned) + new * turned) // 256), left, top)


def _blend(picture: Plane, mask: NDArray[np.int32], colour: NDArray[np.int32], left: int, top: int) -> None:
    """Paint with a mask (0 to 255) whose corner lies at an even pixel, clipped at the picture's edge."""
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + mask.shape[1], WIDTH), min(top + mask.shape[0], HEIGHT)
    part = mask[y0 - top : y1 - top, x0 - left : x1 - left]
    _mix(picture[y0:y1, x0:x1], part, int(colour[0]))
    coarse = (part[0::2, 0::2] + part[1::2, 0::2] + part[0::2, 1::2] + part[1::2, 1::2] + 2) // 4
    chroma = picture[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    for plane in (0, 1):
        _mix(chroma[plane, y0 // 2 : y1 // 2, x0 // 2 : x1 // 2], coarse, int(colour[1 + plane]))


def _mix(plane: Plane, mask: NDArray[np.int32], value: int) -> None:
    plane[...] = (plane * (255 - mask) + value * mask + 127) // 255


@lru_cache(maxsize=8192)
def _masks(shape: str, radius: int, x: int, y: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Coverage (0 to 255) of the outlined and the inner shape; all arguments in quarter pixels."""
    size = (2 * radius // _QUARTERS + 8) // 2 * 2
    steps = np.arange(size) * 1.0 + 0.5
    across = np.broadcast_to(steps - x / _QUARTERS, (size, size))
    down = np.broadcast_to((steps - y / _QUARTERS)[:, None], (size, size))
    r = radius / _QUARTERS
    distance = r * SHAPES[shape](across / r, down / r)
    return _coverage(distance), _coverage(distance + _LINE)


def _coverage(distance: Field) -> NDArray[np.int32]:
    return np.floor(np.clip(0.5 - distance, 0.0, 1.0) * 255.0 + 0.5).astype(np.int32)


def _ball(x: Field, y: Field) -> Field:
    return np.sqrt(x * x + y * y) - 0.95


def _ring(x: Field, y: Field) -> Field:
    return np.abs(np.sqrt(x * x + y * y) - 0.68) - 0.3


def _box(x: Field, y: Field) -> Field:
    return np.maximum(np.abs(x), np.abs(y)) - 0.84


def _diamond(x: Field, y: Field) -> Field:
    return (np.abs(x) / 0.72 + np.abs(y) - 1.0) * 0.58


def _triangle(x: Field, y: Field) -> Field:
    return np.maximum(y - 0.72, (np.abs(x) * 1.8 - y - 0.98) / 2.06)


def _cross(x: Field, y: Field) -> Field:
    ax, ay = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(ax - 0.96, ay - 0.34), np.maximum(ay - 0.96, ax - 0.34))


def _star(x: Field, y: Field) -> Field:
    """A pentagram: inside at least four of its five lines."""
    normals = ((0.0, -1.0), (0.9511, -0.3090), (0.5878, 0.8090), (-0.5878, 0.8090), (-0.9511, -0.3090))
    beyond = np.sort(np.stack([x * nx + (y - 0.08) * ny for nx, ny in normals]), axis=0)
    return np.asarray(beyond[3] - 0.36)


def _heart(x: Field, y: Field) -> Field:
    ax = np.abs(x)
    lobe = np.sqrt((ax - 0.45) * (ax - 0.45) + (y + 0.36) * (y + 0.36)) - 0.52
    point = np.maximum(ax * 0.7175 + y * 0.6965 - 0.592, 0.6 * ax - y - 0.45)
    return np.minimum(lobe, point)


SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    "ball": _ball,
    "box": _box,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "ring": _ring,
    "cross": _cross,
    "diamond": _diamond,
}
"""Signed distances of the shapes of radius 1, negative inside."""
