#!/usr/bin/env bash
# Installs what building and testing culm needs on Debian 12, Debian 13 and Ubuntu 24.04. Asks for
# nothing, and does nothing where all is there. "setup.sh checks" adds what the checks need.
set -euo pipefail

packages=(g++ cmake ninja-build pkg-config python3
  libsodium-dev liblmdb-dev libboost-dev libmsgpack-cxx-dev libexpected-dev libxxhash-dev
  libcli11-dev nlohmann-json3-dev libgtest-dev libgmock-dev)
if [ "${1:-}" = checks ]; then
  packages+=(clang clang-format clang-tidy debootstrap debian-archive-keyring)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
