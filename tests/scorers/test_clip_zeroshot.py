"""CLIP with averaged frames: every form of weights gives the formula's scores, and a guess is never made."""

import json

import pytest
import torch
from plain_clip import image_feature, text_feature, unit
from ranked import rank_like
from safetensors.torch import save_file
from xclip_small import CLIP, FRAMES, SIDE, WORDS, tokenizer

from xbench.errors import ModelError, UsageError
from xbench.scorers.clip.sizes import clip_to_transformers
from xbench.scorers.clip4clip import clip_zeroshot
from xbench.scorers.verify import verify
from xbench.scorers.xclip.load import random_clip

TEXTS = ["the cat", "a dog and the cat sat"]
OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 64,
        "vision_cfg": {"image_size": SIDE, "layers": 1, "width": 64, "patch_size": 8},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": CLIP.vocabulary,
            "width": 64,
            "heads": 1,
            "layers": 2,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5]},
}
TRANSFORMERS = {
    "text_config": {"hidden_size": 64, "num_attention_heads": 1},
    "vision_config": {"hidden_size": 64, "num_attention_heads": 2},
}


@pytest.fixture(scope="module")
def weights():
    return random_clip(CLIP)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("vocabulary"))


def load(source, words, **more):
    return clip_zeroshot(source, tokenizer=words, words=WORDS, frames=FRAMES, **more)


def formula(weights, words, *, gelu=False, text_head=64, vision_head=64):
    """Scores [2, 2] of the texts with two videos of noise, of three frames and one."""
    frames = noise()[0]
    sentences = [text_feature(weights, t, gelu=gelu, head=text_head) for t in words.batch(TEXTS, WORDS)]
    images = [
        torch.stack([image_feature(weights, frame, gelu=gelu, head=vision_head) for frame in own])
        for own in (frames[0, :3], frames[1, :1])
    ]
    videos = torch.stack([unit(unit(own).mean(dim=0)) for own in images])
    return weights["logit_scale"].exp() * unit(torch.stack(sentences)) @ videos.T


def noise():
    mask = torch.arange(FRAMES) < torch.tensor([3, 1])[:, None]
    frames = torch.randn(2, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    return frames * mask[..., None, None, None], mask


def scores(scorer):
    return scorer.similarity(scorer.encode_texts(TEXTS), scorer.encode_videos(*noise()))


def near(found, expected):
    return bool((found - expected).abs().max() < 2e-4)


def test_the_styles_give_different_scores(weights, words):
    """Else the tests below could not tell them apart."""
    plain = formula(weights, words)
    for other in ({"gelu": True}, {"text_head": 32}, {"vision_head": 32}):
        assert not near(formula(weights, words, **other), plain)


def test_a_bare_state_dict_needs_its_activation_said(tmp_path, weights, words):
    save_file(weights, tmp_path / "clip.safetensors")
    with pytest.raises(ModelError, match=r"activation=quick_gelu .*activation=gelu"):
        load(tmp_path / "clip.safetensors", words)
    quick = load(tmp_path / "clip.safetensors", words, activation="quick_gelu")
    assert near(scores(quick), formula(weights, words))
    plain = load(tmp_path / "clip.safetensors", words, activation="gelu")
    assert near(scores(plain), formula(weights, words, gelu=True))
    assert quick.identity != plain.identity


def test_a_folder_of_open_clip_tells_its_style(tmp_path, weights, words):
    torch.save(weights, tmp_path / "open_clip_pytorch_model.bin")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP))
    scorer = load(tmp_path, words)
    assert near(scores(scorer), formula(weights, words, gelu=True))
    assert scorer.video_input.mean == (0.5, 0.5, 0.5)
    assert scorer.video_input.std == (0.5, 0.25, 0.5)
    quick = json.loads(json.dumps(OPEN_CLIP))
    quick["model_cfg"] |= {"quick_gelu": True}
    quick["model_cfg"]["vision_cfg"]["head_width"] = 32
    (tmp_path / "open_clip_config.json").write_text(json.dumps(quick))
    assert near(scores(load(tmp_path, words)), formula(weights, words, vision_head=32))
    with pytest.raises(UsageError, match="has the activation quick_gelu, not gelu"):
        load(tmp_path, words, activation="gelu")


def test_a_folder_of_transformers_tells_its_style(tmp_path, weights, words):
    save_file(clip_to_transformers(weights), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TRANSFORMERS))
    assert near(scores(load(tmp_path, words)), formula(weights, words, vision_head=32))
    activation = {"hidden_act": "gelu"}
    gelu = {name: tower | activation for name, tower in TRANSFORMERS.items()}
    (tmp_path / "config.json").write_text(json.dumps(gelu))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1, 0.2, 0.3]}))
    scorer = load(tmp_path, words)
    assert near(scores(scorer), formula(weights, words, gelu=True, vision_head=32))
    assert scorer.video_input.mean == (0.1, 0.2, 0.3)


def test_x_clip_does_not_start_from_weights_of_another_style(tmp_path, weights, words):
    from xbench.scorers.xclip import xclip_zeroshot

    save_file(clip_to_transformers(weights), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TRANSFORMERS))
    with pytest.raises(ModelError, match="vision_head=32"):
        xclip_zeroshot(tmp_path, tokenizer=words, words=WORDS, frames=FRAMES, layers=1)


@pytest.mark.parametrize(
    ("place", "extra", "said"),
    [
        ("vision_cfg", {"timm_model_name": "vit"}, "timm_model_name"),
        ("text_cfg", {"hf_model_name": "roberta"}, "hf_model_name"),
        ("vision_cfg", {"mlp_ratio": 4.36}, "mlp_ratio"),
    ],
)
def test_other_architectures_of_open_clip_are_told(tmp_path, words, place, extra, said):
    config = json.loads(json.dumps(OPEN_CLIP))
    config["model_cfg"][place] |= extra
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=said):
        load(tmp_path, words)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"text_config": {"hidden_act": "relu"}, "vision_config": {"hidden_act": "relu"}}, "'relu'"),
        ({"text_config": {"layer_norm_eps": 1e-6}}, "layer_norm_eps"),
        ({"text_config": 3}, "not the configuration"),
        ([1], "not the configuration"),
    ],
)
def test_configurations_of_other_models_are_told(tmp_path, weights, words, config, said):
    save_file(clip_to_transformers(weights), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=said):
        load(tmp_path, words)


def test_a_wide_tower_without_its_configuration_is_refused(tmp_path, words):
    from dataclasses import replace

    wide = random_clip(replace(CLIP, vision_width=1280))
    save_file(wide, tmp_path / "h.safetensors")
    with pytest.raises(ModelError, match="does not tell its attention heads"):
        load(tmp_path / "h.safetensors", words, activation="gelu")


def test_the_contract_is_kept(tmp_path, weights, words):
    save_file(weights, tmp_path / "clip.safetensors")
    assert all(
        check.passed for check in verify(load(tmp_path / "clip.safetensors", words, activation="gelu"))
    )


@pytest.mark.parametrize("items", [2, 7, 513])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_are_the_same_in_the_block_of_a_run_and_in_a_small_one(
    tmp_path, weights, words, precision, items
):
    save_file(weights, tmp_path / "clip.safetensors")
    scorer = load(tmp_path / "clip.safetensors", words, activation="gelu", precision=precision)
    rank_like(scorer, scorer.encode_texts(TEXTS), scorer.encode_videos(*noise()), items)
