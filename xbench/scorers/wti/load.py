"""Weighted token interaction from a checkpoint as HBI's or DRL's training saves it."""

from pathlib import Path

from xbench.scorers.base import ScorerInfo, knows_itself
from xbench.scorers.clip.bpe import ClipTokenizer, clip_tokenizer
from xbench.scorers.weights import Which, read_weights
from xbench.scorers.wti.scorer import Wti
from xbench.scorers.wti.sizes import infer_sizes, used
from xbench.terms import Precision


@knows_itself(
    ScorerInfo(
        published="{trained_as}",
        zero_shot=False,
        without_checkpoint="--model wti needs --checkpoint: pass what your training saved, or download "
        "one of HBI's authors', which `xbench models list` has as hbi-*.",
        files=frozenset({"checkpoint", "bpe"}),
    )
)
def trained(
    *,
    checkpoint: Path,
    bpe: Path | None = None,
    words: int = 32,
    frames: int = 12,
    sampling: str = "published",
    weights: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Wti:
    """Weighted token interaction from a trained checkpoint: HBI (Jin et al. 2023), DRL (Wang et al. 2022)."""
    return load_wti(
        checkpoint,
        tokenizer=clip_tokenizer(bpe),
        words=words,
        frames=frames,
        sampling=sampling,
        which=weights,
        precision=precision,
        device=device,
    )


def load_wti(
    checkpoint: Path,
    *,
    tokenizer: ClipTokenizer,
    words: int,
    frames: int,
    sampling: str = "published",
    which: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Wti:
    """Load a checkpoint as the published training saves it (`pytorch_model.bin.N`), or its state dict in
    another torch file or in safetensors. It does not tell how many words and frames it was trained with, nor
    how those were sampled: HBI takes `every=1` and 24 words where videos are short.

    Raises ModelError when the file is damaged, is another model's, or lacks or adds parameters.
    """
    found = read_weights(checkpoint, which=which)
    return Wti(
        used(found.state),
        infer_sizes(found.state, str(checkpoint), words=words, frames=frames),
        tokenizer=tokenizer,
        file=found.file,
        sampling=sampling,
        precision=precision,
        device=device,
    )
