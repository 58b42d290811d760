#!/usr/bin/env bash
# Installs what a folder beside this names into a cache folder, with the folder's own modules, and prints that folder. Says nothing
# and exits with 3 where npm is missing or the registry is out of reach. usage: build_js_client.sh [js|libp2p-js]
set -euo pipefail
from=$(cd "$(dirname "$0")" && pwd)/${1:-js}
sum=$(sha256sum "$from/package-lock.json" | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/distribute/js-client-$sum
if [ ! -d "$cache/node_modules" ]; then
  command -v npm >/dev/null && command -v node >/dev/null || exit 3
  rm -rf "$cache.part"
  mkdir -p "$cache.part"
  cp "$from/package.json" "$from/package-lock.json" "$cache.part"
  # `ci` wants every platform's build of a native package in the lock file, which a registry need not have.
  options="--no-audit --no-fund --ignore-scripts"
  (cd "$cache.part" && { npm ci $options || npm install $options; } >&2) || exit 3
  rm -rf "$cache"
  mv "$cache.part" "$cache"
fi
cp "$from"/*.mjs "$cache"
echo "$cache"
