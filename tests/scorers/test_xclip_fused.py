"""The fused kernels against float64: compiled where there is a GPU, elsewhere in Triton's interpreter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from xclip_fused import DEVICE, assert_same, block_of, exact, fused, model, on_device
from xclip_golden import LOGITS, shipped, upcast

from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.fused.calls import add_grain, fine
from xbench.scorers.xclip.fused.parts import mixing, padded_length
from xbench.scorers.xclip.fused.prepare import prepare_texts, prepare_videos
from xbench.scorers.xclip.fused.tuning import FINE

SIZES = [
    (1, 1, 1, 1, 16),
    (3, 5, 4, 3, 32),
    (9, 12, 7, 6, 64),
    (5, 32, 19, 12, 80),
    (3, 33, 5, 17, 48),
    (2, 64, 3, 64, 128),
    (2, 77, 2, 100, 16),
    (2, 128, 2, 128, 16),
]


@pytest.mark.parametrize(("texts", "words", "videos", "frames", "width"), SIZES)
def test_logits_are_those_of_float64_at_any_size(texts, words, videos, frames, width):
    aosm, block = model(width, words, frames), block_of(texts, words, videos, frames, width)
    assert (fused(aosm, *block) - exact(aosm, *block)).abs().max() < LOGITS


@settings(deadline=None, max_examples=10)
@given(
    texts=st.integers(1, 9),
    words=st.integers(1, 20),
    videos=st.integers(1, 9),
    frames=st.integers(1, 40),
    width=st.sampled_from([16, 32, 48]),
    valid=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_padded_frames_are_compared_as_the_definition_does(
    *, texts, words, videos, frames, width, valid, seed
):
    aosm, block = model(width, words, frames, seed), block_of(texts, words, videos, frames, width, seed=seed)
    block[3][: videos // 2 + 1, valid:] = block[3][0, 0].clone()
    assert (fused(aosm, *block) - exact(aosm, *block)).abs().max() < LOGITS


@pytest.mark.parametrize("tile", FINE, ids=str)
@pytest.mark.parametrize(("words", "frames"), [(32, 12), (64, 64)])
def test_every_tile_gives_the_same_logits(tile, words, frames):
    aosm, block = model(128, words, frames), block_of(5, words, 3, frames, 128)
    assert (fused(aosm, *block, tile=tile) - exact(aosm, *block)).abs().max() < LOGITS


@pytest.mark.parametrize("variant", ["seqTransf", "meanP", "seqLSTM"])
def test_logits_are_the_golden_ones(variant):
    golden = shipped(variant)
    names = ("sentence_output", "word_features", "video_output", "frame_features")
    logits = fused(Aosm(upcast(golden.state)), *(golden.out[name].float() for name in names))
    assert (logits - golden.out["logits"]).abs().max() < LOGITS


@pytest.mark.parametrize(("precision", "least", "most"), [("tf32", 0.0, 0.1), ("bf16", 1e-3, 1.0)])
def test_lower_precisions_are_near(precision, least, most):
    aosm, block = model(64, 12, 20), block_of(9, 12, 7, 20, 64)
    worst = (fused(aosm, *block, precision=precision) - exact(aosm, *block)).abs().max()
    assert least <= worst < most


def test_large_and_small_matrices_lose_no_bits():
    aosm, block = model(32, 5, 4), block_of(3, 5, 4, 4, 32)
    for factor in (1e-3, 3e2):
        scaled = on_device(aosm).cpu()
        scaled.global_mat_weight *= factor
        scaled.local_mat_weight *= factor
        worst = (fused(scaled, *block) - exact(scaled, *block)).abs().max()
        assert worst < LOGITS * max(1, factor)


def test_an_entry_depends_on_its_own_text_and_video_only():
    aosm, block = model(32, 12, 20), block_of(17, 12, 21, 20, 32)
    block[3][::3, 7:] = block[3][0, 0].clone()
    whole = fused(aosm, *block)
    for rows, columns in (
        (slice(3, 4), slice(8, 9)),
        (slice(1, 12), slice(0, 20)),
        (slice(16, 17), slice(5, 21)),
    ):
        cut = fused(aosm, block[0][rows], block[1][rows], block[2][columns], block[3][columns])
        assert_same(cut, whole[rows, columns])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_broken_text_or_video_spoils_its_own_row_or_column_only():
    aosm, block = model(32, 5, 6), block_of(9, 5, 10, 6, 32)
    sound = fused(aosm, *block)
    block[1][2, 1, 3], block[3][4, 5, 0] = torch.nan, torch.inf
    scores = fused(aosm, *block)
    broken = torch.zeros(9, 10, dtype=torch.bool)
    broken[2], broken[:, 4] = True, True
    assert torch.equal(~scores.isfinite(), broken)
    assert_same(scores[~broken], sound[~broken])


def test_nothing_outside_of_the_block_is_read_or_written():
    texts, words, videos, frames, width = 5, 5, 7, 6, 32
    aosm = on_device(model(width, words, frames))
    block = [tensor.to(DEVICE) for tensor in block_of(texts, words, videos, frames, width)]
    text, (video,) = prepare_texts(*block[:2], DEVICE, "tf32"), prepare_videos(aosm, *block[2:], "tf32")
    parts = [_in_poison(each.data) for each in (text.words, video.local, text.sentence, video.frames)]
    text_words, local, sentence, seen = (type(text.words)(part, 1.0) for part in parts)
    mats = [
        mixing(
            [getattr(aosm, f"{which}_mat_weight{n}") for n in ("", "2")],
            length,
            padded_length(length),
            "tf32",
        )
        for which, length in (("word", words), ("frame", frames))
    ]
    logit = mixing([aosm.frame_logit_weight], frames, padded_length(frames), "tf32")[0]
    out, before = (_in_poison(torch.zeros(texts, videos, device=DEVICE)) for _ in range(2))
    fine(out, before, text_words, local, tuple(map(_in_poison, mats)), last=1.0, scale=1.0, tile=FINE[0])
    add_grain(out, seen, sentence, _in_poison(logit), 1.0, by_right=True)
    assert out.isfinite().all()
    around = torch.as_strided(out, (2 * _MARGIN + out.numel(),), (1,), 0)
    assert around[:_MARGIN].isnan().all()
    assert around[-_MARGIN:].isnan().all()


_MARGIN = 4096


def _in_poison(tensor: torch.Tensor) -> torch.Tensor:
    """The same tensor with NaN before and after it in memory."""
    whole = torch.full((2 * _MARGIN + tensor.numel(),), torch.nan, device=tensor.device)
    inner = whole[_MARGIN:-_MARGIN].view(tensor.shape)
    return inner.copy_(tensor)
