"""The sizes of a CLIP model, read off the shapes of its weights, and the names and shapes that they imply."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

import torch

from xbench.errors import ModelError

Shapes = dict[str, tuple[int, ...]]
"""Parameter name -> shape."""

_BACKBONES = {(768, 12): "ViT-B", (1024, 24): "ViT-L", (1280, 32): "ViT-H"}
HEAD_WIDTH = 64
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
    shape that CLIP never has.
    """
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
        raise ModelError(f"{source} lacks {name!r}: it is not a complete state dict of this model.")
    shape = tuple(state[name].shape)
    if len(shape) != dimensions:
        raise ModelError(f"{name!r} of {source} has the shape {list(shape)}, not {dimensions} dimensions.")
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
        raise ModelError(f"The parameters of {source} do not fit. {'. '.join(faults)}.")


def head_checked(width: int, tower: str, source: str) -> int:
    """Return `width` when CLIP's rule for attention heads (width // 64) works for it, else ModelError."""
    heads = width // HEAD_WIDTH
    if heads == 0 or width % heads:
        raise ModelError(
            f"The {tower} width {width} of {source} cannot be cut into {heads} heads, CLIP's width // 64."
        )
    return width


def _some(names: list[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
