#!/usr/bin/env bash
# One job of the checks; the same here and there. Jobs that .ci/run leaves out take long.
set -euo pipefail
cd "$(dirname "$0")/../.."

sources() { git ls-files '*.hpp' '*.cpp'; }

case "${1:-}" in
  format)
    sources | xargs clang-format --dry-run -Werror
    ;;
  tidy)
    tools/dev/setup.sh checks
    cmake --preset clang >/dev/null
    # Generated headers and links must be there before anything is read.
    git ls-files 'core/*.cpp' 'feed/*.cpp' 'store/*.cpp' 'replication/*.cpp' |
      xargs -P "$(nproc)" -n 4 clang-tidy -p build/clang --quiet --warnings-as-errors='*' 2>/dev/null
    ;;
  warnings)
    tools/dev/setup.sh checks
    # With -Werror by the presets; the test job sees to GCC's.
    cmake --preset clang >/dev/null
    cmake --build --preset clang
    ;;
  test)
    tools/dev/test.sh
    ;;
  clang)
    tools/dev/setup.sh checks
    CULM_PRESET=clang tools/dev/test.sh
    ;;
  asan)
    CULM_PRESET=asan tools/dev/test.sh
    ;;
  demo)
    tools/dev/demo.sh
    ;;
  million)
    cmake --preset release >/dev/null
    cmake --build --preset release --target culm_tool
    CULM=$PWD/build/release/tools/culm python3 -B tests/e2e/million.py
    ;;
  *)
    echo "usage: ci.sh format|tidy|warnings|test|clang|asan|demo|million" >&2
    exit 2
    ;;
esac
