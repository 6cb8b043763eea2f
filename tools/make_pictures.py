"""Draw docs/board.png and docs/result.png: a board, and the page of a result, of the miniature.

python -m tools.make_pictures    # a few minutes: it runs models on the miniatures first; needs Chromium
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tools.browser import Browser, find_chromium

DOCS = Path(__file__).resolve().parent.parent / "docs"
_WIDTH = 1180
_PICTURES = {"board": (600, 820), "result": (0, 980)}
"""Name -> where what is shown begins, in pixels below the top of the page, and its height."""


def main() -> None:
    """Run, make the pages, and take their pictures."""
    executable = find_chromium()
    if executable is None:
        sys.exit("There is no Chromium here: install one, or name it in $CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pages = _pages(place)
        browser = Browser(executable, place)
        for name, (top, height) in _PICTURES.items():
            target = DOCS / f"{name}.png"
            browser.picture(pages[name].read_text("utf-8"), target, width=_WIDTH, height=top + height)
            with Image.open(target) as picture:
                shown = picture.convert("RGB").crop((0, top, _WIDTH, top + height))
                shown.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
            print(f"{target}: {target.stat().st_size} bytes")


def _pages(place: Path) -> dict[str, Path]:
    """The two pages, of results of the miniatures in two precisions."""
    cache = ("--cache-dir", str(place / "cache"))
    for precision in ("fp32", "bf16"):
        label = ("--label", f"small X-CLIP, {precision}")
        run = ("run", "--model", "xclip", "--dataset", "all", "--miniature", "--precision", precision)
        _xbench(place, *run, *label, "--output", "results", *cache)
    board, page = place / "board.html", place / "result.html"
    _xbench(place, "leaderboard", "results", "-o", str(board))
    (result,) = (path for path in (place / "results").glob("didemo*.json") if "fp32" in path.name)
    _xbench(place, "report", str(result), "-o", str(page))
    return {"board": board, "result": page}


def _xbench(place: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "xbench", *arguments], cwd=place, check=True)


if __name__ == "__main__":
    main()
