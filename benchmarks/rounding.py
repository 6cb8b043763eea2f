"""TF32 on a CPU: products whose factors are rounded as a GPU's tensor cores take them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from xbench.scorers.base import Features, Scorer

_FACTORS = {
    "mm": 2,
    "bmm": 2,
    "matmul": 2,
    "__matmul__": 2,
    "linear": 2,
    "conv2d": 2,
    "scaled_dot_product_attention": 3,
}
"""Operations that are products, and how many of their arguments are factors."""
_NOT_HERE = {"addmm", "addmv", "baddbmm", "einsum", "lstm", "mv", "multi_head_attention_forward"}
"""Products that no shipped X-CLIP but the LSTM's takes: an error, because they would pass unrounded."""
_DROPPED = 13
"""Bits of a float32's 23 after the leading one that TF32 does not keep."""


def to_tf32(numbers: torch.Tensor) -> torch.Tensor:
    """Round float32 to the nearest number with 11 significant bits, ties away from zero."""
    bits = numbers.contiguous().view(torch.int32)
    half, kept = 1 << (_DROPPED - 1), -1 << _DROPPED
    return (bits + half).bitwise_and(kept).view(torch.float32)


class Tf32Products(TorchFunctionMode):
    """Within, the factors of this thread's products are rounded; sums stay float32, as on a GPU."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in _NOT_HERE:
            raise ValueError(f"{name} is a product, and its factors would pass unrounded")
        factors = _FACTORS.get(name, 0)
        rounded = [
            to_tf32(value) if place < factors and value.dtype == torch.float32 else value
            for place, value in enumerate(args)
        ]
        return func(*rounded, **(kwargs or {}))


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, torch and the scorer's tiles stay in this thread, whose mode this is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class InTf32:
    """A scorer whose products are TF32 though it computes in float32 on a CPU, in one thread."""

    identity = None

    def __init__(self, inner: Scorer) -> None:
        self._inner = inner
        self.name, self.video_input, self.block = inner.name, inner.video_input, inner.block
        self.settings = {**inner.settings, "precision": "TF32's rounding, on a CPU"}

    def encode_texts(self, texts: Sequence[str]) -> Features:
        with one_thread(), Tf32Products():
            return self._inner.encode_texts(texts)

    def encode_videos(self, frames: torch.Tensor, mask: torch.Tensor) -> Features:
        with one_thread(), Tf32Products():
            return self._inner.encode_videos(frames, mask)

    def similarity(self, text: Features, video: Features) -> torch.Tensor:
        with one_thread(), Tf32Products():
            return self._inner.similarity(text, video)
