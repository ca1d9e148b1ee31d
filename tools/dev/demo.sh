#!/usr/bin/env bash
# Shows culm at its main job: an author, a relay and three readers of parts, as processes of their
# own over TCP on this machine. Sets up and builds first. The log is made of the lines of FILE, or
# of this machine's package log, or of the history of the checkout.
#   tools/dev/demo.sh [FILE]
# CULM names a program that is built already.
set -euo pipefail
input=${1:+$(realpath -- "$1")}
cd "$(dirname "$0")/../.."

if [ -z "${CULM:-}" ]; then
  tools/dev/setup.sh
  echo "Building culm (the first time takes some minutes) ..."
  cmake --preset release >/dev/null
  cmake --build --preset release --target culm_tool
  CULM=$PWD/build/release/tools/culm
fi

place=$(mktemp -d "${TMPDIR:-/tmp}/culm-demo.XXXXXX")
trap 'rm -rf "$place"' EXIT
if [ -n "$input" ]; then
  what=$input
  cat -- "$input" >"$place/lines"
elif cat /var/log/dpkg.log* >/dev/null 2>&1; then
  what="the package log of this machine, /var/log/dpkg.log*"
  # Oldest first; old ones may be compressed. awk reads all, so that nobody writes to a closed pipe.
  ls -tr /var/log/dpkg.log* | xargs zcat -f | awk 'NR <= 100000' >"$place/lines"
fi
if [ -z "$input" ] && [ ! -s "$place/lines" ]; then
  what="the history of this checkout, git log -p"
  git log -p | awk 'NR <= 100000' >"$place/lines"
fi
python3 -B tools/dev/demo.py "$CULM" "$place" "$what"
