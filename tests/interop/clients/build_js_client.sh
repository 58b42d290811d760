#!/usr/bin/env bash
# Installs kubo-rpc-client into a cache folder and prints the folder. Says nothing and exits with 3 where npm is missing or the
# registry is out of reach.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sum=$(sha256sum "$here/js/package-lock.json" | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/distribute/js-client-$sum
if [ ! -d "$cache/node_modules/kubo-rpc-client" ]; then
  command -v npm >/dev/null && command -v node >/dev/null || exit 3
  rm -rf "$cache.part"
  mkdir -p "$cache.part"
  cp "$here/js/package.json" "$here/js/package-lock.json" "$cache.part"
  (cd "$cache.part" && npm ci --no-audit --no-fund --ignore-scripts >&2) || exit 3
  rm -rf "$cache"
  mv "$cache.part" "$cache"
fi
cp "$here/js/scenario.mjs" "$cache/scenario.mjs"
echo "$cache"
