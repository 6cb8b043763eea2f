"""What one evaluation asks for."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xbench.errors import DataError, require_choice
from xbench.metrics.measures import DEFAULT_MEASURES, Measure
from xbench.terms import FrameRule, Post, Ties, choices


@dataclass(frozen=True)
class Request:
    """One benchmark to score: the data, and the settings that do not belong to the scorer."""

    benchmark: str
    annotations: Path
    videos: Path
    """Unused when a similarity matrix is scored."""
    protocol: str | None = None
    """None: the benchmark's default protocol."""
    limit: int | None = None
    """Score only the first N videos; never comparable."""
    allow_missing: bool = False
    allow_damaged: bool = False
    ties: Ties = Ties.AVERAGE
    measures: tuple[Measure, ...] = DEFAULT_MEASURES
    post: Post = "none"
    """Post-processing that looks at the whole test set, as a second row beside the raw one."""
    sampling: FrameRule | None = None
    """Which frames are taken; None: as the scorer asks."""
    batch_size: int | None = None
    """Videos per call of the encoder; None: as many as make about 256 frames."""
    workers: int = 2
    """Threads that decode ahead of the encoder."""
    memory: int | None = None
    """Bytes that scores and video features may take while scoring; None: a quarter of RAM."""
    cache: Path | None = None
    """The cache folder; None: features are kept for this run only."""
    save_similarity: Path | None = None
    miniature: bool = False
    """The data is the rendered miniature of the benchmark, not the benchmark."""
    passed: dict[str, Any] = field(default_factory=dict)
    """The options that the user gave, for the record (JSON values)."""
    defaulted: dict[str, Any] = field(default_factory=dict)
    """The options that were left at their defaults, for the record (JSON values)."""

    def __post_init__(self) -> None:
        """Raise UsageError for an unknown value of a setting that has names."""
        require_choice("The post-processing", self.post, choices(Post))
        if self.sampling is not None:
            require_choice("The sampling", self.sampling, choices(FrameRule))


def require_writable(folder: Path, what: str) -> None:
    """Raise DataError now if `what` could not be written to a folder at the end; makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(f"{what} cannot be written to {folder}: {error.strerror or error}.") from error
