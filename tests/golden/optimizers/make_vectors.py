#!/usr/bin/env python3
"""Golden vectors of the update rules and of the left fold, made with NumPy.

NumPy rounds each single operation of an array expression to the array's dtype, so writing the
formulas of docs/optimizers.md one operation at a time gives the exact bits that our kernels must
give. No tolerance is involved.

  make_vectors.py            writes vectors.txt beside this script
  make_vectors.py --check    makes them again and compares with vectors.txt: exit 0 equal, 1 not,
                             77 when NumPy is not there

Format of vectors.txt, a text file of lines of words:
  case RULE DTYPE [PARAMETER=VALUE]...   begins a case
  value 0 HEX...                         the value before the first round
  sum N HEX...                           the sum of round N, input
  value N HEX...                         the value after round N, expected
  x N HEX...                             RULE fold: array N, input
  fold HEX...                            RULE fold: the sum, expected
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

HERE = pathlib.Path(__file__).resolve().parent
ELEMENTS = 23  # prime, and more than the widest vector of floats
ROUNDS = 3

# (rule, parameters)
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
]


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


class Rule:
    """One rule in `dtype`, one rounded operation per line."""

    def __init__(self, name, parameters, dtype):
        self.name = name
        number = lambda key, default: dtype(parameters.get(key, default))
        self.lr = number("learning_rate", 0.1)
        self.momentum = number("momentum", 0.0)
        self.wd = number("wd", 0.0)
        self.rescale = number("rescale_grad", 1.0)
        self.clip = dtype(parameters["clip_gradient"]) if "clip_gradient" in parameters else None
        self.m = None

    def update(self, w, s):
        if self.name == "assign":
            return s.copy()
        if self.name == "sum":
            return w + s
        if self.name == "test":
            scaled = self.rescale * s
            return w + scaled
        g = self.rescale * s
        if self.clip is not None:
            g = np.where(g > self.clip, self.clip, np.where(g < -self.clip, -self.clip, g))
        decay = self.wd * w
        g = g + decay
        step = self.lr * g
        if self.momentum == 0:
            return w - step
        if self.m is None:
            self.m = np.zeros_like(w)
        kept = self.momentum * self.m
        self.m = kept - step
        return w + self.m


def words(array):
    bits = array.view(np.uint32 if array.dtype == np.float32 else np.uint64)
    digits = 2 * array.dtype.itemsize
    nan = np.isnan(array)
    return " ".join("nan" if nan[i] else f"{int(b):0{digits}x}" for i, b in enumerate(bits))


def case_lines(rule, parameters, dtype, value, sums):
    name = "f32" if dtype is np.float32 else "f64"
    yield " ".join(["case", rule, name] + [f"{k}={v!r}" for k, v in parameters.items()])
    yield "value 0 " + words(value)
    state = Rule(rule, parameters, dtype)
    for n, s in enumerate(sums, start=1):
        value = state.update(value, s)
        assert value.dtype == dtype
        yield f"sum {n} " + words(s)
        yield f"value {n} " + words(value)


def all_lines():
    yield "# Made by make_vectors.py, which describes the format. Do not edit."
    for dtype in (np.float32, np.float64):
        random = SplitMix64(20240229)
        for rule, parameters in CASES:
            value = random.array(dtype, ELEMENTS)
            sums = [random.array(dtype, ELEMENTS) for _ in range(ROUNDS)]
            yield from case_lines(rule, parameters, dtype, value, sums)
        # Every pair of edge numbers as weight and gradient.
        edge = edge_numbers(dtype)
        value, grad = (a.reshape(-1) for a in np.meshgrid(edge, edge, indexing="ij"))
        for rule, parameters in (("sum", {}),
                                 ("test", {"rescale_grad": 0.5}),
                                 ("sgd", {}),
                                 ("sgd", {"momentum": 0.9, "clip_gradient": 2.0, "wd": 0.5})):
            yield from case_lines(rule, parameters, dtype, value.copy(), [grad.copy(), -grad])
        # The left fold starts from the first array.
        xs = [random.array(dtype, ELEMENTS) for _ in range(5)]
        yield from fold_lines(dtype, xs)
        yield from fold_lines(dtype, [np.full(3, -0.0, dtype=dtype)] * 3)
        yield from fold_lines(dtype, [-edge])
        yield from fold_lines(dtype, [np.roll(edge, shift) for shift in (0, 1, 5, 7)])


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
