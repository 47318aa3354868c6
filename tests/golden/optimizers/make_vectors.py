#!/usr/bin/env python3
"""Golden vectors of the updaters and of the left fold, made with NumPy.

NumPy rounds each single operation of an array expression to the array's dtype, so writing the
formulas of docs/optimizers.md one operation at a time (numpy_updaters.py) gives the exact bits that
our kernels must give. No tolerance is involved. f16 and bf16 are computed in f32 and rounded: f16 by NumPy, bf16,
which NumPy does not have, by its definition as the upper half of an f32.

  make_vectors.py            writes vectors.txt beside this script
  make_vectors.py --check    makes them again and compares with vectors.txt: exit 0 equal, 1 not,
                             77 when NumPy is not there

Format of vectors.txt, a text file of lines of words:
  case OPTIMIZER DTYPE [PARAMETER=VALUE]...   begins a case; lr_mult and wd_mult are the key's
  value 0 HEX...                         the value before the first round
  sum N HEX...                           the sum of round N, input; of f16 and bf16 in f32
  value N HEX...                         the value after round N, expected
  x N HEX...                             OPTIMIZER fold: array N, input
  fold HEX...                            OPTIMIZER fold: the sum, expected
HEX is an element's bits. Any NaN stands for every NaN.
"""
import difflib
import pathlib
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

from numpy_updaters import Updater

HERE = pathlib.Path(__file__).resolve().parent
ELEMENTS = 23  # prime, and more than the widest vector of floats
ROUNDS = 3
LONG = 60  # rounds, of few elements

# (optimizer, parameters)
CASES = [
    ("assign", {}),
    ("sum", {}),
    ("test", {}),
    ("test", {"rescale_grad": 2.0}),
    ("test", {"rescale_grad": 0.3}),
    ("sgd", {}),
    ("sgd", {"learning_rate": 0.01}),
    ("sgd", {"learning_rate": 0.0}),
    ("sgd", {"rescale_grad": 0.0078125}),
    ("sgd", {"learning_rate": 0.05, "wd": 0.01}),
    ("sgd", {"learning_rate": 0.05, "clip_gradient": 0.5}),
    ("sgd", {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "clip_gradient": 0.4}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "learning_rate": 0.05, "clip_gradient": 0.5}),
    ("sgd", {"momentum": 0.85, "learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7,
             "clip_gradient": 0.4}),
    ("sgd", {"mxnet1": 1.0}),
    ("sgd", {"mxnet1": 1.0, "learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7,
             "clip_gradient": 0.4}),
    ("sgd", {"mxnet1": 1.0, "learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7}),
    ("sgd", {"mxnet1": 1.0, "momentum": 0.85, "learning_rate": 0.3, "wd": 0.01,
             "rescale_grad": 0.7}),
    ("sgd", {"mxnet1": 1.0, "momentum": 0.85, "learning_rate": 0.3, "wd": 0.01,
             "rescale_grad": 0.7, "clip_gradient": 0.4}),
    ("sgd", {"learning_rate": 0.3, "wd": 0.01, "lr_mult": 0.5, "wd_mult": 3.0}),
    ("adagrad", {}),
    ("adagrad", {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "clip_gradient": 0.4,
                 "epsilon": 1e-5}),
    ("adagrad", {"mxnet1": 1.0}),
    ("adagrad", {"mxnet1": 1.0, "learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7,
                 "clip_gradient": 0.4}),
    ("adam", {}),
    ("adam", {"learning_rate": 0.1, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-4, "wd": 0.01,
              "rescale_grad": 0.7, "clip_gradient": 0.4}),
    ("adam", {"mxnet1": 1.0, "learning_rate": 0.1, "wd": 0.01, "rescale_grad": 0.7,
              "clip_gradient": 0.4}),
    ("adam", {"lr_mult": 0.5, "wd": 0.01, "wd_mult": 3.0}),
    ("ftrl", {}),
    ("ftrl", {"learning_rate": 0.3, "lamda1": 0.05, "beta": 0.5, "wd": 0.01, "rescale_grad": 0.7,
              "clip_gradient": 0.4}),
    ("ftrl", {"lamda1": 0.0, "lr_mult": 0.5, "wd": 0.01, "wd_mult": 3.0}),
]

# For every other optimizer: its own numbers, to which those below are added.
FULL = {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "clip_gradient": 0.4}
UNCLIPPED = {k: v for k, v in FULL.items() if k != "clip_gradient"}
BETAS = {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-4}
OWN_NUMBERS = [
    ("nag", {"momentum": 0.85}),
    ("nag", {"momentum": 0.0}),
    ("signum", {"momentum": 0.85, "wd_lh": 0.05}),
    ("signum", {"momentum": 0.0}),
    ("signum", {"momentum": 0.0, "wd_lh": 0.05}),
    ("adamw", BETAS),
    ("adamw", dict(BETAS, correct_bias=0.0)),
    ("rmsprop", {"rho": 0.8, "epsilon": 1e-4}),
    ("rmsprop", {"rho": 0.8, "epsilon": 1e-4, "clip_weights": 0.6}),
    ("rmsprop", {"centered": 1.0, "rho": 0.8, "momentum": 0.7, "epsilon": 1e-4}),
    ("rmsprop", {"centered": 1.0, "rho": 0.8, "momentum": 0.7, "epsilon": 1e-4,
                 "clip_weights": 0.6}),
    ("adadelta", {"rho": 0.8, "epsilon": 1e-3}),
    ("adamax", {"beta1": 0.8, "beta2": 0.99}),
    ("adabelief", BETAS),
    ("adabelief", dict(BETAS, correct_bias=0.0)),
    ("ftml", BETAS),
    ("nadam", BETAS),
    ("nadam", dict(BETAS, schedule_decay=2.75)),
    ("dcasgd", {"lamda": 0.5}),
    ("dcasgd", {"momentum": 0.85, "lamda": 0.5}),
    ("sgld", {"seed": 12345.0}),
]
# Of norms of the whole value; with random numbers of their own, which leave the others theirs.
NORM_NUMBERS = [
    ("lamb", BETAS),
    ("lamb", dict(BETAS, bias_correction=0.0, lower_bound=0.5, upper_bound=3.0)),
    ("lans", BETAS),
    ("lans", dict(BETAS, lower_bound=40.0, upper_bound=50.0)),
    ("lars", {"eta": 0.25}),
    ("lars", {"momentum": 0.85, "eta": 0.25, "epsilon": 0.001}),
]
def names(own_numbers):
    return list(dict.fromkeys(name for name, _ in own_numbers))


OTHERS = names(OWN_NUMBERS + NORM_NUMBERS)
IN_1_9_1 = [name for name in OTHERS if name not in ("adamw", "adabelief", "lans")]


def other_cases(own_numbers):
    """(optimizer, parameters, rounds)"""
    for name in names(own_numbers):
        yield name, {}, ROUNDS
        if name in IN_1_9_1:
            yield name, {"mxnet1": 1.0}, ROUNDS
    for name, own in own_numbers:
        yield name, dict(own, **FULL), ROUNDS
        yield name, dict(own, **UNCLIPPED), ROUNDS
        if name in IN_1_9_1:
            yield name, dict(own, mxnet1=1.0, **FULL), ROUNDS
            yield name, dict(own, mxnet1=1.0, **UNCLIPPED), ROUNDS
    for name in names(own_numbers):  # for long, with the factors of a key
        yield name, {"wd": 0.01, "lr_mult": 0.5, "wd_mult": 3.0}, LONG
        if name in IN_1_9_1:
            yield name, {"mxnet1": 1.0, "wd": 0.01, "lr_mult": 0.5, "wd_mult": 3.0}, LONG

# The same for f16 and bf16.
NARROW_CASES = [
    ("assign", {}),
    ("sum", {}),
    ("test", {"rescale_grad": 0.3}),
] + [(optimizer, dict(parameters, multi_precision=flag))
     for optimizer, parameters in (
         ("sgd", {"learning_rate": 0.05, "wd": 0.01}),
         ("sgd", {"momentum": 0.85, "learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7,
                  "clip_gradient": 0.4}),
         ("adagrad", {"learning_rate": 0.3, "wd": 0.01}),
         ("adam", {"learning_rate": 0.1, "wd": 0.01}),
         ("ftrl", {"learning_rate": 0.3, "wd": 0.01}))
     for flag in (0.0, 1.0)] + [
    (optimizer, dict(own, multi_precision=flag, **FULL))
    for optimizer, own in OWN_NUMBERS + NORM_NUMBERS for flag in (0.0, 1.0)]


class SplitMix64:
    """Source: Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        x = self.state
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    def array(self, dtype, n):
        """n numbers of either sign with magnitudes from 2^-12 to 4 and full mantissas."""
        out = []
        for _ in range(n):
            r = self.next()
            fraction = 1.0 + (r & ((1 << 52) - 1)) / (1 << 52)
            magnitude = fraction * 2.0 ** (int((r >> 52) % 14) - 12)
            out.append(-magnitude if r >> 63 else magnitude)
        return np.array(out, dtype=dtype)


def edge_numbers(dtype):
    info = np.finfo(dtype)
    tiny = np.nextafter(dtype(0), dtype(1))  # the least denormal
    return np.array([0.0, -0.0, 1.0, -1.0, tiny, -tiny, info.tiny, info.tiny / dtype(3), info.max,
                     -info.max, np.inf, -np.inf, np.nan], dtype=dtype)


class Narrow:
    """f16 or bf16: arrays of them are held as f32 arrays with their numbers."""

    def __init__(self, name):
        self.name = name

    def rounded(self, x):
        if self.name == "f16":
            return x.astype(np.float16).astype(np.float32)
        bits = x.view(np.uint32)
        odd = bits >> np.uint32(16) & np.uint32(1)
        upper = (bits + np.uint32(0x7fff) + odd) & np.uint32(0xffff0000)
        return np.where(np.isnan(x), x, upper.view(np.float32))

    def words(self, x):
        if self.name == "f16":
            bits = x.astype(np.float16).view(np.uint16)
        else:
            bits = (x.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
        nan = np.isnan(x)
        return " ".join("nan" if nan[i] else f"{int(b):04x}" for i, b in enumerate(bits))

    def case_lines(self, optimizer, parameters, value, sums):
        """`value` in this dtype, `sums` in f32."""
        numbers = [f"{k}={v!r}" for k, v in parameters.items()]
        yield " ".join(["case", optimizer, self.name] + numbers)
        yield "value 0 " + self.words(value)
        state = Updater(optimizer, parameters, np.float32)
        master = value  # used with multi_precision only
        for n, s in enumerate(sums, start=1):
            if parameters.get("multi_precision", 0.0) == 1.0:
                master = state.update(master, s)
                value = self.rounded(master)
            else:
                value = self.rounded(state.update(value, self.rounded(s)))
                if optimizer not in ("lamb", "lans"):  # theirs is f32
                    state.state = [self.rounded(tensor) for tensor in state.state]
            yield f"sum {n} " + words(s)
            yield f"value {n} " + self.words(value)


def words(array):
    bits = array.view(np.uint32 if array.dtype == np.float32 else np.uint64)
    digits = 2 * array.dtype.itemsize
    nan = np.isnan(array)
    return " ".join("nan" if nan[i] else f"{int(b):0{digits}x}" for i, b in enumerate(bits))


def case_lines(optimizer, parameters, dtype, value, sums):
    name = "f32" if dtype is np.float32 else "f64"
    yield " ".join(["case", optimizer, name] + [f"{k}={v!r}" for k, v in parameters.items()])
    yield "value 0 " + words(value)
    state = Updater(optimizer, parameters, dtype)
    for n, s in enumerate(sums, start=1):
        value = state.update(value, s)
        assert value.dtype == dtype
        yield f"sum {n} " + words(s)
        yield f"value {n} " + words(value)


def long_lines(own_numbers, dtype, random):
    for optimizer, parameters, rounds in other_cases(own_numbers):
        if dtype is np.float64 and rounds == LONG:
            continue
        elements = 1 + random.next() % (5 if rounds == LONG else 37)
        value = random.array(dtype, elements)
        sums = [random.array(dtype, elements) for _ in range(rounds)]
        yield from case_lines(optimizer, parameters, dtype, value, sums)


def all_lines():
    yield "# Made by make_vectors.py, which describes the format. Do not edit."
    for dtype in (np.float32, np.float64):
        random = SplitMix64(20240229)
        for optimizer, parameters in CASES:
            value = random.array(dtype, ELEMENTS)
            sums = [random.array(dtype, ELEMENTS) for _ in range(ROUNDS)]
            yield from case_lines(optimizer, parameters, dtype, value, sums)
        yield from long_lines(OWN_NUMBERS, dtype, random)
        yield from long_lines(NORM_NUMBERS, dtype, SplitMix64(20261129))
        # Every pair of edge numbers as weight and gradient.
        edge = edge_numbers(dtype)
        value, grad = (a.reshape(-1) for a in np.meshgrid(edge, edge, indexing="ij"))
        for optimizer, parameters in (("sum", {}),
                                 ("test", {"rescale_grad": 0.5}),
                                 ("sgd", {}),
                                 ("sgd", {"momentum": 0.9, "clip_gradient": 2.0, "wd": 0.5}),
                                 ("adagrad", {"clip_gradient": 2.0, "wd": 0.5}),
                                 ("adam", {"clip_gradient": 2.0, "wd": 0.5}),
                                 ("ftrl", {"clip_gradient": 2.0, "wd": 0.5}),
                                 *((name, {"clip_gradient": 2.0, "wd": 0.5}) for name in OTHERS),
                                 *((name, {"mxnet1": 1.0, "wd": 0.5}) for name in IN_1_9_1)):
            yield from case_lines(optimizer, parameters, dtype, value.copy(), [grad.copy(), -grad])
        # The left fold starts from the first array.
        xs = [random.array(dtype, ELEMENTS) for _ in range(5)]
        yield from fold_lines(dtype, xs)
        yield from fold_lines(dtype, [np.full(3, -0.0, dtype=dtype)] * 3)
        yield from fold_lines(dtype, [-edge])
        yield from fold_lines(dtype, [np.roll(edge, shift) for shift in (0, 1, 5, 7)])


    for narrow in (Narrow("f16"), Narrow("bf16")):
        random = SplitMix64(20261124)
        for optimizer, parameters in NARROW_CASES:
            value = narrow.rounded(random.array(np.float32, ELEMENTS))
            sums = [random.array(np.float32, ELEMENTS) for _ in range(ROUNDS)]
            yield from narrow.case_lines(optimizer, parameters, value, sums)
        # Sums that round to infinity, to a denormal, to 0, to the even of two neighbours.
        value = narrow.rounded(np.array([0, 1, -1, 2, 0.5, 3, -4, 1], dtype=np.float32))
        sums = [np.array([65520, 1e39, 1e-7, 1e-45, -0.0, 1 + 2.0**-11, 1 + 2.0**-8, np.nan])]
        sums = [s.astype(np.float32) for s in sums]
        for optimizer in ("assign", "sum"):
            yield from narrow.case_lines(optimizer, {}, value, sums)


def fold_lines(dtype, xs):
    yield "case fold " + ("f32" if dtype is np.float32 else "f64")
    for n, x in enumerate(xs, start=1):
        yield f"x {n} " + words(x)
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    yield "fold " + words(total)


def main():
    path = HERE / "vectors.txt"
    with np.errstate(all="ignore"):
        lines = list(all_lines())
    if sys.argv[1:] == ["--check"]:
        there = path.read_text().splitlines()
        difference = list(difflib.unified_diff(there, lines, str(path), "made now", n=0))
        print("\n".join(difference[:20]) or f"{path.name}: {len(lines)} lines agree")
        sys.exit(1 if difference else 0)
    if sys.argv[1:]:
        sys.exit(f"no argument or --check expected, got {sys.argv[1:]}")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
