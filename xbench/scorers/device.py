"""Where and in which precision a model computes, and in batches that a GPU's memory holds."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from xbench.errors import ModelError, UsageError
from xbench.progress import say
from xbench.terms import Precision, choices

if TYPE_CHECKING:
    import torch


def find_device(name: str) -> str:
    """Return the torch device for `auto` (a GPU where there is one), cpu, cuda or cuda:N."""
    import torch

    if name == "auto":
        return _current() if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"There is no device {name!r}. Known: auto, cpu, cuda, cuda:0, cuda:1, ..."
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device {name}: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices here. "
            f"Use --device cpu, or install a CUDA build of torch."
        )
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: xbench computes on cpu or cuda, name one of these.")
    return _current() if name == "cuda" else name


def gpu_identity(device: "torch.device") -> dict[str, str]:
    """Return what of a GPU changes last bits: its kind and the libraries that compute on it."""
    import torch

    if device.type != "cuda":
        return {}
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    libraries = f"CUDA {torch.version.cuda}, cuDNN {cudnn}"
    return {"gpu": torch.cuda.get_device_name(device), "gpu_libraries": libraries}


def _current() -> str:
    """Name the current GPU by its number: another may become current while a model lives."""
    import torch

    return f"cuda:{torch.cuda.current_device()}"


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


T = TypeVar("T")

_NO_MEMORY = (
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "[CUDA]: out of memory",
    "_ALLOC_FAILED",
    "_ALLOCATION_FAILED",
)


@contextmanager
def gpu_memory_errors() -> Iterator[None]:
    """Turn a GPU's lack of memory, wherever nothing smaller could be tried, into a ModelError."""
    try:
        yield
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        raise ModelError(
            "The GPU's memory does not hold the work: free some (see nvidia-smi), or use --device cpu."
        ) from error


class Batches:
    """Cuts work into batches of at most `size`; a size that did not fit is not tried again."""

    def __init__(self, size: int, unit: str, release: Callable[[], None] = lambda: None) -> None:
        """unit: what is batched, for messages. release: frees what can be made again, before a retry."""
        self.size = size
        self._unit, self._release, self._told = unit, release, False

    def each(self, count: int, work: Callable[[slice], T]) -> list[T]:
        """Call `work` for consecutive slices of range(count), an empty one for 0; return what it returned.

        When it runs out of GPU memory it is called again for half as many, which is said once on stderr.
        Raises ModelError when there is not enough for one.
        """
        done: list[T] = []
        start = 0
        while start < count or not done:
            part = slice(start, min(start + self.size, count))
            try:
                done.append(work(part))
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
                failed = part.stop - part.start
            else:
                start = part.stop
                continue
            self._halve(failed)  # outside the handler, whose traceback keeps the failed batch alive
        return done

    def _halve(self, failed: int) -> None:
        if failed <= 1:
            raise ModelError(
                f"The GPU's memory does not hold the work on one of the {self._unit}: free some (see "
                f"nvidia-smi), or use --device cpu."
            )
        self.size = failed // 2
        self._release()
        torch.cuda.empty_cache()
        if not self._told:
            self._told = True
            say(f"The GPU's memory does not hold {failed} {self._unit} at once: going on with fewer.")


def lacks_memory(error: BaseException) -> bool:
    """Whether torch's allocator, a CUDA library or the driver found no memory on a GPU."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def upload(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return a tensor on a device, converted there.

    To a GPU it travels through page-locked memory on a stream of its own: it arrives while what was asked of
    the GPU before is still being computed, and what is asked of it afterwards waits for it.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = _beside_computing(tensor, device)
    return tensor.to(device, dtype)


def _beside_computing(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    stream, computing = _copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(stream):
        copied = tensor.pin_memory().to(device, non_blocking=True)
    computing.wait_stream(stream)
    copied.record_stream(computing)
    return copied


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
