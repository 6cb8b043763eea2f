"""docs/results.md and record.md: a block marked as runnable ends with the exit code that the page gives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from xbench.cli import main

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = "".join((DOCS / name).read_text("utf-8") for name in ("results.md", "record.md"))
BLOCK = re.compile(r"^```sh runnable(?: exit=(\d))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(int(code or 0), script) for code, script in BLOCK.findall(PAGES)]
SHELL = 'set -eu\nxbench() { "$PYTHON" -m xbench "$@"; }\npython() { "$PYTHON" "$@"; }\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results/A.json and results/B.json, two runs on some clips of the miniature."""
    found = tmp_path_factory.mktemp("docs")
    for name, precision in (("A", "fp32"), ("B", "bf16")):
        outcome = CliRunner().invoke(
            main,
            [
                *("run", "--model", "xclip", "--dataset", "didemo", "--miniature", "--limit", "24"),
                *("--precision", precision, "--output", str(found / "new")),
                *("--cache-dir", str(found / "cache")),
            ],
        )
        assert outcome.exit_code == 0, outcome.output
        (record,) = (found / "new").glob("*.json")
        (found / "results").mkdir(exist_ok=True)
        record.rename(found / "results" / f"{name}.json")
    for counts in (found / "new").glob("*.npz"):
        counts.rename(found / "results" / counts.name)
    return found


def test_the_page_has_blocks_of_every_command() -> None:
    scripts = "".join(script for _, script in BLOCKS)
    for command in ("diff", "compare", "check", "leaderboard", "report"):
        assert f"xbench {command} " in scripts


@pytest.mark.parametrize(("code", "script"), BLOCKS)
def test_a_runnable_block_ends_as_the_page_says(folder: Path, code: int, script: str) -> None:
    done = subprocess.run(
        ["sh", "-c", SHELL + script],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
