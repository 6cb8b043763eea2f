"""X-Pool: its closed form against the pooling spelled out, golden files, and what is no checkpoint of it."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from plain_clip import image_feature, text_feature
from ranked import rank_like
from xclip_small import CLIP, SIDE, vocabulary

from xbench.errors import ModelError, UsageError
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.clip.sizes import clip_to_transformers, with_prefix
from xbench.scorers.pieces import in_pieces
from xbench.scorers.verify import verify
from xbench.scorers.weights import read_weights
from xbench.scorers.xclip.load import random_clip
from xbench.scorers.xpool import XPool, load_xpool
from xbench.scorers.xpool.pixels import transform, video_input
from xbench.scorers.xpool.pooling import Pooling, pooling_shapes
from xbench.scorers.xpool.sizes import infer_sizes, openai_layout
from xbench.video.decode import normalise

CPU = torch.device("cpu")
FRAMES = 4
COUNTS = (4, 1, 3)
TEXTS = ["the cat", "a dog and the cat sat on the dog and sat", "and"]


def pooling_state(width, seed=0):
    """Random parameters, no LayerNorm of them the identity, so that every step shows."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in pooling_shapes(width).items():
        spread = width**-0.5 if len(shape) == 2 else 0.3
        state[name] = spread * torch.randn(shape, generator=generator) + (".layer_norm" in name)
    return state


def spelled_out(state, texts, frames, heads=1):
    """Pool frames [V, F, D] by each text of [T, D], step by step: attention's output, pooled, cosines."""

    def linear(name, value):
        return value @ state[f"pool_frames.{name}.weight"].T + state[f"pool_frames.{name}.bias"]

    def norm(name, value):
        own = state[f"pool_frames.{name}.weight"], state[f"pool_frames.{name}.bias"]
        return torch.layer_norm(value, value.shape[-1:], *own, 1e-5)

    seen, width = norm("layer_norm1", frames), texts.shape[1] // heads
    query = linear("cross_attn.q_proj", norm("layer_norm1", texts))
    key, value = linear("cross_attn.k_proj", seen), linear("cross_attn.v_proj", seen)
    mixed = []
    for start in range(0, texts.shape[1], width):
        own = slice(start, start + width)
        logits = torch.einsum("td,vfd->vtf", query[:, own], key[..., own]) / width**0.5
        mixed.append(torch.softmax(logits, dim=-1) @ value[..., own])
    attended = linear("cross_attn.out_proj", torch.cat(mixed, dim=-1))
    after = norm("layer_norm2", attended)
    pooled = norm("layer_norm3", after + linear("linear_proj", after))
    return attended, pooled, torch.cosine_similarity(texts, pooled, dim=-1).T


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("frames", [1, 12])
@pytest.mark.parametrize("alike", [0.0, 20.0])
def test_the_closed_form_is_the_pooling_spelled_out(heads, frames, alike):
    """Also for frames that are nearly one, of which little is left once the mean is taken off."""
    generator = torch.Generator().manual_seed(1)
    texts = torch.randn(5, 16, generator=generator)
    videos = alike * torch.randn(6, 1, 16, generator=generator) + torch.randn(
        6, frames, 16, generator=generator
    )
    state = pooling_state(16)
    exact = {name: tensor.double() for name, tensor in state.items()}
    wanted = spelled_out(exact, texts.double(), videos.double(), heads)[2]
    pooling = Pooling(state, heads, CPU)
    assert (pooling.scores(texts, pooling.videos(videos)) - wanted).abs().max() < 1e-6


def test_a_pair_scores_the_same_wherever_it_stands():
    """Copies of a video, and a caption, in blocks of any size and at any place: equal to the last bit."""
    generator = torch.Generator().manual_seed(2)
    pooling = Pooling(pooling_state(64), 1, CPU)

    def scores(texts, videos):
        sides = {"text": texts}, {"frames": videos}
        prepare = lambda some: pooling.videos(some["frames"])  # noqa: E731
        return in_pieces(*sides, (16, 8), prepare, lambda few, many: pooling.scores(few["text"], many))

    texts, videos = torch.randn(37, 64, generator=generator), torch.randn(21, 12, 64, generator=generator)
    copied = torch.cat([videos[3:4], videos, videos[3:4]])
    all_scores = scores(texts, copied)
    assert torch.equal(all_scores[:, 0], all_scores[:, 4])
    assert torch.equal(all_scores[:, 0], all_scores[:, -1])
    for rows, columns in (
        (slice(5, 6), slice(3, 4)),
        (slice(0, 17), slice(2, 12)),
        (slice(30, 37), slice(0, 21)),
    ):
        assert torch.equal(scores(texts[rows], videos[columns]), all_scores[rows, 1:-1][:, columns])


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return ClipTokenizer(vocabulary(tmp_path_factory.mktemp("vocabulary")), unescape=False)


def xpool_state(layout="transformers"):
    """Random weights as the official code saves them with `--huggingface`, or without."""
    clip = random_clip(CLIP)
    if layout == "transformers":
        counters = {
            f"{side}_model.embeddings.position_ids": torch.arange(5)[None] for side in ("text", "vision")
        }
        clip = clip_to_transformers(clip) | counters
    return with_prefix("clip.", clip) | pooling_state(CLIP.embed)


def saved(path, weights):
    """As the official training saves: optimizer and all."""
    torch.save(
        {"epoch": 3, "state_dict": weights, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-6}]}}, path
    )
    return path


@pytest.fixture(scope="module", params=["transformers", "openai"])
def checkpoint(request, tmp_path_factory):
    return saved(tmp_path_factory.mktemp("xpool") / "model_best.pth", xpool_state(request.param))


@pytest.fixture(scope="module")
def scorer(checkpoint, words):
    return load_xpool(checkpoint, tokenizer=words, frames=FRAMES)


@pytest.fixture(scope="module")
def clips():
    mask = torch.arange(FRAMES) < torch.tensor(COUNTS)[:, None]
    pixels = torch.randn(len(COUNTS), FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return pixels * mask[..., None, None, None], mask


def test_scores_are_those_of_the_formula_in_both_layouts(scorer, words, clips):
    clip, (frames, mask) = random_clip(CLIP), clips
    texts = torch.stack([text_feature(clip, tokens) for tokens in words.batch(TEXTS, CLIP.context)])
    videos = []
    for own, inside in zip(frames, mask, strict=True):
        seen = [image_feature(clip, frame) for frame in own[inside]]
        videos.append(torch.stack([*seen, *[seen[-1]] * (FRAMES - len(seen))]))
    text, video = scorer.encode_texts(TEXTS), scorer.encode_videos(frames, mask)
    assert (text["text"] - texts).abs().max() < 1e-5
    assert (video["frames"] - torch.stack(videos)).abs().max() < 1e-5
    wanted = spelled_out(pooling_state(CLIP.embed), texts, torch.stack(videos))[2]
    scores = scorer.similarity(text, video)
    assert scores.dtype == torch.float32
    assert (scores - wanted).abs().max() < 1e-5


def test_the_contract_is_kept(scorer):
    assert all(check.passed for check in verify(scorer))


@pytest.mark.parametrize("items", [2, 7, 300])
def test_scores_are_the_same_in_the_block_of_a_run_and_in_a_small_one(scorer, clips, items):
    rank_like(scorer, scorer.encode_texts(TEXTS), scorer.encode_videos(*clips), items)


def test_html_entities_are_left_and_captions_go_up_to_what_the_encoder_takes(scorer, words, tmp_path):
    unescaping = ClipTokenizer(vocabulary(tmp_path))
    escaped = "the &lt;cat&gt; < dog"  # a < of its own, or ftfy would resolve the entities
    assert words.encode(escaped) != unescaping.encode(escaped)
    assert words.encode("The  Cat\n") == unescaping.encode("the cat")
    assert scorer.settings["words"] == CLIP.context
    long = " ".join(["the"] * (CLIP.context - 3))
    assert not torch.equal(
        scorer.encode_texts([f"{long} cat"])["text"], scorer.encode_texts([f"{long} dog"])["text"]
    )


def test_identity_and_settings_tell_what_shapes_a_number(scorer, checkpoint, words):
    known = [str(load_xpool(checkpoint, tokenizer=words, frames=frames).identity) for frames in (4, 5)]
    known.append(str(load_xpool(checkpoint, tokenizer=words, frames=4, precision="bf16").identity))
    assert len(set(known)) == 3
    assert {"transform", "text", "short_clips", "heads", "frames", "words"} <= scorer.settings.keys()
    assert "logit_scale" not in scorer.settings


def bicubic(values, size):
    """Naive cubic convolution (a = -0.75) of a row of numbers, without antialias, edges repeated."""
    scale, found = len(values) / size, []
    for place in range(size):
        centre = (place + 0.5) * scale - 0.5
        first = int(np.floor(centre))
        total = 0.0
        for tap in range(first - 1, first + 3):
            x = abs(centre - tap)
            weight = (1.25 * x - 2.25) * x * x + 1 if x <= 1 else ((-0.75 * x + 3.75) * x - 6) * x + 3
            total += weight * values[min(max(tap, 0), len(values) - 1)]
        found.append(total)
    return np.array(found)


def test_a_frame_is_resized_as_floats_without_antialias_or_clamp():
    picture = np.random.default_rng(0).integers(0, 256, (30, 43, 3), dtype=np.uint8)
    found = transform(picture, size=16, mean=(0, 0, 0), std=(1, 1, 1))
    exact = picture / 255
    rows = np.apply_along_axis(bicubic, 0, exact, 16)
    wide = np.apply_along_axis(bicubic, 1, rows, int(16 * 43 / 30))
    left = round(Fraction(wide.shape[1] - 16, 2))
    assert np.abs(found.numpy() - wide[:, left : left + 16].transpose(2, 0, 1)).max() < 1e-5
    assert found.min() < 0
    assert found.max() > 1


def test_a_frame_of_the_right_size_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (16, 19, 3), dtype=np.uint8)
    wants = video_input(16, 4)
    found = wants.frame_transform(picture)
    cut = torch.from_numpy(picture[:, 2:18].copy()).permute(2, 0, 1)  # a margin of 1.5 goes to the even side
    assert (found - normalise(cut, wants.mean, wants.std)).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stochastic.std_branch.linear_proj.weight": (64, 64)}, "T-MASS"),
        ({"pool_frames.layer_norm3.bias": None}, r"1 missing: pool_frames\.layer_norm3\.bias"),
        ({"clip.text_model.final_layer_norm.bias": None}, r"lack 'text_model\.final_layer_norm\.bias'"),
        ({"clip.text_model.encoder.layers.0.self_attn.k_proj.bias": (2, 2)}, "shapes that CLIP never has"),
        ({"clip.vision_model.head.weight": (2, 2)}, r"1 not expected: clip\.vision_model\.head\.weight"),
        ({"some.head.weight": (2, 2)}, r"1 not expected: some\.head\.weight"),
        ({"pool_frames.linear_proj.weight": (63, 64)}, "1 of another shape"),
    ],
)
def test_what_is_no_such_checkpoint_is_told(tmp_path, words, changes, said):
    weights = xpool_state()
    for name, shape in changes.items():
        weights[name] = torch.zeros(shape or ())
        if shape is None:
            del weights[name]
    with pytest.raises(ModelError, match=said):
        load_xpool(saved(tmp_path / "c.pth", weights), tokenizer=words)


def test_heads_that_do_not_divide_the_width_are_a_usage_error(checkpoint, words):
    with pytest.raises(UsageError, match="heads=3"):
        load_xpool(checkpoint, tokenizer=words, heads=3)
    two = load_xpool(checkpoint, tokenizer=words, heads=2)
    assert two.settings["heads"] == 2


class Vocabulary:
    """Stands in for the golden model's, which has no file: 300 tokens, the last one ends a caption."""

    size, sha256, vocabulary = 300, "none", "golden"


@pytest.fixture(scope="module")
def golden(shared):
    from safetensors.torch import load_file

    folder = shared / "golden" / "models" / "xpool"
    return load_file(folder / "golden.safetensors"), json.loads((folder / "golden.json").read_text()), folder


@pytest.fixture(scope="module")
def official(golden):
    found = read_weights(golden[2] / "model_best.pth")
    state = openai_layout(found.state, "golden")
    return XPool(
        state, infer_sizes(state, "golden", frames=12, heads=1), tokenizer=Vocabulary(), file=found.file
    )


def test_every_intermediate_is_the_official_codes(golden, official):
    tensors, weights = golden[0], official._state
    text = official._model.texts(tensors["in.token_ids"])
    assert (text - tensors["out.text_features"]).abs().max() < 1e-5
    wants = official.video_input
    frames = torch.stack(
        [torch.stack([wants.frame_transform(p) for p in clip]) for clip in tensors["in.frames_uint8"].numpy()]
    )
    video = official.encode_videos(frames, torch.ones(7, 12, dtype=torch.bool))
    assert (video["frames"] - tensors["out.frame_features"]).abs().max() < 1e-5
    pooling = official._pooling
    assert (pooling.norm(text) - tensors["out.text_after_layer_norm1"]).abs().max() < 1e-5
    assert (pooling.norm(video["frames"]) - tensors["out.frames_after_layer_norm1"]).abs().max() < 1e-5
    own = spelled_out(weights, text, video["frames"])
    for found, name, tolerance in zip(
        own, ("attention_output", "pooled", "similarity"), (1e-4, 1e-4, 1e-6), strict=True
    ):
        assert (found - tensors[f"out.{name}"]).abs().max() < tolerance, name
    scores = official.similarity({"text": text}, video)
    assert (scores - tensors["out.similarity"]).abs().max() < 1e-6


def test_the_attention_is_the_official_codes(golden, official):
    """The closed form's weights and values give what the official attention gives."""
    tensors, pooling = golden[0], official._pooling
    frames = tensors["out.frame_features"]
    videos = pooling.videos(frames)
    weights = pooling.weights(pooling.queries(tensors["out.text_features"]), videos)
    values = torch.nn.functional.linear(pooling.norm(frames), *pooling._of("cross_attn.v_proj"))
    mixed = weights @ pooling.projected(values)
    assert (mixed - tensors["out.attention_output"]).abs().max() < 1e-4


def test_several_captions_a_video_rank_as_the_official_code_counts_them(golden, official):
    tensors, facts, _ = golden
    scores = official.similarity(
        {"text": tensors["out.text_features"]}, {"frames": tensors["out.frame_features"]}
    )
    owners = np.array(facts["caption_owner"])
    for side, counts in (
        ("t2v", t2v_counts(scores.numpy(), owners)),
        ("v2t", v2t_counts(scores.numpy(), owners)),
    ):
        ranks = counts.better + 1
        assert not counts.tied.any()
        for k in (1, 5, 10):
            assert 100 * (ranks <= k).mean() == pytest.approx(facts[side][f"R{k}"])
        assert np.median(ranks) == facts[side]["MedR"]
        assert ranks.mean() == pytest.approx(facts[side]["MeanR"])


def test_frames_and_pixels_are_the_official_codes(golden, shared):
    from xbench.video.choice import Sampling
    from xbench.video.decode import read_clip

    short = read_clip(
        shared / "golden" / "video" / "e_320x240_30fps_short.mp4",
        (0, 0.1),
        Sampling(4, video_input(64, 4).sampling),
        64,
    )
    assert list(short.source) == [0, 1, 2, 2]  # three frames: the last one again
    pixels = np.load(golden[2] / "frames_64px_4.npz")
    for name, facts in golden[1]["video"].items():
        path = shared / "golden" / "video" / name
        wants = video_input(64, 4)
        clip = read_clip(path, None, Sampling(4, wants.sampling), None)
        assert list(clip.source) == facts["indices_4"], name
        assert list(read_clip(path, None, Sampling(12, wants.sampling), 32).source) == facts["indices_12"], (
            name
        )
        found = torch.stack([wants.frame_transform(frame) for frame in clip.frames])
        assert np.abs(found.numpy() - pixels[name[0]]).max() < 1e-5, name
