"""The sizes of a checkpoint with weighted token interaction, HBI's or DRL's, read off its shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from xbench.errors import ModelError
from xbench.scorers.clip.kinds import refuse_other_models
from xbench.scorers.clip.sizes import (
    ClipSizes,
    RetrievalSizes,
    Shapes,
    check_lengths,
    check_shapes,
    infer_clip_sizes,
    infer_retrieval_sizes,
    retrieval_shapes,
    without_prefix,
)
from xbench.scorers.weights import State

TEXT, VIDEO = "text_weight_fc", "video_weight_fc"
_MOST = 3
"""Layers of the widest of DRL's three architectures."""
_UNUSED = re.compile(r"(text|video)_weight_fc[01]\.|[tv]_(ctm|block)[01]\.|banzhaf(model[01]?|teacher)\.")
"""HBI's higher levels: clusters of words and frames, their weights, the estimator of Banzhaf interactions.
The published evaluation gives them the weight 0, so no score depends on them."""


@dataclass(frozen=True)
class InteractionSizes:
    """Sizes of towers and temporal encoder, and of the networks that weight words and frames."""

    retrieval: RetrievalSizes
    hidden: tuple[int, ...]
    """Widths between the layers of a network: none for one layer."""
    unused: int
    """How many of the file's parameters no score depends on."""

    @property
    def clip(self) -> ClipSizes:
        """Of the towers."""
        return self.retrieval.clip

    @property
    def variant(self) -> str:
        """How frames see each other."""
        return self.retrieval.variant

    @property
    def words(self) -> int:
        """Of a text, start and end token among them."""
        return self.retrieval.words

    @property
    def frames(self) -> int:
        """Of a video."""
        return self.retrieval.frames

    @property
    def temporal_layers(self) -> int:
        """Of the temporal encoder."""
        return self.retrieval.temporal_layers


def used(state: State) -> State:
    """Return the parameters that a score depends on."""
    return {name: tensor for name, tensor in state.items() if not _UNUSED.match(name)}


def infer_sizes(state: State, source: str, *, words: int, frames: int) -> InteractionSizes:
    """Read the sizes off a state dict as training saves it, checked to be whole.

    Raises ModelError for another model's weights and for every parameter that is missing, not expected or of
    another shape.
    """
    refuse_other_models(state, source, "wti")
    own = used(state)
    towers = infer_clip_sizes(own, source, "clip.")
    sizes = infer_retrieval_sizes(towers, own, source, words=words, frames=frames)
    hidden = _hidden(own, source)
    check_shapes(own, retrieval_shapes(sizes) | weighting_shapes(towers.embed, hidden), source)
    check_lengths(sizes, source)
    return InteractionSizes(sizes, hidden, len(state) - len(own))


def weighting_shapes(width: int, hidden: tuple[int, ...]) -> Shapes:
    """Return the names and shapes of both networks; a single layer stands without a number."""
    shapes: Shapes = {}
    sides = [width, *hidden, 1]
    for side in (TEXT, VIDEO):
        for number in range(len(sides) - 1):
            name = f"{side}.{2 * number}" if hidden else side
            shapes[f"{name}.weight"] = (sides[number + 1], sides[number])
            shapes[f"{name}.bias"] = (sides[number + 1],)
    return shapes


def layers_of(state: Mapping[str, torch.Tensor], side: str) -> State:
    """Return the layers of one network, by their names without its own: `0.weight`, or `weight` alone."""
    return without_prefix(f"{side}.", state)


def _hidden(state: State, source: str) -> tuple[int, ...]:
    """Read the widths between the layers of the text's network; ReLUs stand between them, at odd numbers."""
    layers = layers_of(state, TEXT)
    if "weight" in layers:
        return ()
    numbers = [number for number in range(0, 2 * _MOST, 2) if f"{number}.weight" in layers]
    if numbers != list(range(0, 2 * len(numbers), 2)) or len(numbers) < 2:
        raise ModelError(
            f"{source}: {TEXT} has the layers {', '.join(sorted(layers)) or 'none'}: expected one to {_MOST} "
            "layers with a ReLU between them."
        )
    return tuple(
        layers[f"{number}.bias"].shape[0] if f"{number}.bias" in layers else 0 for number in numbers[:-1]
    )
