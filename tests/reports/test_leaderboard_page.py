"""The HTML leaderboard in a headless Chromium: no network, no errors, sorting, filtering, narrow and dark."""

import csv
import io
import json
import re
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from click.testing import CliRunner
from test_leaderboard import NASTY, scored

from tools.browser import Browser
from xbench.cli.leaderboard import command
from xbench.reports.board.boards import boards
from xbench.reports.board.page import render_html
from xbench.reports.board.text import render_csv
from xbench.reports.record.files import read, read_all
from xbench.shown import visible


@pytest.fixture
def page(tmp_path: Path) -> str:
    saved = [scored(tmp_path / "results", name, 60.0 + i) for i, name in enumerate(NASTY)]
    saved.append(scored(tmp_path / "results", "subset", 99.0, not_comparable_because=["limited"]))
    return render_html(boards(saved, include_published=True), "2026-01-02")


SECTION = 'document.querySelector(\'section[data-protocol="msrvtt/1ka"][data-direction="t2v"]\')'


def test_it_loads_nothing_and_reports_nothing(browser: Browser, page: str) -> None:
    outcome = browser.run(page, "return document.querySelectorAll('section.board').length;")
    assert outcome.answer > 15
    assert outcome.problems == []
    assert [name for name in outcome.loaded if not name.startswith("data:")] == []


def test_a_name_that_is_markup_does_nothing(browser: Browser, page: str) -> None:
    script = (
        f"return [...{SECTION}.querySelectorAll('tr.measured td.model')].map((cell) => cell.textContent);"
    )
    shown = " ".join(browser.run(page, script).answer)
    for name in NASTY[:-1]:
        assert name in shown
    assert "alert(1)</script>" not in page.replace("&lt;/script&gt;", "")


def test_the_policy_blocks_what_is_not_inline(browser: Browser, page: str) -> None:
    planted = page.replace("</h1>", '</h1><img src="https://example.invalid/x.png">')
    assert browser.run(planted, "return 0;").problems == ["blocked: https://example.invalid/x.png"]


def test_clicking_a_heading_sorts_best_first_then_worst_first_and_keeps_absent_values_last(
    browser: Browser, page: str
) -> None:
    script = f"""
      const table = {SECTION}.querySelector("table");
      const column = (name) => [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === name);
      const values = (name) => [...table.tBodies[0].rows].map((row) => row.cells[column(name)].dataset.value);
      const click = (name) => table.tHead.rows[0].cells[column(name)].querySelector("button").click();
      const found = {{}};
      for (const name of ["R@5", "MnR"]) {{
        click(name);
        found[name] = values(name);
        click(name);
        found[name + " again"] = values(name);
      }}
      click("#");
      found["#"] = values("#");
      return found;
    """
    found = browser.run(page, script).answer
    for name, best_first in (("R@5", True), ("MnR", False)):
        for key, descending in ((name, best_first), (f"{name} again", not best_first)):
            known = [float(value) for value in found[key] if value != "NaN"]
            assert known == sorted(known, reverse=descending)
            assert set(found[key][len(known) :]) <= {"NaN"}
            assert "NaN" in found[key]
    places = [int(value) for value in found["#"] if value != "NaN"]
    assert places == sorted(places)
    assert found["#"][-1] == "NaN"


TOOLS = """
  const set = (id, value) => {
    const control = document.getElementById(id);
    control[typeof value === "boolean" ? "checked" : "value"] = value;
    control.dispatchEvent(new Event("input"));
  };
  const show = (hash) => { location.hash = hash; fromAddress(); };
  const boards = () => [...document.querySelectorAll("section.board:not([hidden])")];
  const rows = () => shownRows();
  const count = () => document.getElementById("count").textContent;
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
"""


def test_filters_leave_what_they_say(browser: Browser, page: str) -> None:
    script = f"""{TOOLS}
      const found = {{ all: rows().length }};
      set("search", "x-clip b/16");
      found.search = rows().map((row) => [row.model, row.backbone, row.setting, row.source].join(" "));
      found.count = count();
      set("search", "");
      set("kind", "measured");
      found.measured = rows().length;
      set("comparable", true);
      found.comparable = rows().length;
      set("kind", ""); set("comparable", false); set("made", "none");
      found.made = [...new Set(rows().map((row) => row.post_processing))];
      set("made", ""); set("setting", "zero-shot");
      found.setting = boards().every((board) => board.querySelector("h2").textContent.includes("zero-shot"));
      set("setting", ""); set("backbone", "ViT-B/16");
      found.backbone = [...new Set(rows().map((row) => row.backbone))];
      set("backbone", ""); set("year", "2022");
      found.year = [...new Set(rows().map((row) => row.source_url))];
      set("year", ""); set("benchmark", "lsmdc");
      found.benchmark = [...new Set(rows().map((row) => row.protocol))].sort();
      set("protocol", "lsmdc/test"); set("direction", "v2t");
      found.boards = boards().map((board) => board.dataset.protocol + " " + board.dataset.direction);
      set("search", "no such model");
      found.nothing = [boards().length, count(), seen("#overview").length];
      return found;
    """
    found = browser.run(page, script).answer
    assert found["all"] > 250
    assert found["search"]
    assert all("x-clip" in name.lower() and "b/16" in name.lower() for name in found["search"])
    assert found["count"] == f"{len(found['search'])} rows"
    assert found["measured"] == len(NASTY) + 1
    assert found["comparable"] == len(NASTY)
    assert found["made"] == ["none"]
    assert found["setting"]
    assert found["backbone"] == ["ViT-B/16"]
    assert found["year"] == ["https://arxiv.org/abs/2207.07285"]
    assert found["benchmark"] == ["lsmdc/test", "lsmdc/test-999"]
    assert set(found["boards"]) == {"lsmdc/test v2t"}
    assert found["nothing"] == [0, "0 rows", 0]


def test_the_address_holds_the_whole_view_and_brings_it_back(browser: Browser, page: str) -> None:
    script = f"""{TOOLS}
      const view = () => [count(), seen("th").map((e) => e.textContent + e.getAttribute("aria-sort")),
        seen("td").map((cell) => cell.textContent), document.querySelector("tr.aimed")?.id];
      set("search", "clip"); set("direction", "t2v"); set("measure", "R@5"); set("made", "none");
      const box = document.querySelector('[name=column][value="R@10"]');
      box.checked = false; box.dispatchEvent(new Event("input"));
      {SECTION}.querySelector('th[data-column="model"] button').click();
      document.querySelector('#overview th[data-column="msvd/test"] button').click();
      document.querySelector("#msrvtt-1ka-t2v ~ section button.more")?.click();
      document.querySelector("#msrvtt-1ka-t2v button.more").click();
      const last = [...{SECTION}.querySelectorAll("tbody tr")].at(-1).id;
      const link = document.createElement("a"); link.href = "#" + last;
      document.body.append(link); link.click(); link.remove();
      const sent = location.hash, before = view();
      document.getElementById("reset").click();
      const between = [location.hash, view()];
      show(sent);
      return {{ sent, before, between, after: view(), last }};
    """
    found = browser.run(page, script).answer
    assert found["before"] == found["after"]
    assert found["before"] != found["between"][1]
    assert found["after"][3] == found["last"]
    assert found["between"][0] in ("", "#")
    assert {"R@10none", "R@10ascending"}.isdisjoint(found["after"][1])
    assert "descending" in " ".join(found["after"][1])
    for part in ("q=clip", "direction=t2v", "measure=R@5", "sort=msrvtt-1ka-t2v:ascending:model", "at="):
        assert part in found["sent"]


def test_an_anchor_alone_leads_to_its_row_however_far_down(browser: Browser, page: str) -> None:
    script = f"""{TOOLS}
      const last = [...{SECTION}.querySelectorAll("tbody tr")].at(-1);
      const before = last.checkVisibility();
      show(last.id);
      const after = last.checkVisibility();
      show("no%zz"); show("sort=nowhere:up:x&protocol=%3Cscript%3E&all=..&at=%22");
      return [before, after, last.id, rows().length];
    """
    outcome = browser.run(page, script)
    assert outcome.problems == []
    before, after, name, rows = outcome.answer
    assert (before, after) == (False, True)
    assert name.startswith("msrvtt-1ka-t2v.")
    assert rows > 250  # nonsense in an address is as no address


def test_long_boards_fold(browser: Browser, page: str) -> None:
    script = f"""{TOOLS}
      const visible = (row) => row.checkVisibility();
      const shown = () => [...{SECTION}.querySelectorAll("tbody tr")].filter(visible).length;
      const total = {SECTION}.querySelectorAll("tbody tr").length;
      const folded = shown(), button = {SECTION}.querySelector("button.more"), said = button.textContent;
      button.click();
      return [folded, said, total, shown(), button.checkVisibility()];
    """
    folded, said, total, unfolded, button = browser.run(page, script).answer
    assert folded == 20
    assert said == f"Show all {total} rows"
    assert unfolded == total > 20
    assert not button


def test_the_overview_has_each_model_once_with_both_directions_and_the_chosen_measure(
    browser: Browser, page: str
) -> None:
    script = f"""{TOOLS}
      const cells = (name, backbone) => {{
        const row = [...document.querySelectorAll("#overview tbody tr:not(.heading)")].filter((each) =>
          each.cells[0].firstElementChild.textContent === name &&
          each.querySelector(".remark").textContent === backbone);
        return row.map((each) => Object.fromEntries([...each.querySelectorAll("td.number:not(.absent)")].map(
          (cell) => [cell.dataset.column, [...cell.querySelectorAll(".entry:not([hidden])")].map(
            (entry) => entry.textContent.replace(/\\s+/g, " ").trim())])));
      }};
      const found = {{ recall: cells("X-CLIP", "ViT-B/32") }};
      set("measure", "MdR");
      found.rank = cells("X-CLIP", "ViT-B/32");
      set("measure", "R@1"); set("direction", "v2t");
      found.one = cells("X-CLIP", "ViT-B/32");
      set("direction", "");
      found.subset = cells("subset", "ViT-B/32");
      found.best = document.querySelector("#overview tbody b.best").textContent;
      const link = document.querySelector("#overview a[data-side]");
      link.click();
      found.aimed = decodeURIComponent(link.hash.slice(1)) === document.querySelector("tr.aimed").id;
      return found;
    """
    found = browser.run(page, script).answer
    (recall,), (rank,), (one,) = found["recall"], found["rank"], found["one"]
    assert recall["msrvtt/1ka"] == ["t2v 46.1", "v2t 46.8"]
    assert recall["msvd/test"] == ["t2v 47.1", "v2t 60.9"]
    assert rank == {"msrvtt/1ka": ["t2v 2.0", "v2t 2.0"]}
    assert one["msrvtt/1ka"] == ["v2t 46.8"]
    assert found["subset"] == [{"msrvtt/1ka": ["t2v 99.0 n.c."]}]
    assert found["best"] == "66.0"
    assert found["aimed"]


def test_downloads_hold_what_is_shown(browser: Browser, page: str, tmp_path: Path) -> None:
    script = f"""{TOOLS}
      set("protocol", "msrvtt/1ka"); set("direction", "t2v");
      set("setting", "fine-tuned"); set("made", "none");
      const box = document.querySelector('[name=column][value="MnR"]');
      box.checked = false; box.dispatchEvent(new Event("input"));
      return [asCsv(shownRows()), JSON.stringify(shownRows())];
    """
    table, found = browser.run(page, script).answer
    saved = [scored(tmp_path / "again", name, 60.0 + i) for i, name in enumerate(NASTY)]
    saved.append(scored(tmp_path / "again", "subset", 99.0, not_comparable_because=["limited"]))
    ours = [
        board
        for board in boards(saved, include_published=True)
        if board.title == "msrvtt/1ka, text to video (t2v)"
    ]
    wanted = list(csv.DictReader(io.StringIO(render_csv(ours))))
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == len(wanted) == len(json.loads(found))
    for row, whole in zip(rows, wanted, strict=True):
        line = {name: value for name, value in whole.items() if not name.startswith("MnR")}
        numbers = {name for name in line if name.startswith(("R@", "MdR"))}
        assert {k: v for k, v in row.items() if k not in numbers} == {
            k: visible(v) for k, v in line.items() if k not in numbers
        }
        for name in numbers:
            assert (row[name] and float(row[name])) == pytest.approx(line[name] and float(line[name]))
    assert json.loads(found)[0]["metrics"]["R@1"]["value"] == 66.0


def test_rows_link_to_page_record_and_source(browser: Browser, tmp_path: Path) -> None:
    saved = [scored(tmp_path / "results", name, 60.0 + i) for i, name in enumerate(NASTY)]
    claim = scored(tmp_path / "results", "claim", 50.0)
    claim.path.with_suffix(".npz").unlink()
    arguments = [str(tmp_path / "results"), "--include-published", "-o", str(tmp_path / "site")]
    outcome = CliRunner().invoke(command, arguments)
    assert outcome.exit_code == 0, outcome.exception
    site = tmp_path / "site"
    assert f"Wrote {site / 'index.html'}" in outcome.stderr
    script = """return [...document.querySelectorAll("section.board .source a")].map(
        (link) => [link.textContent, link.getAttribute("href")]);"""
    found = browser.run((site / "index.html").read_text(), script).answer
    ours = [href for text, href in found if text in ("page", "record")]
    assert len(ours) == 2 * len(saved) + 1  # the claim has a record and no page
    for href in ours:
        assert href.startswith("./results/")
        assert (site / unquote(href)).is_file()
    assert read_all([site / "results"])[1] == []
    assert len(read_all([site / "results"])[0]) == len(saved) + 1
    assert [
        "arXiv:2207.07285 (X-CLIP paper), tab:mstvtt_performance",
        "https://arxiv.org/abs/2207.07285",
    ] in found


def test_a_single_file_links_to_the_records_from_where_it_stands(tmp_path: Path) -> None:
    saved = scored(tmp_path / "my results", "xclip", 60.0)
    page = tmp_path / "out" / "board.html"
    page.parent.mkdir()
    for there in (False, True):
        if there:
            saved.path.with_suffix(".html").write_text("the page of the result")
        outcome = CliRunner().invoke(command, [str(tmp_path / "my results"), "-o", str(page)])
        assert outcome.exit_code == 0, outcome.exception
        hrefs = set(re.findall(r'href="(\./[^"]*)"', page.read_text()))
        assert f"./../my%20results/{quote(saved.path.name)}" in hrefs
        assert (f"./../my%20results/{quote(saved.path.stem)}.html" in hrefs) is there
        assert len(hrefs) == 1 + there


def test_results_of_one_name_from_two_folders_do_not_meet(tmp_path: Path) -> None:
    first, second = scored(tmp_path / "a", "xclip", 60.0), scored(tmp_path / "b", "other", 61.0)
    renamed = second.path.with_name(first.path.name)
    second.path.rename(renamed)
    arguments = [str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "site")]
    assert CliRunner().invoke(command, arguments).exit_code == 0
    kept = sorted((tmp_path / "site" / "results").rglob("*.json"))
    assert [path.read_bytes() for path in kept] == [renamed.read_bytes(), first.path.read_bytes()]
    for path in kept:
        assert read(path).per_query is not None


def test_what_the_words_mean_stands_on_the_page(browser: Browser, page: str) -> None:
    script = "return [...document.querySelectorAll('dl.words dt')].map((e) => e.textContent);"
    assert browser.run(page, script).answer == ["own", "claim", "best", "even", "3="]
    assert "title=" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL).replace("<title>", "")


@pytest.mark.parametrize("width", [500, 1280])
def test_nothing_is_cut_off(browser: Browser, page: str, tmp_path: Path, width: int) -> None:
    script = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth];"
    shown, window = browser.run(page, script, width=width).answer
    assert shown <= window
    browser.picture(page, tmp_path / "phone.png", width=390, height=844, dark=True)
    assert (tmp_path / "phone.png").stat().st_size > 10_000
