#!/usr/bin/env python3
"""Golden vectors of updates that know what each worker has seen (dcasgd with per_worker), made with
NumPy from the formulas of make_vectors.py: each update is by one worker's push.

  make_worker_vectors.py            writes workers.txt beside this script
  make_worker_vectors.py --check    makes it again and compares: exit 0 equal, 1 not, 77 no NumPy

Format: as vectors.txt, with, for each update N,
  worker N RANK           whose push it is; `sum N` is that
  state N NAME HEX...     a state tensor after it, expected; previous@RANK of every worker so far
"""
import pathlib
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

from make_row_vectors import Whole
from make_vectors import Narrow, SplitMix64, words
from numpy_updaters import Updater

HERE = pathlib.Path(__file__).resolve().parent
ELEMENTS = 21
# One that is far ahead, one that comes late, ranks of several digits, not in their order.
WORKERS = [2, 2, 0, 2, 10, 0, 2, 10, 10, 7, 0, 2]

FULL = {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "clip_gradient": 0.4, "lamda": 0.5}
CASES = [
    {},
    {"momentum": 0.9},
    FULL,
    dict(FULL, momentum=0.85),
    dict(FULL, momentum=0.85, lr_mult=0.5, wd_mult=3.0),
]
MXNET1_CASES = [dict(parameters, mxnet1=1.0) for parameters in CASES]
NARROW_CASES = [dict(parameters, multi_precision=flag)
                for parameters in (FULL, dict(FULL, momentum=0.85)) for flag in (0.0, 1.0)]


def case_lines(parameters, kind, dtype, random):
    """`kind`: Whole or Narrow. Computes in `dtype`."""
    parameters = dict(parameters, per_worker=1.0)
    yield " ".join(["case", "dcasgd", kind.name] + [f"{k}={v!r}" for k, v in parameters.items()])
    value = kind.rounded(random.array(dtype, ELEMENTS))
    yield "value 0 " + kind.words(value)
    master = value.copy()
    formulas = Updater("dcasgd", parameters, dtype)
    keeps_master = parameters.get("multi_precision", 0.0) == 1.0
    for n, worker in enumerate(WORKERS, start=1):
        s = random.array(dtype, ELEMENTS)
        formulas.worker = worker
        if keeps_master:
            master = formulas.update(master, s)
            value = kind.rounded(master)
        else:
            value = kind.rounded(formulas.update(value, kind.rounded(s)))
            formulas.state = [kind.rounded(tensor) for tensor in formulas.state]
            formulas.previous[worker] = kind.rounded(formulas.previous[worker])
        yield f"worker {n} {worker}"
        yield f"sum {n} " + words(s)
        yield f"value {n} " + kind.words(value)
        kept = dict(zip(formulas.state_names(), formulas.state))
        kept.update((f"previous@{rank}", formulas.previous[rank]) for rank in sorted(formulas.previous))
        for name, tensor in kept.items():
            yield f"state {n} {name} " + (words if keeps_master else kind.words)(tensor)


def all_lines():
    yield "# Made by make_worker_vectors.py, which describes the format. Do not edit."
    random = SplitMix64(20261130)
    for kind, dtype, cases in ((Whole("f32", np.float32), np.float32, CASES + MXNET1_CASES),
                               (Whole("f64", np.float64), np.float64, CASES),
                               (Narrow("f16"), np.float32, NARROW_CASES),
                               (Narrow("bf16"), np.float32, NARROW_CASES)):
        for parameters in cases:
            yield from case_lines(parameters, kind, dtype, random)


def main():
    path = HERE / "workers.txt"
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
