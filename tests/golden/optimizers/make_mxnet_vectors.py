#!/usr/bin/env python3
"""Runs MXNet 1.9.1's own optimizers on the inputs of vectors.txt and rows.txt and writes
mxnet_1_9_1.txt and mxnet_1_9_1_rows.txt, in the same formats, and mxnet_1_9_1_norms.txt. Needs the wheel, so it is run by hand
and its results are committed:

  python3 -m venv V && V/bin/pip install numpy==1.23.5 mxnet==1.9.1
  V/bin/python make_mxnet_vectors.py

The updater is the one that MXNet's KVStore server runs: optimizer.get_updater(optimizer.create()).
Every case of f32 with finite numbers, and those of f16 with multi_precision, is run as one of the
1.9.1 dialect, which has MXNet's defaults. Of f64 there are none: MXNet passes its numbers as f32.
`assign` and `sum` are no optimizers of MXNet; what else is left out says is_mxnets.

mxnet_1_9_1_norms.txt has those whose updates need norms (NORMED), which MXNet makes in f32 and in an
order of its own: MXNet's values as `exact`, and as `bound` the sum of what the roundings of both
sides can amount to, by make_formula_vectors.py.

Of rows.txt: the f32 cases of the 1.9.1 dialect, of optimizers that MXNet has for rows; the others
it updates as a whole, rows that the gradient does not have too. Weight and gradient are row_sparse, and so the
updates lazy; the weight has all rows, as on MXNet's server. No case of adagrad has a weight decay,
which MXNet refuses there.
"""
import pathlib

import mxnet as mx
import numpy as np

from make_formula_vectors import Formulas, Number, U

HERE = pathlib.Path(__file__).resolve().parent
# MXNet's names, where ours is another: 2.x's.
NAMES = {"adagrad": {"epsilon": "eps"}, "groupadagrad": {"epsilon": "eps"},
         "rmsprop": {"rho": "gamma1", "momentum": "gamma2"}, "lars": {"epsilon": "eps"}}
FLAGS = ("multi_precision", "centered", "bias_correction")
NORMED = ("lamb", "lars")
BITS = {"f32": np.uint32, "f16": np.uint16}
FLOATS = {"f32": np.float32, "f16": np.float16}


def parse(hexes, dtype):
    return np.array([int(w, 16) for w in hexes], dtype=BITS[dtype]).view(FLOATS[dtype])


def words(array):
    bits = array.view(np.uint32 if array.dtype == np.float32 else np.uint16)
    return " ".join(f"{int(b):0{2 * array.dtype.itemsize}x}" for b in bits)


def cases(file_name):
    """Blocks of lines, each beginning with its `case` line."""
    block = []
    for line in (HERE / file_name).read_text().splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("case") and block:
            yield block
            block = []
        block.append(line)
    yield block


def all_finite(block):
    lines = [line.split() for line in block[1:]]
    return not any("nan" in line for line in lines) and all(
        np.isfinite(parse(line[2:], "f32")).all() for line in lines if line[0] == "sum")


def updater_of(optimizer, numbers):
    """MXNet's updater of key 0."""
    theirs = {NAMES.get(optimizer, {}).get(k, k): v for k, v in numbers.items()
              if k not in ("mxnet1", "lr_mult", "wd_mult")}
    for flag in FLAGS:
        if flag in theirs:
            theirs[flag] = theirs[flag] == 1.0
    created = mx.optimizer.create(optimizer, **theirs)
    created.set_lr_mult({0: numbers.get("lr_mult", 1.0)})
    created.set_wd_mult({0: numbers.get("wd_mult", 1.0)})
    return mx.optimizer.get_updater(created)


def is_mxnets(optimizer, numbers):
    """Whether 1.9.1 has the optimizer, and it works with these numbers."""
    # sgld: other noise
    if optimizer in ("assign", "sum", "fold", "adamw", "adabelief", "lans", "sgld"):
        return False
    if optimizer == "dcasgd" and numbers.get("momentum", 0.0) != 0:
        return False  # asks an array for its truth, and then asserts that there is no momentum
    if optimizer == "signum" and numbers.get("momentum", 0.9) == 0 and "wd_lh" in numbers:
        return False  # passes wd_lh to an operator that does not know it
    return True


def run(optimizer, dtype, numbers, block):
    """Lines of the case with MXNet's results."""
    yield " ".join(["case", optimizer, dtype] + [f"{k}={v!r}" for k, v in numbers.items()])
    update = updater_of(optimizer, numbers)
    weight = None
    for line in block[1:]:
        kind, number, *hexes = line.split()
        if kind == "sum":
            # MXNet's gradient has the weight's dtype.
            grad = parse(hexes, "f32").astype(FLOATS[dtype])
            yield f"sum {number} " + words(grad.astype(np.float32))
            update(0, mx.nd.array(grad, dtype=grad.dtype), weight)
            yield f"value {number} " + words(weight.asnumpy())
        elif number == "0":
            yield line
            weight = mx.nd.array(parse(hexes, dtype), dtype=FLOATS[dtype])


def bounded(optimizer, numbers, lines):
    """The lines of run(), with bounds of how far ours may be from MXNet's values."""
    numbers = {k: v for k, v in numbers.items()}
    for factor, of in (("lr_mult", "learning_rate"), ("wd_mult", "wd")):
        if factor in numbers:
            default = {"lamb": 0.001, "lars": 0.01}[optimizer] if of == "learning_rate" else 0.0
            numbers[of] = numbers.get(of, default) * numbers[factor]
    sides = None
    for line in lines:
        kind, number, *hexes = line.split()
        if kind == "value" and number != "0":
            yield f"exact {number} " + " ".join(f"{x:.9g}" for x in parse(hexes, "f32"))
            yield f"bound {number} " + " ".join(f"{x:.3g}" for x in sum(
                weight.error for _, weight in sides))
            continue
        yield line
        if kind == "value":
            start = Number(parse(hexes, "f32").astype(np.float64))
            sides = [(Formulas(optimizer, numbers, len(hexes), unit), start)
                     for unit in (2.0**-53, U)]
        elif kind == "sum":
            grad = Number(parse(hexes, "f32").astype(np.float64))
            sides = [(formulas, getattr(formulas, optimizer)(weight, grad))
                     for formulas, weight in sides]


STATES = {"sgd": ["momentum"], "adagrad": ["history"], "adam": ["mean", "var"], "ftrl": ["z", "n"],
          "groupadagrad": ["history"]}


def run_rows(optimizer, numbers, block):
    """As run, of a row-sparse value of f32."""
    update = updater_of(optimizer, numbers)
    for line in block:
        kind, number, *rest = line.split()
        if kind not in ("value", "state") or number == "0":
            yield line
        if kind == "shape":
            shape = (int(number), int(rest[0]))
        elif kind == "value" and number == "0":
            weight = mx.nd.array(parse(rest, "f32").reshape(shape)).tostype("row_sparse")
            assert len(weight.indices) == shape[0]
        elif kind == "rows":
            rows = [int(row) for row in rest]
        elif kind == "sum":
            grad = mx.nd.sparse.zeros("row_sparse", shape)
            if rows:
                data = parse(rest, "f32").reshape(len(rows), shape[1])
                grad = mx.nd.sparse.row_sparse_array((data, rows), shape=shape)
            update(0, grad, weight)
            yield f"value {number} " + words(weight.asnumpy().reshape(-1))
            state = update.states[0]
            tensors = state if isinstance(state, tuple) else (state,)
            for name, tensor in zip(STATES[optimizer], tensors):
                if tensor is not None:
                    assert tensor.stype == "row_sparse"
                    yield f"state {number} {name} " + words(tensor.asnumpy().reshape(-1))


def write(file_name, like, lines):
    head = f"# Made by make_mxnet_vectors.py with mxnet 1.9.1; format as {like}. Do not edit."
    (HERE / file_name).write_text("\n".join([head] + [line.rstrip() for line in lines]) + "\n")


def main():
    out = []
    normed = []
    made = set()
    for block in cases("vectors.txt"):
        _, optimizer, dtype, *parameters = block[0].split()
        numbers = {k: float(v) for k, v in (p.split("=") for p in parameters)}
        wanted = dtype == "f32" or (dtype == "f16" and numbers.get("multi_precision") == 1.0)
        if not is_mxnets(optimizer, numbers) or not wanted or not all_finite(block):
            continue
        if optimizer != "test":
            numbers["mxnet1"] = 1.0
        if (optimizer, dtype, tuple(sorted(numbers.items()))) in made:
            continue
        made.add((optimizer, dtype, tuple(sorted(numbers.items()))))
        lines = run(optimizer, dtype, numbers, block)
        if optimizer not in NORMED:
            out += lines
        elif dtype == "f32":
            normed += bounded(optimizer, numbers, lines)
    write("mxnet_1_9_1.txt", "vectors.txt", out)
    write("mxnet_1_9_1_norms.txt", "formulas.txt", normed)
    out = []
    for block in cases("rows.txt"):
        _, optimizer, dtype, *parameters = block[0].split()
        numbers = {k: float(v) for k, v in (p.split("=") for p in parameters)}
        if optimizer in STATES and dtype == "f32" and numbers.get("mxnet1") == 1.0:
            out += run_rows(optimizer, numbers, block)
    write("mxnet_1_9_1_rows.txt", "rows.txt", out)


if __name__ == "__main__":
    main()
