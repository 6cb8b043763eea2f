"""Attention of similarities over themselves, of all of them or of slots that stand for several equal ones."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Scratch:
    """Memory for one tile at a time, reused: fresh megabytes for an operation can cost more than it does."""

    fine: torch.Tensor
    """Flat, with room for the similarities of all words and frames of a tile."""
    weights: torch.Tensor
    """Flat, with room for those that are pooled at once: of some texts, at least one."""
    product: torch.Tensor
    """As `weights`."""

    @classmethod
    def of(cls, tile: int, pooled: int, device: torch.device) -> "Scratch":
        """Return memory for tiles of `tile` similarities, texts x words x frames x videos."""
        return cls(*(torch.empty(size, device=device) for size in (tile, pooled, pooled)))


@dataclass(frozen=True)
class Pooling:
    """Attention of N similarities over themselves: the learned matrix, transposed, and the slots' weights."""

    matrix: torch.Tensor
    """[N, N]."""
    bias: torch.Tensor | None = None
    """[N, 1]: logarithm of how many equal entries a slot stands for; None where each stands for one."""

    def __call__(self, values: torch.Tensor, scratch: Scratch | None = None) -> torch.Tensor:
        """Pool [B, N, M], in units of the temperature, to [B, M]: weights are softmax times the matrix."""
        weights = product = None
        if scratch is not None:
            weights = scratch.weights[: values.numel()].view_as(values)
            product = scratch.product[: values.numel()].view_as(values)
        biased = values if self.bias is None else torch.add(values, self.bias, out=product)
        weights = torch.softmax(biased, dim=-2, out=weights)
        mixed = torch.bmm(self.matrix.expand(len(values), -1, -1), weights, out=product)
        return torch.mul(mixed, values, out=product).sum(dim=-2)


def fold(matrix: torch.Tensor, slots: int) -> Pooling:
    """Return the pooling over `slots` entries that equals the one over all N where the last ones are equal.

    The last slot stands for the m = N - slots + 1 equal entries. It gets the softmax's weight m times, of
    which each of their rows of the matrix gets an m-th; what their columns give is added up.
    """
    equal = len(matrix) - slots + 1
    if equal == 1:
        return Pooling(matrix.T)
    columns = torch.cat([matrix[:, : slots - 1], matrix[:, slots - 1 :].sum(dim=1, keepdim=True)], dim=1)
    folded = torch.cat([columns[: slots - 1], columns[slots - 1 :].mean(dim=0, keepdim=True)])
    bias = matrix.new_zeros(slots, 1)
    bias[-1] = math.log(equal)
    return Pooling(folded.T, bias)
