"""What a result's protocol is called, everywhere: content that is not a protocol's never bears its name."""

import hashlib

from xbench.registry.datasets import CUSTOM, benchmarks
from xbench.reports.record.schema import Record

_DIGITS = 8
_OWN = " (own benchmark "


def is_own(record: Record) -> bool:
    """Whether the content is the user's own: their list, a limited set, or files that are no protocol."""
    return record.protocol.matched is None or record.protocol.requested == CUSTOM


def protocol_of(record: Record) -> str:
    """Return the protocol whose content was scored; own content bears a short hash of what was scored.

    Two results have the same name only if they scored the same videos and captions, or if both are of a known
    protocol (then a partial gallery is a reason against comparing, not another name). A protocol that a
    user's file names bears the hash of what it says, since two users may give one name to two benchmarks.
    """
    if record.miniature:
        return f"{record.protocol.requested}, miniature"
    matched = record.protocol.matched
    if matched is None or is_own(record):
        return f"{record.protocol.requested} (own content {_content(record, *sorted(unscored(record)))})"
    return f"{matched}{_OWN}{_content(record)})" if is_of_own_benchmark(record) else matched


def is_of_own_benchmark(record: Record) -> bool:
    """Whether the protocol is one that a user's file names, with which nothing published can be compared."""
    return record.benchmark not in benchmarks()


def is_called(name: str, protocol: str) -> bool:
    """Whether a name that `protocol_of` returns is that of a protocol, whoever defined it."""
    return name == protocol or name.startswith(f"{protocol}{_OWN}")


def unscored(record: Record) -> set[str]:
    """Return the videos of the split that are not in the gallery: missing, or without a single frame."""
    videos = record.videos
    return {*videos.missing, *(damaged.id for damaged in videos.damaged if not damaged.got)}


def _content(record: Record, *more: str) -> str:
    found = record.protocol.fingerprint
    parts = [found.ids, found.pairs_ws_normalised_sorted, record.protocol.v2t, *more]
    if found.windows is not None and is_of_own_benchmark(record):
        parts.append(found.windows)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]


def model_name(record: Record) -> str:
    """Return the scorer's name with its backbone and label, and the post-processing that it was given."""
    backbone = record.scorer.settings.get("backbone")
    post = f" + {record.post_processing}" if record.post_processing != "none" else ""
    label = f", {label_of(record)}" if label_of(record) else ""
    return f"{record.scorer.name}{f' {backbone}' if backbone else ''}{label}{post}"


def label_of(record: Record) -> str:
    """Return what its user calls it, and whether it is the best of several on the set it is scored on."""
    among = record.chosen_on_test_among
    chosen = f"(chosen on test among {among})" if among else ""
    return " ".join(part for part in (record.label, chosen) if part)
