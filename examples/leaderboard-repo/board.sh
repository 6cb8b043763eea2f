#!/bin/sh
# What the workflows of a leaderboard do; on a laptop the same.
#
#   sh board.sh check BASE   refuse what came after BASE unless it only adds results that hold
#   sh board.sh build        verify all results and write the board to site/
#
# Exit code: 0 fine, 3 a submission that is refused or a result that does not hold, else as xbench ends.
set -eu

refuse() {
    echo "Refused: $1" >&2
    exit 3
}

check() {
    git -c core.quotePath=true diff --name-status --no-renames "$1...HEAD" > "$work/changes"
    [ -s "$work/changes" ] || refuse "nothing was changed."
    if grep -Ev '^A	results/[A-Za-z0-9._+-]+\.(json|npz)$' "$work/changes" >&2; then
        refuse "a submission adds .json and .npz files to results/ and changes nothing else (lines above)."
    fi
    cut -f 2 "$work/changes" > "$work/added"
    while read -r file; do
        [ ! -L "$file" ] || refuse "$file is a link."
    done < "$work/added"
    grep '\.json$' "$work/added" > "$work/records" || refuse "there is no record (.json) in it."
    # shellcheck disable=SC2013,SC2046  # names have no spaces: see above
    for counts in $(grep '\.npz$' "$work/added"); do
        grep -Fq "\"$(basename "$counts")\"" $(cat "$work/records") || refuse "no new record names $counts."
    done
    # shellcheck disable=SC2046
    xbench verify $(cat "$work/records")
}

build() {
    rm -rf site
    if ls results/*.json > /dev/null 2>&1; then
        xbench verify results/
        # shellcheck disable=SC2086  # several options
        xbench leaderboard results/ ${BOARD:---include-published} -o site
    else
        mkdir site
        echo '<!doctype html><title>Leaderboard</title><p>No results yet.' > site/index.html
    fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case "${1:-}" in
    check) check "${2:?the commit that the submission is compared with}" ;;
    build) build ;;
    *) echo "usage: sh board.sh check BASE | build" >&2; exit 2 ;;
esac
