"""The contract between the harness and a model: what a scorer declares and the three things it can do.

Everything an item costs is in `encode_texts` and in `encode_videos` or `encode_clips`, which see each caption
and each video once. Everything a pair costs is in `similarity`, which sees features only. The harness
decodes, samples and transforms the frames, caches the features, and cuts the T x V matrix into blocks.

To write one: a class with these members, no base class. `xbench run --model path/to/file.py:Class` evaluates
it, `xbench models verify path/to/file.py:Class` tells whether it keeps this contract; docs/scorers.md has
examples. Its constructor gets, by the names of its parameters, what the command line says: `checkpoint`
(pathlib.Path), `clip` (str), `bpe` (pathlib.Path), `precision` (str), `device` (str, as torch names it),
`words` and `frames` (int, the protocol's), and whatever --model-args sets.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

import torch

from xbench.metrics.explanation import Explanation
from xbench.sampling import FrameRule
from xbench.terms import Crop

ENCODER_RULES = 2
"""Part of the identity of every scorer that comes with xbench. Raised whenever their code gives other
features for the same weights: cached ones of the old rules are then not used."""

SHARES: Mapping[str, float] = {"fp32": 1e-3, "tf32": 1e-2, "fp16": 1e-2, "bf16": 5e-2}
"""How far a pair's score may move in another block, by the precision that a scorer says it computes in, as a
part of the range of its scores. What is more is no rounding: the score depends on other items."""

Features = dict[str, torch.Tensor]
"""Named tensors with a common first dimension, so that they can be sliced, cached and streamed.

For example {"sentence": [T, D], "words": [T, W, D]} for texts, {"video": [V, D], "frames": [V, F, D]} for
videos. Any dtype, half precision and bool included; on any device. The other dimensions and the dtype are the
same for every item, whatever its length: pad, and keep a mask as one more tensor.
"""


@dataclass(frozen=True)
class VideoInput:
    """What a scorer wants to see of a video: at most `max_frames` frames of `size` x `size` pixels, or more.

    The smaller side is resized to `size` (bicubic, as CLIP does), the centre is cropped, values are divided
    by 255, and `mean` and `std` (RGB) are applied. `sampling` is the rule that picks the frames, a text or a
    `FrameRule` (xbench/sampling.py): `published` (one a second, cut uniformly to `max_frames`), `uniform`
    (the middle of `max_frames` equal parts), `fps=2`, `every=1`, `segments=8x4`, `uniform+repeat-last`.
    With `as_uint8` the frames come as uint8, `mean` and `std` are not applied. With `frame_transform`, one
    uint8 RGB frame [H, W, 3] is handed to it instead and the float tensor [3, h, w] that it returns is taken
    as it is; `identity` must then tell what it does.

    With `clips`, the scorer is handed `Clip`s (`encode_clips`) in place of padded tensors, so that videos may
    differ in shape and number of frames. Then there may be more: `size` None, frames in the file's own size;
    `crop` `whole`, resized in their own aspect ratio, or `three`, three squares, a view each; `max_frames`
    None, as many as the rule finds; `sampling` with `+windows=3` or the like, a view each, or `none`, no
    frame at all, for a scorer that opens the file itself.
    """

    size: int | None = 224
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    max_frames: int | None = 12
    sampling: FrameRule | str = "published"
    frame_transform: Callable[[Any], torch.Tensor] | None = None
    crop: Crop = "centre"
    as_uint8: bool = False
    clips: bool = False


@dataclass(frozen=True)
class Clip:
    """One video as `encode_clips` gets it: its file, and the frames that `VideoInput` asks for.

    id: the video's id in the protocol. path: its file, which a scorer may open itself, for sound or frames of
    its own. window: start and end in seconds of the part that is meant, None for all of the file. frames:
    [F, 3, H, W] on the CPU, float32 as `VideoInput` says, or uint8; of all views, one after the other. times:
    float64 [F], when each is shown, in seconds from the file's first frame. view: int64 [F], the number of
    the view that each frame belongs to, from 0. fps: the file's average rate.

    Features may depend on all of it. The id and the window are in the key of cached features, the file is by
    its content, its name is not.
    """

    id: str
    path: Path
    window: tuple[float, float] | None
    frames: torch.Tensor
    times: torch.Tensor
    view: torch.Tensor
    fps: float

    def views(self) -> "list[Clip]":
        """Return a clip for each view, in order, with that view's frames and times."""
        numbers = range(int(self.view.max()) + 1 if len(self.view) else 0)
        return [self._view(self.view == number) for number in numbers]

    def _view(self, own: torch.Tensor) -> "Clip":
        return replace(self, frames=self.frames[own], times=self.times[own], view=self.view[own])


@runtime_checkable
class PairScorer(Protocol):
    """What ranking needs of a scorer: to score pairs of features, wherever those came from."""

    @property
    def name(self) -> str:
        """Short name for tables and folders, e.g. `xclip`: no slash in it."""
        ...

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """Everything that changes the features (checkpoint sha256, sizes, precision, ...), JSON values only.

        Features are cached under it: two scorers of one name whose features differ must differ in it, code
        that changes included. None: features are never kept across runs, which is right for a model object in
        memory and for code that is being written.
        """
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a reader of the record wants to know (backbone, variant, words, frames, ...), JSON values.

        `precision` and `device`, where they are among them, have columns of their own in the record.
        """
        ...

    @property
    def block(self) -> tuple[int, int]:
        """(texts, videos) that one call of `similarity` gets. Depends on the model and device only.

        Float products change with the block's shape, so it must not depend on memory, threads or data size.
        """
        ...

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        """Score every text of a block against every video of it: floats [T, V], higher is closer, all finite.

        Smaller blocks than `block` come at the edges of the matrix. A row depends on its own text only, an
        entry on its own text and video only. Features come from the CPU when they were cached: move them.
        """
        ...


@runtime_checkable
class Scorer(PairScorer, Protocol):
    """A model behind the harness. No base class is needed; any object with these members will do.

    Beside these it has `encode_videos` (`FrameScorer`), or, where its `video_input` says `clips`,
    `encode_clips` (`ClipScorer`).
    """

    @property
    def video_input(self) -> VideoInput:
        """How videos are sampled and transformed for this model."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode B raw captions of any length: cut what is too long. Returns features with first dimension B.

        An item's features do not depend on the others of its batch. Called from one thread.
        """
        ...


@runtime_checkable
class FrameScorer(Scorer, Protocol):
    """A scorer that gets the frames of videos as one tensor of one shape."""

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        """Encode B videos. Returns features with first dimension B, which do not depend on the batch.

        frames: float32 (uint8 if so asked) [B, F, 3, H, W] on the CPU, F = max_frames, zeros after a video's
        last frame; mask: bool [B, F], true for the frames of the video, of which there is at least one.
        """
        ...


@runtime_checkable
class ClipScorer(Scorer, Protocol):
    """A scorer that gets videos as clips, which may differ in everything."""

    def encode_clips(self, clips: Sequence[Clip]) -> Features:
        """Encode B clips. Returns features with first dimension B, which do not depend on the batch.

        Each has at least one frame, unless `sampling` is `none`.
        """
        ...


@runtime_checkable
class Explains(Protocol):
    """What a scorer may do beside: say what the score of a pair is made of, for `xbench explain`."""

    def explain(self, caption: str, text: Features, video: Features) -> Explanation:
        """Return the parts of the score of a caption and a video, whose features have first dimension 1.

        They add up to what `similarity` gives for the pair. `Grid`s, where a model compares words with
        frames, have as many rows as the explanation has words, and as many columns as `video_input` has
        frames, padding included.
        """
        ...


@runtime_checkable
class Reranker(Protocol):
    """The second of two stages: scores the videos that a first stage put at the top, text by text.

    It encodes as a `Scorer` does, and has `rerank` in place of `block` and `similarity`. One that has those,
    too, may be run alone as well; without them it is asked for every pair then.
    """

    @property
    def name(self) -> str:
        """Short name for tables, as a scorer's."""
        ...

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """Everything that changes the features, as a scorer's."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a reader of the record wants to know, as a scorer's."""
        ...

    def rerank(self, text: Features, videos: Features) -> torch.Tensor:
        """Score one text (features with first dimension 1) with K videos: floats [K], higher is closer.

        K differs from call to call. A score depends on its own text and video only, whatever the other
        candidates are.
        """
        ...


@dataclass(frozen=True)
class ScorerInfo:
    """What is known of a scorer before it is built.

    The class or function that `--model` names carries it as `scorer_info`; without one it has the defaults.
    """

    published: str = ""
    """Its name in results/published.csv; settings may stand in it, as in `CLIP4Clip-{variant}`."""
    zero_shot: bool | None = None
    """Whether its weights have seen none of the benchmark. None: it depends on the weights."""
    needs_videos: bool = True
    """Whether video files are decoded for it."""
    without_checkpoint: str = ""
    """What to say when it gets neither --checkpoint nor --clip and cannot do without."""
    files: frozenset[str] = frozenset({"bpe", "text_features", "video_features"})
    """The options that name files on this machine, which must be there."""
    miniature_weights: Mapping[str, str] = field(default_factory=dict)
    """Option -> name of the file beside the miniature that stands in for it."""

    def published_as(self, settings: Mapping[str, Any]) -> str | None:
        """Return the name under which papers print what a scorer with these settings computes, if they do."""
        try:
            return self.published.format_map(settings) or None
        except KeyError:
            return None


UNKNOWN = ScorerInfo()
"""What is known of a scorer that says nothing of itself."""

Built = TypeVar("Built", bound=Callable[..., Any])


def knows_itself(info: ScorerInfo) -> Callable[[Built], Built]:
    """Decorate the class or function that gives a scorer with what is known of it."""

    def decorate(builder: Built) -> Built:
        builder.scorer_info = info  # type: ignore[attr-defined]
        return builder

    return decorate


def info_of(builder: Any) -> ScorerInfo:
    """Return what a class, function or scorer says of itself; `UNKNOWN` when it says nothing."""
    info = getattr(builder, "scorer_info", None)
    return info if isinstance(info, ScorerInfo) else UNKNOWN


def is_cross_encoder(scorer: Any) -> bool:
    """Whether a scorer says (`cross_encoder = True`) that it computes anew for every pair, or only reranks.

    Then a run says how long that will take before it starts, and keeps every pair that it scored until there
    is a record.
    """
    own = getattr(scorer, "wrapped", scorer)
    return bool(getattr(own, "cross_encoder", not hasattr(own, "similarity")))


def share_of(scorer: PairScorer) -> float:
    """Return a scorer's part of `SHARES`; of a precision that is not listed, that of the nearest."""
    said = str(scorer.settings.get("precision", "fp32")).lower()
    if said in SHARES:
        return SHARES[said]
    return SHARES["bf16"] if "bf" in said or "8" in said else SHARES["fp16" if "16" in said else "fp32"]


def explains(scorer: Any) -> TypeGuard[Explains]:
    """Whether a scorer can say what a score is made of."""
    return isinstance(getattr(scorer, "wrapped", scorer), Explains)


def source_file(scorer: Any) -> str | None:
    """Return the file that holds a scorer's class, None where nothing tells."""
    try:
        return inspect.getsourcefile(type(getattr(scorer, "wrapped", scorer)))
    except (OSError, TypeError):
        return None


def whereabouts(scorer: Any, member: str) -> str:
    """Return a member of a scorer as its author knows it: class and name, file and line.

    A member that is set on the object, or has no source, is told by the place of its class.
    """
    own = getattr(scorer, "wrapped", scorer)
    if member == "similarity" and not hasattr(own, member):
        member = "rerank"
    name = f"{type(own).__name__}.{member}"
    for source in (_function(own, member), type(own)):
        try:
            return f"{name} ({inspect.getsourcefile(source)}, line {inspect.getsourcelines(source)[1]})"
        except (OSError, TypeError):
            continue
    return name


def _function(own: Any, member: str) -> Any:
    found: Any = inspect.getattr_static(type(own), member, None)
    if isinstance(found, property):
        found = found.fget
    return inspect.unwrap(found) if callable(found) else found
