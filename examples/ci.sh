#!/bin/sh
# Evaluate a checkpoint and fail when it is worse than the last result that was accepted. Copy this file into the
# training repository.
#
#   sh ci.sh --model xclip --dataset msrvtt --checkpoint out/pytorch_model.bin.4
#
# All arguments go to `xbench run` (not --post: one result per protocol, please). The accepted result of each
# protocol stands in $BASELINES (default baselines/) as PROTOCOL.json with its .npz; commit both. A drop fails
# when it is larger than $MAX_DROP (default 0.5, in percent of t2v R@1) and significant at 0.05. With ACCEPT=1
# the new results become the baselines instead. What was measured stays in a new folder of $RESULTS (default
# xbench-results/), with the JUnit files.
#
# Exit code: 0 fine, 1 regression, 2 usage (also: no baseline yet, or one of other videos or captions),
# 3 data, 4 model or checkpoint.
set -eu

case " $* " in
    *" --post "* | *" --post="*) echo "ci.sh: leave out --post: it makes two results of one protocol" >&2; exit 2 ;;
esac
baselines=${BASELINES:-baselines}
mkdir -p "$baselines" "${RESULTS:-xbench-results}"
results=$(mktemp -d "${RESULTS:-xbench-results}/run-XXXXXX")

xbench run "$@" --output "$results"

status=0
for record in "$results"/*.json; do
    name=$(basename "$record")
    protocol=${name%%_*}
    baseline=$baselines/$protocol.json
    if [ "${ACCEPT:-0}" = 1 ]; then
        rm -f "$baselines/$protocol"_*.npz
        cp "${record%.json}.npz" "$baselines/"
        cp "$record" "$baseline"
        echo "accepted as the baseline; commit it with its .npz: $baseline"
    elif [ -f "$baseline" ]; then
        xbench check "$record" --baseline "$baseline" --max-drop "t2v.R@1=${MAX_DROP:-0.5}" \
            --significance 0.05 --junit "${record%.json}.xml" || status=$?
    else
        echo "ci.sh: no baseline $baseline; look at the result, then accept it with ACCEPT=1" >&2
        status=2
    fi
done
exit "$status"
