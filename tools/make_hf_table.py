"""Write docs/hf-models.md: which classes of the installed transformers `--model hf` runs, and why not others.

python -m tools.make_hf_table            # writes the page; takes minutes
python -m tools.make_hf_table CLIPModel  # tries one class and says what happened

Each class that gives a text a vector is made small and random, saved as a checkpoint is, loaded and asked to
encode texts and videos, as a run would. Of the others the class itself tells what it lacks.
"""

import importlib
import inspect
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from xbench.errors import XbenchError
from xbench.scorers.hf import HuggingFace, load_hf
from xbench.scorers.verify.inputs import counts, noise_videos

PAGE = Path(__file__).resolve().parent.parent / "docs" / "hf-models.md"
METHODS = ("get_text_features", "get_image_features", "get_video_features")
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "the", "cat", "dog", "runs", "sat"]
SMALL: dict[str, Any] = {
    "vocab_size": 16,
    "max_position_embeddings": 12,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "image_size": 32,
    "patch_size": 16,
    "num_frames": 3,
    "tubelet_size": [1, 16, 16],
    "hidden_size": 32,
    "dim": 32,
    "encoder_hidden_size": 32,
    "project_dim": 32,
    "projection_dim": 16,
    "projection_size": 32,
    "image_text_hidden_size": 16,
    "intermediate_size": 48,
    "encoder_ffn_dim": 48,
    "mit_hidden_size": 16,
    "mit_intermediate_size": 24,
    "mit_num_hidden_layers": 1,
    "mit_num_attention_heads": 2,
    "prompt_num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_spatial_layers": 1,
    "num_temporal_layers": 1,
    "num_auxiliary_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "ffn_dim": 48,
    "word_embed_proj_dim": 32,
    "num_query_tokens": 4,
    "num_patches": 4,
    "depths": [1, 1, 1],
    "num_group_tokens": [4, 2, 0],
    "num_output_groups": [4, 2, 0],
    "reduce_dim": 16,
}
"""What makes a model small, by the names that configurations use."""
_OWN: dict[str, dict[str, Any]] = {
    "align": {
        "projection_dim": 640,  # what its vision tower gives
        "vision_config": {"initializer_range": 0.2},  # less, and its vectors vanish
    },
}
"""Kind of model -> what it needs beside."""
_TOWERS = {"vision_config": {"model_type": "clip_vision_model"}, "text_config": {"model_type": "bert"}}
"""Of a model that may have any."""
_NOT_SMALL = ("transformers_version", "architectures", "out_features", "out_indices", "stage_names")
"""What follows from other numbers, or says nothing of the model."""
_HEAD = """# Models of transformers that `--model hf` runs

Made by `tools/make_hf_table.py` with transformers {version}, torch {torch}, without torchvision: every
class that has `get_text_features`, `get_image_features` or `get_video_features`. Those that give a text
a vector, and a picture or a video one, were made small and random, saved, loaded by `--model hf` and
asked to encode texts and videos; what stands here is what happened. A checkpoint of yours may still lack
a file that its class needs, and then the message says which. SigLIP 2 of one resolution is a
`SiglipModel`; NaFlex is the `Siglip2Model`.

| class | `hf` | why |
|---|---|---|
"""
_REST = """
## Classes that do not give a text a vector

They have image or video features and no `get_text_features`: models that write text about what they see, or
segment it. `hf` refuses them for that reason.

"""


def main() -> int:
    """Write the page, or try the classes named."""
    found = dict(classes())
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            print(name, *tried(found[name]))
        return 0
    base = {
        name
        for names in MODEL_MAPPING_NAMES.values()
        for name in ([names] if isinstance(names, str) else names)
    }
    rows, rest = [], []
    for name, model in sorted(found.items()):
        if not hasattr(model, "get_text_features"):
            rest.append(name)
        elif name not in base:
            rows.append(f"| `{name}` | no | not what AutoModel builds of its checkpoints |")
        else:
            rows.append(f"| `{name}` | {' | '.join(tried(model))} |")
            print(rows[-1], file=sys.stderr)
    head = _HEAD.format(version=transformers.__version__, torch=torch.__version__.partition("+")[0])
    PAGE.write_text(head + "\n".join(rows) + "\n" + _REST + ", ".join(f"`{name}`" for name in rest) + ".\n")
    return 0


def classes() -> Iterator[tuple[str, type[Any]]]:
    """Yield the model classes that have one of the methods, by name."""
    folder = Path(transformers.__file__).parent / "models"
    for path in sorted(folder.glob("*/modeling_*.py")):
        if not any(f"def {method}(" in path.read_text("utf-8") for method in METHODS):
            continue
        name = f"transformers.models.{path.parent.name}.{path.stem}"
        for key, value in vars(importlib.import_module(name)).items():
            own = inspect.isclass(value) and value.__module__ == name
            if (
                own
                and issubclass(value, transformers.PreTrainedModel)
                and any(hasattr(value, m) for m in METHODS)
            ):
                yield key, value


def tried(model: type[Any]) -> tuple[str, str]:
    """Return yes or no, and how or why."""
    if not any(hasattr(model, method) for method in METHODS[1:]):
        return "no", "no `get_image_features` and no `get_video_features`"
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_small(model, Path(folder))
        except Exception as error:
            return "not tried", f"no small model could be made: {_line(error, folder)}"
        try:
            return "yes", encoded(Path(folder))
        except XbenchError as error:
            return "no", _line(error, folder)
        except Exception as error:
            return "no", f"{type(error).__name__}: {_line(error, folder)}"


def encoded(folder: Path) -> str:
    """Encode texts and videos by the model of a folder; say how it sees videos."""
    scorer = HuggingFace(load_hf(str(folder)), frames=4)
    text = scorer.encode_texts(["the cat", "a dog runs"])["text"]
    wants = scorer.video_input
    video = noise_videos(wants, counts(wants), 0, folder).encode(scorer)["video"]
    assert bool(torch.isfinite(text).all() and torch.isfinite(video).all())
    assert text.shape[1] == video.shape[1], "texts and videos have vectors of different lengths"
    return str(scorer.settings["video"])


def save_small(model: type[Any], folder: Path) -> None:
    """Save a small random model with a tokenizer and an image processor."""
    kind = model.config_class.model_type
    given = {key: value for key, value in small_config(model.config_class).items() if key != "model_type"}
    model(model.config_class(**given)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    pixels: dict[str, Any] = {name: {"height": 32, "width": 32} for name in ("size", "crop_size")}
    pixels = {"image_processor_type": images_of(kind), **pixels}
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))


def small_config(config_class: Any) -> dict[str, Any]:
    """Return a small configuration of a class."""
    if config_class.model_type == "vision-text-dual-encoder":
        towers = {name: SMALL | tower for name, tower in _TOWERS.items()}
        return {**towers, "projection_dim": SMALL["projection_dim"]}
    own = _OWN.get(config_class.model_type, {})
    small = shrunk(config_class().to_dict())
    return small | {
        key: small[key] | value if isinstance(value, dict) else value for key, value in own.items()
    }


def shrunk(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the numbers of a small model, the parts within it, too."""
    return {
        key: shrunk(value) if isinstance(value, dict) else SMALL.get(key, value)
        for key, value in config.items()
        if key not in _NOT_SMALL
    }


def images_of(model_type: str) -> str:
    """Return the image processor of a kind of model, as its checkpoints name it; CLIP's where it has none."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    kinds = IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type, {})
    return str(kinds.get("torchvision") or kinds.get("pil") or "CLIPImageProcessor")


def tokenizer() -> Any:
    """A tokenizer of ten words."""
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 1), ("</s>", 2)])
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=12, **special)


def _line(error: Exception, folder: str) -> str:
    """What went wrong, without what to do about it."""
    first = (str(error).splitlines() or [""])[0].replace(folder, "the folder").replace("|", "/")
    return first.partition(": write")[0].partition(". ")[0] or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
