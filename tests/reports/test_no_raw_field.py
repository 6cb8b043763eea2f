"""No report prints a field of a record as it stands: HTML, cells and XML go through xbench.shown."""

import ast
import re
from pathlib import Path

import pytest

from xbench.reports import pages

REPORTS = Path(pages.__file__).resolve().parent
MODULES = sorted(REPORTS.rglob("*.py"))
NASTY = "<b>\x1b[2J\u202e&"


def calls(path: Path, *names: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names
    ]


def test_templates_escape_and_show_what_cannot_be_seen() -> None:
    shown = pages._environment().from_string("<p title='{{ text }}'>{{ text }}</p>").render(text=NASTY)
    assert shown == "<p title='{0}'>{0}</p>".format("&lt;b&gt;\\u001b[2J\\u202e&amp;")


def test_no_template_switches_that_off() -> None:
    for path in REPORTS.rglob("templates/*"):
        text = path.read_text("utf-8")
        assert not re.search(r"\|\s*safe|autoescape", text), path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPORTS)))
def test_no_report_prints_a_raw_field(path: Path) -> None:
    source = path.read_text()
    assert "from html import" not in source
    assert not calls(path, "print", "echo")
    if path.name != "pages.py":
        assert not calls(path, "Markup")
    for call in calls(path, "writerow", "writerows"):
        fields = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)}
        assert "for_cell" in ast.unparse(call) or fields <= {"name", "writerow"}, ast.unparse(call)
    assert not calls(path, "Element", "SubElement") or "for_xml" in source
    for call in calls(path, "tabulate"):
        style = next((ast.unparse(value.value) for value in call.keywords if value.arg == "tablefmt"), "")
        assert style in ("'simple'", "'plain'") or "for_markdown" in source, style
