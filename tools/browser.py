"""A headless Chromium that loads a page without any network, runs a script in it, and takes pictures."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_HEAD = """<script>
window.problems = [];
window.addEventListener("error", (event) => problems.push(String(event.message)));
window.addEventListener("securitypolicyviolation", (event) => problems.push(`blocked: ${event.blockedURI}`));
const plain = console.error;
console.error = (...parts) => { problems.push(parts.join(" ")); plain(...parts); };
</script>"""
_TAIL = """
// Blocked resources are reported in tasks of their own, which the load event alone does not wait for.
addEventListener("load", () => setTimeout(async () => {
  const answer = await (async () => { %s })();
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  parent.postMessage(JSON.stringify({ answer, problems, loaded }), "*");
}, 100));
"""
_SAY = """
addEventListener("message", (event) => {
  const outcome = document.createElement("pre");
  outcome.id = "outcome";
  outcome.textContent = event.data;
  document.body.append(outcome);
});
"""
_NARROWEST, _HEIGHT = 500, 900
"""Pixels: no window is narrower; the height of a page that is not looked at."""


@dataclass(frozen=True)
class Outcome:
    """What a script returned, what went wrong in the page, and which resources it loaded."""

    answer: Any
    problems: list[str]
    loaded: list[str]


class Browser:
    """Runs one Chromium per call; `executable` as found on the PATH or in $CHROMIUM."""

    def __init__(self, executable: str, folder: Path) -> None:
        self._executable, self._folder = executable, folder

    def run(
        self, page: str, script: str, *, width: int = 1280, dark: bool = False, before: str = ""
    ) -> Outcome:
        """Load a copy of the page with a script at its end; the script is the body of an async function.

        before: a script that it needs.
        """
        say = _SAY if width >= _NARROWEST else ""
        tail = f"<script>{before}\n{say}{_TAIL % script}</script></body>"
        probed = page.replace("<head>", f"<head>{_HEAD}", 1).replace("</body>", tail)
        path = self._write(probed)
        outer = path if width >= _NARROWEST else self._frame(path, width, _HEIGHT)
        shown = self._call(
            outer, "--dump-dom", f"--window-size={max(width, _NARROWEST)},{_HEIGHT}", dark=dark
        )
        found = re.search(r'<pre id="outcome">(.*?)</pre>', shown, re.DOTALL)
        assert found, shown[-2000:]
        return Outcome(**json.loads(unescape(found[1])))

    def picture(self, page: str, target: Path, *, width: int, height: int, dark: bool = False) -> None:
        """Save a screenshot."""
        outer = self._frame(self._write(page), width, height)
        size = f"--window-size={width},{height}"
        self._call(outer, f"--screenshot={target}", size, "--hide-scrollbars", dark=dark)

    def _frame(self, inner: Path, width: int, height: int) -> Path:
        """A page that shows another in a frame, which may be narrower than any window."""
        frame = f'<iframe src="{inner.name}" style="border:0;width:{width}px;height:{height}px"></iframe>'
        outer = self._folder / "frame.html"
        outer.write_text(f'<!doctype html><body style="margin:0">{frame}<script>{_SAY}</script></body>')
        return outer

    def _write(self, page: str) -> Path:
        path = self._folder / "page.html"
        path.write_text(page, encoding="utf-8")
        return path

    def _call(self, page: Path, *options: str, dark: bool) -> str:
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        done = subprocess.run(
            [
                *(self._executable, "--headless", "--no-sandbox", "--disable-gpu"),
                *(f"--user-data-dir={self._folder / 'profile'}", "--disable-dev-shm-usage"),
                *("--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files"),
                *("--virtual-time-budget=3000", *scheme, *options, page.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout


def find_chromium() -> str | None:
    """Return $CHROMIUM, or the first Chromium on the PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
