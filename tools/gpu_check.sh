#!/usr/bin/env bash
# What there is to know about kvstore on the GPUs of this machine, in one command: builds the plugin with
# nvcc (fetched where there is none), runs its sums on the GPU to the bit, and measures them. Writes
# build/gpu_check/report.json and says of each step whether it is ok, failed, or skipped and why. Fails if
# a step failed; where there is no GPU, it does what needs none.
#
#   tools/gpu_check.sh [KIB]    the size of the arrays that are measured, 262144 if it is not given
set -uo pipefail
cd "$(dirname "$0")/.."

kib=${1:-262144}
[[ "$kib" =~ ^[0-9]+$ ]] || { echo "gpu_check.sh: a number of KiB expected, got '$kib'" >&2; exit 2; }
build=build/nvcc
out=build/gpu_check
plugin="$PWD/$build/lib/libkvstore_cuda.so"
mkdir -p "$out"
rm -f "$out"/*
: >"$out/steps.tsv"

note() {  # step, ok|failed|skipped, why
  printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$out/steps.tsv"
  printf '%-28s %s%s\n' "$1" "$2" "${3:+ ($3)}"
}
# Runs a step, with its output in a file of its own. 77: it says itself that it was skipped.
step() {  # name, command...
  local name=$1 log
  shift
  log="$out/${name// /_}.log"
  "$@" >"$log" 2>&1
  case $? in
    0) note "$name" ok "" ;;
    77) note "$name" skipped "see $log"; return 1 ;;
    *) note "$name" failed "see $log"; tail -n 20 "$log" >&2; return 1 ;;
  esac
}
skip() { note "$1" skipped "$2"; }

has_gpu=no
architecture=90-real
why_not="no NVIDIA driver on this host"
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv >"$out/nvidia-smi.csv" 2>&1
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -dc 0-9)
  if [[ -n "$capability" ]]; then
    has_gpu=yes
    architecture="$capability-real"
  else
    why_not="nvidia-smi names no GPU"
  fi
fi

if ! command -v nvcc >/dev/null && [[ ! -x /usr/local/cuda/bin/nvcc ]]; then
  step "fetch nvcc" tools/install_packages.sh --cuda
fi
built=no
if step "configure" cmake --preset nvcc -DKVS_CUDA_ARCHITECTURES="$architecture" &&
    step "build for $architecture" cmake --build --preset nvcc; then
  built=yes
fi
if [[ $built == yes ]]; then
  step "plugin" "$build/tests/cuda_plugin_test"
  step "sums on a simulated GPU" "$build/tests/gpu_sums_test"
else
  skip "plugin" "nothing was built"
  skip "sums on a simulated GPU" "nothing was built"
fi
if [[ $built == yes && $has_gpu == yes ]]; then
  step "sums on the GPU" env KVS_TEST_CUDA_PLUGIN="$plugin" "$build/tests/gpu_sums_test"
  if command -v compute-sanitizer >/dev/null; then
    step "compute-sanitizer" env KVS_TEST_CUDA_PLUGIN="$plugin" \
      compute-sanitizer --error-exitcode 1 "$build/tests/gpu_sums_test" "a plugin's sum has the scalar's bits - float"
  else
    skip "compute-sanitizer" "there is none on this host"
  fi
  step "roofline" sh -c "'$build/bin/gpu_bench' $kib >'$out/roofline.json'"
else
  [[ $built == yes ]] || why_not="nothing was built"
  for name in "sums on the GPU" "compute-sanitizer" "roofline"; do skip "$name" "$why_not"; done
fi
skip "stores on the GPU" "their tests name simulated GPUs"
skip "store nccl on GPUs" "its tests have a NCCL of their own"

python3 - "$out" <<'PYTHON'
import json
import pathlib
import sys

out = pathlib.Path(sys.argv[1])
steps = [dict(zip(("step", "result", "why"), line.split("\t"))) for line in (out / "steps.tsv").read_text().splitlines()]
roofline = out / "roofline.json"
report = {"steps": steps, "roofline": json.loads(roofline.read_text()) if roofline.exists() else None}
(out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
if report["roofline"]:
    print(f"copy {report['roofline']['copy_gb_s']} GB/s")
    for each in report["roofline"]["sums"]:
        print(f"{each['dtype']:>5} k={each['k']} {each['gb_s']:9.1f} GB/s  {100 * each['of_copy']:5.1f} % of copy")
    for each in report["roofline"]["host"]:
        print(f"{each['way']} {each['memory']:8} {each['gb_s']:8.2f} GB/s  {100 * each['of_pinned']:5.1f} % of pinned")
count = {name: sum(step["result"] == name for step in steps) for name in ("ok", "skipped", "failed")}
print(f"{count['ok']} steps ok, {count['skipped']} skipped, {count['failed']} failed; {out / 'report.json'}")
sys.exit(1 if count["failed"] else 0)
PYTHON
