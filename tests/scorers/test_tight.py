"""CLIP4Clip's tight type against its formula spelled out.

No output of the official code was at hand: the oracle is written from `modules/modeling.py` and
`modules/module_cross.py` of ArrowLuo/CLIP4Clip.
"""

import pytest
import torch
from plain_clip import blocks, image_feature, norm, text_feature
from ranked import rank_like
from small_tight import tight_state
from xclip_small import FRAMES, SIDE, WORDS, tokenizer

from xbench.errors import ModelError
from xbench.scorers.base import Reranker, is_cross_encoder
from xbench.scorers.clip.sizes import without_prefix
from xbench.scorers.clip4clip import load_clip4clip
from xbench.scorers.clip4clip.cross import TightModel
from xbench.scorers.verify import verify

COUNTS = (4, 1, 3)
TEXTS = ["the cat", "a dog and the cat sat on the dog and sat", "and"]


def pair_score(state, sentence, frames):
    """Score a sentence [D] and a video's own frames [F, D], none of them normalised."""
    sequence = torch.cat([sentence[None], frames])
    sequence = sequence + state["cross.embeddings.position_embeddings.weight"][: len(sequence)]
    hidden = blocks(state, "cross.transformer.", sequence, torch.zeros(()), eps=1e-12)
    first = norm(state, "cross.pooler.ln_pool", hidden, 1e-12)[0]
    deep = first @ state["cross.pooler.dense.weight"].T + state["cross.pooler.dense.bias"]
    pooled = deep * torch.sigmoid(1.702 * deep)
    return (pooled @ state["similarity_dense.weight"].T + state["similarity_dense.bias"])[0]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("tight") / "pytorch_model.bin.4"
    torch.save(tight_state(), path)
    return path


@pytest.fixture(scope="module")
def scorer(checkpoint, words):
    return load_clip4clip(checkpoint, tokenizer=words, words=WORDS, frames=FRAMES)


@pytest.fixture(scope="module")
def clips():
    mask = torch.arange(FRAMES) < torch.tensor(COUNTS)[:, None]
    pixels = torch.randn(len(COUNTS), FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return pixels * mask[..., None, None, None], mask


@pytest.fixture(scope="module")
def features(scorer, clips):
    return scorer.encode_texts(TEXTS), scorer.encode_videos(*clips)


def test_scores_are_those_of_the_formula(scorer, words, clips, features):
    weights, (frames, mask) = tight_state(), clips
    clip = without_prefix("clip.", weights)
    sentences = [text_feature(clip, tokens) for tokens in words.batch(TEXTS, WORDS)]
    videos = [
        torch.stack([image_feature(clip, frame) for frame in own[inside]])
        for own, inside in zip(frames, mask, strict=True)
    ]
    wanted = torch.stack([torch.stack([pair_score(weights, s, v) for v in videos]) for s in sentences])
    scores = scorer.similarity(*features)
    assert scores.dtype == torch.float32
    assert wanted.std() > 0.01  # the formula tells pairs apart
    assert (scores - wanted).abs().max() < 1e-5


def test_the_contract_is_kept(scorer):
    assert all(check.passed for check in verify(scorer))


def test_it_is_a_cross_encoder_and_a_reranker(scorer, features):
    text, video = features
    assert is_cross_encoder(scorer)
    assert isinstance(scorer, Reranker)
    one = {name: tensor[1:2] for name, tensor in text.items()}
    assert torch.equal(scorer.rerank(one, video), scorer.similarity(text, video)[1])


def test_copies_tie_to_the_bit_wherever_they_stand(scorer, features):
    text, video = features
    many = torch.arange(61) % len(COUNTS)
    videos = {name: tensor[many] for name, tensor in video.items()}
    texts = {name: tensor[torch.arange(5) % len(TEXTS)] for name, tensor in text.items()}
    scores = scorer.similarity(texts, videos)
    for count in range(len(COUNTS)):
        assert (scores[:, many == count] == scores[:, count : count + 1]).all()
    assert torch.equal(scores[3], scores[0])
    assert torch.equal(scorer.similarity(text, video), scores[:3, :3])  # and in a block of another size


def test_what_lies_under_the_padding_does_not_matter(scorer, features):
    text, video = features
    dirty = video | {"frames": torch.where(video["mask"][..., None], video["frames"], torch.tensor(7.0))}
    assert torch.equal(scorer.similarity(text, dirty), scorer.similarity(text, video))


def test_a_run_scores_alike_in_its_blocks_and_in_a_small_one(scorer, features):
    text, video = features
    plain = {"sentence": text["sentence"]}, {"frames": video["frames"][:1], "mask": video["mask"][:1]}
    rank_like(_Whole(scorer), plain[0], {"frames": plain[1]["frames"]}, 20)


class _Whole:
    """The scorer on videos whose frames are all there, so that noise may be added to every tensor."""

    def __init__(self, scorer):
        self._scorer, self.block, self.settings = scorer, scorer.block, scorer.settings

    def similarity(self, text, video):
        mask = torch.ones(video["frames"].shape[:2], dtype=torch.bool)
        return self._scorer.similarity(text, video | {"mask": mask})


def test_identity_tells_everything_that_changes_a_feature(checkpoint, words):
    def identity(**changed):
        options = {"tokenizer": words, "words": WORDS, "frames": FRAMES} | changed
        return str(load_clip4clip(checkpoint, **options).identity)

    told = [identity(), identity(words=4), identity(frames=2), identity(precision="bf16")]
    assert len(set(told)) == 4


def test_the_record_knows_the_variant_and_nothing_that_plays_no_part(scorer):
    assert scorer.settings["variant"] == "tightTransf"
    assert scorer.settings["cross_layers"] == 2
    assert "logit_scale" not in scorer.settings


def test_the_state_can_be_saved_as_the_published_code_does(scorer):
    weights, saved = tight_state(), TightModel(scorer.sizes, tight_state()).official_state()
    assert saved.keys() == weights.keys()
    assert all(torch.equal(saved[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cross.pooler.dense.weight": None}, "1 missing: cross.pooler.dense.weight"),
        ({"similarity_dense.weight": None, "similarity_dense.bias": None}, "2 missing: similarity_dense"),
        ({"cross.embeddings.token_type_embeddings.weight": (2, 64)}, "1 not expected: cross.embeddings"),
        ({"cross.embeddings.position_embeddings.weight": (4, 64)}, "8 words and 4 frames are too many"),
        ({"clip.visual.conv2.weight": (64, 3, 3, 8, 8)}, "--linear_patch 3d"),
        ({"transformerClip.resblocks.0.ln_1.bias": (64,)}, "1 not expected: transformerClip"),
    ],
)
def test_what_is_not_whole_is_told(tmp_path, words, changes, said):
    weights = tight_state()
    for name, shape in changes.items():
        weights.pop(name, None)
        if shape is not None:
            weights[name] = torch.zeros(shape)
    torch.save(weights, tmp_path / "c.bin")
    with pytest.raises(ModelError, match=said):
        load_clip4clip(tmp_path / "c.bin", tokenizer=words, words=WORDS, frames=FRAMES)
