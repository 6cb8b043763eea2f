"""The models that come with xbench as functions of a run's options, found by their parameters' names."""

from pathlib import Path

from xbench.scorers.base import Scorer
from xbench.scorers.clip.style import Activation
from xbench.scorers.features import PrecomputedFeatures, Similarity
from xbench.terms import Precision


def xclip(
    *, checkpoint: Path, bpe: Path | None = None, precision: Precision = "fp32", device: str = "cpu"
) -> Scorer:
    """X-CLIP of Ma et al. 2022 from a trained checkpoint (`pytorch_model.bin.N`)."""
    from xbench.scorers.clip.vocabulary import clip_tokenizer
    from xbench.scorers.xclip.load import load_xclip

    return load_xclip(checkpoint, tokenizer=clip_tokenizer(bpe), precision=precision, device=device)


def xclip_zeroshot(
    *,
    clip: str,
    bpe: Path | None = None,
    words: int = 32,
    frames: int = 12,
    layers: int = 4,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Scorer:
    """X-CLIP as its training starts: CLIP weights, AOSM matrices the identity."""
    from xbench.scorers.clip.vocabulary import clip_tokenizer
    from xbench.scorers.xclip.load import xclip_zeroshot as load

    return load(
        clip,
        tokenizer=clip_tokenizer(bpe),
        words=words,
        frames=frames,
        layers=layers,
        precision=precision,
        device=device,
    )


def clip4clip(
    *,
    checkpoint: Path,
    bpe: Path | None = None,
    words: int = 32,
    frames: int = 12,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Scorer:
    """CLIP4Clip of Luo et al. 2021 from a trained checkpoint: meanP, seqLSTM or seqTransf."""
    from xbench.scorers.clip.vocabulary import clip_tokenizer
    from xbench.scorers.clip4clip import load_clip4clip

    return load_clip4clip(
        checkpoint,
        tokenizer=clip_tokenizer(bpe),
        words=words,
        frames=frames,
        precision=precision,
        device=device,
    )


def clip(
    *,
    clip: str,
    bpe: Path | None = None,
    words: int = 32,
    frames: int = 12,
    activation: Activation | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Scorer:
    """CLIP without training, frames averaged: OpenAI's archives, open_clip's and Hugging Face weights."""
    from xbench.scorers.clip.vocabulary import clip_tokenizer
    from xbench.scorers.clip4clip import clip_zeroshot

    return clip_zeroshot(
        clip,
        tokenizer=clip_tokenizer(bpe),
        words=words,
        frames=frames,
        activation=activation,
        precision=precision,
        device=device,
    )


def features(
    *,
    text_features: Path,
    video_features: Path,
    similarity: Similarity | None = None,
    name: str = "features",
    device: str = "cpu",
) -> PrecomputedFeatures:
    """Features that were computed elsewhere: cosine, dot, maxsim or maxsim-dot. Needs no video files."""
    from xbench.scorers.features.file import read_features

    return PrecomputedFeatures(
        read_features(text_features), read_features(video_features), similarity, name=name, device=device
    )


def hf(
    *,
    checkpoint: Path,
    frames: int = 12,
    max_tokens: int | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Scorer:
    """A transformers model with text and image or video features: SigLIP 2, Microsoft's X-CLIP, ..."""
    from xbench.scorers.hf import HuggingFace, load_hf

    return HuggingFace(
        load_hf(str(checkpoint)),
        frames=frames,
        max_tokens=max_tokens,
        precision=precision,
        device=device,
    )
