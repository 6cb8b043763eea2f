"""Every word that is a choice. Command line, records and Python API take their choices from here."""

from enum import EnumType, StrEnum
from typing import Any, Literal, get_args

Direction = Literal["t2v", "v2t"]
"""text-to-video: rank videos for each caption; video-to-text."""

V2TRule = Literal["group-max", "any-caption"]
"""How v2t counts several captions of a video: by its best one against each other video's best one, as the
published code does, or every caption for itself, any of the video's own being right."""

Post = Literal["none", "dsl", "qbnorm"]
"""Post-processing of the similarity: `dsl`, dual softmax, looks at the whole test set; `qbnorm` at a bank of
training captions."""

ClaimedPost = Literal["none", "dsl", "inverted-softmax", "qbnorm", "rerank", "unknown"]
"""What a published number was made with: nothing, one of the rules that look at a set, a second stage that
scores the best candidates again (`rerank`), or `unknown` where the source has a second stage and does not say
which scores it shows."""

ClaimedRule = Literal["", "group-max", "any-caption", "unknown"]
"""The v2t rule of a published number; empty where each video has one caption, so that no rule is needed."""

Crop = Literal["centre", "three", "whole"]
"""What of a frame is seen once its smaller side has the wanted size: the square in the middle; three squares,
at both ends of the longer side and in the middle, a view each; all of it, in its own aspect ratio."""

PixelRule = Literal["published", "tagged"]
"""How decoded frames become RGB: as OpenCV 4 does, with which all published numbers were made, whatever a
file says of its colours; or as OpenCV 5 does, by what it says."""

Precision = Literal["fp32", "tf32", "fp16", "bf16"]

Layout = Literal["boards", "paper"]
"""LaTeX of a leaderboard: a table for each protocol, or one of all benchmarks side by side."""

MatrixRows = Literal["captions", "videos"]
"""What the rows of a similarity matrix from elsewhere are."""

Setting = Literal["fine-tuned", "zero-shot"]
"""Whether a model has seen training data of the benchmark."""

DEFAULT_METRICS = "R@1,R@5,R@10,MdR,MnR"


class Ties(StrEnum):
    """How tied scores are ranked. `explanation` is the help text of each policy."""

    explanation: str

    def __new__(cls, value: str, explanation: str) -> "Ties":
        """Make a member whose value is the name used on the command line."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member

    AVERAGE = "average", "the mean over all orders of the tied items (default)"
    OPTIMISTIC = "optimistic", "the right item before all that tie with it"
    PESSIMISTIC = "pessimistic", "the right item after all that tie with it"
    REFERENCE = (
        "reference",
        "as the published code counts, with its faults, to reproduce a number; not comparable: a tied query"
        " enters once for each tied position, a query without a finite score vanishes",
    )


def choices(term: Any) -> tuple[str, ...]:
    """Return the words of one of the choices above, in order: `choices(Precision)`, `choices(Ties)`."""
    words = term if isinstance(term, EnumType) else get_args(term)
    return tuple(str(word) for word in words)
