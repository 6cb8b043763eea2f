"""Time on a GPU, and the rate of its matrix products."""

import time
from collections.abc import Callable

import torch

from xbench.scorers.device import arithmetic
from xbench.terms import Precision

Rates = dict[str, float]
"""TFLOP/s of one large product, by precision."""

_TYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


def seconds(run: Callable[[], object], device: torch.device, *, times: int = 1) -> float:
    """Return the least seconds of some runs, each until the device has done all that it was asked for."""
    taken = []
    for _ in range(times):
        wait(device)
        start = time.perf_counter()
        run()
        wait(device)
        taken.append(time.perf_counter() - start)
    return min(taken)


def wait(device: torch.device) -> None:
    """Return when a GPU has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak(device: torch.device) -> None:
    """Let `peak_gb` start again."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_gb(device: torch.device) -> float | None:
    """Return the most GPU memory that tensors took, in GB (10^9 bytes)."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None


def product_rates(device: torch.device, side: int = 8192) -> Rates:
    """Return the rate of a product of two square matrices in every precision, the best of ten after two."""
    rates = {}
    for precision, dtype in _TYPES.items():
        left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        with arithmetic(precision):
            seconds(lambda left=left, right=right: left @ right, device, times=2)
            best = seconds(lambda left=left, right=right: left @ right, device, times=10)
        rates[precision] = 2 * side**3 / best / 1e12
    return rates
