#!/usr/bin/env bash
# Draws the timeline of examples/digits on 2 workers and 2 servers: runs it under the profiler, checks
# the trace, and draws its last rounds. Nothing stays behind but the picture.
#
#   tools/draw_digits_timeline.sh OUT.svg [BIN]
#
#   BIN  where the programs are, default build/release/bin
set -euo pipefail
out=$(realpath "$1")
cd "$(dirname "$0")/.."
bin=$(realpath "${2:-build/release/bin}")

work=$(mktemp -d)
pids=()
end() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap end EXIT

# Starts a daemon; `address` is what it says that it listens on. Its log goes to a file.
start_daemon() {
  exec {said}< <(exec "$bin/$1" "${@:2}" 2>>"$work/daemons.log")
  pids+=($!)
  read -r line <&"$said" || { cat "$work/daemons.log" >&2; return 1; }
  address=${line##* }
}

start_daemon kvscheduler --listen 127.0.0.1:0 --workers 2 --servers 2
export KVSTORE_SCHEDULER=$address
for server in 0 1; do
  start_daemon kvstored --listen 127.0.0.1:0 --shards 1 --rank "$server"
done
"$bin/kvctl" profile start
workers=()
for worker in 0 1; do
  KVSTORE_RANK=$worker KVSTORE_PROFILE="$work/digits.json" "$bin/digits" --store dist_sync \
    --data examples/digits/data/digits.csv --epochs 1 >"$work/worker$worker.log" 2>&1 &
  workers+=($!)
done
for pid in "${workers[@]}"; do wait "$pid"; done
"$bin/kvctl" profile stop
"$bin/kvctl" profile fetch -o "$work/merged.json" --add "$work/worker0_digits.json" \
  --add "$work/worker1_digits.json"
python3 -B tools/check_trace.py --whole "$work/merged.json"
python3 -B tools/draw_trace.py "$work/merged.json" "$out" --rounds 2 \
  --title "examples/digits, dist_sync: the last two rounds of 2 workers and 2 servers"
