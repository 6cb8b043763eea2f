"""examples/leaderboard-repo: the steps of its workflow check requests and build the board."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "leaderboard-repo"
RESULTS = sorted((ROOT / "results" / "miniature").glob("*.json"))
WORKFLOW = EXAMPLE / ".github" / "workflows" / "board.yml"


class Repository:
    """A leaderboard with one accepted result, and a branch that somebody submits."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.outside = folder / "board", folder
        shim = folder / "bin" / "xbench"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m xbench "$@"\n')
        shim.chmod(0o755)
        author = {
            f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.environment = os.environ | author | {
            "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": path,
            "RUNNER_TEMP": str(folder),
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        shutil.copytree(EXAMPLE, self.folder)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.add(RESULTS[0])
        self.commit()
        self.base = self.git("rev-parse", "HEAD").strip()
        self.git("switch", "--quiet", "--create", "submission")

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def add(self, record: Path) -> Path:
        for suffix in (".json", ".npz"):
            shutil.copy(record.with_suffix(suffix), self.folder / "results")
        return self.folder / "results" / record.name

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "results")

    def runs(self, job: str, more: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the steps of a job as GitHub would, but for the installation."""
        steps: list[dict[str, Any]] = yaml.safe_load(WORKFLOW.read_text())["jobs"][job]["steps"]
        script = "\n".join(
            step["run"] for step in steps if "run" in step and "pip install" not in step["run"]
        )
        return subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env={**self.environment, **(more or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def checked(self) -> "subprocess.CompletedProcess[str]":
        self.commit()
        return self.runs("submission", {"BASE": self.base})


@pytest.fixture
def board(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_result_is_submitted_verified_merged_and_published(board: Repository) -> None:
    board.add(RESULTS[1])
    checked = board.checked()
    assert checked.returncode == 0, checked.stderr
    assert f"results/{RESULTS[1].name}" in checked.stdout
    assert RESULTS[0].name not in checked.stdout  # what is there was verified when it came
    board.git("switch", "--quiet", "main")
    board.git("merge", "--quiet", "submission")
    built = board.runs("build")
    assert built.returncode == 0, built.stderr
    site = board.folder / "site"
    for record in RESULTS[:2]:
        assert record.name in (site / "index.html").read_text()
        assert (site / "results" / record.name).is_file()
        assert (site / "results" / record.with_suffix(".npz").name).is_file()
    assert not board.git("status", "--porcelain").strip()  # what is built is not committed


def test_numbers_that_were_changed_are_refused(board: Repository) -> None:
    record = board.add(RESULTS[1])
    content = json.loads(record.read_text())
    content["metrics"]["t2v"]["R@1"]["value"] += 1.0
    record.write_text(json.dumps(content))
    refused = board.checked()
    assert refused.returncode == 3
    assert "contradicts itself" in " ".join(refused.stdout.split())


def test_a_request_that_is_no_submission_is_refused(board: Repository) -> None:
    def again() -> None:
        board.git("reset", "--quiet", "--hard", board.base)

    (board.folder / "results" / RESULTS[0].name).unlink()  # somebody else's result
    assert "changes nothing else" in board.checked().stderr
    again()
    board.add(RESULTS[1])
    (board.folder / "board.sh").write_text("exit 0\n")  # the check itself
    refused = board.checked()
    assert refused.returncode == 3
    assert "board.sh" in refused.stderr
    again()
    board.add(RESULTS[1]).with_suffix(".npz").unlink()
    assert "a claim that nothing proves" in " ".join(board.checked().stdout.split())
    again()
    board.add(RESULTS[1]).unlink()
    assert "no record" in board.checked().stderr
    again()
    board.add(RESULTS[1])
    shutil.copy(RESULTS[2].with_suffix(".npz"), board.folder / "results")
    assert f"no new record names results/{RESULTS[2].stem}.npz" in board.checked().stderr
    again()
    (board.folder / "results" / "link.json").symlink_to(RESULTS[1])
    assert "is a link" in board.checked().stderr
    again()
    (board.folder / "results" / "a b.json").write_text("{}")
    assert board.checked().returncode == 3


def test_a_board_without_results_is_a_page(board: Repository) -> None:
    for path in (board.folder / "results").glob("*"):
        path.unlink()
    assert board.runs("build").returncode == 0
    assert "No results yet" in (board.folder / "site" / "index.html").read_text()
