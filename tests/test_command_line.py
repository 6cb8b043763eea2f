"""The root of the command line: what is not the user's fault is never taken for a regression."""

import gc
import importlib
import subprocess
import sys

import pytest
from click.testing import CliRunner

import xbench.cli
from xbench.cli import main


def test_a_fault_of_xbench_has_an_exit_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(xbench.cli.importlib, "import_module", broken)
    result = CliRunner().invoke(main, ["diff", "x.json"])
    assert result.exit_code == xbench.cli.UNEXPECTED
    assert "ZeroDivisionError" in result.stderr
    assert "report it" in result.stderr


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = [sys.executable, "-m", "xbench", "datasets", "list"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.wait()


def test_a_command_called_from_python_freezes_no_objects() -> None:
    before = gc.get_freeze_count()
    CliRunner().invoke(main, ["datasets", "list"])
    assert gc.get_freeze_count() == before


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "0", "much"])
def test_a_number_that_is_none_is_a_usage_error(number: str) -> None:
    options = ("--dataset", "didemo", "--miniature", "--memory", number)
    result = CliRunner().invoke(main, ["run", *options])
    assert result.exit_code == 2
    assert "--memory" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_module_of_a_command_takes_the_place_of_what_names_a_fault() -> None:
    for module in xbench.cli.COMMANDS.values():
        importlib.import_module(module)
    result = CliRunner().invoke(main, ["datasets", "verify", "lsmdc", "--annotations", "x" * 300])
    assert result.exit_code == 3
    assert "File name too long" in result.stderr
