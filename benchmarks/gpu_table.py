"""What was measured on a GPU as tables: on the terminal, and in the documentation between two markers."""

import re
from pathlib import Path
from typing import Any

from tabulate import tabulate

BEGIN, END = "<!-- gpu.json -->", "<!-- /gpu.json -->"
_PARTS = ("scoring", "encoding")
_LEFT_OUT = ("pairs",)


def render(record: dict[str, Any]) -> str:
    """Return the record as tables for a terminal."""
    machine = "\n".join(f"{key}: {value}" for key, value in record.items() if key not in _PARTS)
    tables = [tabulate(record[part], headers="keys", floatfmt=".4g", missingval="") for part in _PARTS]
    return "\n\n".join([machine, *tables])


def markdown(record: dict[str, Any]) -> str:
    """Return the record as Markdown: its tables, or that nothing was measured."""
    if not record["measured"]:
        return f"**Not measured**: {record['why']}. There is no estimate in its place."
    products = ", ".join(f"{name} {rate:.0f}" for name, rate in record["products_tflops"].items())
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    head = (
        f"{record['gpu']}, CUDA {record['cuda']}, {versions}, {record['date']}. Products of 8192 x 8192 "
        f"matrices: {products} TFLOP/s."
    )
    return "\n\n".join([head, *(_table(record[part]) for part in _PARTS)])


def write_docs(path: Path, record: dict[str, Any]) -> None:
    """Put the record's Markdown between the markers of a file."""
    text = path.read_text("utf-8")
    section = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    written = f"{BEGIN}\n{markdown(record)}\n{END}"
    path.write_text(section.sub(lambda _: written, text), "utf-8")


def _table(rows: list[dict[str, Any]]) -> str:
    shown = [{key: value for key, value in row.items() if key not in _LEFT_OUT} for row in rows]
    return tabulate(shown, headers="keys", floatfmt=".3g", missingval="", tablefmt="github")
