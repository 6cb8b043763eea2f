"""How far each precision moves logits, ranks and R@1 from float32's, on the five miniatures.

    python -m benchmarks.moved

On a CPU TF32 is emulated, its products' factors rounded as tensor cores take them; with a CUDA device every
precision is that device's, and float32 the CPU's. The first run renders the miniatures: a few minutes.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate

import xbench
from benchmarks.rounding import InTf32
from xbench.data.loading import choose_protocol
from xbench.miniature import checkpoint_path
from xbench.registry.datasets import benchmarks
from xbench.scorers.base import Scorer
from xbench.scorers.catalog import ModelRequest, resolve
from xbench.terms import Precision


@dataclass(frozen=True)
class Scored:
    """A precision's logits float32 [T, V] of a miniature, and its 0-based ranks and R@1 both ways."""

    logits: NDArray[np.float32]
    ranks: tuple[NDArray[np.float64], NDArray[np.float64]]
    recall: tuple[float, float]


def main() -> None:
    """Print the table."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = [row for name in benchmarks() for row in moved(name, device)]
    print(f"torch {torch.__version__}, {device}; changes from float32 on a CPU")
    print(tabulate(rows, headers="keys", floatfmt=".2g"))


def moved(name: str, device: str) -> Iterator[dict[str, object]]:
    """Yield a row for each precision that differs from float32 on a CPU."""
    exact = score(name, "fp32", "cpu")
    for precision in get_args(Precision):
        if (precision, device) == ("fp32", "cpu"):
            continue
        seen = score(name, precision, device)
        change = np.abs(seen.logits - exact.logits)
        differ = [int((a != b).sum()) for a, b in zip(seen.ranks, exact.ranks, strict=True)]
        queries = [len(ranks) for ranks in exact.ranks]
        yield {
            "miniature": name,
            "precision": precision,
            "largest change": float(change.max()),
            "root mean square": float(np.sqrt((change.astype(np.float64) ** 2).mean())),
            "spread of logits": float(exact.logits.std()),
            "t2v ranks changed": f"{differ[0]} of {queries[0]}",
            "v2t ranks changed": f"{differ[1]} of {queries[1]}",
            "t2v R@1": f"{exact.recall[0]:.1f} -> {seen.recall[0]:.1f}",
            "v2t R@1": f"{exact.recall[1]:.1f} -> {seen.recall[1]:.1f}",
        }


def score(name: str, precision: Precision, device: str) -> Scored:
    """Evaluate the shipped small checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "similarity.npy"
        result = xbench.run(
            _scorer(name, precision, device), name, miniature=True, cache=False, save_similarity=path
        )
        logits = np.load(path)
    counts = result.per_query
    recalls = (result.metrics[side]["R@1"].value for side in ("t2v", "v2t"))
    ranks = (each.better + each.tied / 2 for each in (counts.t2v, counts.v2t))
    return Scored(logits, tuple(ranks), tuple(recalls))  # type: ignore[arg-type]


def _scorer(name: str, precision: Precision, device: str) -> Scorer:
    chosen = choose_protocol(name, None)
    emulated = (precision, device) == ("tf32", "cpu")
    request = ModelRequest(
        name="xclip",
        precision="fp32" if emulated else precision,
        device=device,
        words=chosen.words,
        frames=chosen.frames,
        miniature=checkpoint_path().parent,
    )
    scorer = resolve(request).build()
    assert isinstance(scorer, Scorer)
    return InTf32(scorer) if emulated else scorer


if __name__ == "__main__":
    main()
