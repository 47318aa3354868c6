#!/usr/bin/env python3
"""Golden vectors of the lazy updates of row-sparse values, made with NumPy from the formulas of
make_vectors.py: a round updates the rows that its sum has, and their state, and no others. Those of
lamb and lans, and others with lazy_update = 0, update all rows. Norms are those of the whole value.

  make_row_vectors.py            writes rows.txt beside this script
  make_row_vectors.py --check    makes it again and compares: exit 0 equal, 1 not, 77 no NumPy

Format: as vectors.txt, with, in each case,
  shape HEIGHT WIDTH      of the value
  rows N ROW...           which rows the sum of round N has; `sum N` are theirs, one after the other
  state N NAME HEX...     a state tensor after round N, as large as the value, or, of groupadagrad, as
                          high, expected
"""
import pathlib
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

from make_vectors import IN_1_9_1, NORM_NUMBERS, OWN_NUMBERS, Narrow, SplitMix64, words
from numpy_updaters import Updater

HERE = pathlib.Path(__file__).resolve().parent
HEIGHT, WIDTH = 7, 5
# Rows that come back, rows of their own, one of all rows, two without any; row 6 comes late.
ROUNDS = [[1, 3, 4], [3], [], [0, 1, 2, 3, 4, 5, 6], [0, 2], [], [2, 3, 6]]

FULL = {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "clip_gradient": 0.4}
CASES = [
    ("sum", {}),
    ("test", {"rescale_grad": 0.3}),
    ("sgd", FULL),
    ("sgd", {"momentum": 0.9}),
    ("sgd", dict(FULL, momentum=0.85)),
    ("sgd", dict(FULL, momentum=0.85, lr_mult=0.5, wd_mult=3.0)),
    ("adagrad", {}),
    ("adagrad", FULL),
    ("adam", {}),
    ("adam", dict(FULL, beta1=0.8, beta2=0.99, epsilon=1e-4)),
    ("ftrl", {}),
    ("ftrl", dict(FULL, lamda1=0.05, beta=0.5)),
]
# MXNet refuses weight decay for a row-sparse adagrad.
NO_DECAY = {k: v for k, v in FULL.items() if k != "wd"}
MXNET1_CASES = [(optimizer, dict(parameters, mxnet1=1.0)) for optimizer, parameters in (
    ("sgd", {}),
    ("sgd", FULL),
    ("sgd", {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", dict(FULL, momentum=0.85)),
    ("sgd", dict(FULL, momentum=0.85, lr_mult=0.5, wd_mult=3.0)),
    ("sgd", {"momentum": 0.85, "learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7}),
    ("adagrad", {}),
    ("adagrad", NO_DECAY),
    ("adam", {}),
    ("adam", {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "lr_mult": 0.5,
              "wd_mult": 3.0}),
    ("adam", FULL),
    ("ftrl", {}),
    ("ftrl", FULL),
)]
GROUP = {"learning_rate": 0.3, "rescale_grad": 0.7}
GROUP_CASES = [
    ("groupadagrad", dict(GROUP, clip_gradient=0.4)),
    ("groupadagrad", {}),
    ("groupadagrad", dict(GROUP, epsilon=1e-3, lr_mult=0.5)),
]
# The others: all their variants in f32, and one of each in the other dtypes.
OTHERS = [(optimizer, dict(own, **FULL)) for optimizer, own in OWN_NUMBERS] + GROUP_CASES
OTHERS_MXNET1 = [(optimizer, dict(parameters, mxnet1=1.0)) for optimizer, parameters in OTHERS
                 if optimizer in IN_1_9_1 + ["groupadagrad"]]
OTHERS_ONCE = list({optimizer: (optimizer, parameters)
                    for optimizer, parameters in reversed(OTHERS)}.values())
NARROW_CASES = [("sum", {})] + [
    (optimizer, dict(parameters, multi_precision=flag))
    for optimizer, parameters in (("sgd", dict(FULL, momentum=0.85)), ("adagrad", FULL),
                                  ("adam", FULL),
                                  ("ftrl", FULL), *OTHERS_ONCE)
    for flag in (0.0, 1.0)]
# Of norms of the whole value; with random numbers of their own, which leave the others theirs.
NORMS = [(optimizer, dict(own, **FULL)) for optimizer, own in NORM_NUMBERS]
NORMS_MXNET1 = [(optimizer, dict(parameters, mxnet1=1.0)) for optimizer, parameters in NORMS
                if optimizer == "lars"]
ALL_ROWS = [(optimizer, dict(parameters, lazy_update=0.0)) for optimizer, parameters in (
    ("sgd", dict(FULL, momentum=0.85)), ("adam", FULL), *NORMS) if optimizer not in ("lamb", "lans")]
NARROW_NORMS = [(optimizer, dict(parameters, multi_precision=flag))
                for optimizer, parameters in NORMS[::2] for flag in (0.0, 1.0)]
WIDE = ("lamb", "lans")  # whose state is f32 beside f16 and bf16


class Whole:
    """f32 or f64: a value is what it is computed in."""

    def __init__(self, name, dtype):
        self.name, self.dtype, self.words = name, dtype, words

    def rounded(self, x):
        return x


def case_lines(optimizer, parameters, kind, dtype, random):
    """`kind`: Whole or Narrow. Computes in `dtype`."""
    yield " ".join(["case", optimizer, kind.name] + [f"{k}={v!r}" for k, v in parameters.items()])
    yield f"shape {HEIGHT} {WIDTH}"
    numbers = lambda rows: random.array(dtype, rows * WIDTH).reshape(rows, WIDTH)
    value = kind.rounded(numbers(HEIGHT))
    yield "value 0 " + kind.words(value.reshape(-1))
    formulas = Updater(optimizer, parameters, dtype)
    names = formulas.state_names()
    state = {name: np.zeros((HEIGHT, 1 if formulas.one_per_row() else WIDTH), dtype)
             for name in names}
    keeps_master = parameters.get("multi_precision", 0.0) == 1.0
    wide = keeps_master or optimizer in WIDE
    master = value.copy()
    for n, rows in enumerate(ROUNDS, start=1):
        s = numbers(len(rows))
        seen = s if keeps_master else kind.rounded(s)
        whole = np.zeros((HEIGHT, WIDTH), dtype)
        whole[rows] = seen
        updated = rows
        if optimizer in WIDE or parameters.get("lazy_update", 1.0) == 0.0:
            updated, seen = list(range(HEIGHT)), whole
        formulas.state = [state[name][updated] for name in names]
        formulas.places = np.array([[row * WIDTH + i for i in range(WIDTH)] for row in updated])
        formulas.whole = (master.copy() if keeps_master else value.copy(), whole)
        if keeps_master:
            master[updated] = formulas.update(master[updated], seen)
            value[updated] = kind.rounded(master[updated])
        else:
            value[updated] = kind.rounded(formulas.update(value[updated], seen))
        for name, kept in zip(names, formulas.state):
            state[name][updated] = kept if wide else kind.rounded(kept)
        yield f"rows {n} " + " ".join(map(str, rows))
        yield f"sum {n} " + words(s.reshape(-1))
        yield f"value {n} " + kind.words(value.reshape(-1))
        for name in names:
            yield f"state {n} {name} " + (words if wide else kind.words)(
                state[name].reshape(-1))


def all_lines():
    yield "# Made by make_row_vectors.py, which describes the format. Do not edit."
    random = SplitMix64(20261125)
    for kind, dtype, cases in ((Whole("f32", np.float32), np.float32, CASES + MXNET1_CASES + OTHERS + OTHERS_MXNET1),
                               (Whole("f64", np.float64), np.float64, CASES + OTHERS_ONCE),
                               (Narrow("f16"), np.float32, NARROW_CASES),
                               (Narrow("bf16"), np.float32, NARROW_CASES)):
        for optimizer, parameters in cases:
            yield from case_lines(optimizer, parameters, kind, dtype, random)
    random = SplitMix64(20261130)
    for kind, dtype, cases in ((Whole("f32", np.float32), np.float32, NORMS + NORMS_MXNET1 + ALL_ROWS),
                               (Whole("f64", np.float64), np.float64, NORMS),
                               (Narrow("f16"), np.float32, NARROW_NORMS),
                               (Narrow("bf16"), np.float32, NARROW_NORMS)):
        for optimizer, parameters in cases:
            yield from case_lines(optimizer, parameters, kind, dtype, random)


def main():
    path = HERE / "rows.txt"
    lines = list(all_lines())
    if sys.argv[1:] == ["--check"]:
        equal = path.read_text().splitlines() == [line.rstrip() for line in lines]
        print(f"{path.name}: {'agrees' if equal else 'differs'}")
        sys.exit(0 if equal else 1)
    if sys.argv[1:]:
        sys.exit(f"no argument or --check expected, got {sys.argv[1:]}")
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


if __name__ == "__main__":
    main()
