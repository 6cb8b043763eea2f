"""The tools that made the shipped files: what they learn from, how they save and how they measure."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

TOOLS = Path(__file__).resolve().parents[2] / "tools"
if not TOOLS.is_dir():
    pytest.skip("tools/ is not part of this installation", allow_module_level=True)
sys.path.insert(0, str(TOOLS))

from miniature.checkpoint import new_model, save  # noqa: E402
from miniature.measuring import first_places, pairs_won  # noqa: E402
from miniature.pool import bunches, to_pixels  # noqa: E402
from miniature.vocabulary import corpus, learn_merges, write_vocabulary  # noqa: E402

from xbench.miniature import vocabulary_path  # noqa: E402
from xbench.miniature.benchmarks import MANNERS, clips  # noqa: E402
from xbench.miniature.drawing import frame  # noqa: E402
from xbench.scorers.clip.bpe import ClipTokenizer  # noqa: E402
from xbench.scorers.xclip.load import load_xclip  # noqa: E402


def test_no_training_scene_means_the_same_as_a_test_scene():
    tested = {clip.scene.meaning() for benchmark in MANNERS for clip in clips(benchmark)}
    source = bunches(seed=1)
    drawn = [example.scene.meaning() for _ in range(1500) for example in next(source)]
    assert not tested & set(drawn)


def test_training_texts_are_told_in_the_manner_of_a_benchmark():
    example = next(bunch[0] for bunch in bunches(seed=1) if bunch[0].manner is MANNERS["lsmdc"])
    from xbench.miniature.dice import Dice

    assert example.text(Dice("any")).endswith(".")
    assert len(example.times) == example.scene.seconds


def test_training_frames_are_transformed_as_the_harness_does():
    pixels = to_pixels(frame(clips("msrvtt")[0].scene, 0))
    assert pixels.shape == (3, 64, 64)
    assert pixels.dtype == np.uint8


def test_the_shipped_vocabulary_is_what_the_tool_learns(tmp_path):
    write_vocabulary(tmp_path / "bpe.txt.gz", learn_merges(corpus()))
    learned, shipped = ClipTokenizer(tmp_path / "bpe.txt.gz"), ClipTokenizer(vocabulary_path())
    texts = [text for clip in clips("msrvtt") for text in clip.sentences]
    assert learned.size == shipped.size
    assert [learned.encode(text) for text in texts] == [shipped.encode(text) for text in texts]


def test_frequent_pairs_merge_first_until_words_are_whole():
    assert learn_merges(["aab aab ab"]) == [("a", "b</w>"), ("a", "ab</w>")]


def test_a_new_model_is_saved_as_a_checkpoint_that_loads(tmp_path):
    write_vocabulary(tmp_path / "bpe.txt.gz", learn_merges(["a red ball"]))
    tokenizer = ClipTokenizer(tmp_path / "bpe.txt.gz")
    model = new_model(tokenizer.size, seed=3)
    save(model, tmp_path / "model.safetensors")
    scorer = load_xclip(tmp_path / "model.safetensors", tokenizer=tokenizer)
    told = scorer.encode_texts(["a red ball"])["sentence"]
    with torch.inference_mode():
        sentence, _ = model.eval().texts(tokenizer.batch(["a red ball"], 32))
    assert torch.allclose(told, sentence, atol=5e-3)
    with safe_open(str(tmp_path / "model.safetensors"), "pt") as file:
        assert file.get_tensor("clip.visual.conv1.weight").dtype == torch.float16
        assert file.get_tensor("clip.token_embedding.weight").dtype == torch.float32


def test_first_places_and_pairs_are_counted_by_hand():
    scores = np.array([[3, 2, 9], [1, 5, 0], [2, 4, 3], [0, 0, 1]], dtype=np.float32)
    own = np.array([0, 1, 1, 2])
    assert first_places(scores, own) == (75.0, pytest.approx(200 / 3))
    # The pairs of the group of videos 0 and 2: caption 0 loses to video 2, caption 3 wins against video 0.
    assert pairs_won(scores, own, np.array([7, -1, 7])) == 50.0
