"""Promises that only a gallery shows: on noise a scorer knows nothing, and a score is its pair's alone.

Texts and videos of noise stand in the order of a benchmark: text n belongs to video n. A scorer that lets a
video see the caption in its place finds it, and a softmax or a top-k needs a gallery to do anything.
"""

import numpy as np
import torch

from xbench.metrics.chance import against_chance
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.scorers.base import Features, Scorer, share_of
from xbench.scorers.verify.comparing import distance, rows, within
from xbench.scorers.verify.trial import NOISE, BrokenError, Trial

_TEXTS, _VIDEOS = 7, 11
"""Those of a piece: not the shape of any block."""


def full_block(trial: Trial) -> str:
    """A whole block, which any softmax or top-k would change, scores as some of its texts do in pieces."""
    height, width = trial.scorer.block
    text, video = (_repeated(side, length) for side, length in zip(trial.noise, (height, width), strict=True))
    whole = trial.scorer.similarity(text, video)
    random = torch.Generator().manual_seed(0)
    some = torch.randperm(height, generator=random)[:_TEXTS]
    order = torch.randperm(width, generator=random)
    pieces = [
        trial.scorer.similarity(rows(text, some), rows(video, at)) for at in torch.split(order, _VIDEOS)
    ]
    seen = distance(torch.cat(pieces, dim=1), whole[some][:, order]), "score"
    return within(trial, seen, f"scores change in a block of {height} x {width}", share_of(trial.scorer))


def chance(trial: Trial) -> str:
    """Right pairs of noise do no better than chance."""
    found = {}
    scores, owners = _scores(trial.scorer, *trial.noise), np.arange(NOISE)
    for side, counts in (("t2v", t2v_counts(scores, owners)), ("v2t", v2t_counts(scores, owners))):
        found[side] = against_chance(counts, owners, NOISE)
        if found[side].standing == "better":
            raise BrokenError(
                f"{side} finds the right one among noise, which no model can ({found[side]}): a text or "
                "video is told by its place which one belongs to it."
            )
    return f"t2v {found['t2v']}"


def permuted(trial: Trial) -> str:
    """Texts and videos in another order give the same scores in that order."""
    random = torch.Generator().manual_seed(1)
    order = [torch.randperm(NOISE, generator=random) for _ in range(2)]
    text, video = trial.noise
    scores = _scores(trial.scorer, rows(text, order[0]), rows(video, order[1]))
    seen = distance(scores, _scores(trial.scorer, text, video)[order[0]][:, order[1]]), "score"
    return within(trial, seen, "scores do not move with their items", share_of(trial.scorer))


def _scores(scorer: Scorer, text: Features, video: Features) -> torch.Tensor:
    """Score all pairs in tiles of the scorer's block, as a run does."""
    height, width = scorer.block
    columns = [rows(video, slice(start, start + width)) for start in range(0, NOISE, width)]
    strips = []
    for start in range(0, NOISE, height):
        texts = rows(text, slice(start, start + height))
        strips.append(
            torch.cat([scorer.similarity(texts, column).detach().cpu() for column in columns], dim=1)
        )
    return torch.cat(strips).float()


def _repeated(features: Features, length: int) -> Features:
    """Repeat items until there are as many as a block takes."""
    return rows(features, torch.arange(length) % NOISE)
