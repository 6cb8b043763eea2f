#!/bin/sh
# Evaluate a checkpoint and fail when it is worse than the last one that was accepted.
#
#   examples/ci.sh --model xclip --dataset msrvtt --checkpoint out/pytorch_model.bin.4
#
# All arguments go to `xbench run`. For each protocol, the accepted result stands in $BASELINES (default
# baselines/) as PROTOCOL.json with its .npz; without one, the new result is accepted. A drop fails when it is
# larger than $MAX_DROP (default 0.5, in percent of t2v R@1) and significant at 0.05. What was measured stays
# in $RESULTS (default xbench-results/), with the JUnit files.
#
# Exit code: 0 fine, 1 regression, 2 usage (also: the benchmark's files are not those of the baseline),
# 3 data, 4 model or checkpoint.
set -eu

baselines=${BASELINES:-baselines}
results=${RESULTS:-xbench-results}
mkdir -p "$baselines"
rm -rf "$results"

xbench run "$@" --output "$results"

status=0
for record in "$results"/*.json; do
    name=$(basename "$record")
    baseline=$baselines/${name%%_*}.json
    if [ -f "$baseline" ]; then
        xbench check "$record" --baseline "$baseline" --max-drop "t2v.R@1=${MAX_DROP:-0.5}" \
            --significance 0.05 --junit "${record%.json}.xml" || status=$?
    else
        cp "${record%.json}.npz" "$baselines/"
        cp "$record" "$baseline"
        echo "accepted as the first baseline: $baseline"
    fi
done
exit "$status"
