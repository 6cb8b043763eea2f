"""The similarity: a naive oracle, and scores that depend on the pair alone."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.scorers.clip.towers import unit
from xbench.scorers.xclip.aosm import Aosm, similarity
from xbench.scorers.xclip.sizes import matrix_shapes

TEMPERATURE = 0.01


def _softmax(values: list[float]) -> list[float]:
    most = max(values)
    powers = [math.exp((value - most) / TEMPERATURE) for value in values]
    return [power / sum(powers) for power in powers]


def _attend(values: list[float], matrix: list[list[float]]) -> float:
    weights = _softmax(values)
    n = range(len(values))
    return sum(values[j] * sum(weights[i] * matrix[i][j] for i in n) for j in n)


def _pair(m: dict, s: torch.Tensor, w: torch.Tensor, v: torch.Tensor, f: torch.Tensor) -> float:
    """One logit, spelled out from the definition in float64."""
    coarse = float(s @ m["global_mat_weight"] @ v)
    video_word = _attend((w @ v).tolist(), m["word_logit_weight"].tolist())
    sentence_frame = _attend((f @ s).tolist(), m["frame_logit_weight"].tolist())
    fine = (w @ m["local_mat_weight"] @ f.T).tolist()
    by_frame = [_attend([row[k] for row in fine], m["word_mat_weight"].tolist()) for k in range(len(f))]
    by_word = [_attend(row, m["frame_mat_weight"].tolist()) for row in fine]
    to_frames = _attend(by_frame, m["frame_mat_weight2"].tolist())
    to_words = _attend(by_word, m["word_mat_weight2"].tolist())
    total = coarse + video_word + sentence_frame + (to_frames + to_words) / 2
    return math.exp(float(m["clip.logit_scale"])) * total / 4


def _matrices(generator: torch.Generator, width: int, words: int, frames: int) -> dict[str, torch.Tensor]:
    made = {
        name: torch.eye(shape[0]) + 0.1 * torch.randn(shape, generator=generator)
        for name, shape in matrix_shapes(width, words, frames).items()
    }
    return made | {"clip.logit_scale": torch.tensor(3.0)}


def _features(generator: torch.Generator, count: int, length: int, width: int):
    shapes = ((count, width), (count, length, width))
    return tuple(unit(torch.randn(shape, generator=generator)) for shape in shapes)


@settings(deadline=None, max_examples=25)
@given(
    counts=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    words=st.integers(1, 6),
    frames=st.integers(1, 9),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_the_block_equals_the_definition_spelled_out_pair_by_pair(counts, words, frames, seed, data):
    texts, videos = counts
    generator = torch.Generator().manual_seed(seed)
    state = _matrices(generator, 8, words, frames)
    text, video = _features(generator, texts, words, 8), _features(generator, videos, frames, 8)
    padding = unit(torch.randn(8, generator=generator))
    for clip in video[1]:
        clip[data.draw(st.integers(1, frames), label="valid frames") :] = padding
    exact = {name: tensor.double() for name, tensor in state.items()}
    scores = similarity(Aosm(state), *text, *video)
    for row in range(texts):
        for column in range(videos):
            pair = (
                part.double() for part in (text[0][row], text[1][row], video[0][column], video[1][column])
            )
            assert scores[row, column].item() == pytest.approx(_pair(exact, *pair), abs=2e-4)


@pytest.fixture(scope="module")
def block():
    generator = torch.Generator().manual_seed(0)
    state = _matrices(generator, 64, 8, 6)
    return Aosm(state), _features(generator, 30, 8, 64), _features(generator, 21, 6, 64)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 3), (16, 16), (13, 21)])
def test_a_score_is_the_same_to_the_bit_however_the_block_is_cut(block, height, width):
    aosm, text, video = block
    rows, columns = range(0, 30, height), range(0, 21, width)
    with torch.inference_mode():
        whole = similarity(aosm, *text, *video)
        cut = [
            torch.cat(
                [
                    similarity(
                        aosm, *(t[row : row + height] for t in text), *(v[c : c + width] for v in video)
                    )
                    for c in columns
                ],
                dim=1,
            )
            for row in rows
        ]
    assert torch.equal(torch.cat(cut), whole)


@pytest.mark.parametrize("videos", [2, 5, 9, 31])
@pytest.mark.parametrize("sizes", [(32, 12), (8, 6)])
def test_a_video_that_is_twice_in_a_gallery_ties_exactly(videos, sizes):
    generator = torch.Generator().manual_seed(videos)
    aosm = Aosm(_matrices(generator, 64, *sizes))
    text = _features(generator, 9, sizes[0], 64)
    video = _features(generator, videos, sizes[1], 64)
    for part in video:
        part[-1] = part[0]
    scores = similarity(aosm, *text, *video)
    assert torch.equal(scores[:, 0], scores[:, -1])


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_a_score_is_the_same_to_the_bit_with_any_number_of_threads(block, threads):
    aosm, text, video = block
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = similarity(aosm, *text, *video)
        torch.set_num_threads(threads)
        assert torch.equal(similarity(aosm, *text, *video), alone)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_videos_of_few_frames_get_the_same_scores_among_long_ones_and_alone(block):
    aosm, text, (video, frames) = block
    padded = frames.clone()
    padded[::2, 2:] = padded[0, 5]
    padded[1::4, 1:] = padded[0, 5]
    with torch.inference_mode():
        mixed = similarity(aosm, *text, video, padded)
        plain = aosm(*text, video, padded)
        assert (mixed - plain).abs().max() < 1e-4
        for column in range(6):
            one = slice(column, column + 1)
            assert torch.equal(similarity(aosm, *text, video[one], padded[one]), mixed[:, one])


def test_nan_features_give_nan_scores_in_their_column_and_nowhere_else(block):
    aosm, text, (video, frames) = block
    broken = frames.clone()
    broken[3, -1, 0] = torch.nan
    scores = similarity(aosm, *text, video, broken)
    assert torch.isnan(scores).all(dim=0).nonzero().flatten().tolist() == [3]
    assert torch.isnan(scores).any(dim=0).sum() == 1


def test_an_empty_block_has_no_scores(block):
    aosm, text, video = block
    assert similarity(aosm, *(part[:0] for part in text), *video).shape == (0, 21)
    assert similarity(aosm, *text, *(part[:0] for part in video)).shape == (30, 0)


def test_tiles_equal_the_plain_differentiable_similarity(block):
    aosm, text, video = block
    with torch.inference_mode():
        difference = similarity(aosm, *text, *video) - aosm(*text, *video)
    assert difference.abs().max() < 1e-4
