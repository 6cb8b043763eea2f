"""What a run says when a GPU's kernels or its memory fail, with a CPU in its place."""

from typing import Any

import pytest

from tests.pipeline.conftest import World
from tests.pipeline.test_run import invoke, record


def test_the_record_names_what_scored_and_not_what_was_meant_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xbench.scorers.xclip import dispatch, scorer

    class Kernels:
        settings = {"similarity": "fused"}  # noqa: RUF012

        def __call__(self, *features: Any) -> Any:
            raise RuntimeError("no kernel image is available")

    def on_gpu(device: Any, aosm: Any, precision: Any) -> Any:
        plain = dispatch.Tiles(aosm, device, precision)
        return dispatch.FusedOrTiles(Kernels, plain, plain, 1.0)

    monkeypatch.setattr(scorer, "similarity_on", on_gpu)
    result = invoke(world.arguments())
    assert result.exit_code == 0, result.stderr
    assert "fused kernels are not used" in result.stderr
    assert "similarity" not in record(world)["scorer"]["settings"]


def test_a_gpu_without_memory_is_no_fault_of_xbench(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from xbench.scorers.xclip import aosm as tiles

    def scarce(*features: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiles, "similarity", scarce)
    result = invoke(world.arguments())
    assert result.exit_code == 4
    assert "GPU's memory does not hold" in result.stderr
    assert "--device cpu" in result.stderr
