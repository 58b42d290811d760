#!/usr/bin/env bash
# Installs the Debian packages that a group of targets needs, when one is missing: with apt, through sudo when
# not root. On other systems it names what is needed and fails.
# usage: deps.sh build|lint|fuzz|coverage|bench|netns|chaos|integration
set -euo pipefail

build=(build-essential pkg-config python3 git meson ninja-build libuv1-dev libssl-dev libsodium-dev liblmdb-dev
  libsqlite3-dev libpq-dev libmicrohttpd-dev libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler libjansson-dev zlib1g-dev libc-ares-dev libedit-dev libcmocka-dev librust-blake3-dev libleveldb-dev libsnappy-dev libzstd-dev)
# The build goes without what these bring where they are not packaged.
optional=(libngtcp2-dev libngtcp2-crypto-gnutls-dev libgnutls28-dev) # QUIC
lint=(clang-format clang-tidy)
fuzz=(clang llvm)
coverage=(gcovr)
bench=(wrk curl)
netns=(iproute2 nftables util-linux miniupnpd-nftables)
chaos=("${netns[@]}" faketime postgresql)
integration=(postgresql python3-jwt python3-cryptography) # a database and tokens that others make

# need PACKAGE…: installs those that are missing.
need() {
  local package missing=() sudo=()
  for package; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "please install as root: apt-get install ${missing[*]}" >&2; exit 1; }
    sudo=(sudo)
  fi
  echo "installing: ${missing[*]}" >&2
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_packaged PACKAGE…: the same where this system has packages of them all.
need_packaged() {
  local package
  for package; do
    [[ $(LC_ALL=C apt-cache policy "$package" 2>/dev/null) =~ 'Candidate: '[^\(] ]] || { echo "$package is not packaged here: going without" >&2; return 0; }
  done
  need "$@"
}

declare -n packages="${1:?group of packages}"
if ! command -v apt-get >/dev/null; then
  # Without dpkg nothing can be looked up: trust pkg-config for the libraries.
  if [ "$1" = build ] && pkg-config --exists libuv libcrypto libsodium lmdb sqlite3 libmicrohttpd libnghttp2 libprotobuf-c jansson zlib libcares cmocka 2>/dev/null \
    && command -v meson ninja cc python3 protoc-c >/dev/null; then
    exit 0
  fi
  echo "please install (Debian's names): ${packages[*]}" >&2
  exit 1
fi
need "${packages[@]}"
[ "$1" != build ] || need_packaged "${optional[@]}"
# The sanitizers' and libFuzzer's libraries are a package of each version of clang.
[ "$1" != fuzz ] || need "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
