#!/usr/bin/env bash
# Speed and memory as ratios against Kubo, both on the same work in one run. usage: run.sh PROGRAM [NAME-PART…]
# Without Go (or with KUBO=none) our figures stand alone, beside the machine's own limits.
set -euo pipefail
here=$(dirname "$0")
"$here/../tools/deps.sh" bench
kubo=${KUBO:-$("$here/../tests/interop/build_kubo.sh" || true)}
python3 "$here/bench.py" "${kubo:-none}" "$@"
python3 "$here/mesh_bench.py" "$@"
case " ${*:2} " in
"  " | *storage*) python3 "$here/storage_bench.py" "$1" ;;
esac
