"""`xbench doctor` says what a report of a fault needs, whatever is broken, and nothing private."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from xbench.cli import main
from xbench.pipeline import health


def examined(*options: str) -> dict[str, dict[str, str]]:
    outcome = CliRunner().invoke(main, ["doctor", "--json", *options])
    assert outcome.exit_code == 0, outcome.output
    found: dict[str, dict[str, str]] = json.loads(outcome.stdout)
    return found


def test_it_names_versions_devices_cache_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XBENCH_PLUGINS", "0")
    found = examined()
    assert found["libraries"]["torch"].split("+")[0].count(".") == 2
    assert "cpu" in found["devices"]
    assert found["variables"]["XBENCH_PLUGINS"] == "0"
    text = CliRunner().invoke(main, ["doctor"]).stdout
    assert "XBENCH_PLUGINS" in text


def test_the_home_folder_is_not_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XBENCH_DATA", str(tmp_path / "data"))
    found = examined()
    assert str(tmp_path) not in json.dumps(found)
    assert found["cache"]["folder"] == "~/cache"


def test_a_broken_part_is_a_finding_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, str]:
        raise OSError("libcuda is not what it was")

    monkeypatch.setattr(health, "_devices", broken)
    found = examined()
    assert "libcuda" in found["devices"]["fault"]
    assert found["decoder"]


def test_it_says_what_the_data_folders_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(main, ["miniature", str(tmp_path), "--dataset", "lsmdc"])
    assert outcome.exit_code == 0, outcome.output
    monkeypatch.setenv("XBENCH_DATA", str(tmp_path))
    data = examined()["data"]
    assert "captions of" in data["lsmdc"]
    assert "video files" in data["lsmdc"]
    assert data["msvd"].startswith("no annotations")


def test_it_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XBENCH_CACHE", str(tmp_path / "cache"))
    examined()
    assert list(tmp_path.iterdir()) == []
