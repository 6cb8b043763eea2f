"""Items to features through the store, each encoded by itself; features of many items as one table."""

import hashlib
import json
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing.pool import AsyncResult, ThreadPool
from threading import Event
from typing import Any, Generic, TypeVar

import torch

from xbench.engine.packs import raw
from xbench.engine.store import Kind, Lodged, Store
from xbench.scorers.base import Features


class FeatureTable:
    """The rows of several feature shards, end to end. Slicing reads only the shards that a slice touches."""

    def __init__(self, shards: Iterable[Features | Lodged]) -> None:
        self._shards: Sequence[Features | Lodged] = list(shards)
        self._starts = [0, *accumulate(map(_rows, self._shards))]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the shards that lie in a store."""
        return tuple(shard.key for shard in self._shards if isinstance(shard, Lodged))

    def digest(self) -> str:
        """Return a hash of what the table holds: of keys where it lies in the store, else of values."""
        digest = hashlib.sha256()
        for shard in self._shards:
            digest.update((shard.key if isinstance(shard, Lodged) else _digest(shard)).encode())
        return digest.hexdigest()

    def names(self) -> list[str]:
        """Return a name of each row: rows with the same values have the same."""
        return [_digest(self.rows(row, row + 1)) for row in range(len(self))]

    def rows(self, start: int, stop: int) -> Features:
        """Return rows [start, stop) of every tensor; a view when they lie in one shard, else a copy."""
        first = bisect_right(self._starts, start) - 1
        pieces: list[Features] = []
        for index in range(first, len(self._shards)):
            offset = self._starts[index]
            if offset >= stop:
                break
            shard = self._shards[index]
            features = shard.load() if isinstance(shard, Lodged) else shard
            pieces.append(
                {name: tensor[max(start - offset, 0) : stop - offset] for name, tensor in features.items()}
            )
        if len(pieces) == 1:
            return pieces[0]
        return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}


def _digest(features: Features) -> str:
    """Return a hash of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(features.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(raw(tensor))
    return digest.hexdigest()


def _rows(shard: Features | Lodged) -> int:
    return 1 if isinstance(shard, Lodged) else len(next(iter(shard.values())))


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
    """An item's features in the store (None when it had no input) and the facts kept with them."""

    features: Lodged | None
    raw_info: bytes

    @property
    def info(self) -> Mapping[str, Any]:
        """The facts, parsed at each call: a million of them as text take a tenth of the memory."""
        parsed: Mapping[str, Any] = json.loads(self.raw_info)
        return parsed


def encode(
    store: Store,
    kind: Kind,
    keys: Sequence[str],
    prepare: Callable[[int], Prepared[T]],
    encode_one: Callable[[T], Features],
    *,
    workers: int = 0,
    on_done: Callable[[int], None] = lambda index: None,
) -> list[Encoded]:
    """Return the features of every key, from the store where it has them, else encoded and saved there.

    Each item is encoded by itself, because float products change with the shape of a batch and with an item's
    place in it: its features must not depend on what else was missing. Equal keys are encoded once.
    prepare(i) makes the input of item i; it runs in `workers` threads, a few items ahead (in this thread with
    0 workers). encode_one returns features with first dimension 1. Every item is saved before the next, so a
    killed run loses at most one. on_done is told the index of every finished item, cached ones included.
    """
    done: dict[str, Encoded] = {}
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key not in done and (cached := _cached(store, kind, key)):
            done[key] = cached
        if key in done:
            on_done(index)
        else:
            first.setdefault(key, index)
    for index, prepared in _ahead(prepare, list(first.values()), workers, 2 * workers + 1):
        lodged = None
        if prepared.value is not None:
            store.save(kind, keys[index], encode_one(prepared.value), prepared.info)
            lodged = Lodged(store, kind, keys[index])
        done[keys[index]] = Encoded(lodged, json.dumps(prepared.info).encode())
        on_done(index)
    for index, key in enumerate(keys):
        if first.get(key, index) != index:
            on_done(index)
    return [done[key] for key in keys]


def _cached(store: Store, kind: Kind, key: str) -> Encoded | None:
    entry = store.load(kind, key)
    return Encoded(Lodged(store, kind, key), entry.raw_info) if entry else None


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
