"""A leaderboard as values: rows of one protocol and direction."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from xbench.metrics.intervals import Interval
from xbench.reports.record.files import Measurement
from xbench.terms import Direction

Kind = Literal["raw", "processed", "rerank", "unknown", "evaluation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""How rows of a board were made: as scored, post-processed with a look at the test set, scored again in a
second stage, in a way that the source does not name, by an evaluation that uses the right answer."""

_MADE = {
    "raw": "",
    "processed": ", with post-processing that looks at the test set",
    "rerank": ", scored again in a second stage",
    "unknown": ", second stage unknown",
    "evaluation": ", evaluation sees the right answer",
}


def kind_of(post_processing: str, evaluation: str = "") -> Kind:
    """Return which kind of board a number belongs on."""
    if evaluation:
        return "evaluation"
    if post_processing == "rerank":
        return "rerank"
    if post_processing == "unknown":
        return "unknown"
    return "raw" if post_processing == "none" else "processed"


_ARXIV = re.compile(r"^https://arxiv\.org/(?:abs|pdf)/(\d\d)\d\d\.")


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
    sees_the_answer: bool = False
    """A claim whose evaluation uses the right answer."""
    measurement: Measurement | None = None
    reranked: str = ""
    """Of what the model of a measured row is the second stage: `re-ranked the first 128 of xclip`."""
    label: str = ""
    """What the user of a measured row calls it."""
    place: str = ""
    """`1`, or `2=` for a tie; empty for a row that is not comparable or lacks the first metric."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """By metric `best`, or `even`: measured and not significantly worse than the best."""
    mark: str = ""
    """That of the first metric."""
    second: frozenset[str] = frozenset()
    """The metrics by which it is the best but one."""

    @property
    def measured(self) -> bool:
        """Whether its per-query counts prove it; else it is somebody's claim."""
        return self.measurement is not None and self.measurement.per_query is not None

    @property
    def made(self) -> str:
        """What stands behind the model's name where its scores were not ranked as they are."""
        return self.reranked or ("" if self.post_processing == "none" else f"+ {self.post_processing}")

    @property
    def year(self) -> str:
        """Of the run, or of a claim's source as its arXiv number tells; empty where nothing does."""
        if self.measurement is not None:
            return self.measurement.record.created[:4]
        found = _ARXIV.search(self.source_url)
        return f"20{found[1]}" if found else ""

    @property
    def honest(self) -> bool:
        """Whether it stands beside other numbers of the protocol: comparable, raw, honestly made."""
        return self.comparable and self.post_processing == "none" and not self.sees_the_answer


@dataclass(frozen=True)
class Board:
    """Rows of one protocol and direction that were made in one way; other kinds have boards of their own.

    zero_shot: rows of models that have seen nothing of the benchmark; what is not known to be so stands with
    the fine-tuned ones. rule: the v2t rule where videos have several captions, `unknown` where a source does
    not name it, else empty.
    """

    benchmark: str
    protocol: str
    direction: Direction
    kind: Kind
    rule: str
    zero_shot: bool
    metrics: tuple[str, ...]
    rows: tuple[BoardRow, ...]
    k: int = 0
    """So many candidates of each query a second stage scored; 0 where there is none, or nobody says."""

    @property
    def title(self) -> str:
        """Its heading."""
        what = {"t2v": "text to video", "v2t": "video to text"}[self.direction]
        rule = "" if self.rule in ("", "group-max") else f", v2t rule {self.rule}"
        zero_shot = ", zero-shot" if self.zero_shot else ""
        return f"{self.protocol}, {what} ({self.direction}){rule}{zero_shot}{self.made}"

    @property
    def made(self) -> str:
        """How its rows were made, to go after a name; empty if as scored."""
        return _MADE[self.kind] + (f" (k {self.k})" if self.k else "")
