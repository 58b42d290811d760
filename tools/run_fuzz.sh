#!/usr/bin/env bash
# Runs each libFuzzer target for some seconds over its corpus; crash files land beside the build.
# usage: run_fuzz.sh BUILD SECONDS
set -uo pipefail
build=${1:?build folder} seconds=${2:?seconds}
passed=0 failed=0
for target in "$build"/tests/*_fuzz; do
  name=$(basename "$target")
  mkdir -p "$build/corpus/$name" "$build/crashes"
  if "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$build/crashes/$name-" \
    "$build/corpus/$name" "tests/corpus/$name" >"$build/$name.log" 2>&1; then
    echo "$name: $(grep -oE '^#[0-9]+' "$build/$name.log" | tail -n 1 | tr -d '#') runs"
    passed=$((passed + 1))
  else
    echo "$name: FAILED, see $build/$name.log"; tail -n 20 "$build/$name.log"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
