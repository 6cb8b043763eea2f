"""Each plausible mistake moves the logits past the tolerance, so the golden tests would catch it."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import nn
from xclip_golden import LOGITS, Golden, complete, shipped, upcast, whole

from xbench.scorers.clip.sizes import VARIANTS
from xbench.scorers.clip.towers import AttentionBlocks, pool, unit
from xbench.scorers.weights import State
from xbench.scorers.xclip.model import XClipModel
from xbench.scorers.xclip.sizes import infer_sizes

MATRICES = (
    "global_mat_weight",
    "word_logit_weight",
    "frame_logit_weight",
    "local_mat_weight",
    "word_mat_weight",
    "frame_mat_weight",
    "word_mat_weight2",
    "frame_mat_weight2",
)

StateMistake = Callable[[State], None]


def _transpose(name: str) -> StateMistake:
    return lambda state: state.update({name: state[name].T.contiguous()})


def _identity(name: str) -> StateMistake:
    return lambda state: state.update({name: torch.eye(len(state[name]))})


def _swap(one: str, other: str) -> StateMistake:
    return lambda state: state.update({one: state[other], other: state[one]})


def _swap_gates(state: State) -> None:
    for name in [name for name in state if name.startswith("lstm_visual.")]:
        first, second, *rest = state[name].chunk(4)
        state[name] = torch.cat([second, first, *rest])


def _no_positions(state: State) -> None:
    state["frame_position_embeddings.weight"] = torch.zeros_like(state["frame_position_embeddings.weight"])


STATE_MISTAKES: dict[str, StateMistake] = (
    {f"{name}_transposed": _transpose(name) for name in MATRICES}
    | {f"{name}_identity": _identity(name) for name in MATRICES}
    | {
        "swap_word_mat_1_2": _swap("word_mat_weight", "word_mat_weight2"),
        "swap_frame_mat_1_2": _swap("frame_mat_weight", "frame_mat_weight2"),
        "no_frame_position_embeddings": _no_positions,
        "lstm_two_gate_rows_swapped": _swap_gates,
    }
)

ModelMistake = Callable[[XClipModel], None]


def _eps(part: Callable[[XClipModel], nn.Module], eps: float) -> ModelMistake:
    def change(model: XClipModel) -> None:
        for norm in part(model).modules():
            if isinstance(norm, nn.LayerNorm):
                norm.eps = eps

    return change


def _erf_gelu(part: Callable[[XClipModel], nn.Module]) -> ModelMistake:
    def change(model: XClipModel) -> None:
        for module in part(model).modules():
            if hasattr(module, "activation_fn"):
                module.activation_fn = nn.GELU()

    return change


def _no_ln_pre(model: XClipModel) -> None:
    model.towers.clip.vision_model.pre_layrnorm = nn.Identity()


def _unmasked_attention(model: XClipModel) -> None:
    blocks = next(part for part in model.modules() if isinstance(part, AttentionBlocks))
    run = blocks.forward
    blocks.forward = lambda sequence, bias: run(sequence, torch.zeros_like(bias))


Change = Callable[[torch.Tensor, torch.Tensor, XClipModel, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def _after_temporal(change: Change) -> ModelMistake:
    """Replace what follows the towers: change(images, temporal, model, mask) gives (video, frames)."""

    def apply(model: XClipModel) -> None:
        model.videos = lambda images, mask: change(images, model.temporal(images, mask), model, mask)

    return apply


def _all_valid(
    images: torch.Tensor, _: torch.Tensor, model: XClipModel, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    everything = torch.ones_like(mask)
    return pool(model.temporal(images, everything), everything), unit(images)


MODEL_MISTAKES: dict[str, ModelMistake] = {
    "clip_layernorm_eps_1e-12": _eps(lambda model: model.towers, 1e-12),
    "temporal_layernorm_eps_1e-5": _eps(lambda model: model.temporal, 1e-5),
    "clip_erf_gelu": _erf_gelu(lambda model: model.towers),
    "temporal_erf_gelu": _erf_gelu(lambda model: model.temporal),
    "no_ln_pre": _no_ln_pre,
    "temporal_attention_unmasked": _unmasked_attention,
    "frame_features_from_temporal_output": _after_temporal(
        lambda images, temporal, _, mask: (pool(temporal, mask), unit(temporal))
    ),
    "no_residual_around_temporal": _after_temporal(
        lambda images, temporal, _, mask: (pool(temporal - images, mask), unit(images))
    ),
    "video_mask_all_ones": _after_temporal(_all_valid),
}


def _deviation(golden: Golden, mistake: str) -> float:
    state = upcast(golden.state)
    if mistake in STATE_MISTAKES:
        STATE_MISTAKES[mistake](state)
    model = XClipModel(infer_sizes(state, "the golden model"), state)
    if mistake in MODEL_MISTAKES:
        MODEL_MISTAKES[mistake](model)
    with torch.inference_mode():
        return whole(model, golden).worst(golden.out)["logits"]


ALL = STATE_MISTAKES | MODEL_MISTAKES
SEQTRANSF = [name for name in ALL if name != "lstm_two_gate_rows_swapped"]


@pytest.mark.parametrize("mistake", SEQTRANSF)
def test_a_mistake_in_seqtransf_is_caught(mistake):
    golden = shipped("seqTransf")
    assert _deviation(golden, mistake) > LOGITS


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_mistake_moves_the_logits_as_far_as_the_published_code_did(variant, shared):
    recorded = json.loads((shared / "golden" / "sensitivity.json").read_text())[f"tiny_{variant}"]
    golden = complete(variant, shared)
    # Which two gates the record swapped is not known.
    known = set(ALL) - {"lstm_two_gate_rows_swapped"}
    wanted = {name: value for name, value in recorded.items() if name in known and value > 0}
    assert len(wanted) > 20
    for mistake, value in wanted.items():
        assert _deviation(golden, mistake) == pytest.approx(value, rel=0.05, abs=2e-5), mistake


def test_swapped_lstm_gates_are_caught(shared):
    assert _deviation(complete("seqLSTM", shared), "lstm_two_gate_rows_swapped") > LOGITS


def test_what_stands_at_padded_positions_is_seen_by_the_similarity():
    golden = shipped("seqTransf")
    noise = torch.randn(golden.out["visual_output"].shape, generator=torch.Generator().manual_seed(0))
    model = XClipModel(infer_sizes(upcast(golden.state), ""), upcast(golden.state))
    images = torch.where(golden.mask[..., None], golden.out["visual_output"], noise)
    with torch.inference_mode():
        sentence, words = model.texts(golden.tokens)
        logits = model.aosm(sentence, words, *model.videos(images, golden.mask))
        zeroed = words * (golden.tokens != 0)[..., None]
        without_padding = model.aosm(
            sentence, zeroed, *model.videos(golden.out["visual_output"], golden.mask)
        )
    assert (logits - golden.out["logits"]).abs().max() > 1
    assert (without_padding - golden.out["logits"]).abs().max() > 1


def test_masking_by_a_million_equals_masking_by_infinity():
    golden = shipped("seqTransf")
    state = upcast(golden.state)
    model = XClipModel(infer_sizes(state, ""), state)
    blocks = next(part for part in model.modules() if isinstance(part, AttentionBlocks))
    run = blocks.forward
    blocks.forward = lambda sequence, bias: run(sequence, torch.where(bias < 0, -torch.inf, 0.0))
    with torch.inference_mode():
        assert whole(model, golden).worst(golden.out)["logits"] <= LOGITS
