"""Models of open_clip, small and random: the cosine of what they give. The library is an extra."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from ranked import rank_like
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from xbench.errors import ModelError, UsageError
from xbench.scorers.catalog import ModelRequest, resolve
from xbench.scorers.open_clip import OpenClip, load_open_clip
from xbench.scorers.verify import verify


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    model = resolve(ModelRequest("open_clip", args={"architecture": "PE-Core-B-16", "pretrained": "meta"}))
    with pytest.raises(UsageError, match=r"pip install 'xbench\[open_clip\]'"):
        model.build()


def test_a_library_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "open_clip.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    with pytest.raises(UsageError, match=r"nms does not exist.*torchvision that belongs to this torch"):
        load_open_clip(None, "ViT-B-32", "openai", "fp32")


try:
    import open_clip
except Exception as error:  # a torchvision of another torch raises what it likes
    open_clip, why = None, str(error)
else:
    why = ""
needs_it = pytest.mark.skipif(
    open_clip is None, reason=f"open_clip cannot be imported, pip install xbench[open_clip]: {why}"
)

TEXTS = ["the cat", "a dog runs", "Cat — “sat”! " * 50]
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "the", "cat", "dog", "runs", "sat"]
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16}
KINDS: dict[str, dict[str, Any]] = {
    "clip": {"embed_dim": 16, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT},
    "custom": {"embed_dim": 16, "custom_text": True, "vision_cfg": VISION, "text_cfg": TEXT},
    "timm": {  # as PE-Core and SigLIP 2 are
        "embed_dim": 16,
        "custom_text": True,
        "init_logit_bias": -10,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "token",
            "timm_proj": "linear",
        },
        "text_cfg": TEXT
        | {"hf_tokenizer_name": "in the folder", "vocab_size": len(WORDS), "no_causal_mask": True}
        | {"pool_type": "last", "proj_bias": True},
    },
}
PREPROCESS: dict[str, dict[str, Any]] = {
    "clip": {},
    "custom": {"resize_mode": "squash", "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3},
    "timm": {"resize_mode": "longest", "fill_color": 0, "mean": [0.1, 0.2, 0.3], "std": [0.4] * 3},
}


def words() -> transformers.PreTrainedTokenizerFast:
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 1), ("</s>", 2)])
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each kind as open_clip pushes it to a hub."""
    made = {}
    for kind, config in KINDS.items():
        folder = made[kind] = tmp_path_factory.mktemp(kind)
        (folder / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS[kind]})
        )
        words().save_pretrained(folder)
        torch.manual_seed(0)
        model = open_clip.create_model(f"local-dir:{folder}")
        save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / WEIGHTS)
    return made


WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scorer(folder: Path, **more: Any) -> OpenClip:
    parts = load_open_clip(folder, None, None, more.get("precision", "fp32"))
    return OpenClip(parts, **{"frames": 4} | more)


def clips(found: OpenClip) -> tuple[torch.Tensor, torch.Tensor, list[np.ndarray]]:
    counts = (4, 1, 2)
    raw = [np.random.default_rng(n).integers(0, 255, (n, 40, 50, 3), dtype=np.uint8) for n in counts]
    transform = found.video_input.frame_transform
    assert transform is not None
    own = [torch.stack([transform(frame) for frame in video]) for video in raw]
    frames, mask = torch.zeros(3, 4, *own[0].shape[1:]), torch.zeros(3, 4, dtype=torch.bool)
    for row, video in enumerate(own):
        frames[row, : len(video)], mask[row, : len(video)] = video, True
    return frames, mask, raw


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


@needs_it
@torch.no_grad()
def test_scores_are_those_of_the_library(kind: str, folders: dict[str, Path]) -> None:
    found, name = scorer(folders[kind]), f"local-dir:{folders[kind]}"
    frames, mask, raw = clips(found)
    model, _, transform = open_clip.create_model_and_transforms(name)
    texts = unit(model.eval().encode_text(open_clip.get_tokenizer(name)(TEXTS)))
    videos = []
    for video in raw:
        seen = torch.stack([transform(Image.fromarray(frame)) for frame in video])
        videos.append(unit(unit(model.encode_image(seen)).mean(dim=0)))
    scores = found.similarity(found.encode_texts(TEXTS), found.encode_videos(frames, mask))
    assert (scores - texts @ torch.stack(videos).T).abs().max() < 1e-5


@needs_it
def test_frames_are_the_pixels_of_the_models_own_transform(kind: str, folders: dict[str, Path]) -> None:
    own = scorer(folders[kind]).video_input.frame_transform
    assert own is not None
    _, theirs = open_clip.create_model_from_pretrained(f"local-dir:{folders[kind]}")
    for height, width in ((48, 64), (240, 320), (320, 240), (33, 47), (160, 160)):
        frame = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert torch.equal(own(frame), theirs(Image.fromarray(frame)))


@needs_it
def test_the_contract_is_kept(kind: str, folders: dict[str, Path]) -> None:
    assert [str(check) for check in verify(scorer(folders[kind])) if not check.passed] == []


@needs_it
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_are_the_same_in_the_block_of_a_run_and_in_a_small_one(
    kind: str, folders: dict[str, Path], precision: str
) -> None:
    model = scorer(folders[kind], precision=precision)
    frames, mask, _ = clips(model)
    rank_like(model, model.encode_texts(TEXTS), model.encode_videos(frames, mask), 7)


@needs_it
def test_identity_follows_all_that_changes_a_feature(folders: dict[str, Path], tmp_path: Path) -> None:
    before = scorer(folders["timm"]).identity
    assert before == scorer(folders["timm"]).identity
    changes = [
        ("open_clip_config.json", "0.3", "0.35"),
        ("open_clip_config.json", '"heads": 2', '"heads": 4'),
        ("open_clip_config.json", '"pool_type": "last"', '"pool_type": "first"'),
        ("open_clip_config.json", '"no_causal_mask": true', '"no_causal_mask": false'),
        ("tokenizer.json", '"dog"', '"hog"'),
    ]
    seen = [before]
    for number, (name, old, new) in enumerate(changes):
        folder = Path(shutil.copytree(folders["timm"], tmp_path / str(number)))
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
        seen.append(scorer(folder).identity)
    folder = Path(shutil.copytree(folders["timm"], tmp_path / "weights"))
    state = load_file(folder / WEIGHTS)
    save_file(state | {"logit_scale": state["logit_scale"] + 1}, folder / WEIGHTS)
    seen.append(scorer(folder).identity)
    assert all(each not in seen[:at] for at, each in enumerate(seen))


@needs_it
@torch.no_grad()
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_precision_changes_the_computation_and_not_what_the_weights_are(
    kind: str, folders: dict[str, Path], precision: str
) -> None:
    """Verified in another precision it is the same model; how the library casts is the rule."""
    whole, half = scorer(folders[kind]).identity, scorer(folders[kind], precision=precision)
    assert whole is not None
    assert half.identity is not None
    assert {name for name in whole if whole[name] != half.identity[name]} == {"precision"}
    found = load_open_clip(folders[kind], None, None, precision).model.state_dict()
    theirs = open_clip.create_model(
        f"local-dir:{folders[kind]}", precision=f"pure_{precision}", require_pretrained=True
    ).state_dict()
    assert found.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.fixture
def named(tmp_path: Path, folders: dict[str, Path]) -> Path:
    """A file of weights of an architecture that open_clip knows by name, `small-clip`."""
    for name, size in (("small-clip", 32), ("small-clip-48", 48)):
        config = KINDS["clip"] | {"vision_cfg": VISION | {"image_size": size}}
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)
    path = tmp_path / "epoch_3.pt"
    state = load_file(folders["clip"] / WEIGHTS)
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": t for name, t in state.items()}}, path)
    return path


@needs_it
def test_a_training_checkpoint_is_read_with_its_architecture(named: Path, folders: dict[str, Path]) -> None:
    found = OpenClip(load_open_clip(named, "small-clip", None, "fp32"), frames=4)
    whole = scorer(folders["clip"])
    assert torch.equal(found.encode_texts(TEXTS)["text"], whole.encode_texts(TEXTS)["text"])
    assert found.file is not None
    assert found.file.path == named


@needs_it
def test_what_is_missing_or_does_not_go_together_is_told(named: Path, folders: dict[str, Path]) -> None:
    for asked, kind, said in [
        ((None, None, None), UsageError, "was given no weights"),
        ((None, "ViT-B-32", None), UsageError, "was given no weights"),
        ((None, "PE-Core-B16", "meta"), UsageError, "Did you mean 'PE-Core-B-16'"),
        ((None, "PE-Core-B-16", "mata"), UsageError, "Did you mean 'meta'"),
        ((named, None, None), UsageError, "does not tell its architecture"),
        ((named, "small-clip", "openai"), UsageError, "two sets of weights"),
        ((folders["clip"], "small-clip", None), UsageError, "leave architecture=small-clip out"),
        ((Path("/nowhere/at/all"), None, None), ModelError, "There is no file or folder"),
        ((named, "small-clip-48", None), ModelError, "another image size or text length"),
        ((named, "ViT-B-32", None), ModelError, "cannot be loaded"),
    ]:
        with pytest.raises(kind, match=said):
            load_open_clip(*asked, "fp32")


@needs_it
@pytest.mark.parametrize("what", ["nothing", "part", "nan"])
def test_weights_that_are_not_whole_are_refused(what: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["clip"], tmp_path / "copy"))
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    if what == "part":
        del state["text_projection"]
    if what == "nan":
        state["text_projection"][0, 0] = float("nan")
    if what != "nothing":
        save_file(state, folder / WEIGHTS)
    with pytest.raises(ModelError, match="NaN or infinite" if what == "nan" else "cannot be loaded"):
        load_open_clip(folder, None, None, "fp32")
