#!/usr/bin/env bash
# Runs a command once for each CPython from 3.11 to 3.13 that is found (on the path or under pyenv), with PYTHON and VENV set.
set -u
failed=()
for version in 3.11 3.12 3.13; do
    python=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/$version.*/bin/python3 2>/dev/null | sort -V | tail -n 1)
    [ -n "$python" ] || python=$(command -v python$version) || { echo "== CPython $version: not found"; continue; }
    echo "== CPython $version: $python"
    "$@" PYTHON="$python" VENV=".venv-$version" || failed+=("$version")
done
[ ${#failed[@]} -eq 0 ] || { echo "failed on: ${failed[*]}"; exit 1; }
