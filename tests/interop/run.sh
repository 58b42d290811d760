#!/usr/bin/env bash
# Exchanges content with Kubo, both ways. usage: run.sh PROGRAM [TEST…]
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
exec python3 "$here/test_kubo.py" "$kubo" "$@"
