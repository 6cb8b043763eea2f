"""Where a model computes, and what happens when a GPU has no kernels or no triton."""

import subprocess
import sys

import pytest
import torch
from test_xclip_similarity import _features, _matrices
from xclip_small import FRAMES, SIDE, state, tokenizer

from xbench.scorers.upload import upload
from xbench.scorers.xclip import XClip, tiles
from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.dispatch import FusedOrTiles, Tiles, similarity_on

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


@pytest.fixture
def aosm() -> Aosm:
    return Aosm(_matrices(torch.Generator().manual_seed(0), 16, 5, 4)).requires_grad_(False)


@pytest.fixture
def block() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return (*_features(generator, 20, 5, 16), *_features(generator, 3, 4, 16))


class Fake:
    """A fused similarity: right but for `shift`, and failing at the calls that `failing` names."""

    def __init__(self, plain: Tiles, shift: float = 0.0, failing: tuple[int, ...] = ()) -> None:
        self.plain, self.shift, self.failing, self.calls = plain, shift, failing, 0
        self.settings = {"similarity": "fused"}

    def __call__(self, *features: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls in self.failing:
            raise RuntimeError("no kernel image is available\nfor execution on the device")
        return self.plain(*features) + self.shift


def test_a_cpu_scores_by_tiles_and_says_nothing_of_it(aosm):
    assert isinstance(similarity_on(CPU, aosm, "fp32"), Tiles)
    assert similarity_on(CPU, aosm, "fp32").settings == {}


def test_few_pairs_are_scored_in_one_piece_and_many_in_tiles(aosm, block, monkeypatch):
    plain = Tiles(aosm, CPU, "fp32")
    few, many = plain.of_pairs(1024), plain.of_pairs(1025)
    whole = plain(*block)
    assert torch.equal(many(*block), whole)
    assert (few(*block) - whole).abs().max() < 1e-4
    monkeypatch.delattr(tiles, "similarity")
    assert few(*block).shape == whole.shape
    assert Tiles(aosm, CUDA, "fp32").of_pairs(1).settings == {"similarity": "torch"}


@pytest.mark.parametrize("threads", [2, 3])
def test_few_pairs_have_the_same_scores_with_any_number_of_threads(aosm, block, threads):
    few, before = Tiles(aosm, CPU, "fp32").of_pairs(1), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = few(*block)
        torch.set_num_threads(threads)
        assert torch.equal(few(*block), alone)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_scorer_for_a_few_pairs_is_its_like_and_leaves_it_as_it_was(tmp_path):
    scorer = XClip(state(), tokenizer=tokenizer(tmp_path))
    few = scorer.for_size(4, 5)
    assert (few.identity, few.settings, few.block) == (scorer.identity, scorer.settings, scorer.block)
    assert few is not scorer
    assert scorer.for_size(scorer.block[0] + 1, 1) is scorer
    assert scorer.for_size(1, scorer.block[1] + 1) is scorer


def test_kernels_that_agree_with_tiles_are_used(aosm, block, capsys):
    plain = Tiles(aosm, CPU, "fp32")
    either = FusedOrTiles(lambda: Fake(plain, shift=1e-4), plain, plain, tolerance=1e-3)
    assert torch.equal(either(*block), plain(*block) + 1e-4)
    assert either.settings == {"similarity": "fused"}
    assert capsys.readouterr().err == ""


def test_kernels_that_compute_something_else_are_not_used(aosm, block, capsys):
    plain = Tiles(aosm, CPU, "fp32")
    either = FusedOrTiles(lambda: Fake(plain, shift=0.01), plain, plain, tolerance=1e-3)
    assert torch.equal(either(*block), plain(*block))
    assert either.settings == plain.settings
    assert "are not used: they are off by 0.01." in capsys.readouterr().err


def test_kernels_that_write_nothing_are_not_used(aosm, block, capsys):
    plain = Tiles(aosm, CPU, "fp32")
    either = FusedOrTiles(lambda: Fake(plain, shift=torch.nan), plain, plain, tolerance=1e-3)
    assert torch.equal(either(*block), plain(*block))
    assert "are not used" in capsys.readouterr().err


def test_kernels_that_do_not_run_on_this_gpu_are_not_used(aosm, block, capsys):
    plain = Tiles(aosm, CPU, "fp32")
    either = FusedOrTiles(lambda: Fake(plain, failing=(1,)), plain, plain, tolerance=1e-3)
    assert torch.equal(either(*block), plain(*block))
    assert capsys.readouterr().err == (
        "The fused kernels are not used: RuntimeError: no kernel image is available. "
        "Scoring goes on without, more slowly.\n"
    )


def test_kernels_that_fail_once_they_worked_are_an_error(aosm, block):
    plain = Tiles(aosm, CPU, "fp32")
    either = FusedOrTiles(lambda: Fake(plain, failing=(3,)), plain, plain, tolerance=1e-3)
    either(*block)
    with pytest.raises(RuntimeError, match="no kernel image"):
        either(*block)


def test_a_broken_video_does_not_make_the_kernels_wrong(aosm, block, capsys):
    block[3][1, 2, 0] = torch.nan
    plain = Tiles(aosm, CPU, "fp32")
    either = FusedOrTiles(lambda: Fake(plain), plain, plain, tolerance=1e-3)
    assert either(*block).isnan().any()
    assert either.settings == {"similarity": "fused"}
    assert capsys.readouterr().err == ""


def test_kernels_are_proven_for_every_length_that_padding_leaves(aosm, block):
    seen = []
    plain = Tiles(aosm, CPU, "fp32")

    class Watched(Fake):
        def __call__(self, *features: torch.Tensor) -> torch.Tensor:
            seen.append(features)
            return super().__call__(*features)

    either = FusedOrTiles(lambda: Watched(plain), plain, plain, tolerance=1e-3)
    either(*block)
    frames = seen[0][3][3:]  # behind the block's own three videos
    lengths = [int((clip != clip[-1]).any(dim=1).sum()) + 1 for clip in frames]
    assert set(lengths) == {4, 2, 1}
    assert len(seen) == 2


def test_the_judge_of_kernels_is_the_cpu(aosm, block):
    plain = Tiles(aosm, CPU, "fp32")
    wrong = Fake(plain, shift=1.0)
    either = FusedOrTiles(lambda: Fake(plain), wrong, plain, tolerance=1e-3)
    assert torch.equal(either(*block), plain(*block))
    assert either.settings == {"similarity": "fused"}


def test_tiles_that_lack_memory_score_fewer_videos_at_a_time(aosm, block, monkeypatch, capsys):
    whole = Tiles(aosm, CPU, "fp32")(*block)
    score = tiles.similarity

    def scarce(aosm: Aosm, *features: torch.Tensor) -> torch.Tensor:
        if len(features[2]) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return score(aosm, *features)

    monkeypatch.setattr(tiles, "similarity", scarce)
    assert torch.equal(Tiles(aosm, CPU, "fp32")(*block), whole)
    assert "does not hold 3 videos at once" in capsys.readouterr().err


def test_without_triton_a_gpu_scores_by_tiles(aosm, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in [name for name in sys.modules if name.startswith("xbench.scorers.xclip.fused.")]:
        monkeypatch.delitem(sys.modules, name)
    assert similarity_on(CUDA, aosm, "fp32").settings == {"similarity": "torch"}
    assert "not used: ModuleNotFoundError: import of triton halted" in capsys.readouterr().err


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
