"""Blocks through the fused kernels: odd ones, memory that runs out, features that come again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from xclip_fused import DEVICE, assert_same, block_of, fused, model, on_device

from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.dispatch import TOLERANCE, FusedOrTiles, Tiles
from xbench.scorers.xclip.fused import similarity
from xbench.scorers.xclip.fused.prepare import prepare_videos
from xbench.scorers.xclip.fused.similarity import Fused
from xbench.scorers.xclip.fused.tuning import FINE, NoKernelError


def test_an_empty_block_has_no_scores():
    aosm, block = model(16, 5, 4), block_of(3, 5, 2, 4, 16)
    assert fused(aosm, *(part[:0] for part in block[:2]), *block[2:]).shape == (0, 2)
    assert fused(aosm, *block[:2], *(part[:0] for part in block[2:])).shape == (3, 0)


@pytest.mark.parametrize(("width", "words", "frames"), [(16, 129, 4), (16, 4, 129), (24, 4, 4)])
def test_sizes_that_do_not_fit_a_program_are_refused(width, words, frames):
    with pytest.raises(NoKernelError, match=f"{words} words x {frames} frames"):
        Fused(model(width, words, frames), "fp32")


def test_a_gpu_that_runs_out_of_memory_scores_the_same_in_parts(monkeypatch, capsys):
    aosm, block = model(16, 5, 4), block_of(3, 5, 9, 4, 16)
    whole, prepare = fused(aosm, *block), similarity.prepare_videos

    def scarce(aosm: Aosm, video: torch.Tensor, *others):
        if len(video) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return prepare(aosm, video, *others)

    monkeypatch.setattr(similarity, "prepare_videos", scarce)
    assert_same(fused(aosm, *block), whole)
    assert capsys.readouterr().err.count("memory does not hold 9 videos") == 1


def test_features_that_come_again_are_not_prepared_again(monkeypatch):
    seen: list[int] = []
    prepare = similarity.prepare_texts
    monkeypatch.setattr(
        similarity, "prepare_texts", lambda *texts: (seen.append(len(texts[0])), prepare(*texts))[1]
    )
    aosm, block = model(16, 5, 4), block_of(3, 5, 2, 4, 16)
    scorer = Fused(on_device(aosm), "fp32")
    first = scorer(*block)
    assert torch.equal(scorer(*block), first)
    assert seen == [3]
    block[1][0] = block[1][1]
    assert not torch.equal(scorer(*block), first)
    assert seen == [3, 3]


def test_padding_is_one_slot_of_the_fewest_that_hold_a_video():
    aosm, block = model(16, 5, 64), block_of(3, 5, 6, 64, 16)
    for video, valid in enumerate((1, 15, 16, 31, 40)):
        block[3][video, valid:] = block[3][5, 0].clone()
    groups = prepare_videos(aosm, *block[2:], "fp16x3")
    assert [(group.slots, group.columns.tolist()) for group in groups] == [
        (16, [0, 1]),
        (32, [2, 3]),
        (64, [4, 5]),
    ]
    assert [tuple(group.local.data.shape) for group in groups] == [
        (2, 2, 16, 16),
        (2, 2, 32, 16),
        (2, 2, 64, 16),
    ]


def test_a_record_says_what_computed():
    scorer = Fused(on_device(model(16, 5, 4)), "bf16")
    assert scorer.settings["similarity"].startswith("fused, bf16, triton 3.")
    scorer(*block_of(3, 5, 2, 4, 16))
    assert scorer.settings["similarity_tile"] in [str(tile) for tile in FINE]


@pytest.mark.parametrize("precision", TOLERANCE)
def test_right_kernels_are_taken_for_right_in_every_precision(precision, capsys):
    aosm = model(64, 12, 20)
    judge, here = Tiles(aosm, torch.device("cpu"), "fp32"), on_device(aosm)
    tolerance = TOLERANCE[precision] * float(aosm.logit_scale.exp())
    either = FusedOrTiles(lambda: Fused(here, precision), Tiles(here, DEVICE, "fp32"), judge, tolerance)
    assert either(*block_of(17, 12, 18, 20, 64)).isfinite().all()
    assert either.settings["similarity"].startswith("fused")
    assert "not used" not in capsys.readouterr().err


LARGEST_SHARED = {80: 163 << 10, 90: 227 << 10}
"""Bytes of shared memory that a program can have, by compute capability."""


def test_kernels_compile_for_gpus_that_are_not_here(tmp_path):
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    script = [sys.executable, str(Path(__file__).parent / "compile_kernels.py")]
    done = subprocess.run(script, env=environment, check=True, capture_output=True, text=True)
    kernels = json.loads(done.stdout)
    assert len(kernels) == 3
    for kernel in kernels:
        assert kernel["shared"] <= LARGEST_SHARED[kernel["capability"]], kernel["kernel"]
        assert kernel["tensor cores"], kernel["kernel"]
