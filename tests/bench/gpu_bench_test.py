"""bench/gpu/gpu_bench on the simulated GPU: it measures every sum, checks each, and prints JSON; without a GPU it says so.

    gpu_bench_test.py GPU_BENCH_OF_THE_SIMULATION [GPU_BENCH]
"""

import json
import os
import subprocess
import sys


def run(program, *arguments, **variables):
    return subprocess.run([program, *arguments], env={**os.environ, **variables}, capture_output=True, text=True,
                          timeout=300, check=False)


def main():
    simulated = run(sys.argv[1], "16", "1")
    assert simulated.returncode == 0, simulated
    report = json.loads(simulated.stdout)
    assert report["right"] is True and report["gpu"] == "simulated", report
    sums = [(each["dtype"], each["k"]) for each in report["sums"]]
    assert sums == [(dtype, k) for dtype in ("f32", "f16", "bf16") for k in range(2, 9)], sums
    # Not how fast: of one measurement on a busy machine nothing may be left after rounding.
    assert all(each["right"] for each in report["sums"]), report
    ways = [(each["way"], each["memory"]) for each in report["host"]]
    assert ways == [(way, memory) for way in ("D2H", "H2D") for memory in ("pinned", "pageable")], ways

    without = run(sys.argv[1], KVS_TEST_CUDA_DEVICES="0")
    assert without.returncode == 77 and "skipped" in json.loads(without.stdout), without
    assert run(sys.argv[1], "0").returncode == 2
    for real in sys.argv[2:]:  # on a machine that has a GPU tools/gpu_check.sh runs it
        if not os.path.exists("/dev/nvidiactl"):
            result = run(real)
            assert result.returncode == 77, result
            assert json.loads(result.stdout)["skipped"] == "no NVIDIA driver on this host", result
    print("gpu_bench: ok")


if __name__ == "__main__":
    main()
