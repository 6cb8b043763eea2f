"""What was loaded: which protocol it is by its fingerprint, or in what it differs from the closest.

Which videos a protocol has, and a short digest of each one's captions, stand in members.npz (made by
tools/make_members.py; captions cannot be read back from it): to say in what loaded data differs. Whether data
*is* a protocol is decided by its sha256 alone. A protocol whose ids are not public has no members there.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xbench.data.split import Fingerprint, Split, window_hash
from xbench.registry.datasets import CUSTOM, Protocol, benchmark

MEMBERS = Path(__file__).with_name("members.npz")


@dataclass(frozen=True)
class Differences:
    """In what a split differs from a protocol, as sorted video ids; changed: of both, with other text."""

    protocol: str
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Recognition:
    """protocol: the id whose content the split has, which need not be the one asked for; None if unknown.

    notes: sentences that say what was loaded. comparable: with published rows of `protocol`, as far as the
    annotations go; else reasons says why not, in a line each. differences: all that tells an unknown split
    from the protocol asked for and from the nearest.
    """

    protocol: str | None
    notes: tuple[str, ...]
    reasons: tuple[str, ...]
    differences: tuple[Differences, ...] = ()

    @property
    def comparable(self) -> bool:
        return not self.reasons


def recognise(split: Split) -> Recognition:
    """Say what a split is. The order of captions never matters; a difference in white space is noted."""
    recognition = _recognise(split)
    if split.source is None:
        return recognition
    return replace(recognition, notes=(f"annotations from {split.source}", *recognition.notes))


def _recognise(split: Split) -> Recognition:
    known = list(benchmark(split.benchmark).protocols.values())
    if split.cut_from:
        return _cut(split)
    if lacking := _without_fingerprint(split):
        return lacking
    found = split.fingerprint()
    match = next((protocol for protocol in known if protocol.is_content(found)), None)
    if match is None:
        said, differences = _describe(split, found, known)
        return Recognition(None, said, _custom_reason(split) or said, differences)
    notes = [*_name(split, match), *_small_differences(found, match)]
    windows = _window_reasons(split, match)
    return Recognition(
        match.id, (*notes, *windows), _custom_reason(split) or (*match.reasons_against, *windows)
    )


def _name(split: Split, match: Protocol) -> list[str]:
    if match.id == split.protocol:
        return []
    what = match.mishap or match.title
    return [f"this is {match.id}, not {split.protocol}: {match.captions} captions; {what}"]


def _small_differences(found: Fingerprint, match: Protocol) -> list[str]:
    if match.sha256 is None:
        return [f"recognised as {match.id} by its {match.captions} captions alone: its hashes are not public"]
    if match.sha256.pairs_sorted != found.pairs_sorted:
        return [f"white space differs from {match.id}, ids equal"]
    if match.sha256.pairs != found.pairs:
        return [
            f"the captions stand in another order than in {match.id}: a run's numbers do not depend on it, a "
            "similarity matrix from elsewhere must have the same order"
        ]
    return []


def _window_reasons(split: Split, match: Protocol) -> list[str]:
    if match.windows is None or match.windows == window_hash(split.videos):
        return []
    return [f"the annotated durations, which limit the frames, are not those of {match.id}"]


def _without_fingerprint(split: Split) -> Recognition | None:
    """What a user's benchmark is while its file does not say what its content is."""
    entry = benchmark(split.benchmark)
    protocol = entry.protocols.get(split.protocol)
    if entry.home is None or protocol is None or protocol.sha256 is not None:
        return None
    command = f"xbench datasets fingerprint {entry.home.name}"
    said = (f"{protocol.id} has no fingerprint yet: `{command}` prints what to paste below it",)
    return Recognition(None, said, said)


def _custom_reason(split: Split) -> tuple[str, ...]:
    if split.protocol != CUSTOM:
        return ()
    return ("a user's own annotations are the protocol `custom`, never compared with published rows",)


def _cut(split: Split) -> Recognition:
    note = f"the first {len(split.videos)} of {split.cut_from} videos of {split.protocol}"
    return Recognition(None, (note,), (f"limited to {note}",))


def _describe(
    split: Split, found: Fingerprint, known: Sequence[Protocol]
) -> tuple[tuple[str, ...], tuple[Differences, ...]]:
    """Say in what the split differs from the protocol asked for, and from one that is nearer by ids."""
    own = digests(split)
    asked = next((each for each in known if each.id == split.protocol), known[0])
    there = {each.id: ids for each in known if (ids := members(each)) is not None}
    if asked.id not in there:
        return (_describe_by_counts(found, asked),), ()
    nearest = max(there, key=lambda name: (*_closeness(own, there[name]), name == asked.id))
    nearer = _closeness(own, there[nearest])[0] > _closeness(own, there[asked.id])[0]
    named = [asked.id, nearest] if nearer else [asked.id]
    named = [name for name in named if own.keys() & there[name].keys()]
    if not named:
        return (f"none of the {found.videos} videos is of any known protocol of {split.benchmark}",), ()
    differences = tuple(_differences(own, there[name], name) for name in named)
    counts = {each.id: each.captions for each in known}
    said = tuple(
        _in_a_line(each, len(there[each.protocol]), (found.captions, counts[each.protocol]))
        for each in differences
    )
    return said, differences


def _closeness(own: dict[str, int], theirs: dict[str, int]) -> tuple[float, float]:
    """(videos in common, videos with equal text), each as a part of all videos of the two."""
    everything = len(own.keys() | theirs.keys())
    return len(own.keys() & theirs.keys()) / everything, len(own.items() & theirs.items()) / everything


def _differences(own: dict[str, int], theirs: dict[str, int], protocol: str) -> Differences:
    return Differences(
        protocol,
        missing=tuple(sorted(theirs.keys() - own.keys())),
        extra=tuple(sorted(own.keys() - theirs.keys())),
        changed=tuple(sorted(video for video in own.keys() & theirs.keys() if own[video] != theirs[video])),
    )


def _in_a_line(found: Differences, videos: int, captions: tuple[int, int | None]) -> str:
    """captions: how many there are, and how many the protocol has."""
    name, said = found.protocol, []
    if found.missing:
        there = videos - len(found.missing)
        said.append(f"{there} of the {videos} videos of {name}; missing: {_list(found.missing)}")
    if found.extra:
        said.append(f"{_videos(len(found.extra))} that {name} does not have: {_list(found.extra)}")
    if found.changed:
        counts = f" ({captions[0]} captions, {name} has {captions[1]})" if captions[0] != captions[1] else ""
        said.append(
            f"other text than {name} in {_videos(len(found.changed))}{counts}: {_list(found.changed)}"
        )
    return "; ".join(said)


def _describe_by_counts(found: Fingerprint, asked: Protocol) -> str:
    if asked.sha256 and asked.sha256.ids == found.ids:
        return f"ids equal to those of {asked.id}, but the text of some captions differs"
    if benchmark(asked.benchmark).home is not None:
        return (
            f"{_videos(found.videos)} and {found.captions} captions that are not those of the fingerprint of "
            f"{asked.id} ({asked.videos} and {asked.captions})"
        )
    return (
        f"{_videos(found.videos)} and {found.captions} captions, no known protocol of {asked.benchmark} "
        f"({asked.id} has {asked.captions}); its ids are not public, so xbench cannot name what differs"
    )


def _videos(count: int) -> str:
    return f"{count} video" if count == 1 else f"{count} videos"


def _list(ids: Sequence[str], most: int = 2) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(_shown(ids[:most])) + more


def _shown(ids: Iterable[str]) -> Iterable[str]:
    return (repr(id_) if id_ != id_.strip() else id_ for id_ in ids)


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
    ids = known_ids(protocol.sha256.ids) or []
    return dict(zip(ids, stored[protocol.id].tolist(), strict=True))


def known_ids(sha256: str) -> list[str] | None:
    """Return the video ids that a fingerprint's hash `ids` is of, sorted; None if they are not known."""
    ids = _stored().get(sha256)
    if ids is None or ids.dtype != np.uint8:  # the digests of a protocol, by its id
        return None
    return ids.tobytes().decode().split("\n")


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
    with np.load(MEMBERS, allow_pickle=False) as stored:
        return dict(stored)
