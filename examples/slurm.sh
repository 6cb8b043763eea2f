#!/bin/bash
# Evaluate many checkpoints on a Slurm cluster: one array job, one checkpoint and one GPU a task, one board at the
# end. Copy this file, put your partition and your limits into the #SBATCH lines, and start it where the
# checkpoints are:
#
#   sh slurm.sh 'out/pytorch_model.bin.*' --model xclip --dataset msrvtt
#
# The first argument is a pattern of files, the rest goes to `xbench run`. The cache ($XBENCH_CACHE) and the results
# ($RESULTS, default results/) must lie in folders that all nodes share; nothing there is locked. A task that
# was killed or preempted goes on from what it had encoded and counted when it is started again.
#
#SBATCH --job-name=xbench
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
set -eu

if [ -n "${XBENCH_LIST:-}" ]; then # this is a task of the array
    checkpoint=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$XBENCH_LIST")
    exec xbench run "$@" --checkpoint "$checkpoint" --workers "${SLURM_CPUS_PER_TASK:-2}" --output "$RESULTS"
fi

pattern=${1:?"usage: sh slurm.sh 'CHECKPOINTS' --model NAME --dataset NAME ..."}
shift
export RESULTS="${RESULTS:-results}"
mkdir -p "$RESULTS"
export XBENCH_LIST="$PWD/$RESULTS/checkpoints.txt"
case $RESULTS in /*) XBENCH_LIST=$RESULTS/checkpoints.txt ;; esac
# shellcheck disable=SC2086  (it is a pattern)
ls -d $pattern >"$XBENCH_LIST"
count=$(wc -l <"$XBENCH_LIST")
echo "$count checkpoints, listed in $XBENCH_LIST"
job=$(sbatch --parsable --export=ALL --array="0-$((count - 1))" "$0" "$@")
sbatch --dependency="afterany:$job" --job-name=xbench-board --wrap="xbench leaderboard '$RESULTS' --output '$RESULTS/board.html'"
