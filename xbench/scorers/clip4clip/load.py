"""CLIP4Clip from a checkpoint, its sizes read off it; CLIP with averaged frames from CLIP weights."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from xbench.errors import ModelError, UsageError
from xbench.scorers.base import ScorerInfo, knows_itself
from xbench.scorers.clip.bpe import ClipTokenizer, clip_tokenizer
from xbench.scorers.clip.kinds import refuse_other_models
from xbench.scorers.clip.sizes import (
    ClipSizes,
    RetrievalSizes,
    check_lengths,
    check_shapes,
    clip_shapes,
    infer_clip_sizes,
    infer_retrieval_sizes,
    retrieval_shapes,
    with_prefix,
)
from xbench.scorers.clip.sources import ClipWeights, load_clip
from xbench.scorers.clip.style import OPENAI, Activation, Style
from xbench.scorers.clip4clip.scorer import Clip4Clip
from xbench.scorers.clip4clip.sizes import TIGHT, infer_tight_sizes
from xbench.scorers.clip4clip.tight import TightTransf
from xbench.scorers.weights import Which, read_weights
from xbench.terms import Precision


def infer_sizes(state: Mapping[str, torch.Tensor], source: str, *, words: int, frames: int) -> RetrievalSizes:
    """Read the sizes off a state dict of the published code (`modules/modeling.py`), checked to be whole.

    Raises ModelError for another model's weights, and for every parameter that is missing, not expected, or
    of a shape that does not fit the others.
    """
    refuse_other_models(state, source, "clip4clip")
    towers = infer_clip_sizes(state, source, "clip.")
    if any(name.startswith(TIGHT) for name in state):
        return infer_tight_sizes(towers, state, source, words=words, frames=frames)
    sizes = infer_retrieval_sizes(towers, state, source, words=words, frames=frames)
    check_shapes(state, retrieval_shapes(sizes), source)
    check_lengths(sizes, source)
    return sizes


def mean_pooling(clip: ClipSizes, source: str, *, words: int, frames: int) -> RetrievalSizes:
    """Return the sizes of plain CLIP weights whose frame features are averaged."""
    sizes = RetrievalSizes(clip, "meanP", words=words, frames=frames, temporal_layers=0, positions=0)
    check_lengths(sizes, source)
    return sizes


_WIDEST = 1024
"""Vision towers up to here (ViT-L) have CLIP's heads of width 64; wider ones, trained by others, do not."""


@knows_itself(
    ScorerInfo(published="CLIP4Clip-{variant}", zero_shot=False, files=frozenset({"checkpoint", "bpe"}))
)
def trained(
    *,
    checkpoint: Path,
    bpe: Path | None = None,
    words: int = 32,
    frames: int = 12,
    weights: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Clip4Clip | TightTransf:
    """CLIP4Clip of Luo et al. 2021 from a trained checkpoint: meanP, seqLSTM, seqTransf or tightTransf."""
    return load_clip4clip(
        checkpoint,
        tokenizer=clip_tokenizer(bpe),
        words=words,
        frames=frames,
        which=weights,
        precision=precision,
        device=device,
    )


@knows_itself(ScorerInfo())
def untrained(
    *,
    clip: str,
    bpe: Path | None = None,
    words: int = 32,
    frames: int = 12,
    activation: Activation | None = None,
    weights: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Clip4Clip:
    """CLIP without training, frames averaged: OpenAI's archives, open_clip's and Hugging Face weights."""
    return clip_zeroshot(
        clip,
        tokenizer=clip_tokenizer(bpe),
        words=words,
        frames=frames,
        activation=activation,
        which=weights,
        precision=precision,
        device=device,
    )


def load_clip4clip(
    checkpoint: Path,
    *,
    tokenizer: ClipTokenizer,
    words: int,
    frames: int,
    which: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Clip4Clip | TightTransf:
    """Load a checkpoint as the published training saves it (`pytorch_model.bin.N`), or its state dict in
    another torch file or in safetensors. It does not tell how many words and frames it was trained with.

    Raises ModelError when the file is damaged, is another model's, or lacks or adds parameters.
    """
    weights = read_weights(checkpoint, which=which)
    sizes = infer_sizes(weights.state, str(checkpoint), words=words, frames=frames)
    return (TightTransf if sizes.variant == "tightTransf" else Clip4Clip)(
        weights.state,
        sizes,
        tokenizer=tokenizer,
        file=weights.file,
        precision=precision,
        device=device,
    )


def clip_zeroshot(
    clip: Path | str,
    *,
    tokenizer: ClipTokenizer,
    words: int,
    frames: int,
    activation: Activation | None = None,
    which: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
    trusted: frozenset[str] | None = None,
) -> Clip4Clip:
    """CLIP as it is: a video is the mean of its L2-normalised frame features, L2-normalised.

    clip, trusted, which: see `load_clip`. activation: for a bare state dict, which does not tell it. Raises
    ModelError when the weights are not CLIP's, UsageError for an activation that contradicts them.
    """
    weights = load_clip(clip, trusted=trusted, which=which, any_style=True)
    style = _style(weights, activation)
    sizes = infer_clip_sizes(weights.state, str(clip))
    check_shapes(weights.state, clip_shapes(sizes), str(clip))
    return Clip4Clip(
        with_prefix("clip.", weights.state),
        mean_pooling(sizes, str(clip), words=words, frames=frames),
        tokenizer=tokenizer,
        file=weights.file,
        precision=precision,
        device=device,
        name="clip",
        style=style,
    )


def _style(weights: ClipWeights, activation: Activation | None) -> Style:
    path = weights.file.path
    if weights.style is not None:
        if activation not in (None, weights.style.activation):
            raise UsageError(
                f"{path} has the activation {weights.style.activation}, not {activation}: leave it out."
            )
        return weights.style
    if activation is None:
        raise ModelError(
            f"{path} does not tell its activation, and the wrong one scores badly without a sign. "
            "Say --model-args activation=quick_gelu (OpenAI's weights, what was fine-tuned from them, "
            "open_clip's *-quickgelu models) or activation=gelu (open_clip's other models), or pass the "
            "folder with its config.json or open_clip_config.json."
        )
    if weights.state["visual.conv1.weight"].shape[0] > _WIDEST:
        raise ModelError(
            f"{path} has a wider vision tower than OpenAI's, and does not tell its attention heads: "
            "pass the folder with its config.json or open_clip_config.json."
        )
    return replace(OPENAI, activation=activation)
