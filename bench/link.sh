#!/usr/bin/env bash
# Measures one connection over loopback and over an emulated link, go-libp2p beside it where Go is installed.
# usage: link.sh PROGRAM TOOLS-FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=0.48.0
sum=$(sha256sum "$here/go_perf/main.go" | cut -c1-12)
program=${XDG_CACHE_HOME:-$HOME/.cache}/distribute/go-libp2p-$version/go_perf-$sum
if [ ! -x "$program" ] && command -v go >/dev/null; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  mkdir -p "$(dirname "$program")"
  cp "$here/go_perf/main.go" "$scratch"
  cd "$scratch"
  printf 'module go_perf\n\ngo 1.25\n' >go.mod
  GOFLAGS=-mod=mod go get "github.com/libp2p/go-libp2p@v$version" >&2
  GOFLAGS=-mod=mod go build -o "$program.part" . >&2
  mv "$program.part" "$program"
  cd - >/dev/null
fi
[ -x "$program" ] || program=
python3 "$here/link.py" "$@" ${program:+"$program"}
