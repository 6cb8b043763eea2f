"""What a user pinned: weights whose publisher gives no hash, held to be the same ones from then on.

In a file of its own, which `xbench models pin` alone writes, in the user's configuration folder: no folder
that came with a download can say which file a name of checkpoints.yaml stands for.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from xbench.errors import UsageError, os_errors
from xbench.registry.lined import read_lined
from xbench.storage import config_dir, lock, write_atomically

_FILE = "pins.yaml"
_HEAD = (
    "# Written by `xbench models pin`: the files that names of checkpoints.yaml stand for on this machine.\n"
)


class Pin(BaseModel):
    """One file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Pins(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    pins: dict[str, Pin] = {}


def pins_file() -> Path:
    """Return where pins are kept; the file need not be there."""
    return config_dir() / _FILE


def pins() -> Mapping[str, Pin]:
    """Return what is pinned, by the names of entries. Raises UsageError for a file that is none of pins."""
    path = pins_file()
    with os_errors(UsageError, f"{path} cannot be read"):
        there = path.is_file()
    return read_lined(path, _Pins).pins if there else {}


def record_pin(name: str, pin: Pin, *, replace: bool) -> None:
    """Keep a pin. Raises UsageError when other content is pinned already, unless `replace`, and when the file
    cannot be written.
    """
    path = pins_file()
    with os_errors(UsageError, f"{path} cannot be written"), lock(path.with_suffix(".lock")):
        known = dict(pins())
        old = known.get(name)
        if old is not None and old.sha256 != pin.sha256 and not replace:
            raise UsageError(
                f"{name} is pinned to other content already: {old.file}, sha256 {old.sha256}. Numbers of "
                "the two are not of one model; add --replace if that is meant."
            )
        content = _Pins(pins=known | {name: pin}).model_dump(mode="json")
        write_atomically(path, (_HEAD + yaml.safe_dump(content, allow_unicode=True)).encode())
