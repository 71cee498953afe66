#!/usr/bin/env bash
# Installs the Debian packages named as program=package that are missing; a program may be the path of a file, with wildcards.
# Without root, or without apt, it only says what is missing: what needs them says so itself.
set -u
missing=()
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || [ -x "/usr/sbin/${pair%%=*}" ] || compgen -G "${pair%%=*}" >/dev/null \
        || missing+=("${pair##*=}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed: ${missing[*]} (root and apt are needed to install them)" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# A package's own service must not start: the tests start their servers on ports of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null 2>&1 \
    || echo "could not be installed: ${missing[*]}" >&2
