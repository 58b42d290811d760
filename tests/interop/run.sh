#!/usr/bin/env bash
# Exchanges content with Kubo, both ways, and compares commands and answers. usage: run.sh PROGRAM [NAME-PART…]
set -euo pipefail
here=$(dirname "$0")
code=0
kubo=$("$here/build_kubo.sh") || code=$?
if [ $code -eq 3 ]; then
  echo "skipped: Go is not installed, so Kubo cannot be built"
  exit 0
elif [ $code -ne 0 ]; then
  exit $code
fi
if [ -z "${GATEWAY_CONFORMANCE:-}" ] && suite=$("$here/build_conformance.sh"); then
  export GATEWAY_CONFORMANCE=$suite
fi
exec python3 "$here/run.py" "$kubo" "$@"
