"""What of the environment can change a number: versions and the revision of xbench itself."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = ("torch", "transformers", "numpy", "av", "pillow", "ftfy", "regex", "safetensors")


def versions() -> dict[str, str]:
    """Return the versions of xbench, Python and the libraries that can change a number."""
    own = {"xbench": _version("xbench"), "python": platform.python_version()}
    return own | {name: _version(name) for name in _LIBRARIES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def git_revision() -> str | None:
    """The revision of the checkout that xbench runs from, None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
