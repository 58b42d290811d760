#!/usr/bin/env bash
# Layers, formatting, sizes, and clang-tidy on what the debug build compiles.
# usage: lint.sh BUILD
set -uo pipefail
build=${1:?build folder}
status=0
complain() { echo "$1"; status=1; }

python3 tools/layers.py src || status=1

mapfile -t sources < <(git ls-files '*.c' '*.h')
clang-format --dry-run -Werror "${sources[@]}" 2>&1 | head -40
[ "${PIPESTATUS[0]}" -eq 0 ] || complain "formatting: run make format"

python3 tools/sizes.py "${sources[@]}" || status=1
python3 tools/cleanups.py "${sources[@]}" || status=1
python3 tools/settings.py src || status=1

# Calls that have a bounded or checked sibling.
if git grep -nE '\b(strcpy|strcat|sprintf|gets|alloca|strtok|atoi|atol|atoll)\(' -- 'src/*.c' 'sim/*.c' ':!*_test.c' ':!*_fuzz.c'; then
  complain "use the bounded or checked function instead"
fi

# tidy CHECKS: clang-tidy on the files named on standard input; what it finds goes to standard output. The
# analyzer stops a function's paths at max-nodes: more finds nothing here and takes ten times as long.
tidy() {
  xargs -P "$(nproc)" -n 6 clang-tidy -p "$build" --quiet --checks="$1" --extra-arg=-Xclang \
    --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=20000 2>/dev/null |
    grep -E '(warning|error):' | sed "s|$PWD/||; s|^.*/\.\./||" | sort -u
}
if ! command -v clang-tidy >/dev/null; then
  complain "clang-tidy is missing: tools/deps.sh lint"
elif ! ninja -C "$build" build.ninja >/dev/null; then # compile_commands.json knows new files then
  complain "meson could not bring $build up to date"
else
  found=$(git ls-files 'src/*.c' 'sim/*.c' | grep -Ev '_(fuzz|test)\.c$' | tidy '';
    # Tests parse vectors that the project itself ships: a number there needs no check, a loop no wide counter.
    # One test is of builds without QUIC alone: this build does not say how to compile it.
    git ls-files 'src/*_test.c' 'sim/*_test.c' | grep -v quic_missing_test |
      tidy '-clang-analyzer-*,-bugprone-too-small-loop-variable,-bugprone-suspicious-missing-comma')
  [ -z "$found" ] || complain "$found"
fi
[ $status -eq 0 ] && echo "lint: clean"
exit $status
