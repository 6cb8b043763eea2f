"""Charts as files: what a page shows, whole by themselves, several runs in one."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner
from record_examples import per_query
from test_leaderboard import NASTY, measured, shifted
from test_report_page import matrix_of, run_of

from xbench.cli.report import command
from xbench.errors import DataError, UsageError
from xbench.reports.page.figures import figures
from xbench.reports.page.findings import Material
from xbench.reports.record.files import Measurement

SVG = "{http://www.w3.org/2000/svg}"
BASE = per_query(60)
WHY = {"not_comparable_because": ["small"]}


def named(folder: Path, names: list[str]) -> list[Measurement]:
    return [
        measured(folder, f"model{i}", shifted(BASE, 3 * i), label=name, **WHY) for i, name in enumerate(names)
    ]


def parsed(files: dict[str, str]) -> dict[str, ET.Element]:
    """Each file as XML; nothing in it is loaded from elsewhere or depends on a page's variables."""
    for text in files.values():
        assert "var(" not in text
        assert "currentColor" not in text
    found = {name: ET.fromstring(text) for name, text in files.items()}
    for picture in found.values():
        assert picture.tag == f"{SVG}svg"
        style = picture.find(f"{SVG}style")
        assert style is not None
        assert "#1f5fbf" in (style.text or "")
        links = [each.get("href", "data:") for each in picture.iter()]
        assert all(link.startswith("data:") for link in links)
    return found


def texts(picture: ET.Element) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def test_one_run_gives_every_chart_of_its_page() -> None:
    similarity, owner = matrix_of(40)
    run = run_of(similarity, owner)
    found = parsed(figures([run], [Material(similarity=similarity)]))
    assert list(found) == ["recall.svg", "ranks.svg", "directions.svg", "hubs.svg", "similarity.svg"]
    assert {"t2v", "v2t"} <= set(texts(found["recall.svg"]))
    assert list(parsed(figures([run], [Material()]))) == ["recall.svg", "ranks.svg", "directions.svg"]
    with pytest.raises(DataError, match="other"):
        figures([run], [Material(similarity=matrix_of(40, seed=1)[0])])


def test_several_runs_stand_in_one_chart_by_their_labels(tmp_path: Path) -> None:
    names = NASTY[:-1]
    runs = named(tmp_path, names)
    found = parsed(figures(runs, [Material()] * len(runs)))
    own = [f"directions-{index}.svg" for index in range(1, len(runs) + 1)]
    assert list(found) == ["recall-t2v.svg", "ranks-t2v.svg", "recall-v2t.svg", "ranks-v2t.svg", *own]
    for name in ("recall-t2v.svg", "ranks-v2t.svg"):
        assert texts(found[name])[-len(names) :] == names
    curves = [each.get("class") for each in found["recall-t2v.svg"].iter(f"{SVG}polyline")]
    assert curves == [f"line s{index}" for index in range(len(names))]
    two = figures(runs[:2], [Material()] * 2)
    assert {"against-t2v.svg", "against-v2t.svg"} <= set(parsed(two))


def test_more_runs_than_colours_are_refused(tmp_path: Path) -> None:
    runs = named(tmp_path, list("abcdefghi"))
    assert figures(runs[:8], [Material()] * 8)
    with pytest.raises(UsageError, match="at most 8 runs apart, not 9"):
        figures(runs, [Material()] * 9)


def test_the_command_writes_figures_and_the_page_only_if_it_is_asked_for(tmp_path: Path) -> None:
    first, second, third = map(str, (run.path for run in named(tmp_path / "results", ["a", "b", "c"])))
    folder = tmp_path / "figures"
    done = CliRunner().invoke(command, [first, second, third, "--figures", str(folder)])
    assert done.exit_code == 0, done.exception
    assert "Wrote the figures to" in done.stderr
    assert {path.name for path in folder.iterdir()} >= {"recall-t2v.svg", "directions-3.svg"}
    page = tmp_path / "page.html"
    done = CliRunner().invoke(command, [first, "--figures", str(folder), "-o", str(page)])
    assert done.exit_code == 0, done.exception
    assert page.is_file()
    assert (folder / "recall.svg").is_file()


def test_what_cannot_stand_together_is_refused(tmp_path: Path) -> None:
    first, *_ = named(tmp_path / "results", ["a"])
    other = measured(tmp_path / "results", "other", per_query(50), **WHY)
    folder = tmp_path / "figures"
    for arguments in (
        [str(first.path), str(other.path), "--figures", str(folder)],
        [str(first.path)] * 3,
        [str(first.path)] * 3 + ["--figures", str(folder), "-o", str(tmp_path / "x")],
    ):
        assert isinstance(CliRunner().invoke(command, arguments).exception, UsageError)
    assert not folder.exists()
