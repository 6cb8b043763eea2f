"""The golden X-CLIP models: weights, inputs and every intermediate of the published code.

The files in tests/fixtures/xclip are cut from the golden folder: the first four of seven videos, valid frames
only, and of meanP and seqLSTM, whose towers are the same code with other numbers, what follows the towers.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from xbench.scorers.clip.sizes import RetrievalSizes, without_prefix
from xbench.scorers.clip.towers import build_temporal, pool, unit
from xbench.scorers.weights import State
from xbench.scorers.xclip.aosm import Aosm, Grains
from xbench.scorers.xclip.model import XClipModel
from xbench.scorers.xclip.sizes import infer_sizes

FIXTURES = Path(__file__).parent.parent / "fixtures" / "xclip"
LOGITS, FRAME_WORD, OTHERS = 2e-4, 1e-3, 1e-4


@dataclass(frozen=True)
class Golden:
    """One golden model: `state` as the checkpoint holds it, `mask` bool [V, F], `out` by its golden name."""

    state: State
    tokens: torch.Tensor
    mask: torch.Tensor
    frames: torch.Tensor | None
    out: State
    fp16: State


def shipped(variant: str) -> Golden:
    """Return the golden model of a variant, cut to what ships with the tests."""
    tensors = load_file(FIXTURES / f"{variant}.safetensors")
    mask = tensors["in.video_mask"].bool()
    frames = None
    if "in.frames" in tensors:
        valid = tensors["in.frames"].float()
        frames = torch.zeros(*mask.shape, *valid.shape[1:])
        frames[mask] = valid
    return _golden(tensors, mask, frames)


def complete(variant: str, shared: Path) -> Golden:
    """Return the golden model of a variant in full."""
    tensors = load_file(shared / "golden" / f"xclip_tiny_{variant}.safetensors")
    return _golden(tensors, tensors["in.video_mask"].bool(), tensors["in.video"].float())


def _golden(tensors: State, mask: torch.Tensor, frames: torch.Tensor | None) -> Golden:
    return Golden(
        state=without_prefix("state.", tensors),
        tokens=tensors["in.input_ids"],
        mask=mask,
        frames=frames,
        out=without_prefix("out.", tensors),
        fp16=without_prefix("out_fp16clip.", tensors),
    )


def upcast(state: State) -> State:
    return {name: tensor.float() for name, tensor in state.items()}


def whole_sizes() -> RetrievalSizes:
    """The sizes of the golden seqTransf model; those of the others differ in the variant only."""
    return infer_sizes(upcast(shipped("seqTransf").state), "the golden model")


@dataclass(frozen=True)
class Computed:
    """What this implementation computes, under the golden names."""

    out: State

    def worst(self, golden: State) -> dict[str, float]:
        return {name: (self.out[name] - golden[name]).abs().max().item() for name in self.out}


def after_towers(state: State, sizes: RetrievalSizes, golden: Golden) -> Computed:
    """Run everything after the towers on the golden towers' output."""
    temporal = build_temporal(sizes, state)(golden.out["visual_output"], golden.mask)
    words = unit(golden.out["seq_features"])
    sentence = unit(golden.out["sequence_output"][:, 0])
    video, frames = pool(temporal, golden.mask), unit(golden.out["visual_output"])
    return _scored(Aosm(state), (sentence, words, video, frames), {"temporal_output": temporal})


def whole(model: XClipModel, golden: Golden) -> Computed:
    """Run the whole model from token ids and pixels."""
    assert golden.frames is not None
    images = model.encode_frames(golden.frames, golden.mask)
    sentence, words = model.texts(golden.tokens)
    video, frames = model.videos(images, golden.mask)
    before = {
        "visual_output": images,
        "seq_features": model.towers.words(golden.tokens).float(),
        "temporal_output": model.temporal(images, golden.mask),
    }
    return _scored(model.aosm, (sentence, words, video, frames), before)


def _scored(aosm: Aosm, features: tuple[torch.Tensor, ...], before: State) -> Computed:
    sentence, words, video, frames = features
    grains: Grains = aosm.grains(sentence, words, video, frames)
    scale = aosm.logit_scale.exp()
    return Computed(
        before
        | {
            "sentence_output": sentence,
            "word_features": words,
            "video_output": video,
            "frame_features": frames,
            "video_sentence_logits": grains.coarse * scale,
            "video_word_logits": grains.video_word * scale,
            "sentence_frame_logits": grains.sentence_frame * scale,
            "frame_word_logits": grains.fine * scale,
            "sent2frame_logits": grains.to_frames,
            "video2word_logits": grains.to_words,
            "logits": aosm(*features),
        }
    )


def tolerance(name: str) -> float:
    return {"logits": LOGITS, "frame_word_logits": FRAME_WORD}.get(name, OTHERS)
