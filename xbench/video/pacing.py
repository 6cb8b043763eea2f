"""Which frames stay when a video is re-encoded at a constant rate, as `ffmpeg -r RATE` chooses them.

FFmpeg's command line does not take the frame nearest to each output time. It writes a frame whenever the
output is less than 1.1 frames ahead of the input, so a 30 fps video brought to 3 fps keeps frames 0, 1, 8,
18, 28, ... The copies that the published models were trained and tested on were made so.
"""

from fractions import Fraction

_SLACK = 1.1
_STEP = 1 << 16
_NUDGE = 1 / (1 << 17)
"""FFmpeg computes times in steps of 1 / 2^16 output frame and nudges them off exact midpoints."""


class Pacer:
    """Says for each frame of a video how often it is written at a constant rate."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._written = 0
        self._held_before = [0, 0, 0]

    def copies(self, time: Fraction, duration: Fraction) -> tuple[int, int]:
        """Return how often to write the previous frame once more, and then how often this one.

        time: seconds since the start of the file. duration: seconds until the next frame.
        """
        due = round(time * self._rate * _STEP) / _STEP
        ahead = due + (_NUDGE if due > 0 else -_NUDGE if due < 0 else 0) - self._written
        end = ahead + float(duration * self._rate)
        held, total = 0, 1
        if ahead < 0 < end:
            ahead = 0.0
        if end < -_SLACK:
            total = 0
        elif end > _SLACK:
            total = round(end)
            held = round(ahead - 0.6) if ahead > _SLACK else 0
        self._held_before = [held, *self._held_before[:2]]
        self._written += total
        return held, total - held

    def at_end(self) -> int:
        """Return how often the last frame is written once more when the video ends."""
        return sorted(self._held_before)[1]
