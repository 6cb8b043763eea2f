"""How far scores move between precisions and kinds of device: what `xbench verify --rescore` must allow.

    python -m benchmarks.rescoring [DATASET ...]

Every video and caption of a miniature is encoded and scored anew in each way that this machine has; a pair of
ways moves a score by so much of the range of all scores. Printed: the largest, over all pairs of captions and
videos, and over the right ones alone.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import xbench

DATASETS = ("didemo", "msvd")
VIDEOS = 60


def ways() -> list[tuple[str, str, int]]:
    """Return (precision, device, threads) of all that is to be had here."""
    found = [("fp32", "cpu", 1), ("fp32", "cpu", 2), ("fp16", "cpu", 1), ("bf16", "cpu", 1)]
    if torch.cuda.is_available():
        found += [(precision, "cuda", 1) for precision in ("fp32", "tf32", "fp16", "bf16")]
    return found


def scores(dataset: str, way: tuple[str, str, int], folder: Path) -> np.ndarray:
    """Encode and score a miniature in one way: float32 [T, V]."""
    precision, device, threads = way
    file = folder / f"{'-'.join(map(str, way))}.npy"
    asked = {"precision": precision, "device": device, "threads": threads, "limit": VIDEOS}
    xbench.run("xclip", dataset, miniature=True, cache=False, save_similarity=file, **asked)
    return np.load(file)


def main() -> None:
    """Print a line for each dataset and pair of ways."""
    print("dataset   one               other             largest of all   of right ones   range")
    for dataset in sys.argv[1:] or DATASETS:
        split = xbench.load_split(dataset, annotations=_annotations(dataset)).limit(VIDEOS)
        with tempfile.TemporaryDirectory() as folder:
            found = {way: scores(dataset, way, Path(folder)) for way in ways()}
        for one, other in itertools.combinations(found, 2):
            moved = np.abs(found[one] - found[other])
            span = float(np.ptp(found[one]))
            right = moved[np.arange(len(moved)), split.caption_to_video]
            names = [" ".join(map(str, way)) for way in (one, other)]
            shares = f"{moved.max() / span:14.1e} {right.max() / span:15.1e} {span:7.1f}"
            print(f"{dataset:9} {names[0]:17} {names[1]:17} {shares}", flush=True)


def _annotations(dataset: str) -> Path:
    from xbench.pipeline.plan import miniature_folders
    from xbench.storage import cache_dir

    return miniature_folders(dataset, cache_dir())[0]


if __name__ == "__main__":
    main()
