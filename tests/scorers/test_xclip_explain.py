"""What X-CLIP says of a pair: parts that add up to its score, and attention that they follow from."""

import numpy as np
import pytest
import torch
from xclip_golden import shipped, upcast
from xclip_small import FRAMES, SIDE, WORDS, state, tokenizer

from xbench.metrics.explanation import Explanation, Grid, Margin, Part
from xbench.scorers.base import Explains
from xbench.scorers.clip.sizes import VARIANTS
from xbench.scorers.xclip import XClip
from xbench.scorers.xclip.aosm import MATRICES, Aosm
from xbench.scorers.xclip.explain import explain

CAPTIONS = ["the cat and dog", "a dog", "the cat sat and sat and sat and sat and sat"]


@pytest.fixture(scope="module", params=VARIANTS)
def scorer(request, tmp_path_factory):
    return XClip(state(request.param), tokenizer=tokenizer(tmp_path_factory.mktemp("vocabulary")))


@pytest.fixture(scope="module")
def pairs(scorer):
    """Features of all captions, of all videos, and the scores."""
    mask = torch.arange(FRAMES) < torch.tensor([4, 1, 2])[:, None]
    pixels = torch.randn(3, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    texts = scorer.encode_texts(CAPTIONS)
    videos = scorer.encode_videos(pixels * mask[..., None, None, None], mask)
    return texts, videos, scorer.similarity(texts, videos)


def explained(scorer, pairs, caption: int, video: int) -> Explanation:
    texts, videos, _ = pairs
    text = {name: tensor[caption : caption + 1] for name, tensor in texts.items()}
    clip = {name: tensor[video : video + 1] for name, tensor in videos.items()}
    return scorer.explain(CAPTIONS[caption], text, clip)


def test_the_parts_of_every_pair_add_up_to_its_score(scorer, pairs):
    assert isinstance(scorer, Explains)
    for caption in range(3):
        for video in range(3):
            found = explained(scorer, pairs, caption, video)
            assert found.faults() == []
            assert len(found.parts) == 4
            assert found.score == pytest.approx(float(pairs[2][caption, video]), abs=1e-4)


def test_the_parts_of_the_published_models_add_up_to_their_logits():
    for variant in VARIANTS:
        golden = shipped(variant)
        weights = upcast(golden.state)
        matrices = {name: weights[name] for name in (*MATRICES, "clip.logit_scale")}
        aosm = Aosm(weights)
        generator = torch.Generator().manual_seed(0)
        words, frames = len(weights["word_mat_weight"]), len(weights["frame_mat_weight"])
        width = len(weights["local_mat_weight"])
        unit = torch.nn.functional.normalize
        sentence, video = (unit(torch.randn(2, width, generator=generator), dim=-1) for _ in range(2))
        word, frame = (
            unit(torch.randn(2, many, width, generator=generator), dim=-1) for many in (words, frames)
        )
        with torch.inference_mode():
            logits = aosm(sentence, word, video, frame)
        for row in range(2):
            found = explain(matrices, ["w"] * words, (sentence[row], word[row]), (video[row], frame[row]))
            assert found.score == pytest.approx(float(logits[row, row]), abs=1e-4), variant


def test_every_part_follows_from_the_attention_that_is_shown(scorer, pairs):
    found = explained(scorer, pairs, 0, 2)
    similar, over_words, over_frames = found.grids
    coarse, words, frames, fine = (part.value for part in found.parts)
    assert words == pytest.approx(similar.of_words.values @ over_words.of_words.values)
    assert frames == pytest.approx(similar.of_frames.values @ over_frames.of_frames.values)
    by_frame = (similar.values * over_words.values).sum(axis=0)
    by_word = (similar.values * over_frames.values).sum(axis=1)
    pooled = by_frame @ over_words.of_frames.values + by_word @ over_frames.of_words.values
    assert fine == pytest.approx(pooled / 2)
    aosm = Aosm(state(scorer.sizes.variant))
    texts, videos, _ = pairs
    with torch.inference_mode():
        grains = aosm.grains(texts["sentence"], texts["words"], videos["video"], videos["frames"])
    for value, grain in zip(
        (coarse, words, frames, fine),
        (grains.coarse, grains.video_word, grains.sentence_frame, grains.fine),
        strict=True,
    ):
        assert value == pytest.approx(float(grain[0, 2]), abs=1e-6)


def test_words_are_told_as_the_model_sees_them(scorer):
    words = scorer._tokenizer
    assert words.pieces("the cat", WORDS) == ["[start]", "the", "cat", "[end]", "", "", "", ""]
    assert words.pieces("Dogs & é", 12)[1:6] == ["do\u00b7", "g\u00b7", "s", "&", "\ufffd\u00b7"]
    long = words.pieces(CAPTIONS[2], WORDS)
    assert (len(long), long[0], long[-1]) == (WORDS, "[start]", "[end]")
    assert words.pieces("the <|endoftext|> cat", WORDS)[2:4] == ["[end]", "cat"]


def test_padding_is_folded_by_the_mean_of_similarities_and_the_sum_of_weights():
    values = np.arange(12.0).reshape(3, 4)
    margins = Margin("v", np.array([1.0, 2, 4])), Margin("s", np.arange(4.0))
    grids = tuple(Grid(kind, kind, values, *margins) for kind in ("similarity", "weight"))
    found = Explanation((Part("all", 1.0, 2.0),), ("a", "", ""), grids).folded(2)
    assert found.words == ("a", "padding x 2")
    assert found.score == 2.0
    similar, weights = found.grids
    assert similar.values.tolist() == [[0, 1, 2.5], [6, 7, 8.5]]
    assert weights.values.tolist() == [[0, 1, 5], [12, 14, 34]]
    assert similar.of_words.values.tolist() == [1, 3]
    assert weights.of_frames.values.tolist() == [0, 1, 5]
    whole = Explanation((), ("a", "b", "c"), grids)
    assert whole.folded(4).grids[1].values.tolist() == values.tolist()
    assert whole.faults() == ["it has no parts"]
    misfit = Explanation((Part("all", np.nan, 2),), ("a",), grids)
    assert misfit.faults()[0] == "the part 'all' is not finite"
    assert "1 words x 4 frames" in misfit.faults()[1]
