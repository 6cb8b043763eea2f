"""What verifying found, as text and for a program."""

import textwrap
from collections.abc import Sequence
from typing import Any

from xbench.reports.check.proving import Proof
from xbench.reports.record.schema import model_name, protocol_of
from xbench.reports.record.text import WIDTH
from xbench.shown import visible


def render_proof(proof: Proof) -> str:
    """Return a line for the result, and one for each finding below it."""
    state = "holds" if proof.holds else "DOES NOT HOLD"
    named = "" if proof.measured is None else f", {model_name(proof.measured.record)}"
    lines = [visible(f"{proof.path}{named}: {state}")]
    for finding in proof.findings:
        mark = "ok" if finding.right else "NO"
        lead = f"  {mark:2}  {finding.name:9} "
        lines.append(
            textwrap.fill(
                visible(finding.said, keep="\n"),
                WIDTH,
                initial_indent=lead,
                subsequent_indent=" " * len(lead),
            )
        )
    return "\n".join(lines)


def proofs_json(proofs: Sequence[Proof]) -> dict[str, Any]:
    """Return what a bot needs: whether all hold, and of each result what was looked at."""
    return {"holds": all(proof.holds for proof in proofs), "results": [_json(proof) for proof in proofs]}


def _json(proof: Proof) -> dict[str, Any]:
    known: dict[str, Any] = {"file": str(proof.path), "holds": proof.holds}
    if proof.measured is not None:
        record = proof.measured.record
        known |= {
            "model": model_name(record),
            "protocol": protocol_of(record),
            "comparable": record.comparable,
            "not_comparable_because": record.not_comparable_because,
        }
    findings = [
        {"name": finding.name, "right": finding.right, "said": finding.said} for finding in proof.findings
    ]
    return known | {"findings": findings, "rescored": proof.rescored or None}
