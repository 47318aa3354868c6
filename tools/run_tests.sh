#!/usr/bin/env bash
# Installs what is missing, builds everything, runs all tests. Ends with ctest's counts and fails if
# a test fails.
#
#   tools/run_tests.sh           what CI runs
#   tools/run_tests.sh --full    the long forms (more repeats)
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  "") ;;
  --full) export KVS_TEST_FULL=1 ;;
  *) echo "run_tests.sh: --full or nothing expected, got '$1'" >&2; exit 2 ;;
esac

tools/install_packages.sh
cmake --preset release
cmake --build --preset release
ctest --preset release --parallel "$(nproc)" --output-junit "$PWD/build/release/junit.xml"
