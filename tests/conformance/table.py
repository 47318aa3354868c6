"""Runs the conformance tests and prints which sentence was tried on which store, and how it went.

    table.py FOLDER     of the test executables, as build/release/tests

A row for each sentence, a column for each store: `.` it holds, `X` it does not, blank: it is not
about that store. Exit code 1 if a test failed.
"""

import collections
import os
import pathlib
import subprocess
import sys
import tempfile


def run(executable):
    """The exit code, and {(sentence, store): whether it holds}."""
    with tempfile.NamedTemporaryFile(mode="r") as table:
        code = subprocess.run([str(executable)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False,
                              env={**os.environ, "KVS_TEST_TABLE": table.name}).returncode
        held = {}
        for line in table:
            sentence, store, outcome = line.rstrip("\n").split("\t")
            key = (sentence, store)
            held[key] = held.get(key, True) and outcome == "ok"
    return code, held


def show(title, held):
    stores = sorted({store for _, store in held})
    sentences = sorted({sentence for sentence, _ in held})
    print(f"{title}: {len(sentences)} sentences x {len(stores)} stores, {len(held)} tried, "
          f"{sum(not good for good in held.values())} failed")
    for number, store in enumerate(stores):
        print(f"  {chr(ord('a') + number)}  {store}")
    for sentence in sentences:
        marks = "".join({None: " ", True: ".", False: "X"}[held.get((sentence, store))]
                        for store in stores)
        print(f"  {marks}  {sentence}")


def main():
    folder = pathlib.Path(sys.argv[1])
    failed = []
    by_carrier = collections.defaultdict(dict)
    executables = sorted(folder.glob("*_conformance_test")) + sorted(
        folder.glob("*_conformance_grpc_test"))
    if not executables:
        sys.exit(f"{folder}: *_conformance_test expected, there is none")
    for executable in executables:
        carrier = "over gRPC" if "grpc" in executable.name else "over the in-process transport"
        code, held = run(executable)
        by_carrier[carrier].update(held)
        if code != 0:
            failed.append(executable.name)
    for carrier, held in by_carrier.items():
        show(carrier, held)
    if failed:
        print("failed: " + ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
