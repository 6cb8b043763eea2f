"""Where a model computes, and what happens when a GPU has no kernels or no triton."""

import subprocess
import sys

import pytest
import torch
from xclip_small import FRAMES, SIDE, state, tokenizer

from xbench.scorers.device import upload
from xbench.scorers.xclip import XClip

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def test_scoring_on_a_cpu_imports_no_triton():
    code = (
        "import sys, torch\n"
        "from xbench.scorers.xclip.aosm import Aosm\n"
        "from xbench.scorers.xclip.dispatch import similarity_on\n"
        "from xbench.scorers.xclip.sizes import matrix_shapes\n"
        "state = {name: torch.eye(shape[0]) for name, shape in matrix_shapes(16, 5, 4).items()}\n"
        "aosm = Aosm(state | {'clip.logit_scale': torch.tensor(1.0)}).requires_grad_(False)\n"
        "score = similarity_on(torch.device('cpu'), aosm, 'fp32')\n"
        "score(torch.ones(1, 16), torch.ones(1, 5, 16), torch.ones(1, 16), torch.ones(1, 4, 16))\n"
        "assert 'xbench.scorers.xclip.scorer' in sys.modules\n"
        "assert 'triton' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_uploading_converts():
    assert upload(torch.tensor([1.5]), CPU, torch.float16).dtype == torch.float16
    assert torch.equal(upload(torch.tensor([1.5], dtype=torch.float64), CPU), torch.tensor([1.5]))


@with_gpu
def test_uploads_arrive_before_they_are_used():
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(1 << 20, generator=generator) for _ in range(8)]
    sums = [upload(part, CUDA).double().sum() for part in parts]
    assert all(
        total.item() == pytest.approx(part.double().sum().item())
        for total, part in zip(sums, parts, strict=True)
    )


@with_gpu
def test_a_gpu_computes_what_the_cpu_computes(tmp_path):
    words = tokenizer(tmp_path)
    frames = torch.randn(5, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(FRAMES) < torch.tensor([4, 1, 3, 2, 4])[:, None]
    frames = frames * mask[..., None, None, None]
    logits = []
    for device in ("cpu", "cuda"):
        scorer = XClip(state(), tokenizer=words, device=device)
        texts, videos = scorer.encode_texts(["the cat", "a dog"]), scorer.encode_videos(frames, mask)
        logits.append(scorer.similarity(texts, videos).cpu())
    assert (logits[0] - logits[1]).abs().max() < 2e-4
