"""What training code wraps around weights is taken off and told; what would be a choice is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xbench.errors import ModelError
from xbench.scorers.weights import find_state, require_finite

WEIGHTS = {"clip.visual.proj": torch.arange(6.0).reshape(2, 3), "global_mat_weight": torch.eye(2)}
AVERAGE = {name: tensor + 1 for name, tensor in WEIGHTS.items()}


def before(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@given(st.lists(st.sampled_from(["module", "model", "_orig_mod", "_forward_module", "net"]), max_size=4))
def test_prefixes_of_all_names_are_taken_off_in_any_nesting_and_told(wrappers):
    found = find_state({"state_dict": before("".join(f"{name}." for name in wrappers), WEIGHTS)}, "x.pt")
    assert same(found.state, WEIGHTS)
    assert all(f"{name}." in " ".join(found.notes) for name in wrappers)
    assert bool(found.notes) == bool(wrappers)


def test_names_that_only_some_begin_with_are_the_models_own():
    state = before("model.", WEIGHTS) | {"temperature": torch.ones(1)}
    assert same(find_state(state, "x.pt").state, state)
    alone = {name: tensor for name, tensor in WEIGHTS.items() if name.startswith("clip.")}
    assert same(find_state(alone, "x.pt").state, alone)


def test_what_torch_compile_and_fsdp_put_inside_a_name_is_taken_off():
    inside = {"clip._orig_mod.visual._fsdp_wrapped_module.proj": WEIGHTS["clip.visual.proj"]}
    found = find_state(inside | {"global_mat_weight": WEIGHTS["global_mat_weight"]}, "x.pt")
    assert same(found.state, WEIGHTS)
    assert found.notes == ("taken off all names: _orig_mod., _fsdp_wrapped_module.",)
    with pytest.raises(ModelError, match="some weights twice"):
        find_state(WEIGHTS | before("_orig_mod.", WEIGHTS), "x.pt")


def test_modules_wrapped_by_torch_itself_load_as_plain_ones():
    model = nn.Sequential(nn.Linear(2, 3))
    plain = model.state_dict()
    assert same(find_state(torch.compile(model).state_dict(), "x.pt").state, plain)
    averaged = torch.optim.swa_utils.AveragedModel(model).state_dict()
    found = find_state(averaged, "x.pt")
    assert same(found.state, plain)
    assert "an average (n_averaged)" in found.notes[0]


BOTH = {
    "two state dicts": {"state_dict": WEIGHTS, "state_dict_ema": AVERAGE, "epoch": 3},
    "two models": {"model": before("module.", WEIGHTS), "model_ema": before("module.", AVERAGE)},
    "camel case": {"net": WEIGHTS, "netEMA": AVERAGE},
    "within another": {"state_dict": {"model": WEIGHTS, "ema": AVERAGE}},
    "modules of one": {"state_dict": before("model.", WEIGHTS) | before("model_ema.", AVERAGE)},
    "an averaging class": before("online_model.", WEIGHTS)
    | before("ema_model.", AVERAGE)
    | {"initted": torch.tensor(True), "step": torch.tensor(7)},
}


@pytest.mark.parametrize("loaded", BOTH.values(), ids=BOTH.keys())
def test_weights_and_their_average_in_one_file_need_a_word(loaded):
    with pytest.raises(ModelError, match=r"x\.pt holds weights .* and an average .*weights=ema"):
        find_state(loaded, "x.pt")
    assert same(find_state(loaded, "x.pt", "model").state, WEIGHTS)
    average = find_state(loaded, "x.pt", "ema")
    assert same(average.state, AVERAGE)
    assert "the average under" in average.notes[0]


def test_an_average_alone_is_taken_and_told_and_none_is_not_promised():
    found = find_state({"ema_state_dict": AVERAGE, "epoch": 3}, "x.pt")
    assert same(found.state, AVERAGE)
    assert "average" in found.notes[0]
    with pytest.raises(ModelError, match="holds no average of its weights"):
        find_state(WEIGHTS, "x.pt", "ema")
    with pytest.raises(ModelError, match="holds only an average"):
        find_state({"ema_state_dict": AVERAGE}, "x.pt", "model")


def test_several_state_dicts_are_told_by_name():
    with pytest.raises(ModelError, match="several state dicts: model, net"):
        find_state({"model": WEIGHTS, "net": AVERAGE}, "x.pt")


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.clip.visual.proj.lora_A.weight",
        "clip.visual.lora_B.default.weight",
        "clip.visual.proj.base_layer.weight",
        "clip.head.modules_to_save.default.weight",
    ],
)
def test_adapters_are_refused_by_name(name):
    with pytest.raises(ModelError, match=rf"adapters of PEFT \({name};.*merge_and_unload"):
        find_state({"state_dict": WEIGHTS | {name: torch.ones(1)}}, "x.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_a_parameter_that_is_not_finite_is_named_and_a_mask_may_be(value, kind):
    broken = torch.ones(3, 4, dtype=kind)
    broken[1, 2] = value
    with pytest.raises(ModelError, match=r"x\.pt holds NaN or infinite values in clip\.visual\.proj:"):
        require_finite(WEIGHTS | {"clip.visual.proj": broken}, "x.pt")
    require_finite(WEIGHTS | {"transformer.attn_mask": broken, "clip.causal_mask": broken}, "x.pt")


def test_large_values_whose_sum_overflows_are_finite():
    require_finite({"a": torch.full((10,), 60000.0, dtype=torch.float16)}, "x.pt")
    require_finite({"a": torch.full((10,), 3e38), "empty": torch.ones(0), "count": torch.tensor(3)}, "x.pt")
