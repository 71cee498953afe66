#!/usr/bin/env bash
# Runs fuzz_core, or with MERGE=1 keeps what it has found: run.sh <folder> <runs>.
set -eu
folder=$1 runs=$2
export PYTHONPATH=$folder/lib ASAN_OPTIONS=detect_leaks=0:handle_abort=1 UBSAN_OPTIONS=print_stacktrace=1
case $folder in *sanitized) export PYTHONMALLOC=malloc ;; esac
exec tools/fuzz.sh "$folder/fuzz_core" "$folder/core" tests/fuzz/corpus "$runs" -max_len=512 -dict=src_c/tests/http.dict
