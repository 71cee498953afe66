#!/usr/bin/env bash
# Builds fuzz_core: build.sh <python> <folder>. Modules go to <folder>/lib, the program to <folder>/fuzz_core. A folder whose
# name ends with "sanitized" gets ASan and UBSan besides.
set -eu
python=$1 folder=$2
flags="-O2 -g1 -fsanitize=fuzzer-no-link"
case $folder in *sanitized) flags="-O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" ;; esac
export CC=clang PIP_DISABLE_PIP_VERSION_CHECK=1
QHTTP_CFLAGS="$flags -fsanitize-coverage-ignorelist=$PWD/tests/fuzz/not_covered.txt" \
    "$python" setup.py -q build --build-base "$folder" --build-lib "$folder/lib" build_ext -j2
# llhttp, too: what it takes and what it refuses decides about a head.
[ -d "$folder/lib/httptools" ] \
    || CFLAGS=$flags "$python" -m pip install -q --no-deps --no-binary httptools --target "$folder/lib" httptools \
    || echo "httptools could not be built from source: the installed one is used, and its edges do not count"
PYTHONPATH=$PWD "$python" tests/fuzz/setup.py "$folder"
