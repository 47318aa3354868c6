"""Runs kvbench for a moment and looks at what it says: exit codes, table, JSON.

    kvbench_smoke.py KVBENCH STORE [ADDING_SERVER]

ADDING_SERVER: a server program that adds to a value what should replace it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile


def run(program, *flags):
    return subprocess.run([program, *flags], capture_output=True, text=True, timeout=100)


def expect(condition, what, result):
    if condition:
        return
    print(f"expected: {what}\nexit code {result.returncode}\n{result.stdout}\n{result.stderr}")
    sys.exit(1)


def check_results(results, store):
    # 3 x 2 sizes, then one line each; small is measured with two optimizers.
    names = [each["workload"] for each in results]
    expected = ["push"] * 2 + ["pull"] * 2 + ["pushpull"] * 2 + ["latency", "round", "async",
                                                                 "small", "small", "init", "rowsparse"]
    if store == "local":
        expected.remove("async")
    assert names == expected, names
    assert [each["optimizer"] for each in results if each["workload"] == "small"] == ["assign",
                                                                                      "sgd"]
    for each in results:
        sides = {"none": ["tcp"], "local": ["store"]}.get(store, ["store", "tcp"])
        for side in ("store", "tcp"):
            assert (each[side] is not None) == (side in sides), (each["workload"], side)
        for side in sides:
            speed = each[side]["gb_per_s"]
            assert 0 < speed["min"] <= speed["median"] <= speed["max"], speed
            assert len(speed["samples"]) == 2, speed
            if each["workload"] == "latency":
                assert 0 < each[side]["p50_us"]["median"] <= each[side]["p99_us"]["median"]
        assert each["memcpy_gb_per_s"]["median"] > 0
        if store == "dist_sync":
            assert each["store"]["server_cpu_s_per_gb"]["median"] >= 0
            # A copy where the value is received, and nothing else but headers and the test's pulls.
            copies = [each[f"{side}_bytes_copied_per_byte"] for side in ("worker", "server")]
            assert all(0 < ratio < 3 for ratio in copies), (each["workload"], copies)
            if each["workload"] == "rowsparse":  # rows are gathered on both sides, scattered by pulls
                assert copies[0] > 0.9 and copies[1] > 0.4, copies
            workers = 2 if each["workload"] in ("round", "async", "small", "rowsparse") else 1
            assert (each["workers"], each["servers"]) == (workers, 2), each


def check_whole_run(program, store, folder):
    path = os.path.join(folder, "results.json")
    result = run(program, "all", "--store", store, "--workers", "2", "--servers", "2",
                 "--sizes", "4k,1028k", "--keys", "3", "--model-bytes", "3m",
                 "--rows", "100", "--heights", "1000",
                 "--seconds", "0.05", "--repeats", "2", "--memcpy-bytes", "1m", "--json", path)
    expect(result.returncode == 0, "exit code 0", result)
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    memory = 1 if store.startswith("dist") else 0  # of the servers of a round
    expect(result.stdout.count("\n") == 5 + memory + len(document["results"]),
           "4 lines of header, a line per case, another one of latency and of memory", result)
    assert document["options"]["store"] == store, document["options"]
    check_results(document["results"], store)


def check_dtypes(program, store, folder):
    path = os.path.join(folder, "dtypes.json")
    for dtype in ("f64", "f16", "bf16", "u8", "i8", "i32", "i64", "bool"):
        workloads = ["push", "pushpull"] + (["round"] if dtype != "bool" else [])
        result = run(program, *workloads, "--store", store, "--dtype", dtype, "--sizes", "1028k",
                     "--keys", "3", "--model-bytes", "3m", "--seconds", "0.02", "--repeats", "1", "--rest", "0",
                     "--memcpy-bytes", "1m", "--json", path)
        expect(result.returncode == 0, f"exit code 0 with --dtype {dtype}", result)
        with open(path, encoding="utf-8") as file:
            results = json.load(file)["results"]
        assert [each["dtype"] for each in results] == [dtype] * len(workloads), results
        if dtype != "bool":
            optimizer = "sgd" if "f" in dtype else "sum"
            assert results[-1]["optimizer"] == optimizer, results[-1]


def check_refusals(program):
    for flags, words in (
            (["swim"], "swim"),
            (["--sizes", "6"], "multiples of 4 bytes expected (f32), got 6"),
            (["round", "--dtype", "bool"], "got round, which sums numbers"),
            (["async", "--store", "local"], "a dist store expected, got --store local"),
            (["push", "--scheduler", "h:1", "--workers", "2"], "a workload of all workers expected, push has one"),
    ):
        result = run(program, *flags)
        expect(result.returncode == 2, f"exit code 2 of {flags}", result)
        expect(words in result.stdout + result.stderr, words, result)
    result = run(program, "push", "--store", "paper", "--memcpy-bytes", "1m")
    expect(result.returncode == 3 and "paper" in result.stderr, "the unknown store named", result)


def check_wrong_values(program, server):
    """Servers that keep other values than they are told end the run with exit code 1."""
    kvctl = os.path.join(os.path.dirname(program), "kvctl")
    result = run(kvctl, "run", "--server-program", server, "--", "sh", "-c",
                 f"'{program}' pull --scheduler $KVSTORE_SCHEDULER --sizes 4k --keys 3 --seconds 0.02 "
                 "--repeats 2 --memcpy-bytes 1m; echo exit code $?")
    expect("] exit code 1\n" in result.stdout, "exit code 1", result)
    # The second repeat's number, 2, added to the first one's.
    expect("key 0: element 0 of 1024: 2 expected, got 3" in result.stderr, "what is wrong", result)


def processes_of_session(session):
    """What runs in the session: kvbench's children have process groups of their own."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii") as file:
                # "pid (name) state parent group session ...": the name may hold anything.
                state, _, _, of = file.read().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(of) == session and state != "Z":
            found.append(int(entry))
    return found


def check_interrupt(program, store, folder):
    environment = dict(os.environ, TMPDIR=folder)
    process = subprocess.Popen(
        [program, "push", "--store", store, "--sizes", "4k", "--seconds", "0.05", "--repeats",
         "1000", "--memcpy-bytes", "1m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True)
    process.stdout.readline()  # the header: it is about to start
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3 and "interrupted" in errors, (process.returncode, errors)
    left = processes_of_session(process.pid)
    assert left == [], f"processes left behind: {left}"
    assert os.listdir(folder) == [], os.listdir(folder)


def main():
    program, store, *adding_server = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        check_whole_run(program, store, folder)
        if store == "dist_sync":
            check_dtypes(program, store, folder)
            check_wrong_values(program, *adding_server)
    if store == "local":
        check_refusals(program)
    with tempfile.TemporaryDirectory() as folder:
        check_interrupt(program, store, folder)
    print(f"kvbench with store {store}: as expected")


if __name__ == "__main__":
    main()
