"""The outcome of a check as a text table, as Markdown for a CI summary, as JUnit XML and for GitHub's log."""

import xml.etree.ElementTree as ET

from tabulate import tabulate

from xbench.errors import XbenchError
from xbench.reports.check.gates import Gate, Verdict
from xbench.reports.record.text import fill, format_p, signed
from xbench.shown import for_markdown, for_xml

_HEADER = ["metric", "baseline", "result", "drop", "allowed", "p worse, Holm", "resolves", ""]


def render_verdict(verdict: Verdict) -> str:
    """Return the table for a terminal, at most 100 columns."""
    head = [f"{verdict.protocol}: {verdict.result}", f"baseline: {verdict.baseline}"]
    tail = [*_notes(verdict), conclusion(verdict)]
    return "\n".join([*map(fill, head), _table(verdict, "simple"), *map(fill, tail)])


def render_markdown(verdict: Verdict) -> str:
    """Return a section for $GITHUB_STEP_SUMMARY."""
    head = f"### xbench check: {for_markdown(verdict.protocol)} {'failed' if verdict.failures else 'passed'}"
    lines = [f"{verdict.result} against {verdict.baseline}", *_notes(verdict), conclusion(verdict)]
    first, *rest = [for_markdown(line) for line in lines]
    return "\n\n".join([head, first, _table(verdict, "pipe"), *rest]) + "\n"


def render_junit(verdict: Verdict) -> bytes:
    """Return JUnit XML with one test case for each metric, its numbers as properties."""
    suite = _suite(f"xbench check {verdict.protocol}", len(verdict.gates), failures=len(verdict.failures))
    for gate in verdict.gates:
        group = for_xml(f"xbench.{verdict.protocol}")
        case = ET.SubElement(suite, "testcase", classname=group, name=for_xml(gate.name))
        properties = ET.SubElement(case, "properties")
        for name, value in _numbers(gate).items():
            ET.SubElement(properties, "property", name=name, value=for_xml(value))
        if gate.failed_because:
            failure = ET.SubElement(case, "failure", message=for_xml(gate.failed_because))
            failure.text = f"baseline {_value(gate, gate.baseline)}, result {_value(gate, gate.value)}"
    return _xml(suite)


def render_junit_error(error: XbenchError) -> bytes:
    """Return JUnit XML of a check that could not be made: one test case with the error."""
    suite = _suite("xbench check", 1, errors=1)
    case = ET.SubElement(suite, "testcase", classname="xbench.check", name="check")
    ET.SubElement(case, "error", message=for_xml(str(error)), type=type(error).__name__)
    return _xml(suite)


def github_lines(verdict: Verdict) -> list[str]:
    """Return a `::error` line for each metric that failed, and a `::warning` for a limit that is too fine."""
    failed = [_annotation("error", f"{gate.name} {gate.failed_because}") for gate in verdict.failures]
    return failed + [_annotation("warning", _too_fine(gate)) for gate in verdict.gates if gate.too_fine]


def github_error(error: XbenchError) -> str:
    """Return the `::error` line of a check that could not be made."""
    return _annotation("error", str(error))


def conclusion(verdict: Verdict) -> str:
    """Say in one line whether the check passed, and what failed."""
    if verdict.failures:
        return failure(verdict)
    return f"passed: {len(verdict.gates)} metric{'s' if len(verdict.gates) > 1 else ''}{_test(verdict)}"


def failure(verdict: Verdict) -> str:
    """Say in one line what failed."""
    failed = "; ".join(f"{gate.name} {gate.failed_because}" for gate in verdict.failures)
    return f"FAILED: {len(verdict.failures)} of {len(verdict.gates)} metrics{_test(verdict)}: {failed}"


def _test(verdict: Verdict) -> str:
    return ", no test" if verdict.untested else ""


def _notes(verdict: Verdict) -> list[str]:
    notes = [*verdict.notes, *(f"Warning: {_too_fine(gate)}" for gate in verdict.gates if gate.too_fine)]
    if verdict.untested:
        return [*notes, f"no test: {verdict.untested}"]
    test = "p: one-sided paired test; " if any(gate.p is not None for gate in verdict.gates) else ""
    return [*notes, f"{test}resolves: found with 80% probability on these queries"]


def _too_fine(gate: Gate) -> str:
    resolved = "" if gate.resolvable is None else gate.measure.format(gate.resolvable)
    return (
        f"{gate.name}: the limit {gate.limit:g} is below {resolved}, the smallest difference that this set"
        " resolves, so that a model which is no worse fails now and then"
    )


def _table(verdict: Verdict, style: str) -> str:
    rows = [_cells(gate) for gate in verdict.gates]
    used = [index for index in range(len(_HEADER)) if any(row[index] for row in rows)]
    align = ["left", *["right"] * (len(used) - 2), "left"]
    table = [[row[index] for index in used] for row in rows]
    header = [_HEADER[index] for index in used]
    return tabulate(table, header, tablefmt=style, disable_numparse=True, colalign=align)


def _cells(gate: Gate) -> list[str]:
    numbers = _numbers(gate)
    cells = [numbers.get(name, "") for name in ("baseline", "result", "drop", "allowed", "p", "resolves")]
    insignificant = gate.limit is None and (gate.drop or 0.0) > 0
    passed = "ok, not significant" if insignificant else "ok"
    return [gate.name, *cells, "FAILED" if gate.failed_because else passed]


def _numbers(gate: Gate) -> dict[str, str]:
    found = {"baseline": _value(gate, gate.baseline), "result": _value(gate, gate.value)}
    if gate.drop is not None:
        found["drop"] = signed(gate.drop, gate.measure.digits)
    if gate.limit is not None:
        found["allowed"] = f"{gate.limit:g}"
    if gate.p is not None:
        found["p"] = format_p(gate.p)
    if gate.resolvable is not None:
        found["resolves"] = gate.measure.format(gate.resolvable)
    return found


def _value(gate: Gate, value: float | None) -> str:
    return "missing" if value is None else gate.measure.format(value)


def _suite(name: str, tests: int, *, failures: int = 0, errors: int = 0) -> ET.Element:
    counts = {"tests": tests, "failures": failures, "errors": errors, "skipped": 0}
    return ET.Element("testsuite", {"name": for_xml(name), **{key: str(n) for key, n in counts.items()}})


def _xml(suite: ET.Element) -> bytes:
    ET.indent(suite)
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"


def _annotation(kind: str, message: str) -> str:
    """A line that GitHub's runner shows beside the step; what would end the line is escaped, as it asks."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{kind} title=xbench check::{escaped}"
