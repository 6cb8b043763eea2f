"""Scoring a block of texts and videos tile by tile, in bounded memory.

Tiles have one shape for a checkpoint, whatever the block's: what is left at the edges is filled up, so that
an entry depends on its own text and video and not on who else is scored with it.
"""

import torch

from xbench.scorers.xclip.aosm import Aosm

_TILE_FLOATS = 1 << 18
"""Elements of texts x words x videos x frames in a tile: a megabyte, which stays in a core's cache."""
_TEXTS, _VIDEOS = 64, 16


def similarity(
    aosm: Aosm, sentence: torch.Tensor, words: torch.Tensor, video: torch.Tensor, frames: torch.Tensor
) -> torch.Tensor:
    """Return the logits float32 [T, V] of texts ([T, D], [T, W, D]) and videos ([V, D], [V, F, D])."""
    height = min(_TEXTS, max(1, _TILE_FLOATS // (words.shape[1] * frames.shape[1] * _VIDEOS)))
    scores = torch.empty(len(sentence), len(video), device=sentence.device)
    for row in range(0, len(sentence), height):
        texts = [_filled(part[row : row + height], height) for part in (sentence, words)]
        for column in range(0, len(video), _VIDEOS):
            videos = [_filled(part[column : column + _VIDEOS], _VIDEOS) for part in (video, frames)]
            target = scores[row : row + height, column : column + _VIDEOS]
            target.copy_(aosm(*texts, *videos)[: target.shape[0], : target.shape[1]])
    return scores


def _filled(part: torch.Tensor, count: int) -> torch.Tensor:
    missing = count - len(part)
    return torch.cat([part, part[:1].expand(missing, *part.shape[1:])]) if missing else part
