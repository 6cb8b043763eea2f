"""X-CLIP scorers from files: a trained checkpoint, or CLIP weights and the official initialisation."""

import hashlib
from pathlib import Path

from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sources import load_clip
from xbench.scorers.weights import read_weights
from xbench.scorers.xclip.initial import TEMPORAL_LAYERS, initial_state
from xbench.scorers.xclip.scorer import XClip
from xbench.storage import file_sha256
from xbench.terms import Precision


def load_xclip(
    checkpoint: Path, *, tokenizer: ClipTokenizer, precision: Precision = "fp32", device: str = "cpu"
) -> XClip:
    """Load a checkpoint as the published training saves it (`pytorch_model.bin.N`), or its state dict in
    another torch file or in safetensors. All sizes come from its shapes.

    Raises ModelError when the file is damaged, is another model's, or lacks or adds parameters.
    """
    state = read_weights(checkpoint)
    return XClip(
        state,
        tokenizer=tokenizer,
        sha256=file_sha256(checkpoint),
        source=str(checkpoint),
        precision=precision,
        device=device,
    )


def xclip_zeroshot(
    clip: Path | str,
    *,
    tokenizer: ClipTokenizer,
    words: int = 32,
    frames: int = 12,
    layers: int = TEMPORAL_LAYERS,
    precision: Precision = "fp32",
    device: str = "cpu",
    trusted: frozenset[str] | None = None,
) -> XClip:
    """Start from CLIP weights as the official initialisation does, without any training.

    clip: a file, a folder or hub id of transformers' CLIPModel, or a backbone of checkpoints.yaml
    (`ViT-B/32`); see `load_clip`, also for `trusted`. words and frames: those of the benchmark (32 x 12, or
    64 x 64 for DiDeMo and ActivityNet). Raises ModelError when the weights are not CLIP's.
    """
    weights = load_clip(clip, trusted=trusted)
    state = initial_state(weights.state, words=words, frames=frames, layers=layers, source=str(clip))
    return XClip(
        state,
        tokenizer=tokenizer,
        sha256=hashlib.sha256(f"{weights.sha256} initialised, {layers} layers".encode()).hexdigest(),
        source=str(clip),
        precision=precision,
        device=device,
        name="xclip-zeroshot",
        origin={"clip": Path(clip).name if isinstance(clip, Path) else clip, "clip_sha256": weights.sha256},
    )
