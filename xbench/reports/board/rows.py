"""A leaderboard as values: rows of one protocol and direction."""

from dataclasses import dataclass

from xbench.metrics.bootstrap import Interval
from xbench.reports.record.files import Measurement
from xbench.terms import Direction


@dataclass(frozen=True)
class Value:
    """One number of a row, with its interval if it was measured."""

    value: float
    interval: Interval | None = None


@dataclass(frozen=True)
class BoardRow:
    """A line of a board. `saved` is the record of a measured row, None for a claim."""

    model: str
    backbone: str
    setting: str
    """`fine-tuned` or `zero-shot` for a claim, the label or the checkpoint's file name for a measured row."""
    post_processing: str
    values: dict[str, Value]
    date: str
    """Day of the run, empty for a claim."""
    source: str
    source_url: str
    remarks: tuple[str, ...]
    """What a reader must know: why it is not comparable, that the protocol is assumed, the train split."""
    comparable: bool
    """With the other rows of its board, which may hold post-processed rows only."""
    measurement: Measurement | None = None
    label: str = ""
    """What the user of a measured row calls it."""
    place: str = ""
    """`1`, or `2=` for a tie; empty for a row that is not comparable or lacks the first metric."""
    mark: str = ""
    """`best`, or `even`: measured and not significantly worse than the best."""

    @property
    def measured(self) -> bool:
        """Whether xbench measured it here; else it is somebody's claim."""
        return self.measurement is not None

    @property
    def honest(self) -> bool:
        """Whether it stands beside other numbers of the protocol: comparable, and not post-processed."""
        return self.comparable and self.post_processing == "none"


@dataclass(frozen=True)
class Board:
    """Rows of one protocol and direction; results of test-set post-processing have boards of their own."""

    benchmark: str
    protocol: str
    direction: Direction
    processed: bool
    metrics: tuple[str, ...]
    rows: tuple[BoardRow, ...]

    @property
    def title(self) -> str:
        """Its heading."""
        what = {"t2v": "text to video", "v2t": "video to text"}[self.direction]
        processed = ", with post-processing that looks at the test set" if self.processed else ""
        return f"{self.protocol}, {what} ({self.direction}){processed}"
