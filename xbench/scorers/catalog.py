"""The models that come with xbench, by the name given to --model."""

from dataclasses import dataclass
from pathlib import Path

from xbench.errors import ModelError, UsageError, did_you_mean
from xbench.scorers.base import Scorer
from xbench.scorers.xclip.scorer import Precision

MODELS = ("xclip", "xclip-zeroshot")

_NO_CHECKPOINT = (
    "--model xclip needs --checkpoint: the authors of X-CLIP released no fine-tuned weights. Pass what your "
    "own training saved (pytorch_model.bin.N of the published code), or start untrained from CLIP weights with "
    "--model xclip-zeroshot --clip ViT-B/32, or see xbench work with --miniature."
)


@dataclass(frozen=True)
class ModelRequest:
    """Which model to build, from what, and where it computes.

    words and frames are the protocol's; a checkpoint's own shapes win over them.
    """

    name: str
    checkpoint: Path | None = None
    clip: str | None = None
    bpe: Path | None = None
    precision: Precision = "fp32"
    device: str = "auto"
    words: int = 32
    frames: int = 12


def build(request: ModelRequest) -> Scorer:
    """Build a scorer. Raises UsageError for options that do not go together, ModelError for bad files."""
    from xbench.scorers.clip.vocabulary import clip_tokenizer
    from xbench.scorers.xclip.load import load_xclip, xclip_zeroshot

    check_request(request)
    tokenizer = clip_tokenizer(request.bpe)
    device = find_device(request.device)
    if request.checkpoint is not None:
        return load_xclip(request.checkpoint, tokenizer=tokenizer, precision=request.precision, device=device)
    assert request.clip is not None
    return xclip_zeroshot(
        request.clip,
        tokenizer=tokenizer,
        words=request.words,
        frames=request.frames,
        precision=request.precision,
        device=device,
    )


def find_device(name: str) -> str:
    """Return the torch device for `auto` (a GPU where there is one), cpu, cuda or cuda:N."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"There is no device {name!r}. Known: auto, cpu, cuda, cuda:0, cuda:1, ..."
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device {name}: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices here. "
            f"Use --device cpu, or install a CUDA build of torch."
        )
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: xbench computes on cpu or cuda.")
    return name


def check_request(request: ModelRequest) -> None:
    """Raise UsageError or ModelError, before any data is read, for a model that cannot be built as asked."""
    if request.name not in MODELS:
        raise UsageError(f"There is no model {request.name!r}.{did_you_mean(request.name, MODELS)}")
    if request.name == "xclip":
        if request.clip is not None:
            raise UsageError("--clip is for --model xclip-zeroshot; xclip takes --checkpoint.")
        if request.checkpoint is None:
            raise ModelError(_NO_CHECKPOINT)
    elif request.checkpoint is not None:
        raise UsageError("--checkpoint is for --model xclip; xclip-zeroshot takes --clip.")
    elif request.clip is None:
        raise UsageError("--model xclip-zeroshot needs --clip: a file, a folder or hub id, or ViT-B/32.")
