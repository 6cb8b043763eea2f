"""Texts and videos to features, through the store: each text and each video is encoded once."""

import importlib.metadata
import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
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
from xbench.scorers.base import Features, Scorer, VideoInput
from xbench.storage import write_atomically
from xbench.terms import PixelRule
from xbench.video.choice import Sampling
from xbench.video.decode import FRAME_RULES, Clip, DamagedVideo, UnreadableVideo, normalise, read_clip
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
    kept: Path | None = None,
    workers: int,
    on_done: Callable[[int], None],
) -> list[Encoded]:
    """Return the features of each video, None for one that gave no frame, and what was seen of it.

    Each video is decoded once, in `workers` threads ahead of the encoder. The facts are JSON: `source` (which
    decoded frames were taken), `looks` (size, fps, codec), `notes`, and `damage` (wanted, got, cause) for a
    file that failed; a damaged video's own frames are encoded only with `use_damaged`. kept: a folder for
    frames that other scorers may want, too.
    """
    return encode(
        store,
        "video",
        [video_key(job, wants) for job in jobs],
        lambda index: _frames(jobs[index], wants, use_damaged, kept),
        lambda frames: _encode_one(scorer, wants, frames),
        workers=workers,
        on_done=lambda index: on_done(1),
    )


def is_stored(store: Store, job: VideoJob, wants: VideoInput) -> bool:
    """Tell whether the store has an entry for a video, without reading it."""
    return store.has("video", video_key(job, wants))


def _frames(
    job: VideoJob, wants: VideoInput, use_damaged: bool, kept: Path | None
) -> Prepared[NDArray[np.uint8]]:
    """Decode a video, or take its frames from those kept."""
    if kept is None:
        return _decode(job, wants, use_damaged)
    form = "whole" if wants.frame_transform else "cut"
    path = kept / f"{video_key(job, wants)}-{form}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as found:
            return Prepared(found["frames"], json.loads(str(found["info"])))
    prepared = _decode(job, wants, use_damaged)
    if prepared.value is not None:
        content = io.BytesIO()
        np.savez(content, frames=prepared.value, info=np.array(json.dumps(prepared.info)))
        with suppress(OSError):  # a full disk costs decoding again, nothing else
            write_atomically(path, content.getvalue())
    return prepared


def _decode(job: VideoJob, wants: VideoInput, use_damaged: bool) -> Prepared[NDArray[np.uint8]]:
    sampling = Sampling(wants.max_frames, wants.sampling)
    size = None if wants.frame_transform else wants.size
    damage: dict[str, Any] = {}
    try:
        clip = read_clip(job.path, job.video.window, sampling, size, job.pixels)
    except DamagedVideo as error:
        clip = error.clip
        damage = {"damage": {"wanted": error.wanted, "got": error.got, "cause": error.cause}}
    except UnreadableVideo as error:
        return _nothing(error.cause)
    if not job.is_unchanged():
        return _nothing("it changed or vanished while xbench was running")
    return Prepared(None if damage and not use_damaged else clip.frames, _facts(clip) | damage)


def _nothing(cause: str) -> Prepared[NDArray[np.uint8]]:
    return Prepared(None, {"damage": {"wanted": None, "got": 0, "cause": cause}})


def _facts(clip: Clip) -> dict[str, Any]:
    seen = {"source": list(clip.source), "looks": asdict(clip.info), "notes": list(clip.notes)}
    return seen | {"pixels_differ": clip.pixels_differ}


def _encode_one(scorer: Scorer, wants: VideoInput, frames: NDArray[np.uint8]) -> Features:
    """Normalise, pad with zeros to max_frames and encode a video: one shape of input for every video."""
    clip = _to_input(frames, wants)
    padded = torch.zeros(1, wants.max_frames, *clip.shape[1:])
    mask = torch.zeros(1, wants.max_frames, dtype=torch.bool)
    padded[0, : len(clip)] = clip
    mask[0, : len(clip)] = True
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


def _to_input(frames: NDArray[np.uint8], wants: VideoInput) -> torch.Tensor:
    if wants.frame_transform is not None:
        return torch.stack([wants.frame_transform(frame) for frame in frames])
    return normalise(torch.from_numpy(frames), wants.mean, wants.std)


def text_key(text: str) -> str:
    """The key of a text's features in a store."""
    return key_of(text=text)


def video_key(job: VideoJob, wants: VideoInput) -> str:
    """Everything beside the scorer's identity that can change a video's features."""
    sees = {name: getattr(wants, name) for name in ("size", "mean", "std", "max_frames")}
    sees["sampling"] = str(frame_rule(wants.sampling))
    decoder = {name: importlib.metadata.version(name) for name in ("av", "pillow")} | {"rules": FRAME_RULES}
    return key_of(video=job.content, window=job.video.window, sees=sees, decoder=decoder, pixels=job.pixels)
