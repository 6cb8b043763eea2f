#!/bin/sh
# Evaluate a checkpoint and fail when it is worse than the last result that was accepted. Copy this file into the
# training repository.
#
#   sh ci.sh --model xclip --dataset msrvtt --checkpoint out/pytorch_model.bin.4
#
# All arguments go to `xbench run` (not --post: one result per protocol, please). The accepted result of each
# protocol stands in $BASELINES (default baselines/) as PROTOCOL.json with its .npz; commit both. A metric of
# either direction fails when it is worse by more than the choice of the queries explains (a paired test at
# 0.05); with $MAX_DROP, R@1 of both directions fails instead when it falls by more points than that, whatever
# the test says. With ACCEPT=1 the new results become the baselines. What was measured stays in a new folder of
# $RESULTS (default xbench-results/), with the JUnit files.
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
        xbench check "$record" --baseline "$baseline" --significance 0.05 \
            ${MAX_DROP:+--max-drop "R@1=$MAX_DROP"} --junit "${record%.json}.xml" || status=$?
    else
        echo "ci.sh: no baseline $baseline; look at the result, then accept it with ACCEPT=1" >&2
        status=2
    fi
done
exit "$status"
