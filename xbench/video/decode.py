"""From a video file to what a model sees: frames, pixels as asked for, CLIP's preprocessing."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from xbench.errors import DataError
from xbench.terms import Crop, PixelRule
from xbench.video.choice import (
    LOST_ELSEWHERE,
    MAY_DIFFER,
    PIXELS_MAY_DIFFER,
    Choice,
    Sampling,
    choose,
)
from xbench.video.identity import FileState, file_state
from xbench.video.packets import Loss, Scan, UnreadableVideo, VideoInfo, filled, opened, probe, tick
from xbench.video.pixels import Converter, Pixels
from xbench.video.positions import Window


def resize_and_crop(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Resize the smaller side to `size` (Pillow bicubic) and crop the centre; uint8 RGB [3, size, size].

    The longer side becomes int(size * long / short); a crop margin that ends in one half goes to the even
    neighbour, as Python's `round` does (11.5 becomes 12).
    """
    image = _resized(image, size)
    left, top = (round((side - size) / 2) for side in image.size)
    return _pixels(image.crop((left, top, left + size, top + size)))


def resize_and_cut(image: Image.Image, size: int, crop: Crop) -> NDArray[np.uint8]:
    """Resize as `resize_and_crop` does; uint8 RGB [crops, 3, h, w], in one array for each frame.

    crop: `centre`, that one; `three`, the squares at the left or upper end, in the middle, and at the right
    or lower end; `whole`, all of the resized picture.
    """
    if crop == "centre":
        return resize_and_crop(image, size)[None]
    image = _resized(image, size)
    if crop == "whole":
        return _pixels(image)[None]
    width, height = image.size
    ends = ((0, 0), (round((width - size) / 2), round((height - size) / 2)), (width - size, height - size))
    return np.stack([_pixels(image.crop((left, top, left + size, top + size))) for left, top in ends])


def _resized(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    short, long = min(width, height), int(size * max(width, height) / min(width, height))
    if short == size:
        return image
    return image.resize((size, long) if width <= height else (long, size), Image.Resampling.BICUBIC)


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def normalise(frames: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Turn uint8 frames [..., 3, H, W] into float32 (x / 255 - mean) / std, per RGB channel.

    The three operations are rounded to float32 one after the other, in this order: any other order differs
    from the published tensors in the last bit.
    """
    shape = (3, 1, 1)
    scaled = frames.to(torch.float32).div_(255)
    means = torch.tensor(mean, dtype=torch.float32, device=frames.device).view(shape)
    stds = torch.tensor(std, dtype=torch.float32, device=frames.device).view(shape)
    return scaled.sub_(means).div_(stds)


FRAME_RULES = 2
"""Goes up when the same file gives other frames, so that features of the old ones are not used again."""

_NEAR = 8
"""Frames around a pause in which a lost packet shows: no codec refers further in practice."""
_SILENT_PACKETS = ("vp8",)
"""Codecs whose packets need not give a frame."""
_WITHOUT_TIMES = ("avi",)
"""Containers that do not store when a frame is shown: FFmpeg guesses it."""

__all__ = ["FRAME_RULES", "DamagedVideo", "Taken", "UnreadableVideo", "VideoInfo", "probe", "read_clip"]


@dataclass(frozen=True)
class Taken:
    """The frames taken from one video.

    frames: uint8 [n, 3, h, w], resized and cropped; or RGB [n, H, W, 3] when no size was asked for. source:
    the index of each frame, in decoding order. info: of the header. notes: where the published code would
    find no frame or may find another one. pixels_differ: whether the other pixel rule would give other
    pixels. times: when each frame is shown, seconds from the file's first one, by its time stamp, else by the
    average rate. view: the number of the view that each frame belongs to, from 0, in order: the first
    crop of the first window, its second crop, and so on.
    """

    frames: NDArray[np.uint8]
    source: tuple[int, ...]
    info: VideoInfo
    notes: tuple[str, ...] = ()
    pixels_differ: bool = False
    times: tuple[float, ...] = ()
    view: tuple[int, ...] = ()


class DamagedVideo(DataError):  # noqa: N818
    """A file that lost frames: `got` of the `wanted` ones lie before the loss, whose `cause` is known.

    Both count before the cut to max_frames. `clip` holds what could be had, behind the loss too.
    """

    def __init__(self, path: Path, wanted: int, got: int, cause: str, clip: Taken) -> None:
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
    *,
    crop: Crop = "centre",
) -> Taken:
    """Decode the frames of `path` that `sampling` picks between the seconds of `window` (None: all of it).

    pixels: whose colours, OpenCV 4's or those that the file's tags say. With `size`, frames are resized as
    CLIP does and cropped as `crop` says; without, they come as stored, upright. Safe to call from several
    threads.

    Raises UnreadableVideo when no frame can be had (not a video, no frame in the window, gone or changed
    while it was read), DamagedVideo when the file lost frames and a wanted one is among them or behind them.
    """

    def transform(picture: Pixels) -> Pixels:
        return picture[None] if size is None else resize_and_cut(Image.fromarray(picture), size, crop)

    before = _state(path)
    choice = choose(path, window, sampling)
    take = partial(decode, path, rule=pixels, transform=transform)
    decoded = take(set(chain.from_iterable(choice.taken(choice.frames))))
    loss = decoded.loss(choice.scan, choice.info)
    choice = replace(choice, scan=replace(choice.scan, loss=loss))
    views = _source(path, choice, decoded)
    missing = set(chain.from_iterable(views)) - set(decoded.pictures)
    if missing:
        # Fewer frames came out than the packets promised (two fields each make one), so others are taken.
        decoded = decoded.joined(take(missing))
    if _state(path) != before:
        raise UnreadableVideo(path, "it changed or vanished while it was read")
    clip = _taken(choice, decoded, views)
    return clip if loss is None else _judged(path, choice, loss, clip)


def _taken(choice: Choice, decoded: "Decoded", views: Sequence[Sequence[int]]) -> Taken:
    """Put the frames of all views, and of all crops of each, one after the other."""
    crops = len(next(iter(decoded.pictures.values()), ()))
    order = [(index, crop) for view in views for crop in range(crops) for index in view]
    number = chain.from_iterable(
        [at * crops + crop] * len(view) for at, view in enumerate(views) for crop in range(crops)
    )
    pictures = [decoded.pictures[index][crop] for index, crop in order]
    return Taken(
        np.stack(pictures) if pictures else np.zeros((0, 3, 0, 0), np.uint8),
        tuple(index for index, _ in order),
        choice.info,
        _notes(choice, decoded),
        decoded.differs,
        tuple(decoded.seconds(index, choice.info.fps) for index, _ in order),
        tuple(number),
    )


def _source(path: Path, choice: Choice, decoded: "Decoded") -> list[list[int]]:
    """Return which decoded frames are taken, view by view. Raises UnreadableVideo when there is none."""
    loss = choice.scan.loss
    frames = min(decoded.count, choice.frames) if decoded.ended else choice.frames
    if not loss and not decoded.came_as_told(choice.scan):
        choice = choice.untimed()
    views = choice.taken(frames)
    if loss and not decoded.fault:
        at_times = [decoded.at_times(choice.scan, view) for view in choice.taken(choice.frames)]
        views = [choice.filled(view) for view in at_times if view] or views
    if not views and not (choice.sampling.read.name == "none" and choice.found(frames)):
        raise UnreadableVideo(path, loss.cause if loss else _no_frame(choice, frames))
    return views


def _notes(choice: Choice, decoded: "Decoded") -> tuple[str, ...]:
    skipped = decoded.skipped and choice.sampling.read.name == "published"
    notes = choice.notes or ((MAY_DIFFER,) if skipped else ())
    return notes if decoded.exact else (*notes, PIXELS_MAY_DIFFER)


def _judged(path: Path, choice: Choice, loss: Loss, clip: Taken) -> Taken:
    """Return the clip of a file that lost frames, or raise DamagedVideo if a wanted one is affected."""
    got = len(choice.found(min(loss.first, choice.frames)))
    wanted = max(choice.wanted, len(choice.found(choice.frames)))
    if got < wanted:
        raise DamagedVideo(path, wanted, got, loss.cause, clip)
    return replace(clip, notes=(*clip.notes, LOST_ELSEWHERE))


def _state(path: Path) -> FileState | None:
    """What changes when a file does, None when it is not there."""
    try:
        return file_state(path)
    except OSError:
        return None


def _no_frame(choice: Choice, frames: int) -> str:
    if not frames or choice.window is None:
        return "it holds no frame that decodes"
    start, end = choice.window
    return f"no frame lies between second {start:g} and {end:g} of its {frames / choice.info.fps:.1f} seconds"


@dataclass
class Decoded:
    """What one pass over a video gave.

    pictures: index of a frame in decoding order -> what became of its RGB pixels. count: how many frames came
    out before the pass ended; `ended` is False when it stopped at the last wanted frame. fault: why decoding
    failed after `count` frames, None when it did not. skipped: packets before the first frame that failed.
    times: the time stamp of each frame that came out, in units of `unit` seconds. opened_by_key: whether the
    first was a key frame. differs and exact: what the Converter says of the pictures.
    """

    pictures: dict[int, Pixels] = field(default_factory=dict)
    count: int = 0
    ended: bool = True
    fault: str | None = None
    skipped: int = 0
    times: list[int | None] = field(default_factory=list)
    unit: float = 1.0
    opened_by_key: bool = True
    differs: bool = False
    exact: bool = True

    def loss(self, scan: Scan, info: VideoInfo) -> Loss | None:
        """Return why frames are known to be lost: the decoder failed, or bore out what packets hint at."""
        if scan.headless and self._headless(scan):
            return Loss("its first key frame is gone", 0)
        if self.fault:
            return Loss(self.fault, self.count)
        return self._gap(scan, info) or scan.loss

    def at_times(self, scan: Scan, frames: list[int]) -> list[int]:
        """Return which decoded frames stand at the time of the packets `frames`, or come next behind it.

        After a loss that is what OpenCV's seeks find, where counting goes astray. Empty without time stamps.
        """
        times = scan.times()
        if not times or None in self.times:
            return []
        came = sorted(time for time in self.times if time is not None)
        found = (bisect_left(came, times[frame]) for frame in frames)
        return [index for index in found if index < len(came)]

    def seconds(self, index: int, fps: float) -> float:
        """Return when a frame is shown, from the first one on."""
        first, own = self.times[0], self.times[index]
        return index / fps if first is None or own is None else (own - first) * self.unit

    def joined(self, other: "Decoded") -> "Decoded":
        """Return this pass with the pictures of another one over the file, and the longer one's times."""
        times = max(self.times, other.times, key=len)
        return replace(self, pictures=self.pictures | other.pictures, times=times)

    def came_as_told(self, scan: Scan) -> bool:
        """Whether the frames that came out are the first ones of the packets, one for each packet."""
        return self.times == (scan.times() or [])[: len(self.times)]

    def _headless(self, scan: Scan) -> bool:
        """Whether what precedes the first key frame gave no frame, or frames that refer to nothing."""
        times = scan.times()
        late = bool(times and self.times and self.times[0] is not None and self.times[0] > times[0])
        return late or not self.opened_by_key or self.skipped > 0

    def _gap(self, scan: Scan, info: VideoInfo) -> Loss | None:
        """A pause in time beside which packets give no frame, or frames come out in the wrong order."""
        times = scan.times()
        silent_by_nature = info.codec in _SILENT_PACKETS or info.container in _WITHOUT_TIMES
        if not scan.pauses or not times or silent_by_nature or None in self.times:
            return None
        came = [time for time in self.times if time is not None]
        seen, reached = set(came), max(came, default=times[0])
        silent = [at for at, time in enumerate(times) if time < reached and time not in seen]
        place = {time: at for at, time in enumerate(times)}
        back = [place.get(time, 0) for last, time in pairwise(came) if time < last]
        for pause in scan.pauses:
            if silent and abs(silent[0] - pause) <= _NEAR:
                return Loss(f"{len(silent)} packets around a gap give no frame", min(pause, silent[0]))
            if any(abs(at - pause) <= _NEAR for at in back):
                return Loss("frames come out of order around a gap", pause)
        return None


def decode(
    path: Path, wanted: Collection[int], rule: PixelRule, transform: Callable[[Pixels], Pixels]
) -> Decoded:
    """Decode `path` from the start until the last of `wanted`; transform gets uint8 RGB [H, W, 3], upright.

    What fails before the first key frame is passed over, as any player does; what fails later ends the pass.
    Raises UnreadableVideo when the file cannot be opened.
    """
    result = Decoded()
    last = max(wanted, default=-1)
    with opened(path) as (container, stream):
        to_rgb, result.unit = Converter(stream, rule), tick(stream)
        for frame in frames_of(container, stream, result):
            if result.count in wanted:
                result.pictures[result.count] = transform(to_rgb(frame))
            result.count += 1
            if result.count > last:
                result.ended = False
                break
        result.differs, result.exact = to_rgb.differs, to_rgb.exact
    return result


def frames_of(container: InputContainer, stream: VideoStream, result: Decoded) -> Iterator[VideoFrame]:
    """Yield frames until one is faulty, and tell `result` what was wrong; the caller counts them there."""
    packets = filled(container, stream)
    ended = False
    while not ended:
        try:
            packet = next(packets, None)
            ended = packet is None
            frames = stream.codec_context.decode(packet)
        except av.error.FFmpegError as error:
            result.fault = error.strerror or str(error)
            if result.count:
                return
            result.skipped += 1
            continue
        for frame in frames:
            if frame.is_corrupt:
                result.fault = f"frame {result.count} is corrupt"
                if result.count:
                    return
                result.skipped += 1
            elif result.count or frame.key_frame or not result.skipped:
                result.fault = None
                if not result.times:
                    result.opened_by_key = bool(frame.key_frame)
                result.times.append(frame.pts)
                yield frame
