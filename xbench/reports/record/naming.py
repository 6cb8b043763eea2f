"""What a result's protocol is called, everywhere: content that is not a protocol's never bears its name."""

import hashlib

from xbench.registry.datasets import CUSTOM, benchmarks
from xbench.reports.record.schema import Result

_DIGITS = 8
_OWN = " (own benchmark "


def is_own(result: Result) -> bool:
    """Whether the content is the user's own: their list, a limited set, or files that are no protocol."""
    return result.protocol.matched is None or result.protocol.requested == CUSTOM


def protocol_of(result: Result) -> str:
    """Return the protocol whose content was scored; own content bears a short hash of what was scored.

    Two results have the same name only if they scored the same videos and captions, or if both are of a known
    protocol (then a partial gallery is a reason against comparing, not another name). A protocol that a
    user's file names bears the hash of what it says, since two users may give one name to two benchmarks.
    """
    if result.miniature:
        return f"{result.protocol.requested}, miniature"
    matched = result.protocol.matched
    if matched is None or is_own(result):
        return f"{result.protocol.requested} (own content {_content(result, *sorted(unscored(result)))})"
    return f"{matched}{_OWN}{_content(result)})" if is_of_own_benchmark(result) else matched


def is_of_own_benchmark(result: Result) -> bool:
    """Whether the protocol is one that a user's file names, with which nothing published can be compared."""
    return result.benchmark not in benchmarks()


def is_called(name: str, protocol: str) -> bool:
    """Whether a name that `protocol_of` returns is that of a protocol, whoever defined it."""
    return name == protocol or name.startswith(f"{protocol}{_OWN}")


def unscored(result: Result) -> set[str]:
    """Return the videos of the split that are not in the gallery: missing, or without a single frame."""
    videos = result.videos
    return {*videos.missing, *(damaged.id for damaged in videos.damaged if not damaged.got)}


def _content(result: Result, *more: str) -> str:
    found = result.protocol.fingerprint
    parts = [found.ids, found.pairs_ws_normalised_sorted, result.protocol.v2t, *more]
    if found.windows is not None and is_of_own_benchmark(result):
        parts.append(found.windows)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]
