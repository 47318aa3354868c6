#!/usr/bin/env python3
"""Runs the same workloads on MXNet's KVStore and on ours, in turns, and prints the ratios.

    python3 -m venv V && V/bin/pip install numpy==1.23.5 mxnet==1.9.1
    bench/peers/compare.py --mxnet V/bin/python --kvbench build/release/bin/kvbench

One worker and one server (--size N: of each), one machine, TCP. In each repeat every workload runs on
a fresh cluster of either side, one right after the other, and who goes first changes. MXNet's figure
is the better one of push + pull and its fused pushpull. Medians [min-max] over the repeats.
"local" and "local device" have no cluster: four arrays of 100 MB in one process, summed and copied to
four, by local_bench, which lies beside kvbench, and on MXNet's stores of that name.
"""

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mxnet_worker.py")

# name: arguments of mxnet_worker.py, arguments of kvbench, which of its results, items per round
WORKLOADS = {
    "round": (["round", "sgd", "8"], ["round"], 0, 1),
    "round 2bit": (["round", "sgd", "8", "2bit"],
                   ["round", "--compression", "2bit,threshold=1"], 0, 1),
    "round resnet50": (["round", "sgd", "8", "resnet50"], ["round", "--model", "resnet50"], 0, 1),
    "round transformer": (["round", "sgd", "8", "transformer"],
                          ["round", "--model", "transformer"], 0, 1),
    "small none": (["small", "none", "3"], ["small"], 0, 10000),
    "small sgd": (["small", "sgd", "3"], ["small"], 1, 10000),
    "init": (["small", "none", "0"], ["init"], 0, 10000),
    "rowsparse 1e5": (["rowsparse", "sgd", "20", "100000"],
                      ["rowsparse", "--heights", "100000"], 0, 10000),
    "rowsparse 1e6": (["rowsparse", "sgd", "20", "1000000"],
                      ["rowsparse", "--heights", "1000000"], 0, 10000),
}
# Of one process: MXNet's store and ours.
LOCAL = {"local": ("local", "local"), "local device": ("device", "device")}
TIMEOUT_S = 120


def run_mxnet(python, arguments, size):
    """Scheduler, servers and workers; returns the workers' results. All of them have ended then."""
    environment = dict(os.environ, DMLC_NUM_WORKER=str(size), DMLC_NUM_SERVER=str(size),
                       DMLC_PS_ROOT_URI="127.0.0.1", DMLC_INTERFACE="lo", DMLC_NODE_HOST="127.0.0.1",
                       DMLC_PS_ROOT_PORT=str(random.randint(20000, 29999)))
    processes = []
    results = []
    try:
        for role in ["scheduler"] + ["server"] * size + ["worker"] * size:
            command = [WORKER, *arguments] if role == "worker" else ["-c", "import mxnet"]
            processes.append(subprocess.Popen(
                [python, *command], env=dict(environment, DMLC_ROLE=role), text=True,
                stdout=subprocess.PIPE if role == "worker" else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL))
        for worker in processes[-size:]:
            output, _ = worker.communicate(timeout=TIMEOUT_S)
            if worker.returncode != 0:
                raise RuntimeError(f"MXNet's worker ended with {worker.returncode}: {output}")
            results.append(json.loads(output.splitlines()[-1]))
        for process in processes:
            process.wait(timeout=TIMEOUT_S)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
    return results


def mxnet_rate(python, name, arguments, items, size):
    results = run_mxnet(python, arguments, size)
    if name == "init":
        return items / max(result["init_s"] for result in results)
    # A round lasts as long as its slowest worker's.
    kinds = [[max(each) for each in zip(*(result[kind] for result in results))]
             for kind in ("seconds", "fused")]
    return items / min(statistics.median(seconds) for seconds in kinds if seconds)


def kvbench_rate(program, arguments, index, size):
    """Items per second. Not pinned to cores, as MXNet's processes are not."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "results.json")
        subprocess.run([*program, *arguments, "--workers", str(size), "--servers", str(size),
                        "--no-pin", "--rest", "0", "--seconds", "1", "--repeats", "1", "--json",
                        path],
                       check=True, stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            return json.load(file)["results"][index]["store"]["operations_per_s"]["median"]


def one_process_rate(command):
    """Rounds per second of a program that prints the seconds of its rounds."""
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, timeout=TIMEOUT_S)
    result = json.loads(done.stdout.splitlines()[-1])
    return 1 / min(statistics.median(result[kind]) for kind in ("seconds", "fused"))


def spread(figures):
    digits = 2 if statistics.median(figures) < 100 else 0
    return (f"{statistics.median(figures):,.{digits}f} "
            f"[{min(figures):,.{digits}f}-{max(figures):,.{digits}f}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mxnet", required=True, help="a python that can import mxnet")
    parser.add_argument("--kvbench", required=True, type=shlex.split,
                        help="the program, and flags for all of its runs, as one word: 'kvbench --shards 1'")
    parser.add_argument("--size", type=int, default=1, help="workers, and servers")
    parser.add_argument("--repeats", type=int, default=3)
    names = [*WORKLOADS, *LOCAL]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = parser.parse_args()

    rates = {name: ([], []) for name in options.only}
    for repeat in range(options.repeats):
        for name in options.only:
            if name in LOCAL:
                store, ours = LOCAL[name]
                bench = os.path.join(os.path.dirname(options.kvbench[0]), "local_bench")
                theirs = [options.mxnet, WORKER, "local", "none", "15", store]
                sides = [lambda: rates[name][0].append(one_process_rate(theirs)),
                         lambda: rates[name][1].append(one_process_rate([bench, "--json", ours]))]
            else:
                arguments, ours, index, items = WORKLOADS[name]
                sides = [lambda: rates[name][0].append(
                             mxnet_rate(options.mxnet, name, arguments, items, options.size)),
                         lambda: rates[name][1].append(
                             kvbench_rate(options.kvbench, ours, index, options.size))]
            for side in sides if repeat % 2 == 0 else reversed(sides):
                side()
            print(f"{name}: MXNet {rates[name][0][-1]:,.2f}, kvstore {rates[name][1][-1]:,.2f}",
                  file=sys.stderr, flush=True)
    print("| workload, rounds or keys or rows per second | MXNet 1.9.1 | kvstore | ratio |")
    print("|---|---|---|---|")
    for name, (theirs, ours) in rates.items():
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(f"| {name} | {spread(theirs)} | {spread(ours)} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
