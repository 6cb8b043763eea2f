"""The image processor of a model of transformers, by Pillow, and one that stands in for a video processor."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xbench.errors import ModelError
from xbench.storage import scratch

_STEPS = (
    "size",
    "resample",
    "do_resize",
    "do_center_crop",
    "crop_size",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_convert_rgb",
)
"""What a video processor does to a frame, by the names that image processors have for it."""
_TOLD = ("size", "do_normalize")
"""What must be told, for each class has defaults of its own."""


def image_processor(source: str) -> Any:
    """Load the image processor of a folder or hub id. Raises whatever transformers raises."""
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(source, trust_remote_code=False, **_with_pillow())


def video_settings(source: str) -> Mapping[str, Any] | None:
    """Return what the video processor of a folder or hub id does to a frame, None where it has none."""
    from transformers.models.auto.video_processing_auto import get_video_processor_config

    found: Mapping[str, Any] = get_video_processor_config(source)
    return found if "video_processor_type" in found else None


def frames_processor(source: str, settings: Mapping[str, Any]) -> Any:
    """Return an image processor that does to a frame what a video processor's settings say.

    transformers' video processors compute with torchvision, whose pixels differ a little. Raises ModelError
    for settings that leave out what each class has its own default for.
    """
    untold = [name for name in _TOLD if settings.get(name) is None]
    if untold:
        raise ModelError(
            f"The video processor of {source} does not tell its {' and '.join(untold)}: write it into "
            "video_preprocessor_config.json."
        )
    steps = {name: settings[name] for name in _STEPS if settings.get(name) is not None}
    steps = {"do_center_crop": False, **steps, "image_processor_type": "CLIPImageProcessor"}
    with scratch() as folder:
        (Path(folder) / "preprocessor_config.json").write_text(json.dumps(steps))
        return image_processor(str(folder))


def _with_pillow() -> dict[str, Any]:
    """Ask for the image processor that computes with Pillow; the other kind needs torchvision and differs in
    some pixels. Version 5 of transformers names it in another way."""
    since_5 = importlib.util.find_spec("transformers.image_processing_backends") is not None
    return {"backend": "pil"} if since_5 else {"use_fast": False}
