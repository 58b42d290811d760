#!/usr/bin/env bash
# Runs the tests in network namespaces, with Kubo where it can be built. usage: run.sh PROGRAM TOOLS-FOLDER [NAME-PART…]
set -euo pipefail
here=$(dirname "$0")
code=0
kubo=$("$here/../interop/build_kubo.sh") || code=$?
case $code in
  0) set -- "--kubo=$kubo" "$@" ;;
  3) echo "Go is not installed, so Kubo cannot be built: without it" ;;
  *) exit $code ;;
esac
code=0
python3 "$here/run.py" "$@" || code=$?
[ $code -ne 77 ] || exit 0 # it said why
exit $code
