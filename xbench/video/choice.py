"""Which decoded frames of one file are asked for, worked out from its header and packets before decoding."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from xbench.sampling import FrameRule, frame_rule
from xbench.video.packets import Scan, VideoInfo, describe, opened, scan, tick
from xbench.video.positions import (
    Window,
    cut,
    published_count,
    published_positions,
    repeated,
    segment_positions,
    strided_positions,
    timed_positions,
    uniform_positions,
    windows_of,
)
from xbench.video.seeking import Seeker


@dataclass(frozen=True)
class Sampling:
    """At most `max_frames` frames of a clip, picked by `rule`; None: as many as it finds."""

    max_frames: int | None
    rule: FrameRule | str = "published"

    @cached_property
    def read(self) -> FrameRule:
        """The rule, read from its text."""
        return frame_rule(self.rule)


NO_FRAME = "the published code finds no frame in this file"
MAY_DIFFER = "the published choice of frames may differ in this file"
PIXELS_MAY_DIFFER = "the published pixels may differ in this file"
OLDER_DIFFER = "OpenCV 4.5.5 to 4.7 find other frames in this file than 4.8 to 4.12, which are taken"
LOST_ELSEWHERE = "the file lost frames, but none that is wanted"
UNDER_ONE_FPS = "the published code divides by zero on this file: it has under one frame a second"

_ROUGH_CONTAINERS = ("mpeg", "mpegts")
"""Program and transport streams have no index: where OpenCV lands in them is not predictable."""


@dataclass(frozen=True)
class Choice:
    """What is wanted of one file. Frames are numbered in decoding order, from 0.

    targets: the frames that the published rule asks for, in order; empty for other rules. shown: when each
    frame begins, seconds from the first one; empty where the packets do not tell. frames: how many the
    packets hold. promised: how many the file should hold. wanted: how many of those the rule finds, before
    the cut to max_frames. scan: the packets, and the evidence that the file lost some. notes: how the
    published code fares on it.
    """

    info: VideoInfo
    sampling: Sampling
    window: Window | None
    targets: tuple[int, ...]
    shown: tuple[float, ...]
    frames: int
    promised: int
    wanted: int
    scan: Scan
    notes: tuple[str, ...]

    def found(self, frames: int) -> list[int]:
        """Return the frames that the rule finds when `frames` decode, before the cut to max_frames.

        Those of all views, one after the other. Where none is to be taken, a scorer reads the whole clip.
        """
        return [index for view in self._views(frames) for group in view for index in group]

    def taken(self, frames: int) -> list[list[int]]:
        """Return the frames that are taken, view by view, when `frames` decode; repeated ones come so often.

        A view without a frame is left out.
        """
        if self.sampling.read.name == "none":
            return []
        views = [self._cut(view) for view in self._views(frames)]
        return [view for view in views if view]

    def filled(self, taken: list[int]) -> list[int]:
        """Return what is taken with its last frame repeated, where the rule says so."""
        rule = self.sampling.read
        count = rule.frames or self.sampling.max_frames
        return repeated(taken, count) if rule.repeat_last and count else taken

    def untimed(self) -> "Choice":
        """Return the choice by number and average rate, for a file whose packets do not tell its frames."""
        return replace(self, shown=())

    def _cut(self, groups: list[list[int]]) -> list[int]:
        """Return what is taken of a view, whose groups belong together."""
        rule = self.sampling.read
        if rule.each is not None and rule.repeat_last:
            groups = [repeated(group, rule.each) for group in groups]
        found = [index for group in groups for index in group]
        return self.filled([found[index] for index in cut(len(found), self.sampling.max_frames)])

    def _views(self, frames: int) -> list[list[list[int]]]:
        """Return what the rule finds when `frames` decode, in groups that belong together, view by view."""
        if self.sampling.read.name == "published":
            return [[list(takewhile(lambda target: target < frames, self.targets))]]
        total = self.promised if self.scan.loss else frames
        return [
            [[index for index in group if index < frames] for group in self._picked(total, window)]
            for window in self._windows(total)
        ]

    def _windows(self, frames: int) -> list[Window | None]:
        """Return the parts of the clip to which the rule is applied; `frames`: as for `_picked`."""
        windows = self.sampling.read.windows
        if windows is None:
            return [self.window]
        start, end = self.window or (0.0, math.inf)
        shown, step = self._shown(frames), 1 / self.info.fps
        length = frames * step
        if shown and self.sampling.read.name == "fps":
            length = shown[-1] + (1 + frames - len(shown)) * step
        return [*windows_of(windows, max(start, 0.0), min(end, length))]

    def _picked(self, frames: int, window: Window | None) -> list[list[int]]:
        """Return the frames of a rule of numbers or times; `frames`: how many the file has or should have."""
        rule, clip = self.sampling.read, (frames, self.info.fps, window)
        if rule.name == "segments":
            assert rule.parts is not None
            assert rule.each is not None
            return segment_positions(*clip, rule.parts, rule.each)
        if rule.name == "fps":
            assert rule.amount is not None
            return [timed_positions(*clip, rule.amount, self._shown(frames))]
        if rule.name == "every":
            assert rule.amount is not None
            return [strided_positions(*clip, rule.amount)]
        most = None if rule.name == "none" else self.sampling.max_frames
        return [uniform_positions(*clip, most or frames)]

    def _shown(self, frames: int) -> tuple[float, ...]:
        """Return the times of the frames, unless other frames than the packets' are counted."""
        return self.shown if self.scan.loss or frames == len(self.shown) else ()


def choose(path: Path, window: Window | None, sampling: Sampling) -> Choice:
    """Read the header and the packets of a file and work out which frames are wanted.

    Raises UnreadableVideo when it is no video.
    """
    with opened(path) as (container, stream):
        info = describe(container, stream)
        packets = scan(path, container, stream, info)
        held = packets.frames
        promised = _promised(info, packets)
        shown = _shown(packets, tick(stream))
        if sampling.read.name != "published":
            choice = Choice(info, sampling, window, (), shown, held, promised, 0, packets, ())
            return replace(choice, wanted=len(choice.found(promised)))
        count = held if info.frames is None else info.frames
        rough = info.container in _ROUGH_CONTAINERS
        seeker = Seeker(container, stream, packets, info.fps, count)
        targets = _targets(seeker, published_positions(count, info.fps, window), held, plain=rough)
        reorders = (info.container, info.codec) == ("avi", "mpeg4") and stream.codec_context.has_b_frames
        notes = _notes(info, exact=seeker.exact and not rough and not reorders)
        notes += (OLDER_DIFFER,) if _older_differ(packets, info, seeker) else ()
    wanted = published_count(promised if packets.loss else count, info.fps, window)
    return Choice(info, sampling, window, targets, shown, held, promised, wanted, packets, notes)


def _shown(packets: Scan, unit: float) -> tuple[float, ...]:
    times = packets.times() or []
    return tuple((time - times[0]) * unit for time in times)


def _promised(info: VideoInfo, packets: Scan) -> int:
    """Return how many frames the file should hold: more than it does if it is known to have lost some.

    Where the header does not tell, as in an MP4 of fragments, a file that lost its end lost a second at
    least.
    """
    held, loss = packets.frames, packets.loss
    if loss is None:
        return held
    told = info.frames or 0
    silent = info.frames is None or (packets.fragments and told <= held)
    return held + math.ceil(info.fps) if silent and loss.first >= held else max(held, told)


def _targets(seeker: Seeker, positions: Iterator[int], frames: int, *, plain: bool) -> tuple[int, ...]:
    """Return the frame of each position until the first that the file does not hold."""
    indices = positions if plain or seeker.counts() else map(seeker.index, positions)
    return tuple(takewhile(lambda index: index < frames, indices))


def _older_differ(packets: Scan, info: VideoInfo, seeker: Seeker) -> bool:
    """Seen with sound much longer than the picture, and at variable rate in an MP4 with a segment index."""
    seconds = seeker.seconds()
    longer = (
        info.frames is not None and seconds is not None and info.frames - seconds * info.fps > 2 * info.fps
    )
    return packets.loss is None and (longer or (packets.indexed and not seeker.counts()))


def _notes(info: VideoInfo, *, exact: bool) -> tuple[str, ...]:
    if info.fps < 1:
        return (UNDER_ONE_FPS,)
    if info.frames is None or info.codec == "av1":
        return (NO_FRAME,)
    return () if exact else (MAY_DIFFER,)
