"""Where the CLIP vocabulary is found: xbench does not ship it."""

import importlib.util
import os
from pathlib import Path

from xbench.errors import ModelError
from xbench.registry.checkpoints import checkpoints
from xbench.registry.download import fetched, place_of
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.storage import user_path

VARIABLE = "XBENCH_BPE"
FILE = "bpe_simple_vocab_16e6.txt.gz"
_HOW = (
    f"CLIP's vocabulary ({FILE}) is needed to read captions: pass it with --bpe FILE, name it in "
    f"{VARIABLE}, or run `pip install open_clip_torch`, whose copy is found by itself."
)


def clip_tokenizer(bpe: Path | None = None) -> ClipTokenizer:
    """Return the tokenizer over `bpe`, else $XBENCH_BPE, else open_clip's copy, else one fetched and checked.

    Raises ModelError, saying how to get the vocabulary, when there is none and it cannot be fetched.
    """
    bpe = bpe or _named()
    if bpe is not None:
        if not bpe.is_file():
            raise ModelError(f"There is no vocabulary file {bpe}. {_HOW}")
        return ClipTokenizer(bpe)
    return ClipTokenizer(_in_open_clip() or fetched(checkpoints().vocabulary["clip-bpe"], _HOW))


def at_hand() -> Path | None:
    """Return the vocabulary that would be used without --bpe, None where it would have to be fetched."""
    kept = place_of(checkpoints().vocabulary["clip-bpe"])
    return _named() or _in_open_clip() or (kept if kept.is_file() else None)


def _named() -> Path | None:
    chosen = os.environ.get(VARIABLE)
    return user_path(chosen) if chosen else None


def _in_open_clip() -> Path | None:
    """Find the file without importing the package, which would import torchvision."""
    spec = importlib.util.find_spec("open_clip")
    folders = spec.submodule_search_locations if spec else None
    files = [Path(folder) / FILE for folder in folders or ()]
    return next((file for file in files if file.is_file()), None)
