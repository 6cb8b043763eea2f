"""What a result's protocol is called, everywhere: content that is not a protocol's never bears its name."""

import hashlib

from xbench.registry.datasets import CUSTOM
from xbench.reports.record.schema import Record

_DIGITS = 8


def is_own(record: Record) -> bool:
    """Whether the content is the user's own: their list, a limited set, or files that are no protocol."""
    return record.protocol.matched is None or record.protocol.requested == CUSTOM


def protocol_of(record: Record) -> str:
    """Return the protocol whose content was scored; own content bears a short hash of what was scored.

    Two results have the same name only if they scored the same videos and captions, or if both are of a known
    protocol (then a partial gallery is a reason against comparing, not another name).
    """
    if record.miniature:
        return f"{record.protocol.requested}, miniature"
    if record.protocol.matched is not None and not is_own(record):
        return record.protocol.matched
    return f"{record.protocol.requested} (own content {_content(record)})"


def unscored(record: Record) -> set[str]:
    """Return the videos of the split that are not in the gallery: missing, or without a single frame."""
    videos = record.videos
    return {*videos.missing, *(damaged.id for damaged in videos.damaged if not damaged.got)}


def _content(record: Record) -> str:
    found = record.protocol.fingerprint
    parts = [found.ids, found.pairs_ws_normalised_sorted, record.protocol.v2t, *sorted(unscored(record))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]


def model_name(record: Record) -> str:
    """Return the scorer's name with its backbone, and the post-processing that it was given."""
    backbone = record.scorer.settings.get("backbone")
    post = f" + {record.post_processing}" if record.post_processing != "none" else ""
    return f"{record.scorer.name}{f' {backbone}' if backbone else ''}{post}"
