"""The promises of a scorer, each tried on made-up texts and videos or on noise."""

import numpy as np
import torch

from xbench.metrics.chance import against_chance
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.scorers.base import Features, Scorer, VideoInput, share_of
from xbench.scorers.declared import ENCODERS, faults
from xbench.scorers.verify.broken import BrokenError
from xbench.scorers.verify.comparing import (
    described,
    deviation,
    distance,
    items,
    require_shapes,
    rows,
    shapes_of,
    within,
)
from xbench.scorers.verify.trial import NOISE, TEXTS, Trial


def declaration(trial: Trial) -> str:
    """Name, settings, identity, block and video input are of the right types and stay what they are."""
    scorer = trial.scorer
    for _, what in faults(scorer):
        raise BrokenError(what)
    block, wants = scorer.block, scorer.video_input
    if scorer.block != block or scorer.identity != scorer.identity:
        raise BrokenError("block or identity changes from one look to the next.")
    cached = "no cache (identity None)" if scorer.identity is None else "cached under its identity"
    return f"{scorer.name}, blocks of {block[0]} x {block[1]}, {_said(wants)}, {cached}"


def _said(wants: VideoInput) -> str:
    most = "all" if wants.max_frames is None else str(wants.max_frames)
    return f"{most} frames{' of clips' if wants.clips else ''}"


_SAME = 1e-5
"""Largest relative deviation between two equal calls: dropout moves more, the order of additions less."""


def texts(trial: Trial) -> str:
    """Short, long and odd texts give features of one shape."""
    shapes = shapes_of(trial.text, len(TEXTS), "encode_texts")
    require_shapes(trial.scorer.encode_texts(TEXTS[:1]), shapes, "a short text", "a long one")
    return described(trial.text)


def videos(trial: Trial) -> str:
    """Full, padded and one-frame videos give features of one shape."""
    encoder, _ = ENCODERS[trial.scorer.video_input.clips]
    shapes = shapes_of(trial.video, len(trial.videos), encoder)
    alone = trial.videos.encode(trial.scorer, slice(2, None))
    require_shapes(alone, shapes, "a video of one frame", "a batch of longer ones")
    return described(trial.video)


def numbers(trial: Trial) -> str:
    """No feature is NaN or infinite."""
    for side, features in (("text", trial.text), ("video", trial.video)):
        for name, tensor in features.items():
            bad = (~torch.isfinite(tensor)).reshape(len(tensor), -1).any(dim=1)
            if bool(bad.any()):
                raise BrokenError(f"{name} is NaN or infinite for {side} {items(bad)} of {len(bad)}.")
    return "no NaN, nothing infinite"


def twice(trial: Trial) -> str:
    """Two equal calls give equal features."""
    most, name = max(
        deviation(trial.scorer.encode_texts(TEXTS), trial.text),
        deviation(trial.videos.encode(trial.scorer), trial.video),
    )
    if most > _SAME:
        raise BrokenError(f"{name} moves by {most:.1e} of its size: is the model in eval mode?")
    return f"largest deviation {most:.1e}"


def batches(trial: Trial) -> str:
    """An item's features do not depend on its batch."""
    seen = [
        deviation(trial.scorer.encode_texts(TEXTS[row : row + 1]), rows(trial.text, slice(row, row + 1)))
        for row in range(len(TEXTS))
    ]
    seen += [
        deviation(
            trial.videos.encode(trial.scorer, slice(row, row + 1)),
            rows(trial.video, slice(row, row + 1)),
        )
        for row in (1, 2)
    ]
    return within(trial, max(seen), "the features of an item change with its batch")


def pairs(trial: Trial) -> str:
    """Scores are finite floats [T, V]."""
    scores, shape = trial.scores, (len(TEXTS), len(trial.videos))
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != shape:
        found = list(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise BrokenError(
            f"similarity gives {found} for {shape[0]} texts and {shape[1]} videos, not {list(shape)}."
        )
    if not scores.is_floating_point():
        raise BrokenError(f"similarity gives {scores.dtype}: scores are floats.")
    if not bool(torch.isfinite(scores).all()):
        raise BrokenError("similarity gives NaN or infinite scores.")
    low, high = float(scores.min()), float(scores.max())
    seen = f"{str(scores.dtype).removeprefix('torch.')} from {low:.4g} to {high:.4g}"
    return f"{seen}: all equal, is that meant?" if low == high else seen


def pieces(trial: Trial) -> str:
    """An entry depends on its own text and video only, whatever block it is scored in."""
    parts = [
        torch.cat(
            [
                trial.scorer.similarity(rows(trial.text, slice(t, t + 1)), rows(trial.video, slice(v, v + 1)))
                for v in range(trial.scores.shape[1])
            ],
            dim=1,
        )
        for t in range(trial.scores.shape[0])
    ]
    seen = distance(torch.cat(parts), trial.scores), "score"
    return within(trial, seen, "scores change with the block that they are computed in")


def order(trial: Trial) -> str:
    """Reversed texts and videos give the reversed matrix."""
    backwards = torch.arange(len(TEXTS)).flip(0)
    scores = trial.scorer.similarity(rows(trial.text, backwards), rows(trial.video, backwards))
    seen = distance(scores.flip(0, 1), trial.scores), "score"
    return within(trial, seen, "scores change with the order of texts and videos")


def saved(trial: Trial) -> str:
    """Features survive the cache: scored from the CPU after saving and loading, they give the same."""
    from safetensors.torch import load, save

    def through(features: Features) -> Features:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in features.items()}
        loaded: Features = load(save(plain))
        return loaded

    scores = trial.scorer.similarity(through(trial.text), through(trial.video))
    seen = distance(scores, trial.scores), "score"
    return within(trial, seen, "scores change when features are saved and loaded")


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
