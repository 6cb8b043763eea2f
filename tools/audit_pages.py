"""Pages that xbench writes, in a browser: nothing is loaded, nothing fails, and axe-core finds no fault.

    python -m tools.audit_pages [PAGE ...] [--pictures DIR]

Without pages, those of a leaderboard of the shipped results of the miniature with all claims, of one of its
results, and of two runs that are made for it: one with frames and explanations, and both side by side.
axe-core comes from npm into a temporary folder. Each page is audited light and dark, 390 and 1280 pixels
wide; nothing may be cut off. With --pictures each is saved as it looks. A fault ends it with 1.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.browser import Browser, find_chromium

ROOT = Path(__file__).resolve().parent.parent
AXE = "axe-core@4.14.1"
WIDTHS = (390, 1280)
_HEIGHT = 1600
_AUDIT = """
  const found = await axe.run(document, { resultTypes: ["violations"] });
  const cut = document.documentElement.scrollWidth > document.documentElement.clientWidth + 1;
  const faults = found.violations.map((each) => `${each.id}: ${each.help} (${each.nodes.length}: ` +
    `${each.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")})`);
  return { faults: cut ? [...faults, "cut off: the page is wider than the window"] : faults,
    passed: found.passes.length };
"""
_KEYS = """
  const controls = "a[href], button, input, select, summary, [tabindex], [onclick], [role=button]";
  const seen = [...document.querySelectorAll(controls)].filter((each) => each.checkVisibility());
  const faults = seen.filter((each) => each.tabIndex < 0).map(
    (each) => `the keyboard does not reach ${each.outerHTML.slice(0, 80)}`);
  return { faults, passed: seen.length };
"""


def main() -> None:
    """Audit and print; exit with 1 when there is a fault."""
    parser = argparse.ArgumentParser(prog="audit_pages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="save how each page looks")
    options = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        sys.exit("There is no Chromium: apt-get install chromium, or set CHROMIUM to its path.")
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(executable, Path(folder))
        axe = axe_core(Path(folder))
        pages = options.pages or list(made(Path(folder) / "site"))
        faults = [fault for page in pages for fault in audit(browser, page, axe, options.pictures)]
    print(f"{len(pages)} pages, {len(faults)} faults")
    sys.exit(1 if faults else 0)


def axe_core(folder: Path) -> str:
    """Return the script of axe-core, from npm."""
    subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), AXE], check=True, timeout=300)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def made(folder: Path) -> Iterator[Path]:
    """Write a leaderboard with the pages of its results, and pages of two runs; yield one of each kind."""
    results, site = ROOT / "results" / "miniature", folder / "board"
    _xbench("leaderboard", results, "--include-published", "-o", site)
    yield site / "index.html"
    yield min((site / "results").glob("*.html"))
    runs = [_run(folder / precision, precision) for precision in ("fp32", "bf16")]
    _xbench("report", runs[0], "--explain", 3, "-o", folder / "explained.html")
    yield folder / "explained.html"
    _xbench("report", *runs, "-o", folder / "two")
    yield folder / "two" / "index.html"


def _run(folder: Path, precision: str) -> Path:
    model = ("--model", "xclip", "--dataset", "didemo", "--miniature", "--precision", precision)
    _xbench("run", *model, "--output", folder, "--save-similarity", folder / "similarity.npy")
    return next(folder.glob("*.json"))


def _xbench(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "xbench", *map(str, arguments)], check=True, cwd=ROOT)


def audit(browser: Browser, page: Path, axe: str, pictures: Path | None) -> Iterator[str]:
    """Print and yield the faults of a page at each width, light and dark."""
    content = page.read_text(encoding="utf-8")
    for width in WIDTHS:
        for dark in (False, True):
            name = f"{page.parent.name}-{page.stem}-{width}-{'dark' if dark else 'light'}"
            for fault in faults_of(browser, content, axe, width=width, dark=dark):
                print(f"{name}: {fault}")
                yield fault
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                picture = pictures / f"{name}.png"
                browser.picture(content, picture, width=width, height=_HEIGHT, dark=dark)


def faults_of(browser: Browser, page: str, axe: str, *, width: int, dark: bool) -> list[str]:
    """Return what axe-core, the console, the network and the keyboard say against a page."""
    found: list[str] = []
    for script, needs in ((_AUDIT, axe), (_KEYS, "")):
        outcome: Any = browser.run(page, script, before=needs, width=width, dark=dark)
        found += [*outcome.answer["faults"], *outcome.problems]
        found += [] if outcome.answer["passed"] else ["nothing was audited"]
        found += [f"it loads {each}" for each in outcome.loaded if not each.startswith("data:")]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    main()
