"""X-Pool from a checkpoint as its training saves it."""

from pathlib import Path

from xbench.scorers.base import ScorerInfo, knows_itself
from xbench.scorers.clip.bpe import ClipTokenizer, clip_tokenizer
from xbench.scorers.weights import Which, read_weights
from xbench.scorers.xpool.scorer import XPool
from xbench.scorers.xpool.sizes import FRAMES, infer_sizes, openai_layout
from xbench.terms import Precision


@knows_itself(
    ScorerInfo(
        published="X-Pool",
        zero_shot=False,
        without_checkpoint="--model xpool needs --checkpoint: pass what your training saved, or download "
        "one of its authors', which `xbench models list` has as xpool-*.",
        files=frozenset({"checkpoint", "bpe"}),
    )
)
def trained(
    *,
    checkpoint: Path,
    bpe: Path | None = None,
    num_frames: int = FRAMES,
    heads: int = 1,
    weights: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> XPool:
    """X-Pool of Gorti et al. 2022 from a trained checkpoint (`model_best.pth`)."""
    return load_xpool(
        checkpoint,
        tokenizer=clip_tokenizer(bpe, unescape=False),
        frames=num_frames,
        heads=heads,
        which=weights,
        precision=precision,
        device=device,
    )


def load_xpool(
    checkpoint: Path,
    *,
    tokenizer: ClipTokenizer,
    frames: int = FRAMES,
    heads: int = 1,
    which: Which | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> XPool:
    """Load a checkpoint as the published training saves it, `{'epoch', 'state_dict', 'optimizer'}`, or its
    state dict in another torch file or in safetensors; its towers have OpenAI's names or transformers'.

    frames, heads: those of the training, which no shape tells. Raises ModelError when the file is damaged, is
    another model's, or lacks or adds parameters, UsageError for heads that do not fit.
    """
    found = read_weights(checkpoint, which=which)
    state = openai_layout(found.state, str(checkpoint))
    return XPool(
        state,
        infer_sizes(state, str(checkpoint), frames=frames, heads=heads),
        tokenizer=tokenizer,
        file=found.file,
        precision=precision,
        device=device,
    )
