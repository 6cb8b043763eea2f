"""What a room says of its benchmark beyond datasets.yaml; a benchmark without one has the usual room."""

import os
from pathlib import Path

from xbench.data.benchmarks.custom import load_caption_file
from xbench.data.benchmarks.stand_in import StandIn
from xbench.data.split import Split, Video
from xbench.registry.datasets import Protocol

Range = tuple[float, float]
COPY_ENDING = ".mp4"


class Room:
    """A file with a caption a row; an id is a file name without its extension; nothing tells durations."""

    stand_in: StandIn | None = None
    """Its miniature, if it has one."""

    def load(self, folder: Path, protocol: Protocol) -> Split:
        """Read one protocol from its files in `folder`. Wrong or missing files are a DataError."""
        return load_caption_file(folder, protocol)

    def file_names(self, video: str) -> tuple[str, ...]:
        """Return the names under which the file of a video id may stand, with or without an extension."""
        return (video,)

    def bare_name(self, video: str) -> str | None:
        """Return an id that is itself a file name without its extension; None for any other id."""
        return None

    def copy_name(self, name: str) -> str:
        """Return the name of a video file's small copy, an mp4, by which the id still finds it."""
        return os.path.splitext(name)[0] + COPY_ENDING

    def hub_id(self, video: str) -> str:
        """Return the id of a video by what Hugging Face data sets call it."""
        return video

    def seconds(self, video: Video) -> Range | None:
        """Return (least, most) seconds that the annotation or the id tells, None if nothing does."""
        return None

    def expected_seconds(self, video: Video) -> Range | None:
        """Return (least, most) seconds that an intact file of this video lasts, None if nothing tells.

        With three seconds and a tenth of room, since files are cut at key frames and were encoded again.
        """
        told = self.seconds(video)
        return None if told is None else (told[0] * 0.9 - 3, told[1] * 1.1 + 3)
