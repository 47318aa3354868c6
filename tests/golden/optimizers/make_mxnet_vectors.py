#!/usr/bin/env python3
"""Runs MXNet 1.9.1's own optimizers on the inputs of vectors.txt and writes mxnet_1_9_1.txt, in the
same format. Needs the wheel, so it is run by hand and its result is committed:

  python3 -m venv V && V/bin/pip install numpy==1.23.5 mxnet==1.9.1
  V/bin/python make_mxnet_vectors.py

The updater is the one that MXNet's KVStore server runs: optimizer.get_updater(optimizer.create()).
Only f32 (MXNet passes its numbers as f32 to f64 arrays too). `assign` and `sum` are no optimizers
of MXNet, and cases with numbers that are not finite are left out.
"""
import pathlib

import mxnet as mx
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def parse(line_words):
    return np.array([int(w, 16) for w in line_words], dtype=np.uint32).view(np.float32)


def words(array):
    return " ".join(f"{int(b):08x}" for b in array.view(np.uint32))


def cases():
    """Blocks of lines, each beginning with its `case` line."""
    block = []
    for line in (HERE / "vectors.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("case") and block:
            yield block
            block = []
        block.append(line)
    yield block


def main():
    out = ["# Made by make_mxnet_vectors.py with mxnet 1.9.1; format as vectors.txt. Do not edit."]
    for block in cases():
        _, rule, dtype, *parameters = block[0].split()
        finite = all("nan" not in line and np.isfinite(parse(line.split()[2:])).all()
                     for line in block[1:]) if dtype == "f32" and rule != "fold" else False
        if rule not in ("test", "sgd") or not finite:
            continue
        numbers = {k: float(v) for k, v in (p.split("=") for p in parameters)}
        if rule == "sgd":
            numbers.setdefault("learning_rate", 0.1)  # 2.x's default, ours; 1.9.1 has 0.01
        update = mx.optimizer.get_updater(mx.optimizer.create(rule, **numbers))
        out.append(block[0])
        weight = None
        for line in block[1:]:
            kind, number, *hexes = line.split()
            if kind == "sum":
                out.append(line)
                update(0, mx.nd.array(parse(hexes), dtype=np.float32), weight)
                out.append(f"value {number} " + words(weight.asnumpy()))
            elif number == "0":
                out.append(line)
                weight = mx.nd.array(parse(hexes), dtype=np.float32)
    (HERE / "mxnet_1_9_1.txt").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
