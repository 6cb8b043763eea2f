"""Numbers as the kernels multiply them: as they are, rounded to bfloat16, or as pairs of float16."""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from xbench.terms import Precision

Products = Literal["fp16x3", "tf32", "bf16"]
"""How the kernels multiply: pairs of float16 in three products, which is float32-accurate; TF32; bfloat16."""

PRODUCTS: dict[Precision, Products] = {"fp32": "fp16x3", "fp16": "fp16x3", "tf32": "tf32", "bf16": "bf16"}

_LARGEST = 1 << 12
"""To which pairs of float16 are scaled: far from the largest, 65504, and from those that lose bits, 6e-5."""


@dataclass(frozen=True)
class Parts:
    """An array as factors of a product."""

    data: torch.Tensor
    """[parts, ...]: the leading bits, and for pairs those that follow."""
    unit: float
    """What one stands for: a power of two."""


def parts_of(tensor: torch.Tensor, products: Products, bound: float = 1.0) -> Parts:
    """Return an array float32 [...] as factors; bound: what no absolute value of it is above."""
    if products == "tf32":
        return Parts(tensor[None].contiguous(), 1.0)
    if products == "bf16":
        return Parts(tensor[None].to(torch.bfloat16).contiguous(), 1.0)
    unit = _power_of_two_above(bound) / _LARGEST
    return Parts(pairs_of(tensor / unit), unit)


def pairs_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return float32 [...] as float16 [2, ...] whose sum keeps 22 bits."""
    leading = tensor.to(torch.float16)
    return torch.stack([leading, (tensor - leading.float()).to(torch.float16)])


def mixing(matrices: list[torch.Tensor], length: int, padded: int, products: Products) -> torch.Tensor:
    """Return matrices [N, N], N >= length, as the kernels read them: [matrix, parts, padded, padded].

    Entries length - 1, length, ... of what they pool are equal: they are one that stands for all, so their
    rows and columns are added up. The rest is zero.
    """
    made = []
    for matrix in matrices:
        rows = torch.cat([matrix[: length - 1], matrix[length - 1 :].sum(dim=0, keepdim=True)])
        both = torch.cat([rows[:, : length - 1], rows[:, length - 1 :].sum(dim=1, keepdim=True)], dim=1)
        whole = torch.nn.functional.pad(both, (0, padded - length, 0, padded - length))
        made.append(pairs_of(whole) if products == "fp16x3" else parts_of(whole, products).data)
    return torch.stack(made)


def padded_length(length: int) -> int:
    """Return the power of two, at least 16, to which the kernels pad a length: products want 16."""
    return max(16, 1 << (length - 1).bit_length())


def _power_of_two_above(bound: float) -> float:
    return 2.0 ** math.frexp(bound)[1] if 0 < bound < math.inf else 1.0
