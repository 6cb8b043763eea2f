"""What of the machine changes last bits: the number of threads, which a run fixes, and the kind of CPU."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_CPU_INFO = Path("/proc/cpuinfo")


@contextmanager
def computing_threads(threads: int) -> Iterator[None]:
    """Within, torch computes in so many threads, whatever the machine has and the environment says."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def computing(threads: int, device: str) -> dict[str, str | int]:
    """Return what changes last bits of features and scores; the GPU is among what a scorer says of itself."""
    return {"threads": threads} | ({} if device.startswith("cuda") else {"cpu": cpu_kind()})


def slow_bfloat16(device: str) -> bool:
    """Whether a CPU computes and has no instructions for bfloat16, so that it is slower than float32."""
    flags = _cpu_lines("flags")
    return device == "cpu" and bool(flags) and not {"avx512_bf16", "amx_bf16"} & set(flags[0].split())


def cpu_kind() -> str:
    """Return the name of the CPU, and of the instructions that torch chooses its operations by."""
    name = (*_cpu_lines("model name"), platform.processor() or platform.machine())[0]
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def _cpu_lines(what: str) -> list[str]:
    lines = _CPU_INFO.read_text().splitlines() if _CPU_INFO.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(what)]
