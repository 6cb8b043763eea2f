"""The outcome of a check as a text table, as Markdown for a CI summary, and as JUnit XML."""

import textwrap
import xml.etree.ElementTree as ET

from tabulate import tabulate

from xbench.reports.check.gates import Gate, Verdict
from xbench.reports.printing import WIDTH, format_p, signed
from xbench.shown import for_markdown, for_xml

_HEADER = ["metric", "baseline", "result", "drop", "allowed"]


def render_verdict(verdict: Verdict) -> str:
    """Return the table for a terminal, at most 100 columns."""
    lines = [f"{verdict.protocol}: {verdict.result}", f"baseline: {verdict.baseline}"]
    notes = [
        textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in [*verdict.notes, conclusion(verdict)]
    ]
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines]
    return "\n".join([*wrapped, _table(verdict, "simple"), *notes])


def render_markdown(verdict: Verdict) -> str:
    """Return a section for $GITHUB_STEP_SUMMARY."""
    head = f"### xbench check: {for_markdown(verdict.protocol)} {'failed' if verdict.failures else 'passed'}"
    lines = [f"{verdict.result} against {verdict.baseline}", *verdict.notes, conclusion(verdict)]
    first, *rest = [for_markdown(line) for line in lines]
    return "\n\n".join([head, first, _table(verdict, "pipe"), *rest]) + "\n"


def render_junit(verdict: Verdict) -> bytes:
    """Return JUnit XML with one test case for each metric."""
    suite = ET.Element(
        "testsuite",
        name=for_xml(f"xbench check {verdict.protocol}"),
        tests=str(len(verdict.gates)),
        failures=str(len(verdict.failures)),
        errors="0",
        skipped="0",
    )
    for gate in verdict.gates:
        group = for_xml(f"xbench.{verdict.protocol}")
        case = ET.SubElement(suite, "testcase", classname=group, name=for_xml(gate.name))
        if gate.failed_because:
            failure = ET.SubElement(case, "failure", message=for_xml(gate.failed_because))
            failure.text = f"baseline {_value(gate, gate.baseline)}, result {_value(gate, gate.value)}"
    ET.indent(suite)
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"


def conclusion(verdict: Verdict) -> str:
    """Say in one line whether the check passed, and what failed."""
    if not verdict.failures:
        return f"passed: {len(verdict.gates)} metric{'s' if len(verdict.gates) > 1 else ''}"
    failed = "; ".join(f"{gate.name} {gate.failed_because}" for gate in verdict.failures)
    return f"FAILED: {len(verdict.failures)} of {len(verdict.gates)} metrics: {failed}"


def _table(verdict: Verdict, style: str) -> str:
    tested = verdict.significance is not None
    header = [*_HEADER, *([f"p worse, Holm (chance from {verdict.significance:g})"] if tested else []), ""]
    rows = [_cells(gate, tested) for gate in verdict.gates]
    align = ["left", *["right"] * (len(header) - 2), "left"]
    return tabulate(rows, header, tablefmt=style, disable_numparse=True, colalign=align)


def _cells(gate: Gate, tested: bool) -> list[str]:
    cells = [gate.name, _value(gate, gate.baseline), _value(gate, gate.value)]
    cells += ["" if gate.drop is None else signed(gate.drop, gate.measure.digits), f"{gate.limit:g}"]
    if tested:
        cells.append("" if gate.p is None else format_p(gate.p))
    forgiven = gate.exceeded and not gate.failed_because
    return [*cells, "FAILED" if gate.failed_because else "ok, not significant" if forgiven else "ok"]


def _value(gate: Gate, value: float | None) -> str:
    return "missing" if value is None else gate.measure.format(value)
