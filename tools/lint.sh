#!/usr/bin/env bash
# Layers, formatting, and clang-tidy on what the debug build compiles.
# usage: lint.sh BUILD
set -uo pipefail
build=${1:?build folder}
status=0
python3 tools/layers.py src || status=1
mapfile -t sources < <(git ls-files '*.c' '*.h')
if [ ${#sources[@]} -gt 0 ]; then
  clang-format --dry-run -Werror "${sources[@]}" 2>&1 | head -40
  [ "${PIPESTATUS[0]}" -eq 0 ] || { echo "formatting: run make format"; status=1; }
fi
long=$(git ls-files 'src/*.c' | xargs wc -l | awk '$2 != "total" && $1 > 900 {print $2 ": " $1 " lines: split it by nouns"}')
[ -z "$long" ] || { echo "$long"; status=1; }
# Calls that have a safer sibling here, or that skip the bounded readers.
if git grep -nE '\b(strcpy|strcat|sprintf|gets|alloca|strtok)\(' -- 'src/*.c' 'sim/*.c'; then
  echo "use the bounded function instead"; status=1
fi
if command -v clang-tidy >/dev/null && [ -f "$build/compile_commands.json" ]; then
  mapfile -t units < <(git ls-files 'src/*.c' 'sim/*.c' | grep -v '_fuzz\.c$')
  printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -n 6 clang-tidy -p "$build" --quiet 2>/dev/null | grep -E '(warning|error):' | sort -u | head -60
  [ "${PIPESTATUS[3]}" -ne 0 ] || status=1
fi
[ $status -eq 0 ] && echo "lint: clean"
exit $status
