"""The scorer: padding as published, batches that do not matter, inputs that do not fit."""

import numpy as np
import pytest
import torch
from xclip_small import FRAMES, SIDE, WORDS, state, tokenizer

from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import rank
from xbench.engine.units import Queries
from xbench.errors import ModelError
from xbench.scorers.clip.sizes import VARIANTS
from xbench.scorers.xclip import XClip
from xbench.scorers.xclip.model import XClipModel
from xbench.scorers.xclip.sizes import infer_sizes


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module", params=VARIANTS)
def scorer(request, words):
    return XClip(state(request.param), tokenizer=words)


COUNTS = (4, 1, 3, 2, 4)


@pytest.fixture(scope="module")
def clips():
    mask = torch.arange(FRAMES) < torch.tensor(COUNTS)[:, None]
    pixels = torch.randn(len(COUNTS), FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return pixels * mask[..., None, None, None], mask


def test_features_have_the_shapes_of_the_contract_and_length_one(scorer, clips):
    text = scorer.encode_texts(["the cat", "a dog"])
    video = scorer.encode_videos(*clips)
    shapes = {name: tuple(tensor.shape) for name, tensor in (text | video).items()}
    assert shapes == {
        "sentence": (2, 64),
        "words": (2, WORDS, 64),
        "video": (5, 64),
        "frames": (5, FRAMES, 64),
    }
    for tensor in (text | video).values():
        assert tensor.dtype == torch.float32
        assert torch.allclose(torch.linalg.vector_norm(tensor, dim=-1), torch.ones(()), atol=1e-5)


def test_padded_frames_are_what_encoding_their_zero_pixels_gives(scorer, clips):
    frames, mask = clips
    video = scorer.encode_videos(frames, mask)
    weights = state(scorer.sizes.variant)
    model = XClipModel(infer_sizes(weights, ""), weights)
    with torch.inference_mode():
        every = model.images(frames.flatten(0, 1)).unflatten(0, mask.shape)
        pooled, unit = model.videos(every, mask)
    assert (video["frames"] - unit).abs().max() < 1e-5
    assert (video["video"] - pooled).abs().max() < 1e-5


def test_all_padded_frames_are_one_identical_vector_across_calls(scorer, clips):
    frames, mask = clips
    alone = scorer.encode_videos(frames[1:2], mask[1:2])["frames"]
    padding = scorer.encode_videos(frames, mask)["frames"][~mask]
    assert torch.equal(padding, alone[0, -1].expand_as(padding))


def test_what_lies_under_the_padding_is_not_looked_at(scorer, clips):
    frames, mask = clips
    dirty = torch.where(mask[..., None, None, None], frames, torch.full_like(frames, 7.0))
    clean = scorer.encode_videos(frames, mask)
    assert all(torch.equal(tensor, clean[name]) for name, tensor in scorer.encode_videos(dirty, mask).items())


def test_a_batch_padded_to_fewer_frames_gives_the_same(scorer, clips):
    frames, mask = clips
    short = scorer.encode_videos(frames[1:4, :3], mask[1:4, :3])
    full = scorer.encode_videos(frames[1:4], mask[1:4])
    assert all((short[name] - full[name]).abs().max() < 1e-5 for name in full)


def test_videos_and_texts_do_not_depend_on_their_batch(scorer, clips):
    frames, mask = clips
    together = scorer.encode_videos(frames, mask)
    texts = ["the cat", "a dog and the cat sat", ""]
    encoded = scorer.encode_texts(texts)
    for row in range(len(frames)):
        alone = scorer.encode_videos(frames[row : row + 1], mask[row : row + 1])
        assert all((alone[name][0] - together[name][row]).abs().max() < 1e-5 for name in alone)
    for row, text in enumerate(texts):
        alone = scorer.encode_texts([text])
        assert all((alone[name][0] - encoded[name][row]).abs().max() < 1e-5 for name in alone)


def test_the_sentence_is_the_word_at_the_first_end_token(scorer):
    encoded = scorer.encode_texts(["the cat <|endoftext|> dog"])
    # start, the, cat, end (the literal one), dog, end
    assert torch.equal(encoded["sentence"][0], encoded["words"][0, 3])


def test_the_scorer_computes_what_the_module_computes(scorer, clips):
    frames, mask = clips
    texts = ["the cat", "the dog sat", "and"]
    weights = state(scorer.sizes.variant)
    model = XClipModel(infer_sizes(weights, ""), weights)
    tokens = scorer._tokenizer.batch(texts, WORDS)
    logits = model.aosm(*model.texts(tokens), *model.videos(model.encode_frames(frames, mask), mask))
    scores = scorer.similarity(scorer.encode_texts(texts), scorer.encode_videos(frames, mask))
    assert logits.requires_grad
    assert not scores.requires_grad
    assert (scores - logits).abs().max() < 2e-4


@pytest.mark.parametrize(
    ("shape", "mask", "said"),
    [
        ((1, 4, 3, 8, 8), [[1, 1, 1, 1]], r"\[1, 4, 3, 8, 8\]: expected \[B, at most 4, 3, 16, 16\]"),
        ((1, 5, 3, 16, 16), [[1, 1, 1, 1, 1]], "at most 4"),
        ((4, 3, 16, 16), [[1, 1, 1, 1]], "was given frames of shape"),
        ((2, 2, 3, 16, 16), [[1, 1]], r"mask of shape \[1, 2\]"),
        ((1, 3, 3, 16, 16), [[1, 0, 1]], "mask with gaps"),
        ((2, 2, 3, 16, 16), [[1, 1], [0, 0]], "a video without any frame"),
    ],
)
def test_frames_that_do_not_fit_are_an_error(words, shape, mask, said):
    with pytest.raises(ModelError, match=said):
        XClip(state(), tokenizer=words).encode_videos(torch.zeros(shape), torch.tensor(mask).bool())


def test_weights_in_memory_have_no_identity(words):
    assert XClip(state(), tokenizer=words).identity is None


@pytest.mark.parametrize("items", [2, 7, 300])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_are_the_same_in_the_block_of_a_run_and_in_a_small_one(words, precision, items):
    scorer = XClip(state(), tokenizer=words, precision=precision)
    random = torch.Generator().manual_seed(0)

    def unit(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(*shape, generator=random), dim=-1)

    frames = unit(items, FRAMES, 64)
    frames[: items // 2, 1:] = frames[0, -1]  # padding
    text = {"sentence": unit(items, 64), "words": unit(items, WORDS, 64)}
    tables = FeatureTable([text]), FeatureTable([{"video": unit(items, 64), "frames": frames}])
    order = np.arange(items)
    rank(scorer, *tables, Queries(order, order), "group-max")  # raises where they are not
