"""Where a model computes."""

from typing import TYPE_CHECKING

from xbench.errors import UsageError

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
        raise UsageError(f"--device {name}: xbench computes on cpu or cuda.")
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
