"""A page in Chromium, read from a file, with a probe that measures it by the browser's own clock."""

import json
import re
import subprocess
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

from tools.browser import find_chromium as executable

__all__ = ["executable", "opened"]


def opened(page: str, probe: str) -> dict[str, Any]:
    """Open a page with a probe at its end, and return what that wrote as JSON into `#measured`."""
    browser = executable()
    if browser is None:
        raise SystemExit("There is no Chromium: apt-get install chromium.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page.replace("</body>", f"{probe}</body>"), encoding="utf-8")
        done = subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *(f"--user-data-dir={folder}/profile", "--dump-dom", path.as_uri()),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    if found is None:
        raise SystemExit("The page did not open.")
    measured: dict[str, Any] = json.loads(unescape(found[1]))
    return measured
