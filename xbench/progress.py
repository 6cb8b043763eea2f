"""Progress on stderr: bars on a terminal and in a notebook, one line per stage elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from xbench.interruption import plain, stop_if_asked
from xbench.shown import for_terminal, visible


@contextmanager
def stage(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a stage of `total` units and yield the function that is told how many more are done."""
    if not sys.stderr.isatty() and not _in_notebook():
        print(f"{title} ({total} {unit})", file=sys.stderr, flush=True)
        yield lambda count: stop_if_asked()
        return
    look = {"desc": for_terminal(title), "unit": f" {unit}", "dynamic_ncols": True}
    with _bar(total=total, file=plain(sys.stderr), **look) as bar:

        def advance(count: int) -> None:
            stop_if_asked()
            bar.update(count)

        yield advance


def _bar(**options: Any) -> Any:
    if _in_notebook():
        from tqdm.auto import tqdm as notebook_bar

        return notebook_bar(**options)
    return tqdm(**options)


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


def say(message: str) -> None:
    """Print one line on stderr, above a bar that is being shown."""
    tqdm.write(visible(message, keep="\n\t"), file=plain(sys.stderr))
