"""CLIP4Clip against its formula spelled out, and every checkpoint that is none against its message."""

import pytest
import torch
from plain_clip import image_feature, text_feature, unit, video_feature
from ranked import rank_like
from xclip_small import FRAMES, SIDE, WORDS, state, tokenizer

from xbench.errors import ModelError
from xbench.scorers.clip.sizes import VARIANTS, without_prefix
from xbench.scorers.clip4clip import load_clip4clip
from xbench.scorers.clip4clip.model import Clip4ClipModel
from xbench.scorers.verify import verify
from xbench.scorers.xclip.sizes import matrix_shapes

COUNTS = (4, 1, 3)
TEXTS = ["the cat", "a dog and the cat sat on the dog and sat", "and"]


def clip4clip_state(variant):
    matrices = matrix_shapes(1, 1, 1)
    return {name: tensor for name, tensor in state(variant).items() if name not in matrices}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def checkpoint(variant, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip4clip") / "pytorch_model.bin.4"
    torch.save(clip4clip_state(variant), path)
    return path


@pytest.fixture(scope="module")
def scorer(checkpoint, words):
    return load_clip4clip(checkpoint, tokenizer=words, words=WORDS, frames=FRAMES)


@pytest.fixture(scope="module")
def clips():
    mask = torch.arange(FRAMES) < torch.tensor(COUNTS)[:, None]
    pixels = torch.randn(len(COUNTS), FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return pixels * mask[..., None, None, None], mask


def test_scores_are_those_of_the_formula(scorer, variant, words, clips):
    weights, (frames, mask) = clip4clip_state(variant), clips
    clip = without_prefix("clip.", weights)
    sentences = torch.stack([unit(text_feature(clip, tokens)) for tokens in words.batch(TEXTS, WORDS)])
    videos = torch.stack(
        [
            video_feature(
                weights, torch.stack([image_feature(clip, frame) for frame in own[inside]]), variant
            )
            for own, inside in zip(frames, mask, strict=True)
        ]
    )
    text, video = scorer.encode_texts(TEXTS), scorer.encode_videos(frames, mask)
    assert (text["sentence"] - sentences).abs().max() < 1e-5
    assert (video["video"] - videos).abs().max() < 1e-5
    scores = scorer.similarity(text, video)
    assert (scores - clip["logit_scale"].exp() * sentences @ videos.T).abs().max() < 2e-4
    assert scores.dtype == torch.float32


def test_the_contract_is_kept(scorer):
    assert all(check.passed for check in verify(scorer))


@pytest.mark.parametrize("items", [2, 7, 513])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_are_the_same_in_the_block_of_a_run_and_in_a_small_one(
    checkpoint, words, clips, precision, items
):
    scorer = load_clip4clip(checkpoint, tokenizer=words, words=WORDS, frames=FRAMES, precision=precision)
    rank_like(scorer, scorer.encode_texts(TEXTS), scorer.encode_videos(*clips), items)


def test_what_lies_under_the_padding_does_not_matter(scorer, clips):
    frames, mask = clips
    dirty = torch.where(mask[..., None, None, None], frames, torch.full_like(frames, 7.0))
    assert torch.equal(
        scorer.encode_videos(dirty, mask)["video"], scorer.encode_videos(frames, mask)["video"]
    )


def test_words_and_frames_are_what_the_run_says(checkpoint, words):
    scorer = load_clip4clip(checkpoint, tokenizer=words, words=4, frames=2)
    assert scorer.video_input.max_frames == 2
    assert (scorer.settings["words"], scorer.settings["frames"]) == (4, 2)
    cut = scorer.encode_texts(["the cat sat", "the cat and the dog"])["sentence"]
    assert torch.equal(cut[0], cut[1])  # start, the, cat, end


def test_identity_tells_everything_that_changes_a_feature(checkpoint, words):
    def identity(**changed):
        options = {"tokenizer": words, "words": WORDS, "frames": FRAMES} | changed
        return str(load_clip4clip(checkpoint, **options).identity)

    told = [identity(), identity(words=4), identity(frames=2), identity(precision="bf16")]
    assert len(set(told)) == 4


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_towers_in_half_precision_stay_close(checkpoint, words, clips, precision, scorer):
    half = load_clip4clip(checkpoint, tokenizer=words, words=WORDS, frames=FRAMES, precision=precision)
    exact, found = scorer.encode_videos(*clips)["video"], half.encode_videos(*clips)["video"]
    assert 0 < (found - exact).abs().max() < 0.05
    assert found.dtype == torch.float32


def test_the_state_can_be_saved_as_the_published_code_does(variant, scorer):
    weights = clip4clip_state(variant)
    saved = Clip4ClipModel(scorer.sizes, clip4clip_state(variant)).official_state()
    assert saved.keys() == weights.keys()
    assert all(torch.equal(saved[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"similarity_dense.weight": (1, 64), "similarity_dense.bias": (1,)}, "lacks 'cross.embeddings"),
        ({"clip.visual.conv2.weight": (64, 3, 3, 8, 8)}, "--linear_patch 3d"),
        ({"clip.visual.conv2.weight": (64, 3, 8, 8)}, "1 not expected: clip.visual.conv2.weight"),
        ({"global_mat_weight": (64, 64)}, "is an X-CLIP checkpoint"),
        ({"clip.text_projection": None}, "1 missing: clip.text_projection"),
        ({"some.head.weight": (2, 2)}, "1 not expected: some.head.weight"),
        ({"clip.visual.ln_post.bias": (63,)}, "1 of another shape"),
    ],
)
def test_what_is_no_such_checkpoint_is_told(tmp_path, words, changes, said):
    weights = clip4clip_state("meanP")
    for name, shape in changes.items():
        if shape is None:
            del weights[name]
        else:
            weights[name] = torch.zeros(shape)
    torch.save(weights, tmp_path / "c.bin")
    with pytest.raises(ModelError, match=said):
        load_clip4clip(tmp_path / "c.bin", tokenizer=words, words=WORDS, frames=FRAMES)


def test_plain_clip_weights_are_sent_to_the_right_model(tmp_path, words):
    torch.save(without_prefix("clip.", clip4clip_state("meanP")), tmp_path / "clip.pt")
    with pytest.raises(ModelError, match="--model clip --clip FILE"):
        load_clip4clip(tmp_path / "clip.pt", tokenizer=words, words=WORDS, frames=FRAMES)


@pytest.mark.parametrize(("words_", "frames", "said"), [(17, 4, "17 words"), (8, 17, "17 frames")])
def test_more_words_or_frames_than_there_are_positions_are_refused(tmp_path, words, words_, frames, said):
    torch.save(clip4clip_state("seqTransf"), tmp_path / "c.bin")
    with pytest.raises(ModelError, match=said):
        load_clip4clip(tmp_path / "c.bin", tokenizer=words, words=words_, frames=frames)
