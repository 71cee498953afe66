#!/usr/bin/env bash
# Runs one libFuzzer target, and says in a few words what has come of it.
#
#   fuzz.sh <program> <folder> <corpus> <runs> [options of libFuzzer ...]
#
# What is found goes to <folder>/corpus and <folder>/log, which stay for the next run; <corpus> is the one of the tree. With
# MERGE=1 nothing is run: inputs that reach edges which the tree's do not reach are added to those, as few as will do.
set -u
program=$1 folder=$2 corpus=$3 runs=$4 name=$(basename "$1")
shift 4
mkdir -p "$folder/corpus" "$corpus"
TMPDIR=$(mktemp -d -p /dev/shm qhttp-fuzz-XXXXXX) && export TMPDIR && trap 'rm -rf "$TMPDIR"' EXIT
if [ "${MERGE:-0}" = 1 ]; then
    "$program" -merge=1 -use_counters=0 -set_cover_merge=1 "$@" "$corpus" "$folder/corpus" >"$folder/merge.log" 2>&1 || {
        tail -n 20 "$folder/merge.log"; exit 1; }
    echo "$name: $(find "$corpus" -type f | wc -l) inputs, $(cat "$corpus"/* | wc -c) bytes in the tree"
    exit 0
fi
"$program" -runs="$runs" -entropic=0 -reload=0 -artifact_prefix="$folder/found-" "$@" "$folder/corpus" "$corpus" >"$folder/log" 2>&1
result=$?
awk -v name="$name" -v runs="$runs" -v result=$result '
    /^#[0-9]+\t/ && match($0, /cov: [0-9]+/) {
        n = substr($1, 2) + 0
        edges = substr($0, RSTART + 5, RLENGTH - 5) + 0
        if (n <= 0.8 * runs) early = edges
        if (match($0, /corp: [0-9]+\/[0-9A-Za-z]+/)) size = substr($0, RSTART + 6, RLENGTH - 6)
    }
    /^Done [0-9]+ runs/ { n = $2; seconds = $5 }
    END {
        printf "%s: %d executions, %d/s, %d edges, corpus %s; new edges in the last 20 %%: %d; ", name, n,
               n / (seconds > 0 ? seconds : 1), edges, size, edges - early
        if (result == 0) printf "findings: 0 of %d (bound 3/n = %.1e)\n", n, 3 / (n > 0 ? n : 1)
        else printf "STOPPED BY A FINDING after %d\n", n
    }' "$folder/log"
[ $result -eq 0 ] || tail -n 40 "$folder/log"
exit $result
