"""Why X-CLIP gives a pair its logit: the definition in float64, with all that it attends to kept."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from xbench.metrics.explanation import Explanation, Floats, Grid, Margin, Part

_TEMPERATURE = 0.01


def explain(
    state: Mapping[str, torch.Tensor],
    words: Sequence[str],
    text: tuple[torch.Tensor, torch.Tensor],
    video: tuple[torch.Tensor, torch.Tensor],
) -> Explanation:
    """Return the four similarities of a pair and the attention in them (AOSM, arXiv:2207.07285, section 3.3).

    state: the eight matrices and `clip.logit_scale`, under the names of a checkpoint. words: W texts. text:
    sentence [D] and words [W, D]; video: video [D] and frames [F, D]; all L2-normalised, padding included.
    """
    matrices = {name: _array(tensor) for name, tensor in state.items()}
    sentence, word, whole, frame = (_array(tensor) for tensor in (*text, *video))
    coarse = float(sentence @ matrices["global_mat_weight"] @ whole)
    similar = Grid(
        "similarity of words and frames",
        "similarity",
        word @ matrices["local_mat_weight"] @ frame.T,
        Margin("video", word @ whole),
        Margin("sentence", frame @ sentence),
    )
    return _attended(matrices, words, coarse, similar)


def _attended(
    matrices: Mapping[str, Floats], words: Sequence[str], coarse: float, similar: Grid
) -> Explanation:
    """Add what attends to what; similar: with both margins."""
    assert similar.of_words is not None
    assert similar.of_frames is not None
    fine, to_video, to_sentence = similar.values, similar.of_words.values, similar.of_frames.values
    over_words = _weights(fine.T, matrices["word_mat_weight"]).T
    over_frames = _weights(fine, matrices["frame_mat_weight"])
    by_frame, by_word = (fine * over_words).sum(axis=0), (fine * over_frames).sum(axis=1)
    of_words = _weights(to_video, matrices["word_logit_weight"])
    of_frames = _weights(to_sentence, matrices["frame_logit_weight"])
    then_frames = _weights(by_frame, matrices["frame_mat_weight2"])
    then_words = _weights(by_word, matrices["word_mat_weight2"])
    values = {
        "sentence and video (coarse)": coarse,
        "words and video": to_video @ of_words,
        "sentence and frames": to_sentence @ of_frames,
        "words and frames (fine)": (by_frame @ then_frames + by_word @ then_words) / 2,
    }
    scale = math.exp(float(matrices["clip.logit_scale"])) / 4
    parts = tuple(Part(name, float(value), float(scale * value)) for name, value in values.items())
    first, then = Margin("video", of_words), Margin("then frames", then_frames)
    grids = [Grid("attention over the words, for each frame", "weight", over_words, first, then)]
    first, then = Margin("sentence", of_frames), Margin("then words", then_words)
    grids.append(Grid("attention over the frames, for each word", "weight", over_frames, then, first))
    return Explanation(parts, tuple(words), (similar, *grids))


def _weights(values: Floats, matrix: Floats) -> Floats:
    """The weights of values [..., N]: their softmax, times the learned matrix [N, N] from the right."""
    scaled = values / _TEMPERATURE
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    weights: Floats = powers / powers.sum(axis=-1, keepdims=True) @ matrix
    return weights


def _array(tensor: torch.Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().double().numpy()
    return array
