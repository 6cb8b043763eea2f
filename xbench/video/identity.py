"""Which video a file holds, told by its content and not by its name or place."""

import hashlib
import os
from pathlib import Path

_MIB = 1 << 20


def content_key(path: Path) -> str:
    """Return `<size in bytes>-<sha256 of the first and the last MiB>`: changes whenever the file does.

    A file of up to two MiB is hashed whole. Raises OSError when it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(file.read(_MIB))
        file.seek(max(_MIB, size - _MIB))
        digest.update(file.read(_MIB))
    return f"{size}-{digest.hexdigest()}"
