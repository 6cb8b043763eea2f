"""TF32 where it was asked for and nowhere else."""

import numpy as np
import pytest
import torch
from xclip_small import SIDE, state, tokenizer

from xbench.errors import UsageError
from xbench.scorers.device import arithmetic, check_precision
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.features.file import FeatureFile
from xbench.scorers.xclip import XClip

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_tf32_on_a_cpu_is_a_usage_error():
    with pytest.raises(UsageError, match=r"--precision tf32.*--device cuda"):
        check_precision("tf32", CPU)


def test_tf32_on_a_gpu_without_it_is_a_usage_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    with pytest.raises(UsageError, match=r"Tesla T4 has none.*--precision fp32"):
        check_precision("tf32", CUDA)
    check_precision("fp32", CUDA)


def _switches() -> list[object]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        return [part.fp32_precision for part in (matmul, cudnn.conv, cudnn.rnn)]
    return [part.allow_tf32 for part in (matmul, cudnn)]


@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16", "bf16"])
def test_tf32_is_on_for_that_precision_only_and_then_as_it_was(precision):
    before = _switches()
    inside: list[object] = []

    def fails() -> None:
        with arithmetic(precision):
            inside.extend(_switches())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    wanted = ("tf32", True) if precision == "tf32" else ("ieee", False)
    assert inside
    assert all(switch in wanted for switch in inside)
    assert _switches() == before


@pytest.mark.skipif(
    not hasattr(torch.backends.mkldnn, "matmul"), reason="before torch 2.9, one switch for all"
)
@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16", "bf16"])
def test_a_training_loop_s_matmul_precision_does_not_reach_the_cpu_s_products(precision):
    parts = torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv, torch.backends.mkldnn.rnn
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with arithmetic(precision):
            assert [part.fp32_precision for part in parts] == ["ieee"] * 3
        assert parts[0].fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_training_loop_s_autocast_does_not_reach_a_scorer(tmp_path):
    scorer = XClip(state(), tokenizer=tokenizer(tmp_path))
    frames, mask = torch.randn(2, 3, 3, SIDE, SIDE), torch.ones(2, 3, dtype=torch.bool)

    def logits() -> torch.Tensor:
        return scorer.similarity(scorer.encode_texts(["the cat"]), scorer.encode_videos(frames, mask))

    alone = logits()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(logits(), alone)


@pytest.mark.skipif(not hasattr(torch.backends.mkldnn, "matmul"), reason="torch < 2.9")
def test_given_features_are_multiplied_in_float32_too(tmp_path, monkeypatch):
    seen = []
    file = FeatureFile(tmp_path, "", np.ones((2, 4), np.float32), None, None)
    scorer, features = PrecomputedFeatures(file, file, "dot"), file.rows(np.arange(2), normalise=False)
    score = scorer._scores
    monkeypatch.setattr(
        scorer,
        "_scores",
        lambda *inputs: (seen.append(torch.backends.mkldnn.matmul.fp32_precision), score(*inputs))[1],
    )
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert scorer.similarity(features, features).tolist() == [[4.0, 4.0], [4.0, 4.0]]
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["ieee"]


def test_half_precision_products_are_summed_in_float32():
    matmul = torch.backends.cuda.matmul
    names = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
    before = [getattr(matmul, name) for name in names]
    with arithmetic("bf16"):
        assert [getattr(matmul, name) for name in names] == [False, False]
    assert [getattr(matmul, name) for name in names] == before


def test_encoding_turns_tf32_off_whatever_was_set(tmp_path, monkeypatch):
    scorer = XClip(state("seqLSTM"), tokenizer=tokenizer(tmp_path))
    seen = []
    for name in ("images", "videos", "texts"):
        function = getattr(scorer._model, name)
        monkeypatch.setattr(
            scorer._model,
            name,
            lambda *inputs, function=function: (seen.append(_switches()), function(*inputs))[1],
        )
    with arithmetic("tf32"):
        scorer.encode_texts(["the cat"])
        scorer.encode_videos(torch.zeros(1, 1, 3, SIDE, SIDE), torch.ones(1, 1, dtype=torch.bool))
    assert len(seen) == 4  # texts, the frame, the padding, the video
    assert all(switch in ("ieee", False) for switches in seen for switch in switches)
