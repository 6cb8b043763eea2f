"""How far precisions move scores: TF32's rounding, and what is counted as moved."""

import numpy as np
import pytest
import torch

from benchmarks import moved
from benchmarks.rounding import InTf32, Tf32Products, to_tf32


def test_tf32_keeps_eleven_significant_bits_to_nearest() -> None:
    ulp = 2.0**-10
    numbers = torch.tensor([1.0, 1 + ulp, 1 + 0.49 * ulp, 1 + 0.51 * ulp, -1 - 0.51 * ulp, 3e38, torch.inf])
    expected = torch.tensor([1.0, 1 + ulp, 1.0, 1 + ulp, -1 - ulp, 3e38, torch.inf])
    assert torch.equal(to_tf32(numbers)[:5], expected[:5])
    assert to_tf32(numbers)[5].item() == pytest.approx(3e38, rel=2**-11)
    assert to_tf32(numbers)[6] == torch.inf


@pytest.mark.parametrize(
    "product",
    [
        torch.mm,
        lambda a, b: a @ b,
        lambda a, b: torch.nn.functional.linear(a, b.T),
        lambda a, b: torch.bmm(a[None], b[None])[0],
        lambda a, b: torch.nn.functional.conv2d(a[:, :, None, None], b.T[:, :, None, None])[:, :, 0, 0],
    ],
)
def test_factors_of_products_are_rounded_and_nothing_else(product) -> None:  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 8, generator=generator), torch.randn(8, 5, generator=generator)
    with Tf32Products():
        rounded, added = product(a, b), a + a
    assert torch.allclose(rounded, to_tf32(a) @ to_tf32(b), rtol=0, atol=1e-6)
    assert not torch.allclose(rounded, a @ b, rtol=0, atol=1e-6)
    assert torch.equal(added, a + a)


class Products:
    """A scorer that has only a similarity."""

    name, identity, video_input = "products", None, None
    block, settings = (4, 4), {"precision": "fp32"}

    def similarity(self, text: dict[str, torch.Tensor], video: dict[str, torch.Tensor]) -> torch.Tensor:
        return text["t"] @ video["v"].T


@pytest.mark.parametrize("product", [torch.einsum, torch.addmm])
def test_a_product_that_would_pass_unrounded_is_refused(product) -> None:  # type: ignore[no-untyped-def]
    ones = torch.ones(2, 2)
    arguments = ("ij,jk->ik", ones, ones) if product is torch.einsum else (ones, ones, ones)
    with Tf32Products(), pytest.raises(ValueError, match="unrounded"):
        product(*arguments)


def test_a_scorer_in_tf32_differs_and_says_so() -> None:
    threads = torch.get_num_threads()
    numbers = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    scorer = InTf32(Products())  # type: ignore[arg-type]
    rounded = scorer.similarity({"t": numbers}, {"v": numbers})
    assert torch.allclose(rounded, to_tf32(numbers) @ to_tf32(numbers).T, rtol=0, atol=1e-6)
    assert "TF32" in scorer.settings["precision"]
    assert torch.get_num_threads() == threads


def test_changed_logits_and_ranks_are_told_by_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(name: str, precision: str, device: str) -> moved.Scored:
        off = 0.5 if precision == "bf16" else 0.0
        ranks = np.array([0.0, 2 * off]), np.array([0.0])
        return moved.Scored(np.array([[1.0, 2.0 + off]], np.float32), ranks, (50.0, 100.0))

    monkeypatch.setattr(moved, "score", score)
    rows = {row["precision"]: row for row in moved.moved("didemo", "cpu")}
    assert rows.keys() == {"tf32", "fp16", "bf16"}
    assert rows["bf16"]["largest change"] == 0.5
    assert (rows["bf16"]["t2v ranks changed"], rows["tf32"]["t2v ranks changed"]) == ("1 of 2", "0 of 2")
    assert {row["precision"] for row in moved.moved("didemo", "cuda")} == {"fp32", "tf32", "fp16", "bf16"}
