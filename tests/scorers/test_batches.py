"""When a GPU lacks memory, batches shrink and the work goes on."""

import pytest
import torch
from xclip_small import FRAMES, SIDE, state, tokenizer

from xbench.errors import ModelError
from xbench.scorers.device import Batches
from xbench.scorers.xclip import XClip


def scarce(most: int):
    """Work that sums a slice's numbers on a GPU that holds `most` of them."""

    def work(part: slice) -> int:
        if part.stop - part.start > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return sum(range(part.start, part.stop))

    return work


@pytest.mark.parametrize(("size", "most"), [(100, 100), (100, 30), (7, 3), (100, 1), (1, 1)])
def test_batches_shrink_until_they_fit_and_lose_nothing(size, most):
    batches = Batches(size, "frames")
    assert sum(batches.each(100, scarce(most))) == sum(range(100))
    assert batches.size <= most


def test_a_batch_that_did_not_fit_is_told_of_once_and_not_tried_again(capsys):
    batches, released = Batches(64, "frames", release=lambda: released.append(1)), []
    batches.each(100, scarce(20))
    assert (batches.size, len(released)) == (16, 2)
    batches.each(100, scarce(20))
    batches.each(100, scarce(10))
    said = capsys.readouterr().err
    assert said == "The GPU's memory does not hold 64 frames at once: going on with fewer.\n"


def test_no_memory_for_a_single_one_is_an_error_that_says_what_to_do():
    with pytest.raises(ModelError, match=r"one of the frames.*--device cpu"):
        Batches(8, "frames").each(8, scarce(0))
    with pytest.raises(ModelError, match=r"one of the frames.*--device cpu"):
        Batches(8, "frames").each(0, scarce(-1))


@pytest.mark.parametrize(
    "message",
    [
        "Triton Error [CUDA]: out of memory",
        "CUDA error: out of memory",
        "CUDA driver error: out of memory",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_a_lack_of_memory_is_known_by_any_of_its_names(message):
    def work(part: slice) -> int:
        if part.stop - part.start > 3:
            raise RuntimeError(message)
        return part.stop - part.start

    assert Batches(8, "frames").each(8, work) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "message", ["something else", "CUDA error: an illegal memory access was encountered"]
)
def test_other_errors_are_not_taken_for_a_lack_of_memory(message):
    def broken(part: slice) -> None:
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match=message):
        Batches(8, "frames").each(8, broken)


def test_an_encoder_that_runs_out_of_memory_gives_the_same_features(tmp_path, monkeypatch, capsys):
    scorer = XClip(state(), tokenizer=tokenizer(tmp_path))
    frames = torch.randn(3, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    mask, texts = torch.ones(3, FRAMES, dtype=torch.bool), ["the cat", "a dog", "and"]
    whole = scorer.encode_videos(frames, mask) | scorer.encode_texts(texts)

    def at_most(count: int, function):
        def checked(batch: torch.Tensor):
            if len(batch) > count:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return function(batch)

        return checked

    monkeypatch.setattr(scorer._model, "images", at_most(5, scorer._model.images))
    monkeypatch.setattr(scorer._model, "texts", at_most(1, scorer._model.texts))
    parts = scorer.encode_videos(frames, mask) | scorer.encode_texts(texts)
    assert all((parts[name] - whole[name]).abs().max() < 1e-5 for name in whole)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" does not hold ")[1].split(" at once")[0] for line in said] == [
        "12 frames",
        "3 texts",
    ]
