"""Two results as a page: rank against rank, what each wins, both retrievals, in whatever order they are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_examples import result
from test_report_page import listing, matrix_of

from tools.browser import Browser
from xbench.metrics.ranking import t2v_counts, v2t_counts
from xbench.reports.page.findings import Material, Strip
from xbench.reports.page.versus import Beside, beside, render_versus
from xbench.reports.record.files import Measurement
from xbench.reports.record.per_query import PerQuery

VIDEOS, CAPTIONS = 30, 2
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


def run_of(seed: int, shuffled: bool = False) -> tuple[Measurement, Material]:
    """A run over the same queries, in another order if shuffled."""
    similarity, owner = matrix_of(VIDEOS, CAPTIONS, seed)
    captions = np.array([f"</script><b>caption</b> {i}" for i in range(len(owner))])
    ids = np.array([f"video{i}" for i in range(VIDEOS)])
    if shuffled:
        random = np.random.default_rng(seed)
        rows, columns = random.permutation(len(owner)), random.permutation(VIDEOS)
        similarity, captions, ids = similarity[np.ix_(rows, columns)], captions[rows], ids[columns]
        owner = np.argsort(columns)[owner[rows]]
    counts = PerQuery.of(
        t2v_counts(similarity, owner), v2t_counts(similarity, owner), owner, captions.tolist(), ids.tolist()
    )
    material = Material(similarity, captions.tolist(), ids.tolist())
    return Measurement(result(counts, resamples=100), counts, Path(f"{'ab'[seed]}.json")), material


@pytest.fixture
def both() -> Beside:
    (first, one), (second, other) = run_of(0), run_of(1, shuffled=True)
    found = beside(first, second, [one, other])
    strips = dict.fromkeys(range(VIDEOS), Strip(JPEG, (0.0, 1.0), 2))
    return replace(found, material=replace(found.material, strips=strips))


def test_the_order_of_the_second_run_does_not_matter(both: Beside) -> None:
    plain = [matrix_of(VIDEOS, CAPTIONS, seed)[0] for seed in range(2)]
    owner = np.repeat(np.arange(VIDEOS), CAPTIONS)
    data = listing(render_versus(both))
    for index, similarity in enumerate(plain):
        t2v = data["sides"]["t2v"]["runs"][index]
        assert t2v["ranks"] == (t2v_counts(similarity, owner).better + 1).tolist()
        assert t2v["items"] == np.argsort(-similarity, axis=1)[:, :5].tolist()
        assert np.array(t2v["values"]) == pytest.approx(-np.sort(-similarity, axis=1)[:, :5], rel=1e-4)
        v2t = data["sides"]["v2t"]["runs"][index]
        assert v2t["ranks"] == (v2t_counts(similarity, owner).better + 1).tolist()
        assert v2t["items"] == np.argsort(-similarity.T, axis=1)[:, :5].tolist()


def test_the_captions_shown_are_those_that_each_run_leads_by_most(both: Beside) -> None:
    a, b = (each.ranks for each in both.outcomes["t2v"])
    for pairs, lead in zip(both.leads, (b - a, a - b), strict=True):
        shown = [lead[pair.a.index] for pair in pairs]
        assert shown == sorted(lead[lead > 0].tolist(), reverse=True)[:10]
        assert all(pair.b.rank - pair.a.rank == (b - a)[pair.a.index] for pair in pairs)
    page = render_versus(both)
    assert f"{(b > a).sum()}</td>" in page
    assert page.count('href="a.html"') == page.count('href="b.html"') == 1


def test_a_run_without_its_matrix_is_still_compared() -> None:
    (first, one), (second, other) = run_of(0), run_of(1)
    found = beside(first, second, [replace(one, similarity=None), other])
    data: dict[str, Any] = listing(render_versus(found))
    assert [run["items"] is None for run in data["sides"]["t2v"]["runs"]] == [True, False]
    assert json.dumps(data)


def test_it_loads_nothing_reports_nothing_and_shows_both_retrievals(browser: Browser, both: Beside) -> None:
    script = """
      const part = (name) => document.querySelector(`[data-part="${name}"]`);
      const set = (name, value) => {
        part(name).value = value;
        part(name).dispatchEvent(new Event("input"));
      };
      const column = (name) => [...document.querySelectorAll(".listing th")]
        .findIndex((cell) => cell.textContent === name);
      const cells = (name) => [...document.querySelectorAll(".listing tbody tr")]
        .map((row) => row.cells[column(name)].textContent);
      const found = { leads: cells("A better by"), charts: document.querySelectorAll("svg.chart").length };
      document.querySelector(".listing .open").click();
      found.lists = [...document.querySelectorAll("tr.detail ol")].map((list) => list.children.length);
      found.counts = {};
      for (const name of ["a", "b", "even", "only-a", "neither"]) {
        set("filter", name);
        found.counts[name] = Number(part("count").textContent.split(" ")[0]);
      }
      found.strips = document.querySelectorAll(".strip").length;
      const blocks = "h1, h2, h3, p, li, table, td, th, article";
      found.wide = [...document.querySelectorAll(blocks)].filter((each) =>
        each.getBoundingClientRect().right > innerWidth + 1).length;
      return found;
    """
    for width in (500, 1280):
        outcome = browser.run(render_versus(both), script, width=width)
        assert outcome.problems == []
        assert [name for name in outcome.loaded if not name.startswith("data:")] == []
        found = outcome.answer
        a, b = (each.ranks for each in both.outcomes["t2v"])
        assert [float(text) for text in found["leads"]] == sorted((b - a).tolist(), reverse=True)[:20]
        assert (found["charts"], found["lists"], found["wide"]) == (2, [5, 5], 0)
        assert found["counts"] == {
            "a": (a < b).sum(),
            "b": (b < a).sum(),
            "even": (a == b).sum(),
            "only-a": ((a == 1) & (b != 1)).sum(),
            "neither": ((a != 1) & (b != 1)).sum(),
        }
        assert found["strips"] > 20
