#!/usr/bin/env bash
# Runs a command in a bare tree of a Debian release, over a fresh clone of what is committed:
#   tools/dev/bare.sh trixie tools/dev/demo.sh
# Only git is there besides the release's least. The tree is made once and kept, as are the packages
# that commands install; each run gets a copy of the tree that goes when it ends. Needs root, leave
# to make namespaces, and debootstrap; without them it says so and exits 77.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=${1:?which release: bookworm, trixie}
shift
if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null ||
  ! unshare --mount --pid --fork true 2>/dev/null; then
  echo "bare.sh: a tree of Debian $suite needs root, namespaces and debootstrap" \
    "(apt-get install debootstrap)" >&2
  exit 77
fi
[ -z "$(git status --porcelain)" ] || echo "bare.sh: what is not committed is left out" >&2

cache=${XDG_CACHE_HOME:-$HOME/.cache}/culm
tree=$cache/debian-$suite
run=$cache/run-$suite
packages=$cache/packages-$suite
mkdir -p "$cache" "$packages/partial"
exec 9>"$run.lock"
flock --nonblock 9 || { echo "bare.sh: another run is going on in $run" >&2; exit 1; }
remove() { rm -rf --one-file-system "$@"; }

# Packages come from where this machine takes its own, of that release.
sources=$(cat /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
sources=$(sed "s/\b$here\b/$suite/g; s/archive-keyring\.pgp/archive-keyring.gpg/" <<<"$sources")
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' <<<"$sources" | head -n 1)
if [ ! -e "$tree.ready" ]; then
  echo "bare.sh: making a tree of Debian $suite ..." >&2
  remove "$tree"
  debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$tree" \
    ${mirror:+"$mirror"} >"$tree.log" 2>&1 || { tail -n 20 "$tree.log" >&2; exit 1; }
  apt-config dump | grep -iE '^Acquire::(https?|ftp|Retries|ForceIPv)' \
    >"$tree/etc/apt/apt.conf.d/90host" || true
  [ ! -d /etc/apt/auth.conf.d ] || cp -r /etc/apt/auth.conf.d/. "$tree/etc/apt/auth.conf.d/"
  if grep -q "^Suites:.*\b$suite\b" <<<"$sources"; then
    echo "$sources" >"$tree/etc/apt/sources.list.d/debian.sources"
    : >"$tree/etc/apt/sources.list"
  fi
  touch "$tree.ready"
fi

remove "$run"
mkdir "$run"
child=
trap '[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true; wait; remove "$run"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp -a "$tree/." "$run"
cp /etc/resolv.conf "$run/etc/resolv.conf"
git clone --quiet . "$run/srv/culm"
vectors=${CULM_SHARED_VECTORS:-../shared/vectors}
[ ! -d "$vectors" ] || { mkdir -p "$run/srv/shared" && cp -r "$vectors" "$run/srv/shared/vectors"; }

# In namespaces of its own: nothing stays mounted and no process is left, whatever happens.
unshare --mount --pid --fork --kill-child bash -c '
  set -e
  root=$1
  packages=$2
  shift 2
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/dev/shm"
  mount --bind "$packages" "$root/var/cache/apt/archives"
  exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    sh -c "cd /srv/culm && \"\$@\"" sh "$@"' bash "$run" "$packages" "$@" &
child=$!
wait "$child"
