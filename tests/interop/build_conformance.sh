#!/usr/bin/env bash
# Installs the gateway's conformance suite 0.13.2 from the Go module proxy into a cache folder and prints the program's path.
# Exits with 3 where there is no Go or the proxy does not have it: the test then says that it was skipped.
set -euo pipefail
version=0.13.2
folder=${XDG_CACHE_HOME:-$HOME/.cache}/distribute/gateway-conformance-$version
program=$folder/gateway-conformance
if [ ! -x "$program" ]; then
  command -v go >/dev/null || exit 3
  mkdir -p "$folder"
  GOBIN=$folder GOFLAGS=-mod=mod timeout 300 go install "github.com/ipfs/gateway-conformance/cmd/gateway-conformance@v$version" \
    >/dev/null 2>&1 || exit 3
fi
echo "$program"
