"""A package that announces scorers, installed: found by name, loaded when asked for, told when broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.pipeline.conftest import World
from xbench.cli import main
from xbench.pipeline.record import cpu_kind

PLUGIN = Path(__file__).resolve().parent.parent / "plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package was installed into."""
    folder = tmp_path_factory.mktemp("plugin") / "site"
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    command += ["--no-build-isolation", "--target", str(folder), str(PLUGIN)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(autouse=True)
def on_the_path(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))


def invoke(arguments: list[str]) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def arguments(world: World, model: str, *more: str) -> list[str]:
    options = world.arguments("--model", model, *more)
    for option in ("--checkpoint", "--bpe"):
        at = options.index(option)
        del options[at : at + 2]
    return options


def test_a_plugin_is_found_by_name_and_evaluated(world: World) -> None:
    done = invoke(
        arguments(world, "colours", "--json", "--model-args", "grey=0.25", "--model-args", "frames=2")
    )
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["scorer"]["name"] == "colours"
    own = {"grey": 0.25, "frames": 2, "device": "cpu"}
    computing = {"threads": 1, "cpu": cpu_kind()}
    assert record["scorer"]["settings"] == {**own, **computing, "sampling": "published"}
    assert record["settings"]["passed"]["model_args"] == {"grey": "0.25", "frames": "2"}
    assert record["queries"] == {"t2v": 6, "v2t": 6}
    assert not list(world.cache.rglob("*.pack"))  # no identity, no cache


@pytest.mark.parametrize(
    ("model", "code", "said"),
    [
        ("broken", 4, "The plugin 'broken' of xbench-colours 0.1.0 cannot be loaded: ModuleNotFoundError"),
        ("lost", 4, "The plugin 'lost' of xbench-colours 0.1.0 is broken"),
        ("chair", 4, "which is no scorer: it lacks name"),
        ("colour", 2, "Did you mean 'colours'"),
    ],
)
def test_a_broken_plugin_is_reported_by_name(world: World, model: str, code: int, said: str) -> None:
    done = invoke(arguments(world, model))
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_installed_command_finds_it_too(site: Path, world: World) -> None:
    """In a process of its own, as a user has it."""
    command = [sys.executable, "-m", "xbench", *arguments(world, "colours", "--dry-run")]
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "colours: grey 0.5, frames 64" in done.stdout


def test_a_broken_plugin_does_no_harm_when_it_is_not_asked_for(world: World) -> None:
    done = invoke(world.arguments("--model", "xclip", "--json"))  # a plugin has that name, too
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["scorer"]["name"] == "xclip"


def test_plugins_can_be_turned_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XBENCH_PLUGINS", "0")
    done = invoke(arguments(world, "colours"))
    assert done.exit_code == 2
    assert "There is no model 'colours'" in done.stderr
