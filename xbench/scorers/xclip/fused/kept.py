"""What was made of tensors, kept for as long as the same tensors come again."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")

_COMPARED = 64
"""Numbers of a tensor that are compared: another block's differ in nearly all."""


class Kept:
    """Keeps what was made of up to `most` bytes of tensors; what was not asked for the longest goes first.

    Tensors are the same when they are the same memory, unchanged. They are held here, so that their memory
    cannot become another tensor's. Torch counts changes in place, but not those of tensors made in inference
    mode, of which nothing is kept, nor those through NumPy: some of the numbers are compared, too.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Any, tuple[tuple[torch.Tensor, ...], Any]] = OrderedDict()

    def get(self, tensors: tuple[torch.Tensor, ...], make: Callable[[], T]) -> T:
        """Return what `make` gave for these tensors, calling it where that is not kept."""
        if any(tensor.is_inference() or not tensor.is_contiguous() for tensor in tensors):
            return make()
        key = tuple(_key(tensor) for tensor in tensors)
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


def _key(tensor: torch.Tensor) -> tuple[Any, ...]:
    step = max(1, tensor.numel() // _COMPARED)
    some = tuple(tensor.view(-1)[::step].tolist()) if tensor.device.type == "cpu" else ()
    return tensor.data_ptr(), tensor.shape, tensor.dtype, tensor.device, tensor._version, some
