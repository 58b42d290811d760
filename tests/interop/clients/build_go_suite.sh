#!/usr/bin/env bash
# Builds the suite of Kubo's Go interface from the Go module proxy into a cache folder and prints the program's path. Says nothing
# and exits with 3 where Go is not installed.
set -euo pipefail
version=0.42.0
here=$(cd "$(dirname "$0")" && pwd)
sum=$(sha256sum "$here/go-suite/suite_test.go" | cut -c1-12)
program=${XDG_CACHE_HOME:-$HOME/.cache}/distribute/go-suite-$version/suite-$sum
if [ -x "$program" ]; then
  echo "$program"
  exit 0
fi
command -v go >/dev/null || exit 3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$(dirname "$program")"
mkdir "$scratch/kubo"
cp "$here/go-suite/suite_test.go" "$scratch"
cd "$scratch"
printf 'module scratch\n\ngo 1.25\n' >go.mod
# Kubo's program pins the versions that it was released with
printf '//go:build tools\n\npackage kubo\n\nimport _ "github.com/ipfs/kubo/cmd/ipfs"\n' >kubo/kubo.go
GOFLAGS=-mod=mod go get -t "github.com/ipfs/kubo/cmd/ipfs@v$version" . >&2
GOFLAGS=-mod=mod go test -c -o "$program.part" . >&2
mv "$program.part" "$program"
echo "$program"
