"""The pages of a large leaderboard and a large result in a browser: how long they take to open, to filter."""

from collections.abc import Iterator
from statistics import median

from benchmarks.chromium import executable, opened
from benchmarks.figure import Figure
from benchmarks.result_page import PROBE, made_up
from xbench.reports.board.page import render_html
from xbench.reports.board.rows import Board, BoardRow, Value
from xbench.reports.page.report import render_report
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
    """Yield the seconds of both pages, as Chromium tells them; nothing where there is none."""
    if executable() is None:
        return
    rows = 400 if small else 2000
    page = render_html(boards(rows), "2026-01-02")
    found = opened(page, _PROBE)
    size = f"{rows:,} rows, {len(page) / 1e6:.1f} MB"
    yield _alone(f"leaderboard opens ({size})", found["opened"] / 1000)
    note = "wanted at 2,000 rows: 0.1 s"
    yield _alone(f"leaderboard filters ({size})", median(found["filter"]) / 1000, note)
    captions, videos = (2776, 67) if small else (27_763, 670)
    report = render_report(*made_up(captions, videos))
    size = f"{captions:,} captions, {len(report) / 1e6:.1f} MB"
    note = "wanted at 27,763 captions: 2 s"
    yield _alone(f"report opens ({size})", opened(report, PROBE)["opened"] / 1000, note)


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
