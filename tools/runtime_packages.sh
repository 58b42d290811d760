#!/bin/sh
# The Debian or Ubuntu packages of the shared libraries that a program is linked to, one a line. usage: runtime_packages.sh PROGRAM
# The loader names /lib/… where dpkg may know /usr/lib/…: both are tried. One that nobody knows is an error: an image would lack it.
set -eu
libraries=$(ldd "$1" | awk '/=> \//{print $3}')
# shellcheck disable=SC2086,SC2046
owners=$(dpkg -S $libraries $(printf '/usr%s\n' $libraries) 2>/dev/null || true)
for path in $libraries; do
  owner=$(printf '%s\n' "$owners" | awk -v path="$path" '$2 == path || $2 == "/usr" path {sub(":.*", ""); print; exit}')
  [ "$owner" ] || { echo "$0: no package has $path" >&2; exit 1; }
  echo "$owner"
done | sort -u
