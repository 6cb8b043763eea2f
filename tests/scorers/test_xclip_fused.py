"""The fused kernels against float64: compiled where there is a GPU, elsewhere in Triton's interpreter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_xclip_similarity import _features, _matrices
from xclip_golden import LOGITS, shipped, upcast

from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.fused.parts import mixing, padded_length, parts_of
from xbench.scorers.xclip.fused.prepare import prepare_texts, prepare_videos
from xbench.scorers.xclip.fused.tuning import FINE, NoKernelError, Tile

pytest.importorskip("triton", reason="the kernels are written in Triton")

from xbench.scorers.xclip.fused.calls import add_grain, fine
from xbench.scorers.xclip.fused.similarity import Fused

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
HUNDRED = torch.tensor(4.6052)
"""The logit scale of trained models; tolerances of logits are for it."""


def _model(width: int, words: int, frames: int, seed: int = 0) -> Aosm:
    generator = torch.Generator().manual_seed(seed)
    state = _matrices(generator, width, words, frames) | {"clip.logit_scale": HUNDRED}
    return Aosm(state).requires_grad_(False)


def _block(texts: int, words: int, videos: int, frames: int, width: int, *, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return (*_features(generator, texts, words, width), *_features(generator, videos, frames, width))


def _exact(aosm: Aosm, *features: torch.Tensor) -> torch.Tensor:
    double = Aosm({name: value.double() for name, value in aosm.named_parameters()} | _scale(aosm))
    return double(*(tensor.double() for tensor in features)).detach()


def _scale(aosm: Aosm) -> dict[str, torch.Tensor]:
    return {"clip.logit_scale": aosm.logit_scale.double()}


def _fused(aosm: Aosm, *features: torch.Tensor, precision="fp32", tile: Tile = FINE[0]) -> torch.Tensor:
    fused = Fused(_on_device(aosm), precision)
    fused._tile = tile
    return fused(*features).cpu()


def _assert_same(scores: torch.Tensor, expected: torch.Tensor) -> None:
    """To the bit on a GPU; NumPy, with which the interpreter computes, adds up by the place in memory."""
    if DEVICE.type == "cuda":
        assert torch.equal(scores, expected)
    assert (scores - expected).abs().max() < 2e-5


def _on_device(aosm: Aosm) -> Aosm:
    state = {name: value.detach().clone() for name, value in aosm.named_parameters()}
    return Aosm(state | {"clip.logit_scale": aosm.logit_scale}).to(DEVICE).requires_grad_(False)


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
    aosm, block = _model(width, words, frames), _block(texts, words, videos, frames, width)
    assert (_fused(aosm, *block) - _exact(aosm, *block)).abs().max() < LOGITS


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
    aosm, block = _model(width, words, frames, seed), _block(texts, words, videos, frames, width, seed=seed)
    block[3][: videos // 2 + 1, valid:] = block[3][0, 0].clone()
    assert (_fused(aosm, *block) - _exact(aosm, *block)).abs().max() < LOGITS


@pytest.mark.parametrize("tile", FINE, ids=str)
@pytest.mark.parametrize(("words", "frames"), [(32, 12), (64, 64)])
def test_every_tile_gives_the_same_logits(tile, words, frames):
    aosm, block = _model(128, words, frames), _block(5, words, 3, frames, 128)
    assert (_fused(aosm, *block, tile=tile) - _exact(aosm, *block)).abs().max() < LOGITS


@pytest.mark.parametrize("variant", ["seqTransf", "meanP", "seqLSTM"])
def test_logits_are_the_golden_ones(variant):
    golden = shipped(variant)
    names = ("sentence_output", "word_features", "video_output", "frame_features")
    logits = _fused(Aosm(upcast(golden.state)), *(golden.out[name].float() for name in names))
    assert (logits - golden.out["logits"]).abs().max() < LOGITS


@pytest.mark.parametrize(("precision", "least", "most"), [("tf32", 0.0, 0.1), ("bf16", 1e-3, 1.0)])
def test_lower_precisions_are_near(precision, least, most):
    aosm, block = _model(64, 12, 20), _block(9, 12, 7, 20, 64)
    worst = (_fused(aosm, *block, precision=precision) - _exact(aosm, *block)).abs().max()
    assert least <= worst < most


def test_large_and_small_matrices_lose_no_bits():
    aosm, block = _model(32, 5, 4), _block(3, 5, 4, 4, 32)
    for factor in (1e-3, 3e2):
        scaled = _on_device(aosm).cpu()
        scaled.global_mat_weight *= factor
        scaled.local_mat_weight *= factor
        worst = (_fused(scaled, *block) - _exact(scaled, *block)).abs().max()
        assert worst < LOGITS * max(1, factor)


def test_an_entry_depends_on_its_own_text_and_video_only():
    aosm, block = _model(32, 12, 20), _block(17, 12, 21, 20, 32)
    block[3][::3, 7:] = block[3][0, 0].clone()
    whole = _fused(aosm, *block)
    for rows, columns in (
        (slice(3, 4), slice(8, 9)),
        (slice(1, 12), slice(0, 20)),
        (slice(16, 17), slice(5, 21)),
    ):
        cut = _fused(aosm, block[0][rows], block[1][rows], block[2][columns], block[3][columns])
        _assert_same(cut, whole[rows, columns])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_broken_text_or_video_spoils_its_own_row_or_column_only():
    aosm, block = _model(32, 5, 6), _block(9, 5, 10, 6, 32)
    sound = _fused(aosm, *block)
    block[1][2, 1, 3], block[3][4, 5, 0] = torch.nan, torch.inf
    scores = _fused(aosm, *block)
    broken = torch.zeros(9, 10, dtype=torch.bool)
    broken[2], broken[:, 4] = True, True
    assert torch.equal(~scores.isfinite(), broken)
    _assert_same(scores[~broken], sound[~broken])


def test_nothing_outside_of_the_block_is_read_or_written():
    texts, words, videos, frames, width = 5, 5, 7, 6, 32
    aosm = _on_device(_model(width, words, frames))
    block = [tensor.to(DEVICE) for tensor in _block(texts, words, videos, frames, width)]
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


def test_an_empty_block_has_no_scores():
    aosm, block = _model(16, 5, 4), _block(3, 5, 2, 4, 16)
    assert _fused(aosm, *(part[:0] for part in block[:2]), *block[2:]).shape == (0, 2)
    assert _fused(aosm, *block[:2], *(part[:0] for part in block[2:])).shape == (3, 0)


@pytest.mark.parametrize(("width", "words", "frames"), [(16, 129, 4), (16, 4, 129), (24, 4, 4)])
def test_sizes_that_do_not_fit_a_program_are_refused(width, words, frames):
    with pytest.raises(NoKernelError, match=f"{words} words x {frames} frames"):
        Fused(_model(width, words, frames), "fp32")


def test_a_gpu_that_runs_out_of_memory_scores_the_same_in_parts(monkeypatch, capsys):
    from xbench.scorers.xclip.fused import similarity

    aosm, block = _model(16, 5, 4), _block(3, 5, 9, 4, 16)
    whole, prepare = _fused(aosm, *block), similarity.prepare_videos

    def scarce(aosm: Aosm, video: torch.Tensor, *others):
        if len(video) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return prepare(aosm, video, *others)

    monkeypatch.setattr(similarity, "prepare_videos", scarce)
    _assert_same(_fused(aosm, *block), whole)
    assert capsys.readouterr().err.count("memory does not hold 9 videos") == 1


def test_features_that_come_again_are_not_prepared_again(monkeypatch):
    from xbench.scorers.xclip.fused import similarity

    seen: list[int] = []
    prepare = similarity.prepare_texts
    monkeypatch.setattr(
        similarity, "prepare_texts", lambda *texts: (seen.append(len(texts[0])), prepare(*texts))[1]
    )
    aosm, block = _model(16, 5, 4), _block(3, 5, 2, 4, 16)
    fused = Fused(_on_device(aosm), "fp32")
    first = fused(*block)
    assert torch.equal(fused(*block), first)
    assert seen == [3]
    block[1][0] = block[1][1]
    assert not torch.equal(fused(*block), first)
    assert seen == [3, 3]


def test_a_record_says_what_computed():
    fused = Fused(_on_device(_model(16, 5, 4)), "bf16")
    assert fused.settings["similarity"].startswith("fused, bf16, triton 3.")
    fused(*_block(3, 5, 2, 4, 16))
    assert fused.settings["similarity_tile"] in [str(tile) for tile in FINE]


@settings(deadline=None)
@given(value=st.floats(-1, 1, width=32), scale=st.sampled_from([1.0, 1e-4, 1e4]))
def test_pairs_keep_22_bits(value, scale):
    number = torch.tensor([value * scale])
    parts = parts_of(number, "fp16x3", bound=scale)
    back = parts.data.double().sum(dim=0) * parts.unit
    assert (back - number).abs() <= max(abs(value * scale) * 2**-22, scale * 2**-36)
