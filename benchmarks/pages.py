"""The page of a large leaderboard in a browser: how long it takes to open and to filter."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure
from xbench.reports.board.page import render_html
from xbench.reports.board.rows import Board, BoardRow, Value
from xbench.terms import Direction

_PROTOCOLS = ("msrvtt/1ka", "msvd/test", "lsmdc/test", "didemo/paragraph", "activitynet/val1-paragraph")
_DIRECTIONS: tuple[Direction, ...] = ("t2v", "v2t")
_METRICS = ("R@1", "R@5", "R@10", "MdR", "MnR")
_PROBE = """<script>
addEventListener("load", () => {
  const opened = performance.now();
  const search = document.getElementById("search");
  const filter = ["m", "model 1", "model 12", "vit-b/16", "", "source 7"].map((words) => {
    const start = performance.now();
    search.value = words;
    search.dispatchEvent(new Event("input"));
    document.body.offsetHeight;  // laid out, too
    return performance.now() - start;
  });
  const said = document.createElement("pre");
  said.id = "measured";
  said.textContent = JSON.stringify({ opened, filter });
  document.body.append(said);
});
</script>"""


def figures(*, small: bool) -> Iterator[Figure]:
    """Yield the seconds of a board's page, as Chromium tells them."""
    rows = 400 if small else 2000
    page = render_html(boards(rows), "2026-01-02")
    found = in_browser(page, _PROBE)
    if found is None:
        return
    size = f"{rows:,} rows, {len(page) / 1e6:.1f} MB"
    note = "wanted at 2,000 rows: 0.1 s"
    yield _alone(f"leaderboard opens ({size})", found["opened"] / 1000)
    yield _alone(f"leaderboard filters ({size})", median(found["filter"]) / 1000, note)


def _alone(name: str, seconds: float, note: str = "") -> Figure:
    return Figure("pages", name, seconds, "", 0.0, steady=False, note=note)


def boards(rows: int) -> list[Board]:
    """Return made-up claims on five benchmarks, both directions, so many rows in all."""
    each = rows // (len(_PROTOCOLS) * len(_DIRECTIONS))
    return [
        Board(
            protocol.split("/")[0], protocol, side, "raw", "", False, _METRICS, tuple(map(_row, range(each)))
        )
        for protocol in _PROTOCOLS
        for side in _DIRECTIONS
    ]


def _row(index: int) -> BoardRow:
    values = {name: Value(100 - 0.1 * index - place) for place, name in enumerate(_METRICS)}
    return BoardRow(
        model=f"model {index}",
        backbone=("ViT-B/32", "ViT-B/16")[index % 2],
        setting="fine-tuned",
        post_processing="none",
        values=values,
        date="",
        source=f"source {index}",
        source_url=f"https://arxiv.org/abs/{2100 + index % 12 + 1}.{index:05d}",
        remarks=(),
        comparable=True,
        place=str(index + 1),
        marks=dict.fromkeys(values, "best" if index == 0 else ""),
        mark="best" if index == 0 else "",
    )


def in_browser(page: str, probe: str) -> dict[str, list[float]] | None:
    """Open a page with a probe at its end, which writes JSON into `#measured`; None without a Chromium."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return None
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
    assert found, done.stdout[-500:]
    measured: dict[str, list[float]] = json.loads(unescape(found[1]))
    return measured
