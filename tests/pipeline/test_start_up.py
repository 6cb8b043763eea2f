"""What a command must not import, because importing it takes longer than the command does."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.pipeline.conftest import World
from xbench.cli import main

HEAVY = {"torch", "transformers", "datasets", "pandas", "av", "PIL"}
_REPORT = """
import sys
from xbench.cli import main
try:
    main()
finally:
    print("imported:", *sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""


def imported(arguments: list[str]) -> set[str]:
    """The top-level modules that a command has imported when it ends well."""
    command = [sys.executable, "-c", _REPORT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].removeprefix("imported: ").split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["datasets", "list"], ["datasets", "show", "didemo/paragraph"]],
    ids=" ".join,
)
def test_help_and_listings_import_nothing_heavy(arguments: list[str]) -> None:
    assert not imported(arguments) & HEAVY


def test_help_imports_neither_numpy_nor_pydantic() -> None:
    assert not imported(["--help"]) & {"numpy", "pydantic", "yaml", "tqdm"}


def test_saved_results_are_read_without_torch(world: World, tmp_path: Path) -> None:
    CliRunner().invoke(main, world.arguments(), catch_exceptions=False)
    (result,) = world.output.glob("*.json")
    assert not imported(["compare", str(result), str(result)]) & HEAVY
    assert not imported(["leaderboard", str(world.output)]) & HEAVY
    assert not imported(["diff", str(result)]) & HEAVY


def test_a_fully_cached_run_imports_no_transformers(world: World) -> None:
    CliRunner().invoke(main, world.arguments(), catch_exceptions=False)
    assert not imported(world.arguments()) & {"transformers", "datasets", "pandas"}
