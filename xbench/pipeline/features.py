"""Texts and videos to features, through the store: each text and each video is encoded once."""

import importlib.metadata
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xbench.data.split import Video
from xbench.engine.encoding import Encoded, FeatureTable, Prepared, encode
from xbench.engine.store import Store, key_of
from xbench.errors import ModelError
from xbench.sampling import frame_rule
from xbench.scorers.base import Clip, ClipScorer, Features, FrameScorer, Scorer, VideoInput
from xbench.storage import lock, write_atomically
from xbench.terms import PixelRule
from xbench.video.choice import Sampling
from xbench.video.decode import FRAME_RULES, DamagedVideo, Taken, UnreadableVideo, normalise, read_clip
from xbench.video.identity import FileState, file_state


@dataclass(frozen=True)
class VideoJob:
    """One video to encode: what it is, where its file lies, and the key of that file's content.

    state: of the file when its content was read. pixels: the rule by which its frames become RGB.
    """

    video: Video
    path: Path
    content: str
    state: FileState
    pixels: PixelRule

    def is_unchanged(self) -> bool:
        """Whether the file is still the one whose content was read."""
        try:
            return file_state(self.path) == self.state
        except OSError:
            return False


@dataclass(frozen=True)
class KeptFrames:
    """A folder in which decoded frames are kept for whoever wants the same, in this process or beside it.

    start: where in a gallery to begin, as a part of it: those who work side by side begin apart, so that they
    do not wait for the same videos. It changes no feature.
    """

    folder: Path
    start: float = 0.0


def encode_texts(
    scorer: Scorer, store: Store, texts: Sequence[str], on_done: Callable[[int], None]
) -> FeatureTable:
    """Return the features of distinct texts, in order. on_done is told how many more are finished."""
    encoded = encode(
        store,
        "text",
        [text_key(text) for text in texts],
        lambda index: Prepared(texts[index], {}),
        lambda text: _one(scorer.encode_texts([text]), scorer),
        on_done=lambda index: on_done(1),
    )
    return FeatureTable(entry.features for entry in encoded if entry.features is not None)


def encode_videos(
    scorer: Scorer,
    store: Store,
    jobs: Sequence[VideoJob],
    *,
    wants: VideoInput,
    use_damaged: bool,
    kept: "KeptFrames | None" = None,
    workers: int,
    on_done: Callable[[int], None],
) -> list[Encoded]:
    """Return the features of each video, None for one that gave no frame, and what was seen of it.

    Each video is decoded once, in `workers` threads ahead of the encoder. The facts are JSON: `source` (which
    decoded frames were taken), `looks` (size, fps, codec), `notes`, and `damage` (wanted, got, cause) for a
    file that failed; a damaged video's own frames are encoded only with `use_damaged`. kept: for frames
    that other scorers may want, too.
    """
    folder, start = (None, 0.0) if kept is None else (kept.folder, kept.start)
    first = round(start * len(jobs))
    turned = [*jobs[first:], *jobs[:first]]
    encoded = encode(
        store,
        "video",
        [video_key(job, wants) for job in turned],
        lambda index: _frames(turned[index], wants, use_damaged, folder),
        lambda seen: _encode_one(scorer, wants, seen),
        workers=workers,
        on_done=lambda index: on_done(1),
    )
    return [*encoded[len(jobs) - first :], *encoded[: len(jobs) - first]]


def is_stored(store: Store, job: VideoJob, wants: VideoInput) -> bool:
    """Tell whether the store has an entry for a video, without reading it."""
    return store.has("video", video_key(job, wants))


@dataclass(frozen=True)
class Frames:
    """What was decoded of a video for a scorer.

    pixels: uint8 [F, 3, h, w] as `VideoInput` asks for, or [F, H, W, 3] in the file's own size. times, view
    and fps: as those of a `Clip`.
    """

    job: VideoJob
    pixels: NDArray[np.uint8]
    times: NDArray[np.float64]
    view: NDArray[np.int64]
    fps: float


_KEPT = ("pixels", "times", "view", "fps")
"""The arrays of frames that are kept for other scorers."""


def _frames(job: VideoJob, wants: VideoInput, use_damaged: bool, kept: Path | None) -> Prepared[Frames]:
    """Decode a video, or take its frames from those kept; who comes meanwhile waits for them."""
    if kept is None:
        return _decode(job, wants, use_damaged)
    form = "whole" if wants.frame_transform else "cut"
    path = kept / f"{video_key(job, wants)}-{form}.npz"
    with ExitStack() as stack:
        if not path.is_file():
            with suppress(OSError):  # a file system without locks costs decoding again, nothing else
                stack.enter_context(lock(path.with_suffix(".lock")))
        if path.is_file():
            with np.load(path, allow_pickle=False) as found:
                pixels, times, view, fps = (found[name] for name in _KEPT)
                return Prepared(Frames(job, pixels, times, view, float(fps)), json.loads(str(found["info"])))
        prepared = _decode(job, wants, use_damaged)
        if prepared.value is not None:
            _keep(prepared.value, prepared.info, path)
        return prepared


def _keep(frames: Frames, info: Mapping[str, Any], path: Path) -> None:
    content = io.BytesIO()
    arrays = {name: getattr(frames, name) for name in _KEPT}
    np.savez(content, info=np.array(json.dumps(dict(info))), **arrays)
    with suppress(OSError):  # a full disk costs decoding again, nothing else
        write_atomically(path, content.getvalue())


def _decode(job: VideoJob, wants: VideoInput, use_damaged: bool) -> Prepared[Frames]:
    """Decode what a scorer wants to see of a video, with the facts of `encode_videos`."""
    sampling = Sampling(wants.max_frames, wants.sampling)
    size = None if wants.frame_transform else wants.size
    damage: dict[str, Any] = {}
    try:
        clip = read_clip(job.path, job.video.window, sampling, size, job.pixels, crop=wants.crop)
    except DamagedVideo as error:
        clip = error.clip
        damage = {"damage": {"wanted": error.wanted, "got": error.got, "cause": error.cause}}
    except UnreadableVideo as error:
        return _nothing(error.cause)
    if not job.is_unchanged():
        return _nothing("it changed or vanished while xbench was running")
    times, view = np.array(clip.times, np.float64), np.array(clip.view, np.int64)
    frames = Frames(job, clip.frames, times, view, clip.info.fps)
    return Prepared(None if damage and not use_damaged else frames, _facts(clip) | damage)


def _nothing(cause: str) -> Prepared[Frames]:
    return Prepared(None, {"damage": {"wanted": None, "got": 0, "cause": cause}})


def _facts(clip: Taken) -> dict[str, Any]:
    seen = {"source": list(clip.source), "looks": asdict(clip.info), "notes": list(clip.notes)}
    return seen | {"pixels_differ": clip.pixels_differ}


def _encode_one(scorer: Scorer, wants: VideoInput, seen: Frames) -> Features:
    """Encode a video by itself, as a clip or, padded with zeros to max_frames, as a tensor of one shape."""
    frames = _to_input(seen.pixels, wants)
    if wants.clips:
        assert isinstance(scorer, ClipScorer)
        job, times, view = seen.job, torch.from_numpy(seen.times), torch.from_numpy(seen.view)
        clip = Clip(job.video.id, job.path, job.video.window, frames, times, view, seen.fps)
        return _one(scorer.encode_clips([clip]), scorer)
    assert isinstance(scorer, FrameScorer)
    most = wants.max_frames or len(frames)
    padded = torch.zeros(1, most, *frames.shape[1:], dtype=frames.dtype)
    mask = torch.zeros(1, most, dtype=torch.bool)
    padded[0, : len(frames)] = frames
    mask[0, : len(frames)] = True
    return _one(scorer.encode_videos(padded, mask), scorer)


def _one(features: Features, scorer: Scorer) -> Features:
    """Return the features of one item; of fewer or more, all that follow would be mixed up."""
    for name, tensor in features.items():
        if len(tensor) != 1:
            raise ModelError(
                f"{scorer.name} gave {name} {list(tensor.shape)} for one item: the first dimension must be "
                f"1. `xbench models verify` checks such things."
            )
    return features


def _to_input(pixels: NDArray[np.uint8], wants: VideoInput) -> torch.Tensor:
    if wants.frame_transform is not None and len(pixels):
        return torch.stack([wants.frame_transform(frame) for frame in pixels])
    if wants.size is None and len(pixels):
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    frames = torch.from_numpy(pixels)
    return frames if wants.as_uint8 else normalise(frames, wants.mean, wants.std)


def text_key(text: str) -> str:
    """The key of a text's features in a store."""
    return key_of(text=text)


def video_key(job: VideoJob, wants: VideoInput) -> str:
    """Everything beside the scorer's identity that can change a video's features."""
    decoder = {name: importlib.metadata.version(name) for name in ("av", "pillow")} | {"rules": FRAME_RULES}
    own = {"id": job.video.id} if wants.clips else {}
    return key_of(
        video=job.content,
        window=job.video.window,
        sees=sees(wants),
        decoder=decoder,
        pixels=job.pixels,
        **own,
    )


_ALWAYS = ("size", "mean", "std", "max_frames", "sampling")


def sees(wants: VideoInput) -> dict[str, Any]:
    """Return all that a scorer's video input says, as JSON has it: what is as it always was is left out.

    Its own transform of a frame is a part of the scorer's identity.
    """
    usual = VideoInput()
    names = [field.name for field in fields(wants) if field.name != "frame_transform"]
    said = {name: getattr(wants, name) for name in names} | {"sampling": str(frame_rule(wants.sampling))}
    return {name: said[name] for name in names if name in _ALWAYS or said[name] != getattr(usual, name)}


def described_input(wants: VideoInput) -> dict[str, str]:
    """Return what a record says of a scorer's video input: its sampling, and all of it if unusual."""
    seen = sees(wants)
    rest = ", ".join(f"{name} {value}" for name, value in seen.items() if name != "sampling")
    return {"sampling": seen["sampling"]} | ({"video input": rest} if seen.keys() - {*_ALWAYS} else {})
