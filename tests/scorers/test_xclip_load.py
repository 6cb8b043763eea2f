"""Loading X-CLIP: what is accepted, and the message for everything that is not."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from xclip_small import CLIP, FRAMES, VOCABULARY, WORDS, state, tokenizer, vocabulary

from xbench.errors import ModelError, UsageError
from xbench.scorers.base import Scorer
from xbench.scorers.catalog import ModelRequest, resolve
from xbench.scorers.clip.sizes import VARIANTS, without_prefix
from xbench.scorers.xclip import load_xclip, xclip_zeroshot
from xbench.scorers.xclip.load import initial_state, random_clip
from xbench.scorers.xclip.sizes import infer_sizes


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("vocabulary"))


def _saved(folder: Path, weights: dict[str, torch.Tensor], name: str = "pytorch_model.bin.2") -> Path:
    torch.save(weights, folder / name)
    return folder / name


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_size_is_read_off_the_shapes(variant):
    sizes = infer_sizes(state(variant), "")
    assert (sizes.clip, sizes.variant, sizes.words, sizes.frames) == (CLIP, variant, WORDS, FRAMES)
    assert sizes.temporal_layers == {"seqTransf": 1, "meanP": 0, "seqLSTM": 1}[variant]


def test_published_backbones_are_named():
    base = replace(CLIP, vision_width=768, vision_layers=12, patch=32)
    assert base.backbone == "ViT-B/32"
    assert replace(base, vision_width=1024, vision_layers=24, patch=14).backbone == "ViT-L/14"
    assert CLIP.backbone == "ViT-64x1/8"


def test_a_loaded_checkpoint_is_a_scorer_with_settings_from_its_shapes(tmp_path, words):
    scorer = load_xclip(_saved(tmp_path, state()), tokenizer=words)
    assert isinstance(scorer, Scorer)
    assert (scorer.video_input.size, scorer.video_input.max_frames) == (16, FRAMES)
    wanted = {"backbone": "ViT-64x1/8", "variant": "seqTransf", "words": WORDS, "frames": FRAMES}
    assert wanted.items() <= scorer.settings.items()
    assert scorer.settings["logit_scale"] == pytest.approx(100, abs=0.01)


def test_wrapped_weights_are_the_same_scorer_and_the_record_tells(tmp_path, words):
    plain = load_xclip(_saved(tmp_path, state()), tokenizer=words)
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in state().items()}
    scorer = load_xclip(_saved(tmp_path, {"model_state_dict": wrapped}, "w.bin"), tokenizer=words)
    assert scorer.settings == {**plain.settings, "weights": "taken off all names: _orig_mod., module."}
    texts = ["the cat", "a dog"]
    assert torch.equal(scorer.encode_texts(texts)["words"], plain.encode_texts(texts)["words"])


def test_weights_and_their_average_are_two_scorers_that_share_no_cache(tmp_path):
    both = {"state_dict": state(), "state_dict_ema": state(seed=1)}
    asked = {"checkpoint": _saved(tmp_path, both), "bpe": vocabulary(tmp_path), "device": "cpu"}
    with pytest.raises(ModelError, match="weights=ema"):
        resolve(ModelRequest("xclip", **asked)).build()
    model, average = (
        resolve(ModelRequest("xclip", **asked, args={"weights": which})).build() for which in ("model", "ema")
    )
    assert model.identity != average.identity
    alone = load_xclip(_saved(tmp_path, state(seed=1), "ema.bin"), tokenizer=tokenizer(tmp_path))
    assert torch.equal(average.encode_texts(["the cat"])["words"], alone.encode_texts(["the cat"])["words"])
    assert "average under 'state_dict_ema'" in str(average.settings["weights"])
    with pytest.raises(UsageError, match="weights=emma"):
        resolve(ModelRequest("xclip", **asked, args={"weights": "emma"}))


def test_torch_and_safetensors_give_the_same_scorer(tmp_path, words):
    save_file(state(), tmp_path / "model.safetensors")
    one = load_xclip(_saved(tmp_path, state()), tokenizer=words).encode_texts(["the cat"])
    other = load_xclip(tmp_path / "model.safetensors", tokenizer=words).encode_texts(["the cat"])
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_identity_changes_with_everything_that_changes_features(tmp_path, words):
    path = _saved(tmp_path, state())
    identities = [
        load_xclip(path, tokenizer=words).identity,
        load_xclip(path, tokenizer=words, precision="fp16").identity,
        load_xclip(_saved(tmp_path, state(seed=1), "other.bin"), tokenizer=words).identity,
    ]
    assert len({str(identity) for identity in identities}) == 3
    assert load_xclip(path, tokenizer=words).identity == identities[0]
    assert identities[0] is not None
    assert {"torch", "transformers", "ftfy", "regex"} <= identities[0]["versions"].keys()
    assert identities[0]["vocabulary"] == words.sha256


def _lacking(name: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in state().items() if key != name}


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (_lacking("clip.ln_final.bias"), r"1 missing: clip\.ln_final\.bias"),
        (_lacking("transformerClip.resblocks.0.ln_1.weight"), "1 missing: transformerClip"),
        (_lacking("word_mat_weight2"), "1 missing: word_mat_weight2"),
        (_lacking("word_logit_weight"), "lacks 'word_logit_weight'"),
        (_lacking("clip.visual.conv1.weight"), r"lacks 'clip\.visual\.conv1\.weight'"),
        (state() | {"clip.visual.conv2.weight": torch.ones(2)}, r"1 not expected: clip\.visual\.conv2"),
        (state() | {"clip.visual.conv2.weight": torch.ones(64, 3, 3, 8, 8)}, "--linear_patch 3d"),
        (state() | {"cross.pooler.dense.bias": torch.ones(64)}, "cross encoder.*--model clip4clip"),
        (state() | {"frame_mat_weight": torch.eye(9)}, r"frame_mat_weight \[9, 9\], expected \[4, 4\]"),
        (state() | {"word_logit_weight": torch.ones(8)}, r"'word_logit_weight' of .* has the shape \[8\]"),
        (state(words=17), "17 words, more than the 16"),
        (state(frames=17), "17 frames, more than its 16 frame positions"),
        ({"message_token": torch.ones(1), "mit.resblocks.0.ln_1.weight": torch.ones(1)}, "Microsoft"),
        ({"visual.transformer.resblocks.0.message_fc.weight": torch.ones(1)}, "Microsoft"),
        (without_prefix("clip.", state()), "plain CLIP weights"),
        ({k: t for k, t in state("meanP").items() if k.startswith("clip.")}, "CLIP4Clip"),
        ({"a": torch.ones(1)}, "lacks 'clip.token_embedding.weight'"),
    ],
)
def test_weights_that_do_not_fit_are_an_error_that_says_which(tmp_path, words, weights, said):
    path = _saved(tmp_path, weights)
    with pytest.raises(ModelError, match=said) as error:
        load_xclip(path, tokenizer=words)
    assert str(path) in str(error.value)


def test_a_vocabulary_of_another_size_is_an_error(tmp_path):
    from xbench.scorers.clip.bpe import ClipTokenizer

    larger = ClipTokenizer(vocabulary(tmp_path, ("a b", "c d")))
    with pytest.raises(ModelError, match=rf"{larger.size} tokens.*{VOCABULARY}.*--bpe"):
        load_xclip(_saved(tmp_path, state()), tokenizer=larger)


def test_an_unknown_precision_is_a_usage_error(tmp_path, words):
    with pytest.raises(UsageError, match="fp32, tf32, fp16, bf16"):
        load_xclip(_saved(tmp_path, state()), tokenizer=words, precision="fp8")  # type: ignore[arg-type]


def test_the_official_initialisation_starts_from_clip():
    clip = random_clip(CLIP)
    start = initial_state(clip, words=5, frames=3, layers=2, source="clip")
    sizes = infer_sizes(start, "clip")
    assert (sizes.variant, sizes.words, sizes.frames, sizes.temporal_layers) == ("seqTransf", 5, 3, 2)
    assert torch.equal(start["frame_position_embeddings.weight"], clip["positional_embedding"])
    for name in without_prefix("transformerClip.", start):
        assert torch.equal(start[f"transformerClip.{name}"], clip[f"transformer.{name}"])
    matrices = [tensor for name, tensor in start.items() if "." not in name]
    assert len(matrices) == 8
    assert all(torch.equal(matrix, torch.eye(len(matrix))) for matrix in matrices)


def test_the_official_initialisation_takes_the_first_layers_only():
    start = initial_state(random_clip(CLIP), words=5, frames=3, layers=1, source="clip")
    assert infer_sizes(start, "clip").temporal_layers == 1


def test_more_temporal_layers_than_clip_has_is_a_usage_error():
    with pytest.raises(UsageError, match="3 temporal layers: clip has 2"):
        initial_state(random_clip(CLIP), words=5, frames=3, layers=3, source="clip")


def test_zeroshot_is_a_scorer_whose_identity_is_not_the_files(tmp_path, words):
    path = _saved(tmp_path, random_clip(CLIP), "clip.pt")
    scorer = xclip_zeroshot(path, tokenizer=words, words=6, frames=3, layers=2)
    assert (scorer.name, scorer.settings["words"], scorer.video_input.max_frames) == ("xclip-zeroshot", 6, 3)
    fewer = xclip_zeroshot(path, tokenizer=words, words=6, frames=3, layers=1)
    assert scorer.identity is not None
    assert fewer.identity is not None
    assert scorer.identity["weights"] != fewer.identity["weights"]


def test_zeroshot_names_what_a_clip_file_lacks(tmp_path, words):
    clip = random_clip(CLIP)
    del clip["visual.ln_post.bias"]
    with pytest.raises(ModelError, match=r"1 missing: visual\.ln_post\.bias"):
        xclip_zeroshot(_saved(tmp_path, clip), tokenizer=words)


def test_scoring_cached_features_imports_no_transformers(tmp_path):
    checkpoint, bpe = _saved(tmp_path, state()), vocabulary(tmp_path)
    program = f"""
import sys, torch
from pathlib import Path
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.xclip import load_xclip
scorer = load_xclip(Path({str(checkpoint)!r}), tokenizer=ClipTokenizer(Path({str(bpe)!r})))
text = {{"sentence": torch.ones(2, 64), "words": torch.ones(2, {WORDS}, 64)}}
video = {{"video": torch.ones(3, 64), "frames": torch.ones(3, {FRAMES}, 64)}}
assert scorer.similarity(text, video).shape == (2, 3) and scorer.identity and scorer.settings
assert "transformers" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
