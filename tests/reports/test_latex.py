"""Tables for a paper: they compile as they are, fit the page, and emphasise what they say."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from record_examples import per_query
from test_leaderboard import NASTY, measured, scored, shifted

from xbench.cli.leaderboard import command
from xbench.errors import UsageError
from xbench.reports.board.boards import Filter, boards
from xbench.reports.board.latex import render_latex
from xbench.reports.compare.paired import compare
from xbench.reports.latex import Block, Rows, Table, cited, document, name, panels

ODD = ["[x]", "*y", "é ł 中 😀 “q” a--b", f"{'x' * 40}_{'y' * 40}/z", "50% & $x$ #1 ^~ {", ""]
NASTIER = [*NASTY[:-1], *ODD]
MAIN = ["msrvtt/1ka", "msvd/test", "lsmdc/test", "didemo/paragraph", "activitynet/val1-paragraph"]


@pytest.fixture
def pdflatex() -> str:
    executable = shutil.which("pdflatex")
    if executable is None:
        message = "there is no pdflatex: apt-get install texlive-latex-base texlive-latex-recommended"
        if os.environ.get("XBENCH_REQUIRE_TEX"):
            pytest.fail(message)
        pytest.skip(message)
    return executable


def compiled(pdflatex: str, part: str, folder: Path) -> str:
    """Put a part into an article with the packages that it names; return the log."""
    packages = re.findall(r"^% needs (\\usepackage\{[a-z,]+\}) in the preamble$", part, re.MULTILINE)
    assert len(packages) == 1
    folder.mkdir(exist_ok=True)
    (folder / "part.tex").write_text(part)
    whole = rf"\documentclass{{article}}{packages[0]}\begin{{document}}\input{{part}}\end{{document}}"
    (folder / "whole.tex").write_text(whole)
    done = subprocess.run(
        [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "whole.tex"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    assert (folder / "whole.pdf").stat().st_size > 5000
    return (folder / "whole.log").read_text(errors="replace")


def test_every_board_and_any_name_compile_and_fit_the_page(pdflatex: str, tmp_path: Path) -> None:
    saved = [scored(tmp_path, f"{each}", 60.0 + i, label=each) for i, each in enumerate(NASTIER)]
    saved += [measured(tmp_path, "whole"), scored(tmp_path, "n.c.", 99.0, not_comparable_because=["limited"])]
    for index, (published, layout) in enumerate([(True, "boards"), (True, "paper"), (False, "paper")]):
        part = render_latex(boards(saved, include_published=published), layout, every_metric=False)
        log = compiled(pdflatex, part, tmp_path / str(index))
        assert [line for line in log.splitlines() if line.startswith("Overfull")] == []


def test_a_comparison_compiles_and_fits_the_page(pdflatex: str, tmp_path: Path) -> None:
    base = per_query(seed=4)
    runs = [measured(tmp_path, each, shifted(base, 9 * i)) for i, each in enumerate(NASTIER)]
    log = compiled(pdflatex, compare(runs).render("latex"), tmp_path / "tex")
    assert [line for line in log.splitlines() if line.startswith("Overfull")] == []


def rows_of(part: str) -> dict[str, str]:
    rows = re.findall(r"^\\raggedright (.*?) & (.*) \\\\$", part, re.MULTILINE)
    return {first.split(" ")[0]: rest for first, rest in rows}


def test_best_second_and_not_significantly_worse_are_marked(tmp_path: Path) -> None:
    base = per_query(seed=4)
    saved = [
        measured(tmp_path, "best", base),
        measured(tmp_path, "close", shifted(base, 3)),
        measured(tmp_path, "far", shifted(base, 200)),
        scored(tmp_path, "subset", 99.0, not_comparable_because=["limited"]),
    ]
    choice = Filter(directions=["t2v"])
    part = render_latex(boards(saved, choice), "paper", every_metric=False)
    found = {each: cells.split(" & ")[0] for each, cells in rows_of(part).items()}
    printed = {b.model: f"{b.values['R@1'].value:.1f}" for b in boards(saved, choice)[0].rows}
    assert found == {
        "best": rf"\textbf{{{printed['best']}}}",
        "close": rf"\underline{{{printed['close']}}}\rlap{{$^{{\sim}}$}}",
        "far": printed["far"],
        "subset": r"99.0\rlap{$^{\ne}$}",
    }
    assert part.count("Not comparable") == 1


def test_a_paper_has_benchmarks_and_directions_side_by_side_and_notes_once() -> None:
    found = boards([], Filter(protocols=MAIN, comparable_only=True), include_published=True)
    part = render_latex(found, "paper", every_metric=False)
    titles = re.findall(r"\\multicolumn\{2\}\{c\}\{\\shortstack\{(.*?)\}\}", part)
    assert {title.replace("\\\\", "") for title in titles} == set(MAIN)
    cells = rows_of(part)
    of_xclip = next(
        rest for rest in re.findall(r"X-\{\}CLIP ViT-\{\}B/\\allowbreak\{\}32 .*? & (.*) \\\\", part)
    )
    numbers = [re.sub(r"\\[a-z]+|[{}]", "", cell) for cell in of_xclip.split(" & ")]
    assert numbers == ["44.3", "43.9", "45.2", "43.1", "23.3", "22.5", "46.1", "46.8", "47.1", "60.9"]
    assert len(cells) > 10
    assert part.count(r"\caption") == part.count("% left out: ") == 1
    assert "TAME" in part
    assert part.count("Holm") == 1


def test_a_table_of_many_columns_is_cut_into_panels_that_fit() -> None:
    blocks = [Block(str(i), [("t2v", ["R@1", "R@5"]), ("v2t", ["R@1", "R@5"])]) for i in range(7)]
    assert [[block.title for block in panel] for panel in panels(blocks)] == [
        ["0", "1", "2"],
        ["3", "4", "5"],
        ["6"],
    ]


def test_only_a_table_that_is_longer_than_a_page_is_a_longtable() -> None:
    block = Block("p", [("t2v", ["R@1"])])
    for rows, caption, kind in [
        (5, "", "tabular"),
        (5, "C", "table*"),
        (90, "", "longtable"),
        (90, "C", "longtable"),
    ]:
        part = document([Table([block], [Rows("", [["name", "1"]] * rows)], caption)], ["a note"])
        assert rf"\begin{{{kind}}}" in part
        assert ("longtable" in part.splitlines()[0]) is (kind == "longtable")
        assert part.count("a note") == 1


def test_a_claim_on_another_training_set_has_a_row_of_its_own() -> None:
    found = boards([], Filter(protocols=["msrvtt/1ka"], directions=["t2v"]), include_published=True)
    part = render_latex(found, "boards")
    assert len(re.findall(r"raggedright X-\{\}Pool ViT-\{\}B/\\allowbreak\{\}32 ", part)) == 2


def test_names_break_where_they_may_and_are_text_everywhere() -> None:
    assert name("a_b/c-d e") == r"a\_\allowbreak{}b/\allowbreak{}c-{}d e"
    assert name("x" * 20) == f"{'x' * 16}\\allowbreak{{}}xxxx"
    assert name("") == ""
    assert cited([1, 2, 3, 5, 7, 8]) == "{[}1--3, 5, 7, 8{]}"


def test_the_command_has_layout_and_metrics(tmp_path: Path) -> None:
    measured(tmp_path, "xclip")
    asked = [str(tmp_path), "--format", "latex", "--layout", "paper", "--metrics", "MdR,R@5"]
    shown = CliRunner().invoke(command, asked)
    assert shown.exit_code == 0, shown.exception
    assert r" & R@5 & MdR & R@5 & MdR \\" in shown.stdout
    assert "R@1 " not in shown.stdout
    refused = CliRunner().invoke(command, [str(tmp_path), "--layout", "paper"])
    assert isinstance(refused.exception, UsageError)
    text = CliRunner().invoke(command, [str(tmp_path), "--metrics", "R@10"]).stdout
    assert "R@10" in text
    assert "R@5" not in text
