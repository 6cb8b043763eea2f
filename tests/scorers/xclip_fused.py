"""Small models and blocks for the fused kernels: compiled where there is a GPU, else interpreted."""

import pytest
import torch
from test_xclip_similarity import _features, _matrices

from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.fused.tuning import FINE, Tile
from xbench.terms import Precision

pytest.importorskip("triton", reason="the kernels are written in Triton")

from xbench.scorers.xclip.fused.similarity import Fused

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
HUNDRED = torch.tensor(4.6052)
"""The logit scale of trained models; tolerances of logits are for it."""


def model(width: int, words: int, frames: int, seed: int = 0) -> Aosm:
    generator = torch.Generator().manual_seed(seed)
    state = _matrices(generator, width, words, frames) | {"clip.logit_scale": HUNDRED}
    return Aosm(state).requires_grad_(False)


def block_of(texts: int, words: int, videos: int, frames: int, width: int, *, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return (*_features(generator, texts, words, width), *_features(generator, videos, frames, width))


def exact(aosm: Aosm, *features: torch.Tensor) -> torch.Tensor:
    """The logits in float64."""
    double = _copy(aosm, torch.float64)
    return double(*(tensor.double() for tensor in features)).detach()


def fused(
    aosm: Aosm, *features: torch.Tensor, precision: Precision = "fp32", tile: Tile = FINE[0]
) -> torch.Tensor:
    scorer = Fused(on_device(aosm), precision)
    scorer._tile = tile
    return scorer(*features).cpu()


def assert_same(scores: torch.Tensor, expected: torch.Tensor) -> None:
    """To the bit on a GPU; NumPy, with which the interpreter computes, adds up by the place in memory."""
    if DEVICE.type == "cuda":
        assert torch.equal(scores, expected)
    assert (scores - expected).abs().max() < 2e-5


def on_device(aosm: Aosm) -> Aosm:
    return _copy(aosm, torch.float32).to(DEVICE)


def _copy(aosm: Aosm, dtype: torch.dtype) -> Aosm:
    state = {name: value.detach().to(dtype, copy=True) for name, value in aosm.named_parameters()}
    return Aosm(state | {"clip.logit_scale": state["logit_scale"]}).requires_grad_(False)
