"""Whose checkpoint a state dict is: models that share CLIP's towers are told apart by names only one has."""

from collections.abc import Iterable
from dataclasses import dataclass

from xbench.errors import ModelError


@dataclass(frozen=True)
class Kind:
    """A model's checkpoints."""

    model: str
    """As --model names it."""
    what: str
    has: tuple[str, ...]
    """What the names of parameters begin with that only it has."""


_MATRICES = ("global_mat", "local_mat", "word_logit", "frame_logit", "word_mat", "frame_mat")
_TRAINED = (
    Kind("xclip", "an X-CLIP checkpoint", tuple(f"{name}_weight" for name in _MATRICES)),
    Kind("xpool", "an X-Pool checkpoint", ("pool_frames.",)),
    Kind(
        "wti",
        "a checkpoint with weighted token interaction, as HBI's and DRL's are",
        ("text_weight_fc.", "video_weight_fc."),
    ),
    Kind("clip4clip", "CLIP4Clip's tightTransf", ("cross.", "similarity_dense.")),
    Kind("clip4clip", "a CLIP4Clip checkpoint", ("clip.visual.proj",)),
)
"""In this order: all have CLIP's towers, and CLIP4Clip's other types have nothing that is theirs alone."""
_PLAIN = Kind("clip", "plain CLIP weights", ("visual.proj", "text_model.", "vision_model."))


FAMILY = frozenset(kind.model for kind in (*_TRAINED, _PLAIN))
"""The models whose checkpoints can be told."""


def kind_of(names: Iterable[str]) -> Kind | None:
    """Return whose parameters these are; None for what is nobody's here."""
    own = list(names)
    return next(
        (kind for kind in (*_TRAINED, _PLAIN) if any(name.startswith(kind.has) for name in own)), None
    )


def refuse_other_models(names: Iterable[str], source: str, model: str, *, plain: str = "") -> None:
    """Raise ModelError, naming the right one, for another model's checkpoint than that of --model `model`.

    plain: what to say of plain CLIP weights instead of how to evaluate them as they are.
    """
    own = list(names)
    if any(name.startswith(("mit.", "prompts_")) or ".message_" in f".{name}" for name in own):
        raise ModelError(
            f"{source} is Microsoft's X-CLIP, an action-recognition model of the same name as the retrieval "
            "model of Ma et al. 2022 (arXiv:2207.07285), which is xbench's xclip. Score a folder that "
            "transformers saved of it with --model hf --checkpoint FOLDER."
        )
    kind = kind_of(own)
    if kind is None or kind.model == model:
        return
    if kind is _PLAIN:
        advice = plain or "evaluate them with --model clip --clip FILE."
        raise ModelError(f"{source} holds {kind.what}, not a checkpoint of {model}: {advice}")
    seen = next(name for name in own if name.startswith(kind.has))
    raise ModelError(
        f"{source} is {kind.what} (it has {seen}, ...), not {model}'s: evaluate it with --model {kind.model} "
        "--checkpoint FILE."
    )
