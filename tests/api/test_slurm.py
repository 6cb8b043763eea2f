"""The example for Slurm, with a stand-in of `sbatch` that carries out a job's tasks where it is called."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.pipeline.conftest import World, small_checkpoint, world

__all__ = ["small_checkpoint", "world"]  # fixtures

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "slurm.sh"
SBATCH = """#!/bin/sh
command=
while [ $# -gt 0 ]; do
    case $1 in
    --array=*) last=${1#--array=0-} ;;
    --wrap=*) command=${1#--wrap=} ;;
    --*) ;;
    *) break ;;
    esac
    shift
done
if [ -n "$command" ]; then sh -c "$command" >&2; exit; fi
for task in $(seq 0 "$last"); do SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 sh "$@" >&2 || exit; done
echo 17
"""


@pytest.mark.skipif(shutil.which("seq") is None, reason="the stand-in of sbatch needs seq")
def test_one_job_evaluates_every_checkpoint_and_one_board_ends_it(world: World, tmp_path: Path) -> None:
    programs, runs = tmp_path / "bin", tmp_path / "runs"
    programs.mkdir()
    runs.mkdir()
    executable(programs / "sbatch", SBATCH)
    executable(programs / "xbench", f'#!/bin/sh\nexec {sys.executable} -m xbench "$@"\n')
    state = torch.load(world.checkpoint)
    for epoch in range(2):
        torch.save(
            state | {"clip.logit_scale": torch.tensor(float(epoch))}, runs / f"pytorch_model.bin.{epoch}"
        )
    options = ["--dataset", "didemo", "--annotations", world.annotations, "--videos", world.videos]
    places = {"RESULTS": str(world.output), "XBENCH_CACHE": str(world.cache)}
    subprocess.run(
        ["sh", SCRIPT, "runs/pytorch_model.bin.*", "--model", "xclip", *options, "--bpe", world.bpe],
        env=os.environ | places | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        cwd=tmp_path,
        check=True,
        timeout=240,
    )
    records = [json.loads(path.read_text()) for path in world.output.glob("*.json")]
    assert sorted(record["label"] for record in records) == ["runs/0", "runs/1"]
    board = (world.output / "board.html").read_text()
    assert all(record["label"] in board for record in records)


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
