"""CLIP weights from wherever a user has them, brought to OpenAI's layout."""

from dataclasses import dataclass, replace
from pathlib import Path

from xbench.errors import ModelError
from xbench.registry.checkpoints import checkpoints
from xbench.registry.download import fetched
from xbench.scorers.clip.kinds import refuse_other_models
from xbench.scorers.clip.sizes import clip_from_transformers
from xbench.scorers.clip.style import OPENAI, Style, read_style
from xbench.scorers.weights import State, WeightFile, Which, may_be_hub_id, read_weights

_ARCHIVE_EXTRAS = ("input_resolution", "context_length", "vocab_size")
"""Integers that OpenAI's archives hold besides the parameters."""
_WEIGHT_FILES = (
    "model.safetensors",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
)


@dataclass(frozen=True)
class ClipWeights:
    """CLIP's parameters in OpenAI's layout, float32, and the file that they came from.

    style: what its shapes do not tell; None where nothing tells it.
    """

    file: WeightFile
    state: State
    style: Style | None


def load_clip(
    source: Path | str,
    *,
    trusted: frozenset[str] | None = None,
    which: Which | None = None,
    any_style: bool = False,
) -> ClipWeights:
    """Load CLIP weights from a backbone of checkpoints.yaml, a file, a folder or a Hugging Face hub id.

    Files: OpenAI's TorchScript archives (opened only when their sha256 is in `trusted`, by default those of
    checkpoints.yaml), state dicts in OpenAI's or transformers' layout. Folders and hub ids: a `CLIPModel` as
    transformers saves it, or as open_clip does. which: see `find_state`. Raises ModelError for anything else,
    and, unless `any_style`, for weights whose configuration says that they are not of OpenAI's style.
    """
    weights = _load(source, checkpoints().trusted if trusted is None else trusted, which)
    if not any_style and weights.style is not None:
        _refuse_other_styles(weights.style, weights.file.path)
    return weights


def _load(source: Path | str, trusted: frozenset[str], which: Which | None) -> ClipWeights:
    if str(source) in checkpoints().clip:
        how = "Pass the file with --clip FILE when you have it."
        return _from_file(fetched(checkpoints().clip[str(source)], how), checkpoints().trusted, which)
    path = Path(source)
    if path.is_dir():
        return _from_folder(path, which)
    if path.exists() or not may_be_hub_id(str(source)):
        return _from_file(path, trusted, which)
    return _from_folder(_from_hub(str(source)), which)


def _from_file(path: Path, trusted: frozenset[str], which: Which | None) -> ClipWeights:
    weights = read_weights(path, trusted, which=which)
    openai = weights.file.sha256 in trusted
    return ClipWeights(weights.file, _openai_layout(weights.state, path), OPENAI if openai else None)


def _from_folder(folder: Path, which: Which | None) -> ClipWeights:
    style = read_style(folder)
    for name in _WEIGHT_FILES:
        if (folder / name).is_file():
            return replace(_from_file(folder / name, frozenset(), which), style=style)
    raise ModelError(
        f"The folder {folder} holds no CLIP weights: {' or '.join(_WEIGHT_FILES[:2])} is expected."
    )


def _refuse_other_styles(style: Style, path: Path) -> None:
    if style.activation != OPENAI.activation:
        raise ModelError(
            f"{path.parent} says hidden_act {style.activation!r}; CLIP as X-CLIP uses it has quick_gelu, so "
            "these weights would give wrong features. Pass OpenAI's, or score these with --model clip."
        )
    if style != OPENAI:
        raise ModelError(
            f"{path.parent} says {style}; CLIP as X-CLIP uses it has {OPENAI}, so these weights would give "
            "wrong features. Pass OpenAI's, or score these with --model clip."
        )


def _openai_layout(state: State, path: Path) -> State:
    """Bring a state dict to OpenAI's layout; what does not fit is told by the check of names that follows.

    Raises ModelError for a trained model's checkpoint, naming the model that takes it.
    """
    refuse_other_models(state, str(path), "clip")
    if "text_model.embeddings.token_embedding.weight" not in state:
        return {name: tensor for name, tensor in state.items() if name not in _ARCHIVE_EXTRAS}
    try:
        return clip_from_transformers(state)
    except KeyError as error:
        raise ModelError(
            f"{path} looks like a transformers CLIPModel but lacks {error.args[0]!r}: save the whole"
            " model, one tower is not enough."
        ) from error


def _from_hub(hub_id: str) -> Path:
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        _first_of(hub_id, "config.json", "open_clip_config.json")
        _first_of(hub_id, "preprocessor_config.json")
        weights = _first_of(hub_id, *_WEIGHT_FILES)
    except (HfHubHTTPError, EntryNotFoundError, OSError) as error:
        raise ModelError(
            f"There is no file or folder {hub_id}, and the CLIP weights of that hub id cannot be had: "
            f"{str(error).splitlines()[0]} Pass a file or folder with --clip, or fetch it on a machine with "
            "network access and copy the hub cache."
        ) from error
    if weights is None:
        raise ModelError(
            f"The hub id {hub_id} holds no CLIP weights: expected {' or '.join(_WEIGHT_FILES)} in it."
        )
    return weights.parent


def _first_of(hub_id: str, *names: str) -> Path | None:
    """Return the first of the files that a repository has; what cannot be known offline raises."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names:
        try:
            return Path(hf_hub_download(hub_id, name))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            continue
    return None
