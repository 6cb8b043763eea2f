"""Encode what the store lacks: inputs prepared in threads ahead of the encoder, results kept at once."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import AsyncResult, ThreadPool
from threading import Event
from typing import Any, Generic, TypeVar

from xbench.engine.store import Entry, Store
from xbench.scorers.base import Features

T = TypeVar("T")


@dataclass(frozen=True)
class Prepared(Generic[T]):
    """What `prepare` made of one item: the encoder's input (None when there is nothing to encode) and facts.

    `info` is JSON and is kept beside the features, so that a cached run can report it again.
    """

    value: T | None
    info: Mapping[str, Any]


@dataclass(frozen=True)
class Encoded:
    """An item's features (None when it had no input) and the facts kept with them."""

    features: Features | None
    info: Mapping[str, Any]


def encode(
    store: Store,
    kind: str,
    keys: Sequence[str],
    prepare: Callable[[int], Prepared[T]],
    encode_batch: Callable[[list[T]], list[Features]],
    *,
    batch_size: int,
    workers: int = 0,
    on_done: Callable[[int], None] = lambda index: None,
) -> list[Encoded]:
    """Return the features of every key, from the store where it has them, else encoded and saved there.

    prepare(i) makes the input of item i; it runs in `workers` threads, a few items ahead (in this thread with
    0 workers). encode_batch gets up to `batch_size` inputs and returns one Features for each. Every batch is
    saved before the next begins, so a killed run loses at most one batch. on_done is told the index of every
    finished item, cached ones included.
    """
    entries: list[Encoded | None] = [_cached(store.load(kind, key)) for key in keys]
    todo = [index for index, entry in enumerate(entries) if entry is None]
    for index in set(range(len(keys))) - set(todo):
        on_done(index)
    batch: list[tuple[int, T, Mapping[str, Any]]] = []

    def flush() -> None:
        features = encode_batch([value for _, value, _ in batch])
        for (index, _, info), row in zip(batch, features, strict=True):
            store.save(kind, keys[index], row, info)
            entries[index] = _cached(store.load(kind, keys[index])) or Encoded(row, info)
            on_done(index)
        batch.clear()

    for index, prepared in _ahead(prepare, todo, workers, 2 * workers + batch_size):
        if prepared.value is None:
            entries[index] = Encoded(None, prepared.info)
            on_done(index)
            continue
        batch.append((index, prepared.value, prepared.info))
        if len(batch) == batch_size:
            flush()
    if batch:
        flush()
    return [entry for entry in entries if entry is not None]


def _cached(entry: Entry | None) -> Encoded | None:
    return Encoded(entry.features, entry.info) if entry else None


def _ahead(
    prepare: Callable[[int], Prepared[T]], items: Sequence[int], workers: int, lookahead: int
) -> Iterator[tuple[int, Prepared[T]]]:
    """Yield (item, prepared) in order while `workers` threads work up to `lookahead` items ahead."""
    if workers == 0:
        for item in items:
            yield item, prepare(item)
        return
    stopped = Event()

    def prepare_unless_stopped(item: int) -> Prepared[T]:
        return Prepared(None, {}) if stopped.is_set() else prepare(item)

    # Unlike concurrent.futures, this pool's threads are daemons: Ctrl-C need not wait for a long decode.
    pool = ThreadPool(workers)
    waiting: deque[tuple[int, AsyncResult[Prepared[T]]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.apply_async(prepare_unless_stopped, (item,))))
            if len(waiting) > lookahead:
                first, result = waiting.popleft()
                yield first, result.get()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.get()
    finally:
        stopped.set()
        pool.close()
