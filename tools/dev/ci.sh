#!/usr/bin/env bash
# One job of the checks; the same here and there. Jobs that .ci/run leaves out take long.
#   tools/dev/ci.sh JOB             here
#   tools/dev/ci.sh debian13 [JOB]  the job, "test" unless said otherwise, in a bare tree of Debian 13
set -euo pipefail
cd "$(dirname "$0")/../.."

sources() { git ls-files '*.hpp' '*.cpp'; }

case "${1:-}" in
  format)
    tools/dev/setup.sh checks
    sources | xargs clang-format --dry-run -Werror
    ;;
  tidy)
    tools/dev/setup.sh checks
    # A large library as one source: what its sources share, most of the work, is read once.
    cmake --preset clang -B build/tidy -DCULM_UNITY_BUILD=ON -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
      >/dev/null
    sed -n 's/^ *"file": "\(.*\)",\?$/\1/p' build/tidy/compile_commands.json |
      grep -E "^$PWD/(build/tidy/)?(core|feed|store|replication)/" | grep -v /alone/ |
      xargs -P "$(nproc)" -n 1 clang-tidy -p build/tidy --quiet --warnings-as-errors='*' 2>/dev/null
    ;;
  warnings)
    tools/dev/setup.sh checks
    # Source by source, as errors by the preset; the test job meets GCC's. clang-tidy reads without
    # compiling, which takes half the time; one check is the least that it accepts.
    cmake --preset clang -B build/warnings >/dev/null
    ninja -C build/warnings -t targets all | sed -n 's/\.pch: CXX.*/.pch/p' |
      xargs cmake --build build/warnings --target
    git ls-files '*.cpp' | xargs -P "$(nproc)" -n 4 clang-tidy -p build/warnings --quiet \
      --checks='-*,bugprone-argument-comment' --warnings-as-errors='*' 2>/dev/null
    ;;
  test)
    tools/dev/test.sh
    ;;
  clang)
    tools/dev/setup.sh checks
    CULM_PRESET=clang tools/dev/test.sh
    ;;
  asan | tsan)
    CULM_PRESET=$1 tools/dev/test.sh
    ;;
  demo)
    tools/dev/demo.sh
    culm=${CULM:-build/release/tools/culm}
    verbs=$("$culm" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
    [ "$(wc -w <<<"$verbs")" -ge 17 ] || { echo "ci.sh: only these verbs: $verbs" >&2; exit 1; }
    for verb in $verbs; do "$culm" "$verb" --help >/dev/null; done
    ;;
  debian12)
    tools/dev/bare.sh bookworm tools/dev/ci.sh "${2:-test}"
    ;;
  debian13)
    tools/dev/bare.sh trixie tools/dev/ci.sh "${2:-test}"
    ;;
  buildtime)
    tools/dev/setup.sh
    python3 -B tools/dev/buildtime.py "${@:2}"
    ;;
  sim)
    tools/dev/setup.sh
    cmake --preset dev >/dev/null
    cmake --build --preset dev --target culm_sim
    [ $# -gt 1 ] || set -- sim --seconds 60
    build/dev/tests/simulation/culm_sim "${@:2}"
    ;;
  bugs)
    tools/dev/setup.sh
    python3 -B tests/simulation/bugs/find.py "${@:2}"
    ;;
  attacks)
    tools/dev/setup.sh
    cmake --preset dev >/dev/null
    cmake --build --preset dev --target culm_tool culm_attack
    CULM_ATTACK=long CULM=$PWD/build/dev/tools/culm \
      CULM_ATTACK_PROGRAM=$PWD/build/dev/tests/attacks/culm_attack \
      python3 -B tests/e2e/attack_scenario.py
    ;;
  million)
    cmake --preset release >/dev/null
    cmake --build --preset release --target culm_tool
    CULM=$PWD/build/release/tools/culm python3 -B tests/e2e/million.py
    ;;
  *)
    echo "usage: ci.sh format|tidy|warnings|test|clang|asan|tsan|demo|sim|bugs|attacks|million|buildtime|debian12|debian13" >&2
    exit 2
    ;;
esac
