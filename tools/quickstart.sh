#!/usr/bin/env bash
# From a fresh Debian 12 to a trained model: installs what is missing, builds, and trains. No process
# stays behind.
#
#   tools/quickstart.sh [PROGRAM] [STORE] [OPTIONS...]
#
#   PROGRAM  digits (default): a classifier of handwritten digits, examples/digits
#            word_vectors: word embeddings in row-sparse tables, examples/word_vectors
#   STORE    dist_sync (default), dist_async: a scheduler, 2 servers and 2 workers
#            local: one process
#   OPTIONS  are handed on to the program, e.g. --epochs 5
set -euo pipefail
cd "$(dirname "$0")/.."

program=digits store=dist_sync
if [[ "${1:--}" != -* ]]; then program=$1; shift; fi
if [[ "${1:--}" != -* ]]; then store=$1; shift; fi
command=("build/release/bin/$program" --store "$store")
case "$program" in
  digits)
    command+=(--data examples/digits/data/digits.csv)
    # What the defaults reach; with options it may be another number.
    [[ $# -gt 0 ]] || command+=(--min-accuracy 96)
    ;;
  word_vectors) ;;
  *) echo "quickstart: digits or word_vectors expected, got '$program'" >&2; exit 2 ;;
esac

tools/install_packages.sh
echo "Building (the first time takes some minutes) ..."
mkdir -p build
log=build/quickstart-build.log
if ! { cmake --preset release && cmake --build --preset release \
         --target kvscheduler kvstored kvctl "$program"; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "quickstart: the build failed; the whole output is in $log" >&2
  exit 1
fi

logs=build/quickstart-logs
if [[ "$store" != local ]]; then
  rm -rf "$logs"
  command=(build/release/bin/kvctl run -n 2 -s 2 --log-dir "$logs" -- "${command[@]}")
fi
echo "${command[*]} $*"
"${command[@]}" "$@"

echo
[[ "$store" == local ]] || echo "Logs of every process:    $logs/"
echo "The program:              examples/$program/main.cc"
echo "What it is, how it works: README.md, docs/"
echo "All tests:                tools/run_tests.sh"
