"""Results of finished units on disk, until the record is written: a killed scoring goes on from them."""

from pathlib import Path

import torch

from xbench.engine.packs import Packs, read_entry, write_entry
from xbench.engine.store import key_of
from xbench.engine.units import Tensors


class Ledger:
    """The results of one scoring, in a folder of its own. Losing it costs time only: nothing here fails."""

    def __init__(self, folder: Path) -> None:
        self._packs = Packs(folder)
        self._writes = True

    def get(self, kind: str, unit: tuple[int, ...]) -> Tensors | None:
        """Return the result of a unit; None when it is not there, or damaged."""
        key = _key(kind, unit)
        content = self._packs.read(key)
        entry = None if content is None else read_entry(key, content)
        return None if entry is None else entry.features

    def put(self, kind: str, unit: tuple[int, ...], result: Tensors) -> None:
        """Keep the result of a unit; on a full disk no more are kept."""
        if self._writes:
            key = _key(kind, unit)
            try:
                self._packs.append(key, write_entry(key, result, {}))
            except OSError:
                self._writes = False

    def get_tile(self, row: int, column: int) -> torch.Tensor | None:
        """Return a tile that was kept, whoever scored it."""
        if _key("tile", (row, column)) not in self._packs:
            self._packs.refresh()
        found = self.get("tile", (row, column))
        return None if found is None else found["tile"]

    def close(self) -> None:
        """Close all files."""
        self._packs.close()


def _key(kind: str, unit: tuple[int, ...]) -> str:
    return key_of(kind=kind, unit=unit)
