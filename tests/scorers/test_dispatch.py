"""What scores on a device: tiles, or kernels that are proven first and fall back to tiles."""

import sys

import pytest
import torch
from test_xclip_similarity import _features, _matrices

from xbench.scorers.xclip import aosm as tiles
from xbench.scorers.xclip.aosm import Aosm
from xbench.scorers.xclip.dispatch import FusedOrTiles, Tiles, similarity_on

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


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


def test_kernels_that_lacked_memory_are_proven_once_there_is_some(aosm, block, capsys):
    plain = Tiles(aosm, CPU, "fp32")

    class Scarce(Fake):
        def __call__(self, *features: torch.Tensor) -> torch.Tensor:
            if not self.calls:
                self.calls += 1
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return super().__call__(*features)

    either = FusedOrTiles(lambda: Scarce(plain, shift=1.0), plain, plain, tolerance=1e-3)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        either(*block)
    assert torch.equal(either(*block), plain(*block))
    assert "are not used: they are off by 1" in capsys.readouterr().err


def test_kernels_whose_proof_was_interrupted_are_not_taken_for_proven(aosm, block):
    plain = Tiles(aosm, CPU, "fp32")

    class Judge(Fake):
        def __call__(self, *features: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 1:
                raise KeyboardInterrupt
            return self.plain(*features)

    either = FusedOrTiles(lambda: Fake(plain, shift=1.0), plain, Judge(plain), tolerance=1e-3)
    with pytest.raises(KeyboardInterrupt):
        either(*block)
    assert torch.equal(either(*block), plain(*block))
