#!/usr/bin/env python3
"""What the updaters give by their formulas, in f64, and how far f32 may be from it.

vectors.txt says which bits our order of operations gives; this says that the order computes the
right thing. The formulas are written as in the literature that docs/optimizers.md names, with
arrays that carry a bound of the error that f32 makes (running error analysis: Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.3). With u = 2^-24, x~ and y~ the f32 numbers
and ex, ey bounds of |x~ - x|, |y~ - y|, one operation gives

  x + y, x - y   ex + ey
  x y            |x| ey + |y| ex + ex ey
  x / y          (ex + |x / y| ey) / (|y| - ey)
  sqrt x         sqrt x - sqrt(max(x - ex, 0)), the larger of both sides
  clip, soft threshold: ex plus the bound's own error, since both are 1-Lipschitz
  |x|, max(x, y)   ex; the larger of ex and ey: 1-Lipschitz too
  sign x           0 where |x| > ex, else 2: it may be any of -1, 0, 1

and its rounding u (|result| + that) + 2^-150 more. Parameters start with their rounding to f32. The
f64 arithmetic's own errors are 2^-29 of all this; the bounds are doubled, which covers them.

  make_formula_vectors.py            writes formulas.txt beside this script
  make_formula_vectors.py --check    makes it again and compares: exit 0 equal, 1 not, 77 no NumPy

Format: as vectors.txt, but `value N` with N > 0 is replaced by
  exact N NUMBER...   the values by the formula
  bound N NUMBER...   how far from them f32 may be
"""
import math
import pathlib
import statistics
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

import make_vectors
import noise

HERE = pathlib.Path(__file__).resolve().parent
ELEMENTS = 7
ROUNDS = 8
U = 2.0**-24

CASES = [
    ("test", {"rescale_grad": 0.3}),
    ("sgd", {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "clip_gradient": 0.4}),
    ("sgd", {"momentum": 0.85, "learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7,
             "clip_gradient": 0.4}),
    ("adagrad", {}),
    ("adagrad", {"learning_rate": 0.3, "wd": 0.01, "rescale_grad": 0.7, "clip_gradient": 0.4,
                 "epsilon": 1e-2}),
    ("adam", {}),
    ("adam", {"learning_rate": 0.1, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-2, "wd": 0.01,
              "rescale_grad": 0.7, "clip_gradient": 0.4}),
    ("ftrl", {}),
    ("ftrl", {"learning_rate": 0.3, "lamda1": 0.05, "beta": 0.5, "wd": 0.01, "rescale_grad": 0.7,
              "clip_gradient": 0.4}),
] + [(optimizer, dict(own, **make_vectors.FULL)) for optimizer, own in (
    ("nag", {"momentum": 0.85}),
    ("nag", {"momentum": 0.0}),
    ("signum", {"momentum": 0.85, "wd_lh": 0.05}),
    ("signum", {"momentum": 0.0, "wd_lh": 0.05}),
    ("adamw", {"epsilon": 1e-2}),
    ("adamw", {"epsilon": 1e-2, "correct_bias": 0.0}),
    ("rmsprop", {"epsilon": 1e-2}),
    ("rmsprop", {"epsilon": 1e-2, "clip_weights": 0.6}),
    ("rmsprop", {"epsilon": 1e-2, "centered": 1.0, "momentum": 0.7}),
    ("rmsprop", {"epsilon": 1e-2, "centered": 1.0, "momentum": 0.7, "clip_weights": 0.6}),
    ("adadelta", {"rho": 0.8, "epsilon": 1e-3}),
    ("adamax", {}),
    ("adabelief", {"epsilon": 1e-2}),
    ("adabelief", {"epsilon": 1e-2, "correct_bias": 0.0}),
    ("ftml", {"epsilon": 1e-2}),
    ("nadam", {"epsilon": 1e-2}),
    ("nadam", {"epsilon": 1e-2, "schedule_decay": 2.75}),
    ("dcasgd", {"lamda": 0.5}),
    ("dcasgd", {"lamda": 0.5, "momentum": 0.85}),
    ("sgld", {"seed": 12345.0}),
    ("lamb", {"epsilon": 1e-2}),
    ("lamb", {"epsilon": 1e-2, "bias_correction": 0.0, "lower_bound": 0.5, "upper_bound": 3.0}),
    ("lans", {"epsilon": 1e-2}),
    ("lans", {"epsilon": 1e-2, "lower_bound": 40.0, "upper_bound": 50.0}),
    ("lars", {"eta": 0.25}),
    ("lars", {"eta": 0.25, "momentum": 0.85}))]


class Number:
    """Exact numbers and bounds of their f32 errors."""

    def __init__(self, value, error=0.0):
        self.value, self.error = value, error

    @staticmethod
    def parameter(value):
        return Number(value, abs(value - float(np.float32(value))))

    @staticmethod
    def rounded(value, error):
        return Number(value, error + U * (abs(value) + error) + 2.0**-150)

    def __add__(self, other):
        return Number.rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other):
        return Number.rounded(self.value - other.value, self.error + other.error)

    def __mul__(self, other):
        error = abs(self.value) * other.error + abs(other.value) * self.error
        return Number.rounded(self.value * other.value, error + self.error * other.error)

    def __truediv__(self, other):
        quotient = self.value / other.value
        least = abs(other.value) - other.error
        assert np.all(least > 0)
        return Number.rounded(quotient, (self.error + abs(quotient) * other.error) / least)

    def sqrt(self):
        root = np.sqrt(self.value)
        return Number.rounded(root, root - np.sqrt(np.maximum(self.value - self.error, 0)))

    def norm(self, unit):
        """Made with roundings of `unit`, at most one more than there are elements in each square's
        way to the sum, and the root's; a norm is 1-Lipschitz."""
        norm = math.sqrt(np.sum(self.value**2))
        error = math.sqrt(np.sum(np.broadcast_to(self.error, self.value.shape)**2))
        return Number(norm, error + unit * (len(self.value) + 3) / 2 * (norm + error))

    def clip(self, bound):
        return Number(np.clip(self.value, -bound.value, bound.value), self.error + bound.error)

    def __abs__(self):
        return Number(abs(self.value), self.error)

    def max(self, other):
        return Number(np.maximum(self.value, other.value), np.maximum(self.error, other.error))

    def sign(self):
        return Number(np.sign(self.value), np.where(abs(self.value) > self.error, 0.0, 2.0))

    def power(self, exponent):
        result = Number(1.0)
        for _ in range(exponent):
            result = result * self
        return result

    def soft_threshold(self, bound):
        """sign(z) max(|z| - bound, 0)"""
        value = np.sign(self.value) * np.maximum(abs(self.value) - bound.value, 0)
        return Number.rounded(value, self.error + bound.error)


class Formulas:
    """`norm_unit`: the unit roundoff of norms; ours are made in f64."""

    def __init__(self, optimizer, parameters, elements=ELEMENTS, norm_unit=2.0**-53):
        self.norm_unit = norm_unit
        number = lambda key, default: Number.parameter(parameters.get(key, default))
        self.number = number
        self.parameters = parameters
        self.rescale, self.wd = number("rescale_grad", 1.0), number("wd", 0.0)
        self.mxnet1 = parameters.get("mxnet1", 0.0) == 1.0
        self.t = 0
        self.a = self.b = self.c = Number(np.zeros(elements))
        self.previous = None
        self.momentum = number("momentum", {"signum": 0.9, "rmsprop": 0.9}.get(optimizer, 0.0))

    def scaled(self, s):
        g = self.rescale * s
        return g.clip(self.number("clip_gradient", 0)) if "clip_gradient" in self.parameters else g

    def test(self, w, s):
        return w + self.rescale * s

    def sgd(self, w, s):
        g = self.scaled(s) + self.wd * w
        step = self.number("learning_rate", 0.1) * g
        if "momentum" not in self.parameters:
            return w - step
        self.a = self.number("momentum", 0) * self.a - step
        return w + self.a

    def lars(self, w, s):
        weight, gradient = w.norm(self.norm_unit), abs(self.rescale) * s.norm(self.norm_unit)
        scale = self.number("eta", 0.001) * weight / (
            gradient + self.wd * weight + self.number("epsilon", 0.0 if self.mxnet1 else 1e-8))
        step = self.number("learning_rate", 0.01 if self.mxnet1 else 0.1) * scale * (self.scaled(s) + self.wd * w)
        self.a = self.momentum * self.a - step
        return w + self.a

    def trust_ratio(self, w, along):
        weight = w.norm(self.norm_unit)
        lower = self.parameters.get("lower_bound", 0.0)
        upper = self.parameters.get("upper_bound", math.inf)
        return Number(min(max(weight.value, lower), upper), weight.error) / along.norm(self.norm_unit)

    def unbiased(self, g):
        self.t += 1
        self.means(g, lambda: g)
        if self.parameters.get("bias_correction", 1.0) == 0.0:
            return self.a, self.b
        one = Number(1.0)
        beta1, beta2 = self.number("beta1", 0.9), self.number("beta2", 0.999)
        return self.a / (one - beta1.power(self.t)), self.b / (one - beta2.power(self.t))

    def lamb(self, w, s):
        mean, var = self.unbiased(self.scaled(s))
        along = mean / (var.sqrt() + self.number("epsilon", 1e-6)) + self.wd * w
        rate = self.number("learning_rate", 0.001) * self.trust_ratio(w, along)
        return w - rate * along

    def lans(self, w, s):
        g = self.rescale * s / (abs(self.rescale) * s.norm(self.norm_unit))
        if "clip_gradient" in self.parameters:
            g = g.clip(self.number("clip_gradient", 0))
        mean, var = self.unbiased(g)
        root = var.sqrt() + self.number("epsilon", 1e-6)
        lr, beta1 = self.number("learning_rate", 0.001), self.number("beta1", 0.9)
        along_mean = mean / root + self.wd * w
        along_grad = g / root + self.wd * w
        return w - (lr * beta1 * self.trust_ratio(w, along_mean) * along_mean +
                    lr * (Number(1.0) - beta1) * self.trust_ratio(w, along_grad) * along_grad)

    def adagrad(self, w, s):
        g = self.scaled(s) + self.wd * w
        self.a = self.a + g * g
        return w - self.number("learning_rate", 0.01) * (
            g / (self.a.sqrt() + self.number("epsilon", 1e-6)))

    def bias_corrected(self):
        beta1, beta2 = self.parameters.get("beta1", 0.9), self.parameters.get("beta2", 0.999)
        rate = self.parameters.get("learning_rate", 0.001)
        if self.parameters.get("correct_bias", 1.0) == 1.0:
            rate *= math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
        return Number.parameter(rate)

    def means(self, g, h, beta1=0.9):
        """Moving means of g and of h squared, in a and b."""
        beta1, beta2 = self.number("beta1", beta1), self.number("beta2", 0.999)
        one = Number(1.0)
        self.a = beta1 * self.a + (one - beta1) * g
        h = h()
        self.b = beta2 * self.b + (one - beta2) * h * h

    def adam(self, w, s):
        self.t += 1
        g = self.scaled(s) + self.wd * w
        self.means(g, lambda: g)
        epsilon = self.number("epsilon", 1e-8)
        return w - self.bias_corrected() * self.a / (self.b.sqrt() + epsilon)

    def adamw(self, w, s):
        self.t += 1
        g = self.scaled(s)
        self.means(g, lambda: g)
        adam = self.a / (self.b.sqrt() + self.number("epsilon", 1e-6))
        return w - self.bias_corrected() * (adam + self.wd * w)

    def adabelief(self, w, s):
        self.t += 1
        g = self.rescale * s + self.wd * w
        if "clip_gradient" in self.parameters:
            g = g.clip(self.number("clip_gradient", 0))
        epsilon = self.number("epsilon", 1e-6)
        self.means(g, lambda: g - self.a)
        self.b = self.b + epsilon
        return w - self.bias_corrected() * self.a / (self.b.sqrt() + epsilon)

    def adamax(self, w, s):
        self.t += 1
        g = self.scaled(s) + self.wd * w
        beta1, beta2 = self.number("beta1", 0.9), self.number("beta2", 0.999)
        self.a = beta1 * self.a + (Number(1.0) - beta1) * g
        self.b = (beta2 * self.b).max(abs(g))
        rate = self.parameters.get("learning_rate", 0.002) / (1 - beta1.value**self.t)
        return w - Number.parameter(rate) * self.a / (self.b + self.number("epsilon", 1e-8))

    def nadam(self, w, s):
        self.t += 1
        g = self.scaled(s) + self.wd * w
        beta1, beta2 = self.parameters.get("beta1", 0.9), self.parameters.get("beta2", 0.999)
        decay = self.parameters.get("schedule_decay", 0.004)
        mu = lambda t: beta1 * (1 - 0.5 * math.pow(0.96, t * decay))
        product = math.prod(mu(t) for t in range(1, self.t + 1))
        self.means(g, lambda: g)
        mean = self.a / Number.parameter(1 - product * mu(self.t + 1))
        ahead = Number.parameter(mu(self.t + 1)) * mean + Number.parameter(1 - mu(self.t)) * (
            g / Number.parameter(1 - product))
        var = self.b / Number.parameter(1 - beta2**self.t)
        lr = self.number("learning_rate", 0.001)
        return w - lr * ahead / (var.sqrt() + self.number("epsilon", 1e-8))

    def ftml(self, w, s):
        self.t += 1
        g = self.scaled(s) + self.wd * w
        beta1, beta2 = self.number("beta1", 0.6), self.number("beta2", 0.999)
        one = Number(1.0)
        self.b = beta2 * self.b + (one - beta2) * (g * g)
        root = (self.b / (one - beta2.power(self.t))).sqrt() + self.number("epsilon", 1e-8)
        d = (one - beta1.power(self.t)) / self.number("learning_rate", 0.0025) * root
        self.a = beta1 * self.a + (one - beta1) * g - (d - beta1 * self.c) * w
        self.c = d
        return Number(0.0) - self.a / d

    def nag(self, w, s):
        step = self.number("learning_rate", 0.1) * (self.scaled(s) + self.wd * w)
        self.a = self.momentum * self.a - step
        return w + self.momentum * self.a - step

    def signum(self, w, s):
        lr, one = self.number("learning_rate", 0.01), Number(1.0)
        wd_lh = self.number("wd_lh", 0.0)
        if self.momentum.value == 0:
            return (one - lr * (self.wd + wd_lh)) * w - lr * s.sign()
        g = self.scaled(s) + self.wd * w
        self.a = self.momentum * self.a - (one - self.momentum) * g
        return (one - lr * wd_lh) * w + lr * self.a.sign()

    def adadelta(self, w, s):
        rho, epsilon = self.number("rho", 0.9), self.number("epsilon", 1e-6)
        rest = Number(1.0) - rho
        g = self.scaled(s) + self.wd * w
        self.a = rho * self.a + rest * g * g
        step = (self.b + epsilon).sqrt() / (self.a + epsilon).sqrt() * g
        self.b = rho * self.b + rest * step * step
        return w - self.number("learning_rate", 1.0) * step

    def rmsprop(self, w, s):
        rho, epsilon = self.number("rho", 0.9), self.number("epsilon", 1e-8)
        lr, rest = self.number("learning_rate", 0.001), Number(1.0) - rho
        g = self.scaled(s) + self.wd * w
        self.b = rho * self.b + rest * (g * g)
        if self.parameters.get("centered", 0.0) == 1.0:
            self.a = rho * self.a + rest * g
            step = lr * g / (self.b - self.a * self.a + epsilon).sqrt()
            self.c = self.momentum * self.c - step
            w = w + self.c
        else:
            w = w - lr * (g / (self.b.sqrt() + epsilon))
        return w.clip(self.number("clip_weights", 0)) if "clip_weights" in self.parameters else w

    def sgld(self, w, s):
        self.t += 1
        rate = self.parameters.get("learning_rate", 0.1)
        seed = int(self.parameters.get("seed", 0))
        z = [statistics.NormalDist().inv_cdf(noise.noise_share(seed, self.t, i))
             for i in range(ELEMENTS)]
        drawn = math.sqrt(rate) * np.array(z)
        step = Number.parameter(rate / 2) * (self.scaled(s) + self.wd * w)
        return w - step + Number.rounded(drawn, 1e-13)

    def dcasgd(self, w, s):
        g = self.scaled(s) + self.wd * w
        if self.previous is None:
            self.previous = w
        g = g + self.number("lamda", 0.04) * g * g * (w - self.previous)
        self.previous = w
        self.a = self.momentum * self.a - self.number("learning_rate", 0.1) * g
        return w + self.a

    def ftrl(self, w, s):
        lr = self.number("learning_rate", 0.1)
        g = self.scaled(s)
        z, n = self.a, self.b
        self.b = n + g * g
        self.a = z + (g - (self.b.sqrt() - n.sqrt()) * w / lr)
        shrunk = self.a.soft_threshold(self.number("lamda1", 0.01))
        w = shrunk / ((self.number("beta", 1.0) + self.b.sqrt()) / lr + self.wd)
        return Number(-w.value, w.error)


def all_lines():
    yield "# Made by make_formula_vectors.py, which describes the format. Do not edit."
    random = make_vectors.SplitMix64(20261125)
    for optimizer, parameters in CASES:
        start = random.array(np.float32, ELEMENTS)
        yield " ".join(["case", optimizer, "f32"] + [f"{k}={v!r}" for k, v in parameters.items()])
        yield "value 0 " + make_vectors.words(start)
        formulas = Formulas(optimizer, parameters)
        w = Number(start.astype(np.float64))
        for n in range(1, ROUNDS + 1):
            s = random.array(np.float32, ELEMENTS)
            w = getattr(formulas, optimizer)(w, Number(s.astype(np.float64)))
            yield f"sum {n} " + make_vectors.words(s)
            yield f"exact {n} " + " ".join(f"{x:.17g}" for x in w.value)
            yield f"bound {n} " + " ".join(f"{2 * x:.3g}" for x in w.error)


def main():
    path = HERE / "formulas.txt"
    lines = list(all_lines())
    if sys.argv[1:] == ["--check"]:
        equal = path.read_text().splitlines() == lines
        print(f"{path.name}: {'agrees' if equal else 'differs'}")
        sys.exit(0 if equal else 1)
    if sys.argv[1:]:
        sys.exit(f"no argument or --check expected, got {sys.argv[1:]}")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
