"""Every stored intermediate of the published code, within the tolerances of the golden files."""

from dataclasses import replace

import pytest
import torch
from xclip_golden import (
    Computed,
    Golden,
    after_towers,
    complete,
    shipped,
    tolerance,
    upcast,
    whole,
    whole_sizes,
)

from xbench.scorers.clip.sizes import VARIANTS
from xbench.scorers.clip.towers import in_half
from xbench.scorers.xclip.model import XClipModel
from xbench.scorers.xclip.sizes import infer_sizes


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def _assert_within_tolerance(computed: Computed, golden: Golden) -> None:
    worst = computed.worst(golden.out)
    assert {name: value for name, value in worst.items() if not value <= tolerance(name)} == {}


def _model(golden: Golden) -> XClipModel:
    state = upcast(golden.state)
    return XClipModel(infer_sizes(state, "the golden model"), state)


def test_all_intermediates_of_seqtransf_from_pixels_and_tokens_to_logits():
    golden = shipped("seqTransf")
    _assert_within_tolerance(whole(_model(golden), golden), golden)


@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_after_the_towers_in_each_variant(variant):
    golden = shipped(variant)
    sizes = replace(whole_sizes(), variant=variant)
    _assert_within_tolerance(after_towers(upcast(golden.state), sizes, golden), golden)


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_intermediates_of_the_complete_golden_files(variant, shared):
    golden = complete(variant, shared)
    computed = whole(_model(golden), golden)
    _assert_within_tolerance(computed, golden)
    assert set(golden.out) - set(computed.out) == {"sequence_output"}, "an intermediate is not compared"


def _half(golden: Golden, dtype: torch.dtype) -> Computed:
    model = _model(golden)
    in_half(model.towers, dtype)
    assert golden.frames is not None
    return whole(model, replace(golden, frames=golden.frames.to(dtype)))


def test_fp16_towers_are_within_a_tenth_of_the_published_gpu_evaluation():
    golden = shipped("seqTransf")
    assert _half(golden, torch.float16).worst(golden.out)["logits"] < 0.1
    logits = _half(golden, torch.float16).out["logits"]
    assert (logits - golden.fp16["logits"]).abs().max() < 0.1


@pytest.mark.parametrize("variant", VARIANTS)
def test_fp16_towers_of_the_complete_golden_files(variant, shared):
    golden = complete(variant, shared)
    computed = _half(golden, torch.float16)
    assert (computed.out["logits"] - golden.fp16["logits"]).abs().max() < 0.1
    assert (computed.out["visual_output"] - golden.fp16["visual_output"]).abs().max() < 2e-3


def test_bf16_keeps_the_towers_in_bf16_and_the_rest_in_float32():
    golden = shipped("seqTransf")
    computed = _half(golden, torch.bfloat16)
    assert computed.out["logits"].dtype == torch.float32
    assert 0.01 < computed.worst(golden.out)["logits"] < 1.0


def test_the_state_dict_of_a_built_model_is_the_checkpoint_bit_for_bit():
    golden = shipped("seqTransf")
    state = upcast(golden.state)
    back = _model(golden).official_state()
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_gradients_reach_every_parameter():
    with torch.inference_mode(False), torch.enable_grad():
        golden = shipped("seqTransf")
        model = _model(golden)
        whole(model, golden).out["logits"].sum().backward()
        without = [name for name, value in model.named_parameters() if value.grad is None]
    # CLIP's own copy of the scale is not used: the similarity has it.
    assert without == ["towers.clip.logit_scale"]
