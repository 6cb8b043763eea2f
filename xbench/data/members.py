"""Which videos a protocol has, and a short digest of each one's captions: to say in what loaded data differs.

The ids and digests stand in members.npz (made by tools/make_members.py; captions cannot be read back from
it). Whether data *is* a protocol is decided by its sha256 alone. LSMDC's ids are not public: it has no
members here.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Split
from xbench.registry.datasets import Protocol

FILE = Path(__file__).with_name("members.npz")


def digests(split: Split) -> dict[str, int]:
    """Return 32 bits of sha256 for each video: its captions, white space normalised, sorted."""
    texts: dict[str, list[str]] = {video.id: [] for video in split.videos}
    for caption in split.captions:
        texts[split.videos[caption.video].id].append(" ".join(caption.text.split()))
    return {video: _digest(captions) for video, captions in texts.items()}


def members(protocol: Protocol) -> dict[str, int] | None:
    """Return the digest of each video of a published protocol, None if they are not known."""
    stored = _stored()
    if protocol.sha256 is None or protocol.id not in stored:
        return None
    ids = stored[protocol.sha256.ids].tobytes().decode().split("\n")
    return dict(zip(ids, stored[protocol.id].tolist(), strict=True))


def pack(splits: Iterable[tuple[Protocol, Split]]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of members.npz: ids (UTF-8 lines) by their sha256, uint32 digests by protocol id."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for protocol, split in splits:
        assert protocol.sha256 is not None
        by_id = dict(sorted(digests(split).items()))
        arrays[protocol.sha256.ids] = np.frombuffer("\n".join(by_id).encode(), dtype=np.uint8)
        arrays[protocol.id] = np.array(list(by_id.values()), dtype=np.uint32)
    return arrays


def _digest(captions: list[str]) -> int:
    return int.from_bytes(hashlib.sha256("\n".join(sorted(captions)).encode()).digest()[:4], "big")


@cache
def _stored() -> dict[str, NDArray[np.generic]]:
    with np.load(FILE, allow_pickle=False) as stored:
        return dict(stored)
