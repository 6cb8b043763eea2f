"""Weighted token interaction: against its formula pair by pair, golden files, and what is no such file."""

import math

import pytest
import torch
from plain_clip import blocks, image_feature, norm
from ranked import rank_like
from xclip_small import CLIP, FRAMES, SIDE, WORDS, state, tokenizer

from xbench.errors import ModelError, UsageError
from xbench.scorers.clip.sizes import without_prefix
from xbench.scorers.verify import verify
from xbench.scorers.weights import read_weights
from xbench.scorers.wti import Wti, load_wti
from xbench.scorers.wti.interaction import as_features, scores
from xbench.scorers.wti.sizes import infer_sizes, used, weighting_shapes
from xbench.scorers.xclip.sizes import matrix_shapes

COUNTS = (4, 1, 3)
TEXTS = ["the cat", "a dog and the cat sat on the dog and sat", "and"]
ARCHITECTURES = {"one layer": (), "DRL's two": (64,), "HBI's two": (128,), "three": (64, 64)}
UNUSED = ("text_weight_fc0.0.weight", "v_ctm1.conv.conv.weight", "t_block0.attn.q.bias", "banzhafteacher.Q")


def wti_state(hidden=(128,), variant="seqTransf"):
    """Random weights as the official training saves them."""
    matrices, generator = matrix_shapes(1, 1, 1), torch.Generator().manual_seed(5)
    kept = {name: tensor for name, tensor in state(variant).items() if name not in matrices}
    return kept | {
        name: 0.3 * torch.randn(shape, generator=generator)
        for name, shape in weighting_shapes(CLIP.embed, hidden).items()
    }


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def hidden(request):
    return ARCHITECTURES[request.param]


def saved(folder, weights):
    torch.save(weights, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


@pytest.fixture(scope="module")
def checkpoint(hidden, tmp_path_factory):
    return saved(tmp_path_factory.mktemp("wti"), wti_state(hidden))


@pytest.fixture(scope="module")
def scorer(checkpoint, words):
    return load_wti(checkpoint, tokenizer=words, words=WORDS, frames=FRAMES)


@pytest.fixture(scope="module")
def clips():
    mask = torch.arange(FRAMES) < torch.tensor(COUNTS)[:, None]
    pixels = torch.randn(len(COUNTS), FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return pixels * mask[..., None, None, None], mask


def weighted(weights, side, token):
    """The logit of a word or frame [D]: linear layers with a ReLU between them."""
    layers = without_prefix(f"{side}_weight_fc.", weights)
    names = sorted(name.removesuffix("weight") for name in layers if name.endswith("weight"))
    for number, name in enumerate(names):
        token = layers[f"{name}weight"] @ (token.relu() if number else token) + layers[f"{name}bias"]
    return float(token)


def softmax(logits):
    powers = [math.exp(logit - max(logits)) for logit in logits]
    return [power / sum(powers) for power in powers]


def pair(weights, text, video, padded):
    """The score of words [n, D] and frames [m, D] without padding. padded: whether either side has some."""
    cosines = [[float(torch.cosine_similarity(word, frame, dim=0)) for frame in video] for word in text]
    floors = [[0.0] if side else [] for side in padded]
    over_words = softmax([weighted(weights, "text", word) for word in text])
    over_frames = softmax([weighted(weights, "video", frame) for frame in video])
    by_word = [max(row + floors[1]) for row in cosines]
    by_frame = [max([row[at] for row in cosines] + floors[0]) for at in range(len(video))]
    return (
        sum(a * s for a, s in zip(over_words, by_word, strict=True))
        + sum(b * s for b, s in zip(over_frames, by_frame, strict=True))
    ) / 2


def spelled_words(clip, tokens):
    """Every position of token ids [n] through the text encoder, projected: [n, D]."""
    hidden = clip["token_embedding.weight"][tokens] + clip["positional_embedding"][: len(tokens)]
    causal = torch.full((len(tokens), len(tokens)), -torch.inf).triu(1)
    return norm(clip, "ln_final", blocks(clip, "transformer.", hidden, causal)) @ clip["text_projection"]


def spelled_frames(weights, images):
    """Frame features [m, D] behind the temporal transformer and its residual."""
    hidden = images + weights["frame_position_embeddings.weight"][: len(images)]
    return images + blocks(weights, "transformerClip.", hidden, torch.zeros(()), eps=1e-12)


def test_scores_are_those_of_the_formula_pair_by_pair(scorer, hidden, words, clips):
    weights, (frames, mask) = wti_state(hidden), clips
    clip = without_prefix("clip.", weights)
    rows = words.batch(TEXTS, WORDS)
    lengths = [min(len(words.encode(text)), WORDS - 2) + 2 for text in TEXTS]
    texts = [spelled_words(clip, row[:length]) for row, length in zip(rows, lengths, strict=True)]
    videos = [
        spelled_frames(weights, torch.stack([image_feature(clip, frame) for frame in own[inside]]))
        for own, inside in zip(frames, mask, strict=True)
    ]
    found = scorer.similarity(scorer.encode_texts(TEXTS), scorer.encode_videos(frames, mask))
    assert found.dtype == torch.float32
    for row, text in enumerate(texts):
        for column, video in enumerate(videos):
            padded = len(text) < WORDS, len(video) < FRAMES
            assert float(found[row, column]) == pytest.approx(pair(weights, text, video, padded), abs=1e-5)


def test_a_padded_pair_counts_as_zero_and_wins_over_negative_cosines():
    """As published: where all cosines of a word are negative, the padding is its best match."""
    one = torch.ones(1, 1, 4)
    text = as_features(one, torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool))
    frames = torch.cat([-one, one], dim=1)
    padded = as_features(frames, torch.tensor([[1.0, 0.0]]), torch.tensor([[True, False]]))
    whole = as_features(frames[:, :1], torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert scores(text, padded).item() == pytest.approx((0 - 1) / 2)
    assert scores(text, whole).item() == pytest.approx(-1)


def test_the_contract_is_kept(scorer):
    assert all(check.passed for check in verify(scorer))


def test_a_pair_scores_the_same_wherever_it_stands(scorer, clips):
    text, video = scorer.encode_texts(TEXTS * 50), scorer.encode_videos(*clips)
    many = {name: torch.cat([tensor] * 30) for name, tensor in video.items()}
    found = scorer.similarity(text, many)
    alone = scorer.similarity({name: tensor[:3] for name, tensor in text.items()}, video)
    assert torch.equal(found, alone.repeat(50, 30))


@pytest.mark.parametrize("items", [2, 300])
def test_scores_are_the_same_in_the_block_of_a_run_and_in_a_small_one(scorer, clips, items):
    text, video = scorer.encode_texts(TEXTS), scorer.encode_videos(*clips)
    rank_like(scorer, text, video, items)


def test_a_literal_end_token_in_a_caption_does_not_end_it(scorer):
    """The mask goes to the caption's own end, as the published code counts tokens."""
    weights = scorer.encode_texts(["cat <|endoftext|> dog", "cat"])["weights"]
    assert (weights > 0).sum(dim=1).tolist() == [5, 3]


def test_the_sampling_is_what_is_asked_for(checkpoint, words):
    scorer = load_wti(checkpoint, tokenizer=words, words=WORDS, frames=FRAMES, sampling="uniform")
    assert str(scorer.video_input.sampling) == "uniform"
    with pytest.raises(UsageError, match="There is no sampling 'evry=1'"):
        load_wti(checkpoint, tokenizer=words, words=WORDS, frames=FRAMES, sampling="evry=1")


def test_records_say_what_of_the_published_computation_is_left_out(
    scorer, checkpoint, words, hidden, tmp_path
):
    assert "decord" in scorer.settings["decoder"]
    assert scorer.settings["weighting"] == " x ".join(map(str, (CLIP.embed, *hidden, 1)))
    assert "trained_as" not in scorer.settings
    extra = wti_state(hidden) | {name: torch.ones(2) for name in UNUSED}
    hbi = load_wti(saved(tmp_path, extra), tokenizer=words, words=WORDS, frames=FRAMES)
    assert (hbi.settings["trained_as"], hbi.settings["unused_parameters"]) == ("HBI", len(UNUSED))
    text = scorer.encode_texts(TEXTS)
    assert all(torch.equal(text[name], tensor) for name, tensor in hbi.encode_texts(TEXTS).items())


def test_a_checkpoint_without_temporal_encoder_is_read(tmp_path, words):
    path = saved(tmp_path, wti_state((64,), "meanP"))
    assert load_wti(path, tokenizer=words, words=WORDS, frames=FRAMES).settings["variant"] == "meanP"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text_weight_fc.4.weight": (1, 128), "text_weight_fc.2.weight": None}, "layers 0.bias"),
        ({"video_weight_fc.2.bias": None}, r"1 missing: video_weight_fc\.2\.bias"),
        ({"video_weight_fc.0.weight": (64, 64)}, "1 of another shape"),
        ({"banzhaf_other.Q": (2, 2)}, r"1 not expected: banzhaf_other\.Q"),
        ({"clip.text_projection": None}, "1 missing: clip.text_projection"),
    ],
)
def test_what_is_no_such_checkpoint_is_told(tmp_path, words, changes, said):
    weights = wti_state()
    for name, shape in changes.items():
        weights[name] = torch.zeros(shape or ())
        if shape is None:
            del weights[name]
    with pytest.raises(ModelError, match=said):
        load_wti(saved(tmp_path, weights), tokenizer=words, words=WORDS, frames=FRAMES)


class Golden:
    """Stands in for the golden model's vocabulary, which has no file; gives the golden captions' tokens."""

    size, sha256, vocabulary = 300, "none", "golden"

    def __init__(self, tokens):
        self.tokens = tokens

    def batch(self, texts, length):
        return self.tokens[: len(texts), :length]


def test_every_intermediate_is_the_official_codes(shared):
    from safetensors.torch import load_file

    folder = shared / "golden" / "models" / "hbi"
    golden = load_file(folder / "golden.safetensors")
    found = read_weights(folder / "pytorch_model.bin")
    sizes = infer_sizes(found.state, "golden", words=12, frames=12)
    official = Wti(used(found.state), sizes, tokenizer=Golden(golden["in.token_ids"]), file=found.file)
    inside, mask = golden["in.text_mask"].bool(), golden["in.video_mask"].bool()

    text = official.encode_texts([""] * len(inside))
    spelled = official._model.words(golden["in.token_ids"])
    assert (spelled - golden["out.word_features"])[inside].abs().max() < 1e-5
    assert (text["weights"] - golden["out.word_weights"]).abs().max() < 1e-5

    wants = official.video_input
    mean, std = (torch.tensor(values)[:, None, None] for values in (wants.mean, wants.std))
    frames = (golden["in.frames_uint8"].permute(0, 1, 4, 2, 3) / 255 - mean) / std
    images = official._frame_features(frames, mask, official._model.images)
    assert (images - golden["out.frame_features_clip"])[mask].abs().max() < 1e-5
    seen = official._model.temporal(images, mask)
    assert (seen - golden["out.frame_features"])[mask].abs().max() < 1e-5
    video = official.encode_videos(frames * mask[..., None, None, None], mask)
    assert (video["weights"] - golden["out.frame_weights"]).abs().max() < 1e-5

    cosines = torch.einsum("tld,vfd->tvlf", text["tokens"], video["tokens"])
    assert (cosines - golden["out.pair_similarity"]).abs().max() < 1e-5
    assert (official.similarity(text, video) - golden["out.similarity"]).abs().max() < 1e-6
