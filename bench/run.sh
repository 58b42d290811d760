#!/usr/bin/env bash
# Speed and memory as ratios against Kubo, both on the same work in one run. usage: run.sh PROGRAM [NAME-PART…]
# Without Go (or with KUBO=none) our figures stand alone, beside the machine's own limits.
set -euo pipefail
here=$(dirname "$0")
"$here/../tools/deps.sh" bench
kubo=${KUBO:-$("$here/../tests/interop/build_kubo.sh" || true)}
exec python3 "$here/bench.py" "${kubo:-none}" "$@"
