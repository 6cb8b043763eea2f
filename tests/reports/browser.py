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
_TAIL = """<script>
// Blocked resources are reported in tasks of their own, which the load event alone does not wait for.
addEventListener("load", () => setTimeout(() => {
  const answer = (() => { %s })();
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const outcome = document.createElement("pre");
  outcome.id = "outcome";
  outcome.textContent = JSON.stringify({ answer, problems, loaded });
  document.body.append(outcome);
}, 100));
</script>"""


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

    def run(self, page: str, script: str, *, width: int = 1280) -> Outcome:
        """Load a copy of the page with a script at its end; the script is a function body."""
        probed = page.replace("<head>", f"<head>{_HEAD}", 1).replace("</body>", f"{_TAIL % script}</body>")
        shown = self._call(self._write(probed), "--dump-dom", width=width)
        found = re.search(r'<pre id="outcome">(.*?)</pre>', shown, re.DOTALL)
        assert found, shown[-2000:]
        return Outcome(**json.loads(unescape(found[1])))

    def picture(self, page: str, target: Path, *, width: int, height: int, dark: bool = False) -> None:
        """Save a screenshot. The page stands in a frame, because a window is never narrower than 500 px."""
        inner = self._write(page)
        frame = f'<iframe src="{inner.name}" style="border:0;width:{width}px;height:{height}px"></iframe>'
        outer = self._folder / "frame.html"
        outer.write_text(f'<!doctype html><body style="margin:0">{frame}</body>')
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        shot = [f"--screenshot={target}", f"--window-size={width},{height}", "--hide-scrollbars"]
        self._call(outer, *shot, *scheme, width=None)

    def _write(self, page: str) -> Path:
        path = self._folder / "page.html"
        path.write_text(page, encoding="utf-8")
        return path

    def _call(self, page: Path, *options: str, width: int | None) -> str:
        size = [] if width is None else [f"--window-size={width},900"]
        done = subprocess.run(
            [
                *(self._executable, "--headless", "--no-sandbox", "--disable-gpu"),
                *(f"--user-data-dir={self._folder / 'profile'}", "--disable-dev-shm-usage"),
                *("--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files"),
                *("--virtual-time-budget=3000", *size, *options, page.as_uri()),
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
