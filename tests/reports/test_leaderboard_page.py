"""The HTML leaderboard in a headless Chromium: no network, no errors, sorting, filtering, narrow and dark."""

from pathlib import Path

import pytest
from browser import Browser
from test_leaderboard import NASTY, scored

from xbench.reports.board.boards import boards
from xbench.reports.board.formats import render_html


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


def test_filters_leave_what_they_say(browser: Browser, page: str) -> None:
    script = """
      const set = (id, value) => {
        const control = document.getElementById(id);
        control[typeof value === "boolean" ? "checked" : "value"] = value;
        control.dispatchEvent(new Event("input"));
      };
      const rows = "section.board:not([hidden]) tbody tr:not([hidden])";
      const shown = () => [...document.querySelectorAll(rows)];
      const boards = () => [...document.querySelectorAll("section.board:not([hidden])")];
      const found = { all: shown().length };
      set("search", "x-clip b/16");
      found.search = shown().map((row) => row.cells[1].textContent);
      found.count = document.getElementById("count").textContent;
      set("search", "");
      set("kind", "measured");
      found.measured = shown().length;
      set("comparable", true);
      found.comparable = shown().length;
      set("kind", ""); set("comparable", false); set("processed", false);
      found.processed = boards().filter((board) => board.dataset.processed === "yes").length;
      set("protocol", "lsmdc/test"); set("direction", "v2t");
      found.boards = boards().map((board) => board.dataset.protocol + " " + board.dataset.direction);
      set("search", "no such model");
      found.nothing = [boards().length, document.getElementById("count").textContent];
      return found;
    """
    found = browser.run(page, script).answer
    assert found["all"] > 250
    assert found["search"]
    assert all("X-CLIP" in name and "B/16" in name for name in found["search"])
    assert found["count"] == f"{len(found['search'])} rows"
    assert found["measured"] == len(NASTY) + 1
    assert found["comparable"] == len(NASTY)
    assert found["processed"] == 0
    assert set(found["boards"]) == {"lsmdc/test v2t"}
    assert found["nothing"] == [0, "0 rows"]


def test_on_a_phone_nothing_is_cut_off(browser: Browser, page: str, tmp_path: Path) -> None:
    script = "return [document.documentElement.scrollWidth, window.innerWidth];"
    width, window = browser.run(page, script, width=500).answer
    assert width <= window
    browser.picture(page, tmp_path / "phone.png", width=390, height=844, dark=True)
    assert (tmp_path / "phone.png").stat().st_size > 10_000
