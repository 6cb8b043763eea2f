"""The files that ship with xbench: datasets.yaml, checkpoints.yaml and results/published.csv."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Return the path of a shipped file, e.g. `shipped("datasets.yaml")`.

    The files stand at the top of the repository, where people look for them, and inside the wheel under
    `xbench/shipped/`.
    """
    for root in (_PACKAGE / "shipped", _PACKAGE.parent):
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(f"{name} is not part of this installation of xbench: reinstall it")
