"""Work in batches that become smaller when the memory of a GPU does not hold one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from xbench.errors import ModelError
from xbench.progress import say

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
