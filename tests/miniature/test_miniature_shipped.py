"""The shipped checkpoint and vocabulary: small, in the published layout, fit for every caption."""

import pytest
import torch
from safetensors import safe_open

from xbench.miniature import checkpoint_path, vocabulary_path
from xbench.miniature.benchmarks import MANNERS, clips
from xbench.scorers.clip.bpe import ClipTokenizer
from xbench.scorers.xclip.load import load_xclip


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer(vocabulary_path())


def test_both_files_together_stay_below_five_megabytes():
    assert checkpoint_path().stat().st_size + vocabulary_path().stat().st_size < 5_000_000


def test_the_checkpoint_loads_as_any_with_the_shapes_of_all_five(tokenizer):
    sizes = load_xclip(checkpoint_path(), tokenizer=tokenizer).sizes
    assert (sizes.variant, sizes.words, sizes.frames) == ("seqTransf", 32, 12)


def test_dtypes_are_those_of_published_checkpoints(fixtures_meta):
    half = {name for name, dtype in fixtures_meta.items() if dtype == torch.float16}
    assert "clip.visual.proj" in half
    assert "clip.transformer.resblocks.0.attn.in_proj_weight" in half
    assert all(name.startswith("clip.") for name in half)
    assert not any("embedding" in name or ".ln_" in name for name in half)


@pytest.fixture(scope="module")
def fixtures_meta() -> dict[str, torch.dtype]:
    with safe_open(str(checkpoint_path()), "pt") as file:
        return {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("benchmark", MANNERS)
def test_every_word_is_one_token_and_no_caption_is_cut(benchmark, tokenizer):
    for clip in clips(benchmark):
        texts = [" ".join(clip.sentences)] if MANNERS[benchmark].style.long else clip.sentences
        for text in texts:
            tokens = tokenizer.encode(text)
            assert len(tokens) == len(text.replace(".", " .").split())
            assert len(tokens) <= 30


def test_words_it_has_never_seen_still_become_tokens(tokenizer):
    assert len(tokenizer.encode("Zebra 42 çà")) > 3
