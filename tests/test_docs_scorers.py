"""Every example of docs/scorers.md, run as it stands and in order."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from xbench.cli import main
from xbench.scorers.finding import GROUP

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scorers.md"
MODULES = ("careful", "colours", "clips", "hearing")
"""Those of the page."""
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<code>.*?)```", re.DOTALL)


def shell(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one line of a `sh` block: `export NAME=VALUE`, or a call of xbench, which must end well."""
    if line.startswith("export "):
        name, value = line.removeprefix("export ").split("=")
        monkeypatch.setenv(name, value)
        return
    program, *arguments = line.split()
    assert program == "xbench"
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, f"{line}\n{result.stderr}"


def test_every_example_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XBENCH_CHECKPOINTS", raising=False)
    for module in MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    names: dict[str, Any] = {}
    page = PAGE.read_text("utf-8")
    blocks = list(BLOCK.finditer(page))
    assert len(blocks) == page.count("```") // 2
    for block in blocks:
        if block["file"]:
            Path(block["file"]).write_text(block["code"])
        elif block["kind"] == "python":
            exec(compile(block["code"], f"{PAGE.name}", "exec"), names)
        else:
            assert block["kind"] == "sh"
            for line in block["code"].splitlines():
                shell(line, monkeypatch)
    scorers = sorted(path.name.split("_")[1] for path in (tmp_path / "results").glob("*.json"))
    assert scorers == [*["careful"] * 2, *["colours"] * 3, "features", "lasting", "mine"]
    assert names["result"].record.scorer.name == "colours"
    announced = tomllib.loads(Path("pyproject.toml").read_text())["project"]["entry-points"]
    assert announced == {GROUP: {"colours": "colours:Colours"}}
    for module in MODULES:
        sys.modules.pop(module, None)


README = PAGE.parent.parent / "README.md"


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for block in BLOCK.finditer(README.read_text("utf-8")):
        exec(compile(block["code"], README.name, "exec"), {})
    assert "t2v" in capsys.readouterr().out


def test_every_command_of_the_readme_has_the_options_it_is_given() -> None:
    blocks = re.findall(r"^```\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    text = "".join(blocks).replace("\\\n", " ")
    lines = re.findall(r"^xbench (.*)$", text, re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        command: click.Command = main
        arguments = line.partition("#")[0].split()
        while isinstance(command, click.Group):
            context = click.Context(command)
            _, found, arguments = command.resolve_command(context, arguments)
            assert found is not None
            command = found
        command.make_context(line, arguments)
