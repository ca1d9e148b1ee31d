#!/usr/bin/env bash
# One job of the checks: format, tidy, test, clang, asan, demo, million. The same here and there.
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
    echo "usage: ci.sh format|tidy|test|clang|asan|demo|million" >&2
    exit 2
    ;;
esac
