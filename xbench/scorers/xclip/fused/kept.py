"""What was made of tensors, kept for as long as the same tensors come again."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class Kept:
    """Keeps what was made of up to `most` bytes of tensors; what was not asked for the longest goes first.

    Tensors are the same when they are the same memory, unchanged: they are held here, so that their memory
    cannot become another tensor's, and torch counts changes in place. (It does not for tensors made in
    inference mode: nothing is kept of those.)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Any, tuple[tuple[torch.Tensor, ...], Any]] = OrderedDict()

    def get(self, tensors: tuple[torch.Tensor, ...], make: Callable[[], T]) -> T:
        """Return what `make` gave for these tensors, calling it where that is not kept."""
        if any(tensor.is_inference() for tensor in tensors):
            return make()
        key = tuple(
            (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor._version)
            for tensor in tensors
        )
        if key not in self._kept:
            made = make()
            self._kept[key] = tensors, made
            while len(self._kept) > 1 and self._bytes() > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        found: T = self._kept[key][1]
        return found

    def clear(self) -> None:
        """Let go of everything."""
        self._kept.clear()

    def _bytes(self) -> int:
        return sum(tensor.nbytes for tensors, _ in self._kept.values() for tensor in tensors)
