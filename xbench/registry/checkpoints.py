"""checkpoints.yaml as typed values: weights and vocabularies with the sha256 that makes them trusted."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from xbench.errors import UsageError, did_you_mean
from xbench.registry import shipped


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listed(_Entry):
    """A file that can be fetched, and what it must then be."""

    url: str = Field(pattern="^https://")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    source: str
    """Where url and sha256 were read."""
    note: str = ""


class XClipNote(_Entry):
    """What is known about weights of X-CLIP itself."""

    released: str
    note: str


class Checkpoints(_Entry):
    """The whole of checkpoints.yaml."""

    clip: dict[str, Listed]
    """CLIP weights by backbone, e.g. `ViT-B/32`."""
    vocabulary: dict[str, Listed]
    xclip: XClipNote

    @property
    def trusted(self) -> frozenset[str]:
        """The sha256 of the TorchScript archives that may be opened, although they can hold code."""
        return frozenset(entry.sha256 for entry in self.clip.values())


@cache
def checkpoints() -> Checkpoints:
    """Return the shipped checkpoints.yaml."""
    return read_checkpoints(shipped("checkpoints.yaml"))


def read_checkpoints(path: Path) -> Checkpoints:
    """Read and validate a file in the format of checkpoints.yaml."""
    return Checkpoints.model_validate(yaml.safe_load(path.read_text("utf-8")))


def clip_weights(name: str) -> Listed:
    """Return the CLIP weights of a backbone. An unknown name is a UsageError that suggests the closest."""
    known = checkpoints().clip
    if name not in known:
        raise UsageError(f"checkpoints.yaml has no CLIP weights {name!r}.{did_you_mean(name, known)}")
    return known[name]
