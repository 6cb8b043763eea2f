"""X-CLIP scorers from files: a trained checkpoint, or CLIP weights and the official initialisation."""

import hashlib
from pathlib import Path

from xbench.scorers.base import ScorerInfo, knows_itself
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sources import load_clip
from xbench.scorers.clip.vocabulary import clip_tokenizer
from xbench.scorers.weights import Which, read_weights
from xbench.scorers.xclip.initial import TEMPORAL_LAYERS, initial_state
from xbench.scorers.xclip.scorer import XClip
from xbench.terms import Precision

_PUBLISHED = "X-CLIP"
_NO_CHECKPOINT = (
    "--model xclip needs --checkpoint: the authors of X-CLIP released no fine-tuned weights. Pass what your "
    "own training saved (pytorch_model.bin.N of the published code), or start untrained from CLIP with "
    "--model xclip-zeroshot --clip ViT-B/32, or see xbench work with --miniature."
)


@knows_itself(
    ScorerInfo(
        published=_PUBLISHED,
        zero_shot=False,
        without_checkpoint=_NO_CHECKPOINT,
        files=frozenset({"checkpoint", "bpe"}),
        miniature_weights={"checkpoint": "xclip_miniature.safetensors", "bpe": "bpe_miniature.txt.gz"},
    )
)
def trained(
    *,
    checkpoint: Path,
    bpe: Path | None = None,
    weights: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> XClip:
    """X-CLIP of Ma et al. 2022 from a trained checkpoint (`pytorch_model.bin.N`)."""
    tokenizer = clip_tokenizer(bpe)
    return load_xclip(checkpoint, tokenizer=tokenizer, which=weights, precision=precision, device=device)


@knows_itself(ScorerInfo(published=_PUBLISHED, zero_shot=True))
def untrained(
    *,
    clip: str,
    bpe: Path | None = None,
    words: int = 32,
    frames: int = 12,
    layers: int = TEMPORAL_LAYERS,
    weights: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> XClip:
    """X-CLIP as its training starts: CLIP weights, AOSM matrices the identity."""
    return xclip_zeroshot(
        clip,
        tokenizer=clip_tokenizer(bpe),
        words=words,
        frames=frames,
        layers=layers,
        which=weights,
        precision=precision,
        device=device,
    )


def load_xclip(
    checkpoint: Path,
    *,
    tokenizer: ClipTokenizer,
    which: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> XClip:
    """Load a checkpoint as the published training saves it (`pytorch_model.bin.N`), or its state dict in
    another torch file or in safetensors. All sizes come from its shapes. which: see `find_state`.

    Raises ModelError when the file is damaged, is another model's, or lacks or adds parameters.
    """
    weights = read_weights(checkpoint, which=which)
    return XClip(weights.state, tokenizer=tokenizer, file=weights.file, precision=precision, device=device)


def xclip_zeroshot(
    clip: Path | str,
    *,
    tokenizer: ClipTokenizer,
    words: int = 32,
    frames: int = 12,
    layers: int = TEMPORAL_LAYERS,
    which: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
    trusted: frozenset[str] | None = None,
) -> XClip:
    """Start from CLIP weights as the official initialisation does, without any training.

    clip: a file, a folder or hub id of transformers' CLIPModel, or a backbone of checkpoints.yaml
    (`ViT-B/32`); see `load_clip`, also for `trusted` and `which`. words and frames: those of the benchmark
    (32 x 12, or 64 x 64 for paragraphs). Raises ModelError when the weights are not CLIP's.
    """
    weights = load_clip(clip, trusted=trusted, which=which)
    file = weights.file
    return XClip(
        initial_state(weights.state, words=words, frames=frames, layers=layers, source=str(clip)),
        tokenizer=tokenizer,
        file=file,
        version=hashlib.sha256(f"{file.version} initialised, {layers} layers".encode()).hexdigest(),
        precision=precision,
        device=device,
        name="xclip-zeroshot",
        origin={"clip": Path(clip).name if isinstance(clip, Path) else clip, "clip_sha256": file.sha256},
    )
