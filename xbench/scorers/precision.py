"""Precision modes: what arithmetic the towers, what follows them, and the similarity are computed in.

| mode | towers | temporal encoder | similarity on a GPU | on a CPU |
|---|---|---|---|---|
| fp32 | float32 | float32 | float32-accurate (products of float16 pairs) | float32 |
| tf32 | TF32 | TF32 | TF32 products | an error |
| fp16 | float16, LayerNorm in float32 | float32 | as fp32 | float32 |
| bf16 | bfloat16, LayerNorm in float32 | float32 | bfloat16 products | float32 |

Sums are float32 everywhere. fp16 is what the published evaluation does on a GPU.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from xbench.errors import UsageError
from xbench.terms import Precision, choices

TOWERS: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
"""The type of the towers' weights and activations."""

_HALF_SUMS = (
    "allow_fp16_reduced_precision_reduction",
    "allow_bf16_reduced_precision_reduction",
    "allow_fp16_accumulation",
)
"""What lets torch sum half precision products in half precision; the first two are on by default."""

_TF32_SINCE = (8, 0)
"""The compute capability from which GPUs have TF32: Ampere."""


def check_precision(precision: str, device: torch.device) -> None:
    """Raise UsageError for an unknown mode, and for tf32 where nothing computes in it."""
    if precision not in choices(Precision):
        raise UsageError(f"There is no precision {precision!r}. Known: {', '.join(choices(Precision))}.")
    if precision != "tf32":
        return
    if device.type != "cuda":
        raise UsageError(
            "--precision tf32 is arithmetic of NVIDIA GPUs, and this run computes on the CPU: use --precision"
            " fp32, or --device cuda."
        )
    if torch.cuda.get_device_capability(device) < _TF32_SINCE:
        name = torch.cuda.get_device_name(device)
        raise UsageError(f"--precision tf32: {name} has none; Ampere and later have. Use --precision fp32.")


@contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """Within, products of float32 on a GPU are TF32 under `tf32` and float32 otherwise, whatever was set.

    TF32 keeps 11 bits of a factor, and torch's default is to use it for convolutions and LSTMs. On a CPU they
    are always float32: after `torch.set_float32_matmul_precision("medium")`, as training loops call it, torch
    multiplies in bfloat16 on CPUs with AMX, and by another library on others. A training loop's autocast is
    off, and sums of half precision products are float32. The switches are the process's: use it in one thread
    at a time.
    """
    wanted = [(where, name, on if precision == "tf32" else off) for where, name, (off, on) in _switches()]
    before = [(where, name, getattr(where, name)) for where, name, _ in wanted]
    changed = [old for old, new in zip(before, wanted, strict=True) if old[2] != new[2]]
    try:
        _set(wanted)
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        _set(changed)


def _set(switches: Iterable[tuple[Any, str, Any]]) -> None:
    for where, name, value in switches:
        if getattr(where, name) != value:
            setattr(where, name, value)


class _Matmul:
    """The precision of products as one switch, which it was before torch 2.9."""

    @property
    def precision(self) -> str:
        return torch.get_float32_matmul_precision()

    @precision.setter
    def precision(self, value: str) -> None:
        torch.set_float32_matmul_precision(value)


def _switches() -> list[tuple[Any, str, tuple[Any, Any]]]:
    """(where, name, (off, on)) of torch's switches: one for each kind of operation since torch 2.9."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    sums = [(matmul, name, (False, False)) for name in _HALF_SUMS if hasattr(matmul, name)]
    if not hasattr(matmul, "fp32_precision"):
        return [*sums, (_Matmul(), "precision", ("highest", "high")), (cudnn, "allow_tf32", (False, True))]
    cpu: Any = torch.backends.mkldnn
    on_gpu = [(part, "fp32_precision", ("ieee", "tf32")) for part in (matmul, cudnn.conv, cudnn.rnn)]
    on_cpu = [(part, "fp32_precision", ("ieee", "ieee")) for part in (cpu.matmul, cpu.conv, cpu.rnn)]
    return [*sums, *on_gpu, *on_cpu]
