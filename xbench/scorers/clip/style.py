"""What the shapes of CLIP weights do not tell, and the configuration beside them does.

The same shapes exist with QuickGELU (OpenAI) and GELU (most of open_clip's), and wide vision towers with
other heads than CLIP's of width 64: taken wrongly, either gives features that look right and score badly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from xbench.errors import ModelError
from xbench.readers import MIB, parse_json, read_at_most
from xbench.scorers.clip.sizes import HEAD_WIDTH

Activation = Literal["quick_gelu", "gelu"]
Rgb = tuple[float, float, float]

_MEAN: Rgb = (0.48145466, 0.4578275, 0.40821073)
_STD: Rgb = (0.26862954, 0.26130258, 0.27577711)
_OPEN_CLIP_KEYS = {
    "model_cfg": {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"},
    "vision_cfg": {"image_size", "layers", "width", "patch_size", "head_width"},
    "text_cfg": {"context_length", "vocab_size", "width", "heads", "layers"},
}
"""All that CLIP's own architecture needs; a configuration that says more is another architecture."""


@dataclass(frozen=True)
class Style:
    """Activation of both towers, width of their attention heads, and the mean and std of the pixels."""

    activation: Activation = "quick_gelu"
    text_head: int = HEAD_WIDTH
    vision_head: int = HEAD_WIDTH
    mean: Rgb = _MEAN
    std: Rgb = _STD


OPENAI = Style()
"""What OpenAI's weights have, and the weights of X-CLIP and CLIP4Clip, which start from them."""


def read_style(folder: Path) -> Style | None:
    """Read the style of the weights in a folder, as open_clip or transformers saves it; None if it says none.

    Raises ModelError for a configuration that is damaged or of another architecture than CLIP's.
    """
    for name, read in (("open_clip_config.json", _from_open_clip), ("config.json", _from_transformers)):
        path = folder / name
        if path.is_file():
            try:
                return read(_json(path), folder)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ModelError(
                    f"{path} is not the configuration of a CLIP model. Try --model hf."
                ) from error
    return None


def _from_transformers(config: Mapping[str, Any], folder: Path) -> Style:
    towers = [config.get("text_config") or {}, config.get("vision_config") or {}]
    activations = [tower.get("hidden_act", "quick_gelu") for tower in towers]
    if activations[0] != activations[1]:
        raise ModelError(
            f"{folder} says hidden_act {activations[0]!r} for texts, {activations[1]!r} for frames: CLIP "
            "has one for both towers. Try --model hf."
        )
    widths = [tower.get("hidden_size", default) for tower, default in zip(towers, (512, 768), strict=True)]
    heads = [
        tower.get("num_attention_heads", default) for tower, default in zip(towers, (8, 12), strict=True)
    ]
    eps = {tower.get("layer_norm_eps", 1e-5) for tower in towers}
    if eps != {1e-5}:
        raise ModelError(f"{folder}: layer_norm_eps is {eps}, CLIP's is 1e-05. Try --model hf.")
    pixels = folder / "preprocessor_config.json"
    pixel = _json(pixels) if pixels.is_file() else {}
    return Style(
        _activation(activations[0], folder),
        widths[0] // heads[0],
        widths[1] // heads[1],
        _rgb(pixel.get("image_mean", _MEAN)),
        _rgb(pixel.get("image_std", _STD)),
    )


def _from_open_clip(config: Mapping[str, Any], folder: Path) -> Style:
    model = config["model_cfg"]
    vision, text = model["vision_cfg"], model["text_cfg"]
    for name, found in (("model_cfg", model), ("vision_cfg", vision), ("text_cfg", text)):
        if other := sorted(found.keys() - _OPEN_CLIP_KEYS[name]):
            raise ModelError(
                f"{folder}: {name} in open_clip_config.json has {', '.join(other)}: another architecture "
                "than CLIP's, which xbench's `clip` does not build. Write a scorer for it, see"
                " docs/scorers.md."
            )
    pixel = config.get("preprocess_cfg", {})
    if (
        pixel.get("resize_mode", "shortest") != "shortest"
        or pixel.get("interpolation", "bicubic") != "bicubic"
    ):
        raise ModelError(f"{folder}: its frames are not resized as CLIP's are: {pixel}. Try --model hf.")
    return Style(
        "quick_gelu" if model.get("quick_gelu", False) else "gelu",
        text["width"] // text.get("heads", 8),
        vision.get("head_width", HEAD_WIDTH),
        _rgb(pixel.get("mean", _MEAN)),
        _rgb(pixel.get("std", _STD)),
    )


def _activation(name: str, folder: Path) -> Activation:
    found: dict[str, Activation] = {known: known for known in get_args(Activation)}
    if name not in found:
        raise ModelError(f"{folder}: hidden_act {name!r} is not an activation of CLIP. Try --model hf.")
    return found[name]


def _rgb(values: Any) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _json(path: Path) -> Any:
    return parse_json(read_at_most(path, MIB))
