"""What tests look at in a split."""

from xbench.data.split import Split


def pairs(split: Split) -> list[tuple[str, str]]:
    """(video id, caption) in the order of the split."""
    return [(split.videos[caption.video].id, caption.text) for caption in split.captions]
