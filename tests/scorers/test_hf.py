"""Models of transformers, small and random, saved to a folder: the cosine of what they give."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from ranked import rank_like
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from xbench.errors import ModelError, UsageError
from xbench.scorers.hf import HuggingFace, load_hf
from xbench.scorers.verify import verify

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "the", "cat", "dog", "runs", "sat"]
TEXTS = ["the cat", "a dog runs", "cat " * 50]
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = TOWER | {"vocab_size": len(WORDS), "max_position_embeddings": 12}
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
VISION = TOWER | {"image_size": 32, "patch_size": 16}


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.normalizer = normalizers.Lowercase()
    words.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 1), ("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=12,
    )


def clip() -> transformers.PreTrainedModel:
    config = transformers.CLIPConfig(text_config=TEXT | SPECIAL, vision_config=VISION, projection_dim=16)
    return transformers.CLIPModel(config)


def siglip() -> transformers.PreTrainedModel:
    return transformers.SiglipModel(
        transformers.SiglipConfig(text_config=TEXT | SPECIAL, vision_config=VISION)
    )


def xclip() -> transformers.PreTrainedModel:
    """Microsoft's."""
    vision = VISION | {"num_frames": 3, "mit_hidden_size": 16, "mit_intermediate_size": 24,
                       "mit_num_hidden_layers": 1, "mit_num_attention_heads": 2}  # fmt: skip
    config = transformers.XCLIPConfig(
        text_config=TEXT | SPECIAL, vision_config=vision, projection_dim=16, prompt_num_attention_heads=2
    )
    return transformers.XCLIPModel(config)


def videoprism() -> transformers.PreTrainedModel:
    vision = VISION | {"num_frames": 2, "tubelet_size": [1, 16, 16], "num_spatial_layers": 1,
                       "num_temporal_layers": 1, "num_auxiliary_layers": 1}  # fmt: skip
    del vision["patch_size"], vision["num_hidden_layers"]
    config = transformers.VideoPrismConfig(text_config=TEXT | SPECIAL, vision_config=vision)
    return transformers.VideoPrismClipModel(config)


PIXELS = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
PROCESSORS = {
    "clip": (clip, {"image_processor_type": "CLIPImageProcessor", **PIXELS}),
    "siglip": (siglip, {"image_processor_type": "SiglipImageProcessor", "size": PIXELS["crop_size"]}),
    "xclip": (xclip, {"image_processor_type": "VideoMAEImageProcessor", **PIXELS}),
}
KNOWS_VIDEOPRISM = hasattr(transformers, "VideoPrismConfig")
if KNOWS_VIDEOPRISM:
    PROCESSORS["videoprism"] = (
        videoprism,
        {"video_processor_type": "LlavaOnevisionVideoProcessor", "size": PIXELS["crop_size"]}
        | {"do_normalize": False, "do_rescale": True, "rescale_factor": 1 / 255, "resample": 3},
    )
needs_videoprism = pytest.mark.skipif(not KNOWS_VIDEOPRISM, reason="this transformers has no VideoPrism")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A saved model of each kind, with its tokenizer and image processor."""
    made = {}
    for name, (model, pixels) in PROCESSORS.items():
        folder = made[name] = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        model().save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        video = "video_" if "video_processor_type" in pixels else ""
        (folder / f"{video}preprocessor_config.json").write_text(json.dumps(pixels))
    return made


@pytest.fixture(scope="module", params=sorted(PROCESSORS))
def folder(request, folders):
    return folders[request.param]


@pytest.fixture
def copy(folders, tmp_path):
    """The CLIP folder, to be spoilt."""
    return Path(shutil.copytree(folders["clip"], tmp_path / "copy"))


def scorer(folder, **more) -> HuggingFace:
    return HuggingFace(load_hf(str(folder)), **{"frames": 4} | more)


def clips(scorer, counts=(4, 1, 2)):
    """Videos of noise through the scorer's own frame transform, and their raw frames."""
    wants = scorer.video_input
    raw = [np.random.default_rng(n).integers(0, 255, (n, 40, 50, 3), dtype=np.uint8) for n in counts]
    raw = [video[: wants.max_frames] for video in raw]
    own = [torch.stack([wants.frame_transform(frame) for frame in video]) for video in raw]
    frames = torch.zeros(len(own), wants.max_frames, *own[0].shape[1:])
    mask = torch.zeros(frames.shape[:2], dtype=torch.bool)
    for row, video in enumerate(own):
        frames[row, : len(video)], mask[row, : len(video)] = video, True
    return frames, mask, raw


def unit(vectors):
    return vectors / vectors.norm(dim=-1, keepdim=True)


@torch.no_grad()
def test_image_models_score_by_the_mean_of_their_frames(folders):
    for name in ("clip", "siglip"):
        found = scorer(folders[name])
        frames, mask, raw = clips(found)
        model = transformers.AutoModel.from_pretrained(folders[name]).eval()
        pixels = transformers.AutoImageProcessor.from_pretrained(folders[name], use_fast=False)
        videos = []
        for video in raw:
            inputs = pixels(images=list(video), return_tensors="pt")
            videos.append(unit(unit(pooled(model.get_image_features(**inputs))).mean(dim=0)))
        texts = [one_text(model, folders[name], text) for text in TEXTS]
        expected = unit(torch.cat(texts)) @ torch.stack(videos).T
        scores = found.similarity(found.encode_texts(TEXTS), found.encode_videos(frames, mask))
        assert (scores - expected).abs().max() < 1e-5


def one_text(model, folder, text):
    """One text alone: unpadded for a model with a mask, padded to the full length without one for SigLIP."""
    words = transformers.AutoTokenizer.from_pretrained(folder)
    full = {"padding": "max_length"} if model.config.model_type == "siglip" else {}
    encoded = words([text], truncation=True, max_length=12, return_tensors="pt", **full)
    return pooled(model.get_text_features(input_ids=encoded["input_ids"]))


def pooled(found):
    """The vectors of what a model gave: an output since version 5 of transformers, a tensor before."""
    return getattr(found, "pooler_output", found)


@torch.no_grad()
def test_video_models_get_as_many_frames_as_they_were_trained_with(folders):
    found = scorer(folders["xclip"], frames=64)
    assert found.video_input.max_frames == 3
    assert found.video_input.sampling == "uniform"
    frames, mask, _ = clips(found, counts=(3, 1, 2))
    model = transformers.AutoModel.from_pretrained(folders["xclip"]).eval()
    picked = torch.stack([frames[0][[0, 1, 2]], frames[1][[0, 0, 0]], frames[2][[0, 0, 1]]])
    expected = unit(pooled(model.get_video_features(picked)))
    assert (found.encode_videos(frames, mask)["video"] - expected).abs().max() < 1e-5


@needs_videoprism
@torch.no_grad()
def test_a_vector_of_a_sequence_of_one_is_the_videos(folders):
    """VideoPrism gives [B, 1, D], and what it does to a frame is in its video processor's settings."""
    found = scorer(folders["videoprism"])
    frames, mask, raw = clips(found, counts=(2, 2))
    assert found.video_input.max_frames == 2
    model = transformers.AutoModel.from_pretrained(folders["videoprism"]).eval()
    given = model.get_video_features(frames).pooler_output
    assert given.shape[:2] == (2, 1)
    assert (found.encode_videos(frames, mask)["video"] - unit(given[:, 0])).abs().max() < 1e-5
    picture = Image.fromarray(raw[0][0]).resize((32, 32), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1) / np.float32(255))
    assert (frames[0, 0] - expected).abs().max() < 1e-6


@needs_videoprism
@pytest.mark.parametrize("untold", ["size", "do_normalize"])
def test_a_video_processor_that_does_not_tell_what_it_does_is_refused(folders, tmp_path, untold):
    folder = Path(shutil.copytree(folders["videoprism"], tmp_path / "copy"))
    settings = json.loads((folder / "video_preprocessor_config.json").read_text())
    del settings[untold]
    (folder / "video_preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=f"does not tell its {untold}"):
        load_hf(str(folder))


def test_the_contract_is_kept(folder):
    checks = list(verify(scorer(folder)))
    assert [str(check) for check in checks if not check.passed] == []


@pytest.mark.parametrize("items", [2, 7, 513])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_are_the_same_in_the_block_of_a_run_and_in_a_small_one(folder, precision, items):
    model = scorer(folder, precision=precision)
    frames, mask, _ = clips(model)
    rank_like(model, model.encode_texts(TEXTS), model.encode_videos(frames, mask), items)


def test_texts_are_cut_at_the_models_length_or_earlier(folders):
    whole, cut = scorer(folders["clip"]), scorer(folders["clip"], max_tokens=4)
    assert (whole.settings["tokens"], cut.settings["tokens"]) == (12, 4)
    found = cut.encode_texts(["the cat sat", "the cat runs"])["text"]
    assert torch.equal(found[0], found[1])
    assert whole.identity != cut.identity


def test_half_precision_is_named_and_close(folders):
    exact, half = scorer(folders["clip"]), scorer(folders["clip"], precision="bf16")
    frames, mask, _ = clips(exact)
    difference = (
        half.encode_videos(frames, mask)["video"] - exact.encode_videos(frames, mask)["video"]
    ).abs()
    assert 0 < difference.max() < 0.05
    assert half.settings["precision"] == "bf16"


def test_identity_follows_every_file_that_can_change_a_feature(copy):
    before = scorer(copy).identity
    pixels = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").write_text(json.dumps(pixels | {"image_mean": [0.1, 0.1, 0.1]}))
    assert scorer(copy).identity != before


def test_weights_that_are_missing_are_not_filled_with_random_numbers(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"1 missing keys for CLIPModel, e\.g\. visual_projection\.weight"):
        load_hf(str(copy))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_that_are_not_finite_or_not_what_their_checksums_say_are_refused(copy, name):
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    save = (
        torch.save if name.endswith(".bin") else lambda state, path: save_file(state, path, {"format": "pt"})
    )
    broken = weights["visual_projection.weight"].clone()
    broken[0, 0] = float("nan")
    save(weights | {"visual_projection.weight": broken}, copy / name)
    with pytest.raises(ModelError, match=r"NaN or infinite values in visual_projection\.weight"):
        load_hf(str(copy))
    save(weights, copy / name)
    whole = bytearray((copy / name).read_bytes())
    whole[whole.find(weights["visual_projection.weight"].numpy().tobytes()) + 2] ^= 1
    (copy / name).write_bytes(whole)
    if name.endswith(".bin"):
        with pytest.raises(ModelError, match="is damaged: the content of"):
            load_hf(str(copy))


def test_code_in_a_repository_is_not_run(copy):
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "their-own", "auto_map": {"AutoConfig": "c.C", "AutoModel": "m.M"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "c.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_hf(str(copy))


def test_models_without_both_sides_are_told(tmp_path):
    transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT | SPECIAL)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="which has no get_text_features"):
        load_hf(str(tmp_path))


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("model.safetensors", "The model of .* cannot be loaded"),
        ("config.json", "The model of .* cannot be loaded"),
        ("tokenizer.json", r"knows \d+ tokens, its text encoder 10|The tokenizer of .* needs a library"),
        ("preprocessor_config.json", "The image processor of .* cannot be loaded"),
    ],
)
def test_a_folder_that_is_not_whole_is_told(copy, gone, said):
    (copy / gone).unlink()
    if gone == "tokenizer.json":
        (copy / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match=said):
        load_hf(str(copy))


def test_a_path_that_is_no_folder_is_told(tmp_path):
    (tmp_path / "file.bin").touch()
    for path in (tmp_path / "file.bin", tmp_path / "absent" / "folder"):
        with pytest.raises(ModelError, match="neither"):
            load_hf(str(path))


def test_a_hub_id_offline_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="copy the hub cache"):
        load_hf("nobody/no-such-model")


def test_precisions_of_gpus_are_refused_on_a_cpu(folders):
    with pytest.raises(UsageError, match="tf32"):
        scorer(folders["clip"], precision="tf32")
