#!/usr/bin/env bash
# Sets up, builds and runs every test; the last lines are ctest's. Arguments go to ctest, so
# "test.sh -L unit" runs the quick ones. CULM_PRESET chooses another preset than dev.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/dev/setup.sh
preset=${CULM_PRESET:-dev}
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset"
ctest --preset "$preset" -j "$(nproc)" "$@"
