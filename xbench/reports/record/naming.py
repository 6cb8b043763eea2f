"""What a result's protocol is called, everywhere: content that is not a protocol's never bears its name."""

import hashlib

from xbench.registry.datasets import CUSTOM
from xbench.reports.record.schema import Result

_DIGITS = 8


def is_own(result: Result) -> bool:
    """Whether the content is the user's own: their list, a limited set, or files that are no protocol."""
    return result.protocol.matched is None or result.protocol.requested == CUSTOM


def protocol_of(result: Result) -> str:
    """Return the protocol whose content was scored; own content bears a short hash of what was scored.

    Two results have the same name only if they scored the same videos and captions, or if both are of a known
    protocol (then a partial gallery is a reason against comparing, not another name).
    """
    if result.miniature:
        return f"{result.protocol.requested}, miniature"
    if result.protocol.matched is not None and not is_own(result):
        return result.protocol.matched
    return f"{result.protocol.requested} (own content {_content(result)})"


def unscored(result: Result) -> set[str]:
    """Return the videos of the split that are not in the gallery: missing, or without a single frame."""
    videos = result.videos
    return {*videos.missing, *(damaged.id for damaged in videos.damaged if not damaged.got)}


def _content(result: Result) -> str:
    found = result.protocol.fingerprint
    parts = [found.ids, found.pairs_ws_normalised_sorted, result.protocol.v2t, *sorted(unscored(result))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]
