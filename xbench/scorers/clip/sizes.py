"""CLIP's sizes, read off the shapes of its weights, the names and layouts that they imply, its variants."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Literal, get_args

import torch

from xbench.errors import ModelError
from xbench.scorers.weights import State

Shapes = dict[str, tuple[int, ...]]
"""Parameter name -> shape."""

_BACKBONES = {(768, 12): "ViT-B", (1024, 24): "ViT-L", (1280, 32): "ViT-H"}
HEAD_WIDTH = 64
_FITTING = "Pass the weights of such a model, whole."
"""CLIP's attention heads are 64 wide, whatever the width: heads = width // 64."""


@dataclass(frozen=True)
class ClipSizes:
    """Everything that a CLIP state dict leaves open about the architecture."""

    embed: int
    image: int
    patch: int
    vision_width: int
    vision_layers: int
    context: int
    vocabulary: int
    text_width: int
    text_layers: int

    @property
    def backbone(self) -> str:
        """Name of the vision tower, e.g. `ViT-B/32`; width x layers for one that is not published."""
        size = (self.vision_width, self.vision_layers)
        return f"{_BACKBONES.get(size, 'ViT-{}x{}'.format(*size))}/{self.patch}"


def infer_clip_sizes(state: Mapping[str, torch.Tensor], source: str, prefix: str = "") -> ClipSizes:
    """Read the sizes of CLIP weights in OpenAI's layout whose names begin with `prefix`.

    `source` names the file in messages. Raises ModelError naming the first parameter that is missing or has a
    shape that CLIP never has, and for patches that span several frames.
    """
    _refuse_patches_over_time(state, source, prefix)
    vocabulary, text_width = shape_of(state, f"{prefix}token_embedding.weight", 2, source)
    context, _ = shape_of(state, f"{prefix}positional_embedding", 2, source)
    vision_width, _, patch, _ = shape_of(state, f"{prefix}visual.conv1.weight", 4, source)
    positions, _ = shape_of(state, f"{prefix}visual.positional_embedding", 2, source)
    _, embed = shape_of(state, f"{prefix}visual.proj", 2, source)
    return ClipSizes(
        embed=embed,
        image=patch * isqrt(positions - 1),
        patch=patch,
        vision_width=head_checked(vision_width, "vision", source),
        vision_layers=count_blocks(state, f"{prefix}visual.transformer."),
        context=context,
        vocabulary=vocabulary,
        text_width=head_checked(text_width, "text", source),
        text_layers=count_blocks(state, f"{prefix}transformer."),
    )


_KERNEL_OVER_TIME = 5
"""Dimensions of a convolution's weight over time, height and width; one over a picture has four."""


def _refuse_patches_over_time(state: Mapping[str, torch.Tensor], source: str, prefix: str) -> None:
    for name in (f"{prefix}visual.conv2.weight", f"{prefix}visual.conv1.weight"):
        if name in state and state[name].dim() == _KERNEL_OVER_TIME:
            raise ModelError(
                f"{source} was trained with --linear_patch 3d ({name} is {list(state[name].shape)}: its "
                "patches span several frames): pass one with 2d patches, the default of CLIP4Clip and X-CLIP."
            )


def clip_shapes(sizes: ClipSizes) -> Shapes:
    """Return the names and shapes of all parameters of CLIP in OpenAI's layout."""
    text, vision = sizes.text_width, sizes.vision_width
    shapes: Shapes = {
        "logit_scale": (),
        "token_embedding.weight": (sizes.vocabulary, text),
        "positional_embedding": (sizes.context, text),
        "text_projection": (text, sizes.embed),
        "visual.class_embedding": (vision,),
        "visual.conv1.weight": (vision, 3, sizes.patch, sizes.patch),
        "visual.positional_embedding": ((sizes.image // sizes.patch) ** 2 + 1, vision),
        "visual.proj": (vision, sizes.embed),
    }
    for norm, width in (("ln_final", text), ("visual.ln_pre", vision), ("visual.ln_post", vision)):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    shapes |= block_shapes("transformer.", text, sizes.text_layers)
    return shapes | block_shapes("visual.transformer.", vision, sizes.vision_layers)


def block_shapes(prefix: str, width: int, layers: int) -> Shapes:
    """Return the names and shapes of `layers` residual attention blocks."""
    block: Shapes = {
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "attn.out_proj.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width),
        "mlp.c_proj.bias": (width,),
    }
    for norm in ("ln_1", "ln_2"):
        block |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    return {
        f"{prefix}resblocks.{number}.{name}": shape
        for number in range(layers)
        for name, shape in block.items()
    }


def count_blocks(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    """Return how many residual attention blocks there are under `prefix`."""
    start = f"{prefix}resblocks."
    return len({name[len(start) :].split(".")[0] for name in state if name.startswith(start)})


def shape_of(state: Mapping[str, torch.Tensor], name: str, dimensions: int, source: str) -> tuple[int, ...]:
    """Return the shape of a parameter; ModelError when it is missing or has another number of dimensions."""
    if name not in state:
        raise ModelError(
            f"{source} lacks {name!r}: it is not a complete state dict of this model. {_FITTING}"
        )
    shape = tuple(state[name].shape)
    if len(shape) != dimensions:
        raise ModelError(
            f"{name!r} of {source} has the shape {list(shape)}, not {dimensions} dimensions. {_FITTING}"
        )
    return shape


def check_shapes(state: Mapping[str, torch.Tensor], expected: Shapes, source: str) -> None:
    """Raise ModelError naming every parameter that is missing, is not expected, or has another shape."""
    missing = [name for name in expected if name not in state]
    extra = [name for name in state if name not in expected]
    wrong = [
        f"{name} {list(state[name].shape)}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    faults = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (("missing", missing), ("not expected", extra), ("of another shape", wrong))
        if names
    ]
    if faults:
        raise ModelError(f"The parameters of {source} do not fit. {'. '.join(faults)}. {_FITTING}")


def head_checked(width: int, tower: str, source: str) -> int:
    """Return `width` when CLIP's rule for attention heads (width // 64) works for it, else ModelError."""
    heads = width // HEAD_WIDTH
    if heads == 0 or width % heads:
        raise ModelError(
            f"The {tower} width {width} of {source} cannot be cut into {heads} heads, CLIP's width // 64."
            f" {_FITTING}"
        )
    return width


def _some(names: list[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


_QKV = ("q", "k", "v")
_LAYER_NAMES = (
    ("attn.out_proj", "self_attn.out_proj"),
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
)
_NAMES = (
    ("logit_scale", "logit_scale"),
    ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("ln_final.weight", "text_model.final_layer_norm.weight"),
    ("ln_final.bias", "text_model.final_layer_norm.bias"),
    ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"),
    ("visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"),
    ("visual.ln_post.weight", "vision_model.post_layernorm.weight"),
    ("visual.ln_post.bias", "vision_model.post_layernorm.bias"),
)
_TRANSPOSED = (
    ("text_projection", "text_projection.weight"),
    ("visual.proj", "visual_projection.weight"),
)
_BLOCKS = (
    ("transformer.", "text_model.encoder."),
    ("visual.transformer.", "vision_model.encoder."),
)


def clip_to_transformers(state: Mapping[str, torch.Tensor]) -> State:
    """Turn a CLIP state dict in OpenAI's layout into that of `transformers.CLIPModel`."""
    renamed = {new: state[old] for old, new in _NAMES}
    renamed |= {new: state[old].T.contiguous() for old, new in _TRANSPOSED}
    for old, new in _BLOCKS:
        renamed |= with_prefix(new, blocks_to_transformers(without_prefix(old, state)))
    return renamed


def clip_from_transformers(state: Mapping[str, torch.Tensor]) -> State:
    """The inverse of `clip_to_transformers`; buffers and what CLIP's layout does not have are left out."""
    renamed = {old: state[new] for old, new in _NAMES}
    renamed |= {old: state[new].T.contiguous() for old, new in _TRANSPOSED}
    for old, new in _BLOCKS:
        renamed |= with_prefix(old, blocks_from_transformers(without_prefix(new, state)))
    return renamed


def blocks_to_transformers(blocks: Mapping[str, torch.Tensor]) -> State:
    """Turn `resblocks.N.*` into the `layers.N.*` of `transformers`' CLIP encoder."""
    renamed: State = {}
    for name, tensor in blocks.items():
        number, rest = name.removeprefix("resblocks.").split(".", 1)
        if rest.startswith("attn.in_proj_"):
            kind = rest.removeprefix("attn.in_proj_")
            for letter, part in zip(_QKV, tensor.chunk(3), strict=True):
                renamed[f"layers.{number}.self_attn.{letter}_proj.{kind}"] = part
        else:
            renamed[f"layers.{number}.{_replaced(rest, _LAYER_NAMES)}"] = tensor
    return renamed


def blocks_from_transformers(layers: Mapping[str, torch.Tensor]) -> State:
    """The inverse of `blocks_to_transformers`."""
    back = [(new, old) for old, new in _LAYER_NAMES]
    renamed: State = {}
    for name, tensor in layers.items():
        number, rest = name.removeprefix("layers.").split(".", 1)
        if rest.startswith("self_attn.q_proj."):
            kind = rest.removeprefix("self_attn.q_proj.")
            parts = [layers[f"layers.{number}.self_attn.{letter}_proj.{kind}"] for letter in _QKV]
            renamed[f"resblocks.{number}.attn.in_proj_{kind}"] = torch.cat(parts)
        elif not rest.startswith(("self_attn.k_proj.", "self_attn.v_proj.")):
            renamed[f"resblocks.{number}.{_replaced(rest, back)}"] = tensor
    return renamed


def without_prefix(prefix: str, state: Mapping[str, torch.Tensor]) -> State:
    """Return the entries whose name begins with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}


def with_prefix(prefix: str, state: Mapping[str, torch.Tensor]) -> State:
    """Return the entries with `prefix` before their names."""
    return {prefix + name: tensor for name, tensor in state.items()}


def _replaced(name: str, pairs: "tuple[tuple[str, str], ...] | list[tuple[str, str]]") -> str:
    for old, new in pairs:
        if name.startswith(f"{old}."):
            return new + name[len(old) :]
    return name


Variant = Literal["seqTransf", "meanP", "seqLSTM"]
"""How frame features become a video feature: temporal transformer, masked mean, or LSTM."""

VARIANTS: tuple[Variant, ...] = get_args(Variant)
POSITIONS = "frame_position_embeddings.weight"


@dataclass(frozen=True)
class RetrievalSizes:
    """Sizes of the CLIP towers, the variant, and the numbers of words, frames and temporal layers."""

    clip: ClipSizes
    variant: Variant | Literal["tightTransf"]
    words: int
    frames: int
    temporal_layers: int
    """Of tightTransf those of the cross encoder."""
    positions: int
    """Rows of the frame position embeddings, or of the cross encoder's; 0 where the variant has none."""


def infer_retrieval_sizes(
    clip: ClipSizes, state: Mapping[str, torch.Tensor], source: str, *, words: int, frames: int
) -> RetrievalSizes:
    """Read the variant off a state dict with towers of the sizes `clip`.

    `source` names the file in messages. Raises ModelError when the frame positions are missing.
    """
    variant = _variant_of(state)
    return RetrievalSizes(
        clip=clip,
        variant=variant,
        words=words,
        frames=frames,
        temporal_layers=_temporal_layers_of(state, variant),
        positions=0 if variant == "meanP" else shape_of(state, POSITIONS, 2, source)[0],
    )


def retrieval_shapes(sizes: RetrievalSizes) -> Shapes:
    """Return the names and shapes of the towers' and the temporal encoder's parameters."""
    width = sizes.clip.embed
    shapes = {f"clip.{name}": shape for name, shape in clip_shapes(sizes.clip).items()}
    if sizes.variant != "meanP":
        shapes[POSITIONS] = (sizes.positions, width)
    if sizes.variant == "seqTransf":
        shapes |= block_shapes("transformerClip.", width, sizes.temporal_layers)
    if sizes.variant == "seqLSTM":
        for kind in ("ih", "hh"):
            shapes[f"lstm_visual.weight_{kind}_l0"] = (4 * width, width)
            shapes[f"lstm_visual.bias_{kind}_l0"] = (4 * width,)
    return shapes


def check_lengths(sizes: RetrievalSizes, source: str) -> None:
    """Raise ModelError for more words or frames than their encoders have positions."""
    if sizes.words > sizes.clip.context:
        raise ModelError(
            f"{source} scores {sizes.words} words, more than the {sizes.clip.context} of its text encoder."
            f" {_FITTING}"
        )
    if sizes.variant == "seqTransf" and sizes.frames > sizes.positions:
        raise ModelError(
            f"{source} scores {sizes.frames} frames, more than its {sizes.positions} frame positions."
            f" {_FITTING}"
        )


def _variant_of(state: Mapping[str, torch.Tensor]) -> Variant:
    """Tell the variant by the parameters that only it has."""
    if any(name.startswith("transformerClip.") for name in state):
        return "seqTransf"
    return "seqLSTM" if any(name.startswith("lstm_visual.") for name in state) else "meanP"


def _temporal_layers_of(state: Mapping[str, torch.Tensor], variant: Variant) -> int:
    """Return the number of layers of the temporal encoder; 0 for meanP."""
    if variant == "seqTransf":
        return count_blocks(state, "transformerClip.")
    return 1 if variant == "seqLSTM" else 0
