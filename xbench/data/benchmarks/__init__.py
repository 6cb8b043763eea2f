"""A room for each benchmark: everything that is true of it alone and does not stand in datasets.yaml.

A room is the module named as the benchmark's id, with an object `ROOM`.
"""

from functools import cache
from importlib import import_module

from xbench.data.benchmarks.room import Room
from xbench.registry.datasets import benchmark

_USUAL = Room()


def room(name: str) -> Room:
    """Return the room of a benchmark. A user's own benchmark, and one without a room, has the usual one."""
    return _USUAL if benchmark(name).home else _shipped_room(benchmark(name).id)


@cache
def _shipped_room(name: str) -> Room:
    module = f"{__name__}.{name}"
    try:
        found: Room = getattr(import_module(module), "ROOM", _USUAL)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return _USUAL
    return found
