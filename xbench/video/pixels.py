"""From a decoded frame to RGB, as one of two families of OpenCV converts it.

All published numbers were made with OpenCV 4, whose conversion ignores what a file says of its colours:
BT.601 for all, interlaced frames as progressive ones, no gamut or tone mapped. OpenCV 4.13 and 5 honour it.
"""

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from xbench.terms import PixelRule

Pixels = NDArray[np.uint8]

QUARTER_TURNS = {90: 1, 180: 2, -180: 2, -90: 3}
"""Degrees counterclockwise of a display matrix -> turns; OpenCV leaves other angles alone."""

_UNTOLD = 2  # AVCOL_SPC_UNSPECIFIED, and the same number for primaries and transfer
_BT601 = (_UNTOLD, 5, 6)  # colour matrices (ITU-T H.273, table 4) that are BT.601's, or taken for it
_SDR_PRIMARIES = (1, 4, 5, 6, 7)  # H.273, table 2: those that FFmpeg leaves as they are
_HDR_CURVES = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


class Converter:
    """Turns decoded frames of one video into RGB: bicubic, upright, all of the header's size.

    `differs` turns True with the first frame that the other rule gives other pixels, `exact` False with the
    first whose pixels in OpenCV 4 depend on memory that it did not set. By way of BGR, as OpenCV does:
    FFmpeg's conversion to RGB is another one, up to 4 levels off at 10 bit.
    """

    def __init__(self, stream: VideoStream, rule: PixelRule) -> None:
        self.differs, self.exact = False, True
        self._rule, self._stream = rule, stream
        self._reformatters: dict[PixelRule, VideoReformatter] = {
            "published": VideoReformatter(),
            "tagged": VideoReformatter(),
        }
        self._width, self._height = stream.width or None, stream.height or None

    def __call__(self, frame: VideoFrame) -> Pixels:
        """Return uint8 RGB [H, W, 3]."""
        picture = self._convert(frame, self._rule)
        if not self.differs and _may_differ(frame):
            other: PixelRule = "tagged" if self._rule == "published" else "published"
            self.differs = _is_remapped(frame) or not np.array_equal(picture, self._convert(frame, other))
        self.exact &= self._rule == "tagged" or self._is_exact(frame)
        turns = QUARTER_TURNS.get(frame.rotation, 0)
        return np.ascontiguousarray(np.rot90(picture[:, :, ::-1], turns))

    def _is_exact(self, frame: VideoFrame) -> bool:
        """False where OpenCV 4 does not give the same pixels twice.

        It converts all that the codec stores, rows below the picture too, which above 8 bit with few chroma
        rows or columns reach up to three rows into the picture; and it does not see a change of size.
        """
        coder = self._stream.codec_context
        if (frame.width, frame.height) != (self._width or frame.width, self._height or frame.height):
            return False
        whole = (coder.coded_width, coder.coded_height) == (frame.width, frame.height)
        return whole or not _is_deep(frame) or not _has_few_chroma(frame)

    def _convert(self, frame: VideoFrame, rule: PixelRule) -> Pixels:
        if rule == "published":
            return self._to_bgr(_untagged(frame), rule)
        if _is_remapped(frame):
            try:
                return self._to_bgr(frame, rule, _primaries(frame), _transfer(frame))
            except av.error.FFmpegError:
                pass  # a curve that FFmpeg cannot map; OpenCV gives no picture there
        return self._to_bgr(frame, rule)

    def _to_bgr(
        self,
        frame: VideoFrame,
        rule: PixelRule,
        primaries: ColorPrimaries | None = None,
        transfer: ColorTrc | None = None,
    ) -> Pixels:
        picture = self._reformatters[rule].reformat(
            frame,
            self._width,
            self._height,
            "bgr24",
            interpolation=Interpolation.BICUBIC,
            dst_color_primaries=primaries,
            dst_color_trc=transfer,
            threads=1,
        )
        return np.asarray(picture.to_ndarray(), np.uint8)


def _untagged(frame: VideoFrame) -> VideoFrame:
    """Return the same planes in a frame that tells nothing of colours, fields or the place of chroma.

    Full range stays where the pixel format itself tells it (yuvj420p). Palettes have no such tags.
    """
    if frame.format.has_palette:
        return frame
    fresh: VideoFrame = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for source, target in zip(frame.planes, fresh.planes, strict=True):
        rows, copy = _rows(source), _rows(target)
        width = min(rows.shape[1], copy.shape[1])
        copy[:, :width] = rows[:, :width]
    return fresh


def _rows(plane: VideoPlane) -> Pixels:
    """A plane's bytes, row by row from the top, padding included."""
    rows: Pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    return rows[::-1] if plane.line_size < 0 else rows


def _may_differ(frame: VideoFrame) -> bool:
    """False for the ordinary frame, for which the two rules need not be compared: 8 bit, without tags."""
    full = frame.color_range == ColorRange.JPEG and not frame.format.name.startswith("yuvj")
    return (
        frame.interlaced_frame
        or _is_deep(frame)
        or full
        or frame.colorspace not in _BT601
        or _is_remapped(frame)
    )


def _is_deep(frame: VideoFrame) -> bool:
    return any(component.bits > 8 for component in frame.format.components)


def _has_few_chroma(frame: VideoFrame) -> bool:
    form = frame.format
    return (form.chroma_width(frame.width), form.chroma_height(frame.height)) != (frame.width, frame.height)


def _is_remapped(frame: VideoFrame) -> bool:
    """Whether OpenCV 5 maps gamut or tone: primaries wider than SDR's, PQ or HLG."""
    wide = frame.color_primaries in set(ColorPrimaries) - {*_SDR_PRIMARIES, _UNTOLD}
    return (wide and frame.color_trc in set(ColorTrc)) or frame.color_trc in _HDR_CURVES


def _primaries(frame: VideoFrame) -> ColorPrimaries:
    """The primaries to which FFmpeg maps where it is left the choice (`libswscale/format.c`)."""
    told = frame.color_primaries
    return ColorPrimaries(told) if told in _SDR_PRIMARIES else ColorPrimaries.BT709


def _transfer(frame: VideoFrame) -> ColorTrc:
    told = frame.color_trc
    return ColorTrc.BT709 if told in (_UNTOLD, *_HDR_CURVES) else ColorTrc(told)
