"""Measures a checkpoint as a user does, over files, and on the pairs that only motion tells apart."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.miniature import MANNERS
from xbench.miniature.benchmarks import clips
from xbench.pipeline.plan import plan_runs
from xbench.pipeline.run import run
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.xclip.load import load_xclip


def measure(checkpoint: Path, vocabulary: Path) -> str:
    """Return a table: R@1 both ways and the pair accuracy of each miniature benchmark, in percent."""
    scorer = load_xclip(checkpoint, tokenizer=ClipTokenizer(vocabulary))
    lines = ["benchmark     queries videos   t2v R@1   v2t R@1   pairs won"]
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in MANNERS:
            asked = {
                "model": scorer,
                "dataset": benchmark,
                "miniature": True,
                "cache": False,
                "save_similarity": Path(folder) / f"{benchmark}.npy",
            }
            [plan] = plan_runs([asked])
            run(scorer, plan)
            split = plan.split
            scores = np.load(Path(folder) / f"{benchmark}.npy")
            own = split.caption_to_video
            t2v, v2t = first_places(scores, own)
            pairs = pairs_won(scores, own, groups_of(benchmark, split))
            lines.append(
                f"{benchmark:12} {len(own):8} {len(split.videos):6} {t2v:9.1f} {v2t:9.1f} {pairs:11.1f}"
            )
    return "\n".join(lines)


def first_places(scores: NDArray[np.float32], own: NDArray[np.int64]) -> tuple[float, float]:
    """R@1 in percent, captions to videos and videos to captions (a video against each one's best caption)."""
    right = scores[np.arange(len(own)), own]
    best = np.stack([scores[own == video].max(axis=0) for video in range(scores.shape[1])])
    t2v = (scores > right[:, None]).sum(axis=1) == 0
    v2t = (best > np.diag(best)).sum(axis=0) == 0
    return 100 * float(t2v.mean()), 100 * float(v2t.mean())


def pairs_won(scores: NDArray[np.float32], own: NDArray[np.int64], groups: NDArray[np.int64]) -> float:
    """Of all (caption, other video of the caption's group), how often the right video scores higher, percent.

    groups: the group of each video, -1 for none. Videos of a group differ only in direction or order.
    """
    won = [
        scores[caption, video] > scores[caption, rival]
        for caption, video in enumerate(own)
        for rival in np.flatnonzero(groups == groups[video])
        if groups[video] >= 0 and rival != video
    ]
    return 100 * float(np.mean(won))


def groups_of(benchmark: str, split: Split) -> NDArray[np.int64]:
    """Return the group of each video of the split, found by its captions."""
    group = {text: clip.group for clip in clips(benchmark) for text in clip.sentences}
    group |= {" ".join(clip.sentences): clip.group for clip in clips(benchmark)}
    groups = np.full(len(split.videos), -1)
    for caption in split.captions:
        groups[caption.video] = group[" ".join(caption.text.split())]
    return groups
