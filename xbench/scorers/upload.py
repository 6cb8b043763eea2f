"""Copies to a GPU that overlap what it computes."""

from functools import cache

import torch


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
