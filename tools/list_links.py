"""List every address outside of this repository that the documentation names, and the pages that name it.

python -m tools.list_links               # addresses, one a line, with their pages
python -m tools.list_links --fetch       # and whether each answers; exit code 1 when one does not

Links between pages are checked when the site is built (`make docs`).
"""

import re
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_ADDRESS = re.compile(r"https?://[^\s)>\"'`\]|]+")
_PLACES = ("*.md", "docs/*.md", "*.yaml", "*.cff", "pyproject.toml", "examples/**/*.md")
_OWN = ("http://127.0.0.1", "http://localhost")
_SECONDS = 20


def links() -> dict[str, list[str]]:
    """Every address outside, with the files that name it."""
    found: dict[str, set[str]] = defaultdict(set)
    for pattern in _PLACES:
        for path in ROOT.glob(pattern):
            for address in _ADDRESS.findall(path.read_text("utf-8")):
                if not address.startswith(_OWN):
                    found[address.rstrip(".,;:")].add(path.relative_to(ROOT).as_posix())
    return {address: sorted(found[address]) for address in sorted(found)}


def answer(address: str) -> str:
    """What a server says to a request for an address: its status, or why there is none."""
    request = urllib.request.Request(address, headers={"User-Agent": "xbench-links"})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:
            return str(response.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (OSError, ValueError) as error:
        return str(error)


def main() -> int:
    """Print the list; return the exit code."""
    bad = 0
    for address, files in links().items():
        said = answer(address) if "--fetch" in sys.argv else ""
        bad += bool(said) and not said.startswith("2")
        print(f"{address}\t{', '.join(files)}" + f"\t{said}" * bool(said))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
