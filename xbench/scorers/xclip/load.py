"""X-CLIP from a trained checkpoint, or as its training starts, from CLIP weights."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch

from xbench.errors import ModelError, UsageError
from xbench.scorers.base import ScorerInfo, knows_itself
from xbench.scorers.clip.bpe import ClipTokenizer, clip_tokenizer
from xbench.scorers.clip.sizes import (
    POSITIONS,
    ClipSizes,
    check_shapes,
    clip_shapes,
    infer_clip_sizes,
    with_prefix,
)
from xbench.scorers.clip.sources import load_clip
from xbench.scorers.weights import State, Which, read_weights
from xbench.scorers.xclip.scorer import XClip
from xbench.scorers.xclip.sizes import matrix_shapes
from xbench.terms import Precision

TEMPORAL_LAYERS = 4
"""Temporal layers of the published scripts."""


def initial_state(
    clip: Mapping[str, torch.Tensor], *, words: int, frames: int, layers: int = TEMPORAL_LAYERS, source: str
) -> State:
    """Return a seqTransf state dict that starts from CLIP weights in OpenAI's layout.

    The temporal transformer is CLIP's first `layers` text layers, the frame positions are its text positions,
    the eight matrices are the identity (`from_pretrained` in `modules/modeling_xclip.py`).

    Raises ModelError when the weights, named `source`, are not CLIP's, UsageError when the sizes do not fit.
    """
    sizes = infer_clip_sizes(clip, source)
    check_shapes(clip, clip_shapes(sizes), source)
    if sizes.text_width != sizes.embed:
        raise ModelError(
            f"{source} cannot start X-CLIP: its text width {sizes.text_width} is not its embedding's "
            f"{sizes.embed}, so its text layers do not fit frame features. Pass OpenAI's ViT-B/32, as the"
            " paper does."
        )
    if not 0 < layers <= sizes.text_layers:
        raise UsageError(
            f"{layers} temporal layers: {source} has {sizes.text_layers} text layers to start from; give 1"
            f" to {sizes.text_layers}."
        )
    start = {POSITIONS: clip["positional_embedding"].clone()}
    for name, tensor in clip.items():
        if name.startswith("transformer.resblocks.") and int(name.split(".")[2]) < layers:
            start[f"transformerClip.{name.removeprefix('transformer.')}"] = tensor.clone()
    identities = {
        name: torch.eye(side) for name, (side, _) in matrix_shapes(sizes.embed, words, frames).items()
    }
    return with_prefix("clip.", clip) | start | identities


def random_clip(sizes: ClipSizes, seed: int = 0) -> State:
    """Return random CLIP weights in OpenAI's layout, scaled so that activations neither vanish nor grow."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in clip_shapes(sizes).items():
        if name == "logit_scale":
            state[name] = torch.tensor(1 / 0.01).log()
        elif ".ln_" in f".{name}":
            state[name] = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        elif len(shape) == 1:
            state[name] = torch.zeros(shape)
        else:
            state[name] = torch.randn(shape, generator=generator) * _scale(name, shape)
    state["visual.class_embedding"] = torch.randn(sizes.vision_width, generator=generator)
    return state


def _scale(name: str, shape: tuple[int, ...]) -> float:
    if "embedding" in name:
        return 0.3
    fan_in = shape[0] if name.endswith("proj") or name == "text_projection" else torch.Size(shape[1:]).numel()
    return float(fan_in**-0.5)


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
