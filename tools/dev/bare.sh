#!/usr/bin/env bash
# Runs a command in a bare tree of a Debian release, over a fresh clone of what is committed:
#   tools/dev/bare.sh trixie tools/dev/demo.sh
# Only git is there besides the release's least. The tree is made once and kept; each run gets a
# copy that goes when it ends. Needs root and debootstrap; without them it says so and exits 77.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=${1:?which release: bookworm, trixie}
shift
if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
  echo "bare.sh: a tree of Debian $suite needs root and debootstrap (apt-get install debootstrap)" >&2
  exit 77
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/culm
tree=$cache/debian-$suite
mkdir -p "$cache"
if [ ! -e "$tree.ready" ]; then
  echo "bare.sh: making a tree of Debian $suite ..." >&2
  rm -rf "$tree"
  debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$tree" >"$tree.log" 2>&1 ||
    { tail -n 20 "$tree.log" >&2; exit 1; }
  # Packages come from where this machine takes its own, of that release.
  for settings in apt.conf.d auth.conf.d; do
    [ ! -d "/etc/apt/$settings" ] || cp -r "/etc/apt/$settings/." "$tree/etc/apt/$settings/"
  done
  here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  if [ "$(. /etc/os-release && echo "$ID")" = debian ] && [ -e /etc/apt/sources.list.d/debian.sources ]; then
    sed "s/\b$here\b/$suite/g" /etc/apt/sources.list.d/debian.sources \
      >"$tree/etc/apt/sources.list.d/debian.sources"
    : >"$tree/etc/apt/sources.list"
  fi
  touch "$tree.ready"
fi

run=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf --one-file-system "$run"' EXIT
cp -a "$tree/." "$run"
cp /etc/resolv.conf "$run/etc/resolv.conf"
git clone --quiet . "$run/srv/culm"
vectors=${CULM_SHARED_VECTORS:-../shared/vectors}
[ ! -d "$vectors" ] || { mkdir -p "$run/srv/shared" && cp -r "$vectors" "$run/srv/shared/vectors"; }

# In a mount namespace of its own, so that nothing stays mounted whatever happens.
unshare --mount --pid --fork --kill-child bash -c '
  set -e
  root=$1
  shift
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/dev/shm"
  exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    sh -c "cd /srv/culm && \"\$@\"" sh "$@"' bash "$run" "$@"
