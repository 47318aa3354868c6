#!/usr/bin/env bash
# From a fresh Debian 12 to a trained model: installs what is missing, builds, and runs a cluster of
# two workers and two servers that learns the handwritten digits. No process stays behind.
#
# Options are handed on to the training program (examples/digits), e.g. --epochs 5.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install_packages.sh
echo "Building (the first time takes some minutes) ..."
mkdir -p build
log=build/quickstart-build.log
if ! { cmake --preset release && cmake --build --preset release \
         --target kvscheduler kvstored kvctl digits; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "quickstart: the build failed; the whole output is in $log" >&2
  exit 1
fi

bin=build/release/bin
logs=build/quickstart-logs
rm -rf "$logs"
echo "Training on the UCI handwritten digits with 2 workers and 2 servers:"
echo "  kvctl run -n 2 -s 2 -- digits --store dist_sync"
"$bin/kvctl" run -n 2 -s 2 --log-dir "$logs" -- \
  "$bin/digits" --store dist_sync --data examples/digits/data/digits.csv --min-accuracy 96 "$@"

echo
echo "Logs of every process:    $logs/"
echo "The program:              examples/digits/main.cc"
echo "What it is, how it works: README.md, docs/"
echo "All tests:                tools/run_tests.sh"
