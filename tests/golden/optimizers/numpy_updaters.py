#!/usr/bin/env python3
"""The updaters in NumPy, one rounded operation after the other, as docs/optimizers.md writes them.
Nothing of ours is used: they say which bits ours must give.
"""
import math

import numpy as np

from noise import normal_quantile, noise_share


def power(base, exponent):
    """By squaring, as docs/optimizers.md says: products of doubles alone."""
    result = 1.0
    while exponent > 0:
        if exponent % 2 == 1:
            result *= base
        base *= base
        exponent //= 2
    return result


def power_of_096(x):
    """0.96^x as docs/optimizers.md says: sums and products of doubles alone."""
    if x > 20000:
        return 0.0
    whole = math.floor(x)
    y = (x - whole) * -0.04082199452025513
    total, term = 1.0, 1.0
    for n in range(1, 13):
        term *= y / n
        total += term
    return power(0.96, whole) * total


def square_sum(x):
    """Of an array, in f64: eight sums side by side, as docs/optimizers.md says."""
    squares = x.reshape(-1).astype(np.float64)
    squares = squares * squares
    squares = np.concatenate([squares, np.zeros(-len(squares) % 8)]).reshape(-1, 8)
    lanes = np.zeros(8)
    for row in squares:
        lanes = lanes + row
    while len(lanes) > 1:
        lanes = lanes[0::2] + lanes[1::2]
    return float(lanes[0])


class Updater:
    """One updater in `dtype`, one rounded operation per line."""

    def __init__(self, name, parameters, dtype):
        self.name = name
        self.dtype = dtype
        self.mxnet1 = parameters.get("mxnet1", 0.0) == 1.0
        old = self.mxnet1
        lr = {"sgd": 0.01 if old else 0.1, "adagrad": 0.01, "adam": 0.001, "ftrl": 0.1,
              "nag": 0.01 if old else 0.1, "signum": 0.01, "adamw": 0.001, "rmsprop": 0.001,
              "adadelta": 1.0, "adamax": 0.002, "adabelief": 0.001, "ftml": 0.01 if old else 0.0025,
              "groupadagrad": 0.01, "nadam": 0.001, "sgld": 0.01 if old else 0.1,
              "dcasgd": 0.01 if old else 0.1, "lamb": 0.001, "lans": 0.001,
              "lars": 0.01 if old else 0.1}.get(name, 0.0)
        momentum = {"nag": 0.0 if old else 0.9, "signum": 0.9, "rmsprop": 0.9}.get(name, 0.0)
        self.momentum = parameters.get("momentum", momentum)
        self.learning_rate = parameters.get("learning_rate", lr) * parameters.get("lr_mult", 1.0)
        self.lr = dtype(self.learning_rate)
        self.wd = dtype(parameters.get("wd", 0.0) * parameters.get("wd_mult", 1.0))
        self.rescale = dtype(parameters.get("rescale_grad", 1.0))
        self.clip = dtype(parameters["clip_gradient"]) if "clip_gradient" in parameters else None
        self.parameters = parameters
        self.t = 0
        self.worker = 0  # dcasgd with per_worker: whose push the update is by
        self.previous = {}  # and the weight after each one's last update
        self.whole = None  # weight and sum of the whole value, where an update is of some of its rows
        self.places = None  # numbers of the elements within the value; None: from 0 on
        self.state = [np.zeros(1, dtype)] * len(self.state_names())

    def state_names(self):
        momentum = ["momentum"] if self.momentum != 0 else []
        centered = self.parameters.get("centered", 0.0) == 1.0
        return {"sgd": momentum, "lars": momentum, "lamb": ["mean", "var"], "lans": ["mean", "var"],
                "nag": momentum, "signum": momentum, "adagrad": ["history"],
                "adam": ["mean", "var"], "adamw": ["mean", "var"], "adabelief": ["mean", "var"],
                "nadam": ["mean", "var"], "adamax": ["mean", "size"], "ftrl": ["z", "n"],
                "ftml": ["d", "v", "z"], "adadelta": ["squares", "steps"],
                "groupadagrad": ["history"],
                "rmsprop": ["mean", "var", "momentum"] if centered else ["var"],
                "dcasgd": momentum + ([] if self.parameters.get("per_worker") else ["moved"])}.get(self.name, [])

    def one_per_row(self):
        """Whether the state has one number for each row; then w and s have rows."""
        return self.name == "groupadagrad"

    def number(self, key, default):
        return self.dtype(self.parameters.get(key, default))

    def clipped(self, g):
        return g if self.clip is None else self.clipped_to(self.clip, g)

    @staticmethod
    def clipped_to(bound, x):
        return np.where(x > bound, bound, np.where(x < -bound, -bound, x))

    def betas(self, beta1=0.9):
        """beta1, beta2 as they are given, in f64."""
        return self.parameters.get("beta1", beta1), self.parameters.get("beta2", 0.999)

    def bias_corrected(self):
        """The learning rate of adam's update t."""
        beta1, beta2 = self.betas()
        correction2 = 1.0 - power(beta2, self.t)
        correction1 = 1.0 - power(beta1, self.t)
        return self.dtype(self.learning_rate * (math.sqrt(correction2) / correction1))

    def update(self, w, s):
        self.t += 1
        if self.name == "assign":
            return s.copy()
        if self.name == "sum":
            return w + s
        scaled = self.rescale * s
        if self.name == "test":
            return w + scaled
        decay = self.wd * w
        rescaled = self.clipped(scaled)
        decayed = rescaled + decay
        return getattr(self, self.name)(w, s, scaled, decay, rescaled, decayed)

    def sgd(self, w, s, _scaled, _decay, rescaled, decayed):
        step = self.lr * (rescaled if self.mxnet1 else decayed)
        if self.mxnet1 and self.clip is None:
            rate = self.lr * self.rescale
            step = rate * s
        lr_wd = self.lr * self.wd
        lost = lr_wd * w
        if self.momentum == 0:
            if self.mxnet1:
                step = lost + step
            return w - step
        kept = self.number("momentum", 0.0) * self.state[0]
        if self.mxnet1:
            kept = kept - lost
        self.state[0] = kept - step
        return w + self.state[0]

    def lars(self, w, s, scaled, decay, rescaled, decayed):
        plain = self.learning_rate
        whole_w, whole_s = (w, s) if self.whole is None else self.whole
        weight = math.sqrt(square_sum(whole_w))
        gradient = abs(self.parameters.get("rescale_grad", 1.0)) * math.sqrt(square_sum(whole_s))
        wd = self.parameters.get("wd", 0.0) * self.parameters.get("wd_mult", 1.0)
        if weight > 0 and gradient > 0:
            epsilon = self.parameters.get("epsilon", 0.0 if self.mxnet1 else 1e-8)
            eta = self.parameters.get("eta", 0.001)
            with np.errstate(all="ignore"):
                scale = np.float64(eta * weight) / np.float64((gradient + wd * weight) + epsilon)
                self.lr = self.dtype(plain * scale)
        new_w = self.sgd(w, s, scaled, decay, rescaled, decayed)
        self.lr = self.dtype(plain)
        return new_w

    def unbiased(self, g):
        """Moving means of g, in the state, and both without their bias."""
        self.mean_of(g)
        self.squares_of(g)
        if self.parameters.get("bias_correction", 1.0) == 0.0:
            return self.state
        rest = []
        for beta in self.betas():
            rest.append(self.dtype(1) - self.dtype(power(float(self.dtype(beta)), self.t)))
        return self.state[0] / rest[0], self.state[1] / rest[1]

    def trust_ratio(self, w, along):
        weight, step = math.sqrt(square_sum(w)), math.sqrt(square_sum(along))
        if weight < self.parameters.get("lower_bound", -math.inf):
            weight = self.parameters["lower_bound"]
        if weight > self.parameters.get("upper_bound", math.inf):
            weight = self.parameters["upper_bound"]
        return 1.0 if weight == 0 or step == 0 else float(np.float64(weight) / np.float64(step))

    def lamb(self, w, _s, _scaled, decay, rescaled, _decayed):
        mean, var = self.unbiased(rescaled)
        root = np.sqrt(var)
        root = root + self.number("epsilon", 1e-6)
        along = mean / root
        along = along + decay
        rate = self.dtype(self.learning_rate * self.trust_ratio(w, along))
        step = rate * along
        return w - step

    def lans(self, w, s, scaled, decay, _rescaled, _decayed):
        norm = abs(self.parameters.get("rescale_grad", 1.0)) * math.sqrt(square_sum(s))
        g = scaled / self.dtype(1.0 if norm == 0 else norm)
        g = self.clipped(g)
        mean, var = self.unbiased(g)
        root = np.sqrt(var)
        root = root + self.number("epsilon", 1e-6)
        along_mean = mean / root
        along_mean = along_mean + decay
        along_grad = g / root
        along_grad = along_grad + decay
        beta1 = self.betas()[0]
        mean_rate = self.dtype((self.learning_rate * beta1) * self.trust_ratio(w, along_mean))
        grad_rate = self.dtype(
            (self.learning_rate * (1 - beta1)) * self.trust_ratio(w, along_grad))
        step = mean_rate * along_mean
        step = step + grad_rate * along_grad
        return w - step

    def adagrad(self, w, _s, _scaled, decay, rescaled, decayed):
        epsilon = self.number("epsilon", 1e-7 if self.mxnet1 else 1e-6)
        g = rescaled if self.mxnet1 else decayed
        square = g * g
        self.state[0] = self.state[0] + square
        if self.mxnet1:
            raised = self.state[0] + epsilon
            d = g / np.sqrt(raised)
            d = d + decay
        else:
            root = np.sqrt(self.state[0])
            d = g / (root + epsilon)
        step = self.lr * d
        return w - step

    def mean_of(self, g):
        """Updates state 0, a moving mean of g; 1 - beta1 in dtype."""
        beta1 = self.dtype(self.betas()[0])
        kept = beta1 * self.state[0]
        new = (self.dtype(1) - beta1) * g
        self.state[0] = kept + new

    def squares_of(self, g):
        """Updates state 1, a moving mean of the squares of g; 1 - beta2 in dtype."""
        beta2 = self.dtype(self.betas()[1])
        kept = beta2 * self.state[1]
        new = (self.dtype(1) - beta2) * g
        new = new * g
        self.state[1] = kept + new

    def groupadagrad(self, w, _s, _scaled, _decay, rescaled, _decayed):
        epsilon = self.number("epsilon", 1e-5 if self.mxnet1 else 1e-6)
        total = np.zeros((len(w), 1), self.dtype)
        for column in range(w.shape[1]):
            g = rescaled[:, column:column + 1]
            square = g * g
            total = total + square
        mean = total / self.dtype(w.shape[1])
        history = self.state[0] + mean
        self.state = [history]
        if self.mxnet1:
            step = self.lr * rescaled
            step = step / np.sqrt(history + epsilon)
        else:
            step = rescaled / (np.sqrt(history) + epsilon)
            step = self.lr * step
        return w - step

    def sgld(self, w, _s, _scaled, _decay, _rescaled, decayed):
        places = np.arange(w.size) if self.places is None else self.places
        sigma = math.sqrt(self.learning_rate)
        seed = int(self.parameters.get("seed", 0.0))
        noise = np.array([self.dtype(sigma * normal_quantile(noise_share(seed, self.t, int(i))))
                          for i in places.reshape(-1)], dtype=self.dtype).reshape(w.shape)
        step = self.dtype(self.learning_rate / 2) * decayed
        w = w - step
        return w + noise

    def adam(self, w, _s, scaled, decay, _rescaled, decayed):
        g = self.clipped(scaled + decay) if self.mxnet1 else decayed
        self.mean_of(g)
        self.squares_of(g)
        step = self.bias_corrected() * self.state[0]
        root = np.sqrt(self.state[1])
        step = step / (root + self.number("epsilon", 1e-8))
        return w - step

    def rate(self):
        """Of adamw and adabelief."""
        return self.bias_corrected() if self.parameters.get("correct_bias", 1.0) == 1.0 else self.lr

    def adamw(self, w, _s, _scaled, decay, rescaled, _decayed):
        self.mean_of(rescaled)
        self.squares_of(rescaled)
        root = np.sqrt(self.state[1])
        step = self.state[0] / (root + self.number("epsilon", 1e-6))
        step = step + decay
        step = self.rate() * step
        return w - step

    def adabelief(self, w, _s, scaled, decay, _rescaled, _decayed):
        g = self.clipped(scaled + decay)
        epsilon = self.number("epsilon", 1e-6)
        self.mean_of(g)
        self.squares_of(g - self.state[0])
        self.state[1] = self.state[1] + epsilon
        step = self.rate() * self.state[0]
        root = np.sqrt(self.state[1])
        step = step / (root + epsilon)
        return w - step

    def adamax(self, w, _s, scaled, decay, _rescaled, decayed):
        g = self.clipped(scaled + decay) if self.mxnet1 else decayed
        beta1, beta2 = self.betas()
        kept = self.dtype(beta1) * self.state[0]
        new = self.dtype(1 - beta1) * g
        mean = kept + new
        kept = self.dtype(beta2) * self.state[1]
        size = np.where(kept > np.abs(g), kept, np.abs(g))
        self.state = [mean, size]
        step = self.dtype(self.learning_rate / (1.0 - power(beta1, self.t))) * mean
        if not self.mxnet1:
            size = size + self.number("epsilon", 1e-8)
        step = step / size
        return w - step

    def nadam(self, w, _s, scaled, decay, _rescaled, decayed):
        g = self.clipped(scaled + decay) if self.mxnet1 else decayed
        beta1, beta2 = self.betas()
        base = power_of_096(self.parameters.get("schedule_decay", 0.004))
        mu = lambda t: beta1 * (1.0 - 0.5 * power(base, t))
        product = 1.0
        for t in range(1, self.t + 1):
            product *= mu(t)
        next_product = product * mu(self.t + 1)
        kept = self.dtype(beta1) * self.state[0]
        new = self.dtype(1 - beta1) * g
        mean = kept + new
        kept = self.dtype(beta2) * self.state[1]
        new = self.dtype(1 - beta2) * g
        new = new * g
        var = kept + new
        self.state = [mean, var]
        g_ahead = g / self.dtype(1.0 - product)
        mean_ahead = mean / self.dtype(1.0 - next_product)
        g_ahead = self.dtype(1.0 - mu(self.t)) * g_ahead
        mean_ahead = self.dtype(mu(self.t + 1)) * mean_ahead
        step = self.lr * (g_ahead + mean_ahead)
        root = np.sqrt(var / self.dtype(1.0 - power(beta2, self.t)))
        step = step / (root + self.number("epsilon", 1e-8))
        return w - step

    def ftml(self, w, _s, scaled, decay, _rescaled, decayed):
        g = self.clipped(scaled + decay) if self.mxnet1 else decayed
        one = self.dtype(1)
        beta1, beta2 = (self.dtype(beta) for beta in self.betas(0.6))
        power1 = self.dtype(power(float(beta1), self.t))
        power2 = self.dtype(power(float(beta2), self.t))
        old_d, v, z = self.state
        kept = beta2 * v
        new = (one - beta2) * (g * g)
        v = kept + new
        root = np.sqrt(v / (one - power2))
        root = root + self.number("epsilon", 1e-8)
        d = (one - power1) / self.lr
        d = d * root
        kept = beta1 * z
        new = (one - beta1) * g
        z = kept + new
        sigma = d - beta1 * old_d
        z = z - sigma * w
        self.state = [d, v, z]
        return -z / d

    def nag(self, w, s, _scaled, _decay, rescaled, decayed):
        if self.momentum == 0:
            if not self.mxnet1:
                return w - self.lr * decayed
            rate = self.lr * self.rescale
            step = rate * s if self.clip is None else self.lr * rescaled
            left = self.dtype(1) - self.lr * self.wd
            left = left * w
            return left - step
        momentum = self.dtype(self.momentum)
        kept = momentum * self.state[0]
        step = self.lr * decayed
        self.state[0] = kept - step
        if self.mxnet1:
            back = w - kept
            ahead = (momentum + self.dtype(1)) * self.state[0]
            new_w = back + ahead
            step = self.lr * (rescaled + self.wd * new_w)
            self.state[0] = kept - step
            return new_w
        ahead = momentum * self.state[0]
        ahead = ahead - step
        return w + ahead

    def signum(self, w, s, _scaled, _decay, rescaled, decayed):
        sign = lambda x: (x > 0).astype(self.dtype) - (x < 0).astype(self.dtype)
        wd_lh = self.parameters.get("wd_lh", 0.0)
        if self.momentum == 0:
            wd = self.parameters.get("wd", 0.0) * self.parameters.get("wd_mult", 1.0)
            lost = self.lr * self.dtype(wd if self.mxnet1 else wd + wd_lh)
            left = (self.dtype(1) - lost) * w
            return left - self.lr * sign(s)
        momentum = self.dtype(self.momentum)
        share = self.dtype(1) - momentum
        kept = momentum * self.state[0]
        if self.mxnet1:
            lost = share * self.wd
            lost = lost * w
            kept = kept - lost
            if self.clip is None:
                rate = share * self.rescale
                new = rate * s
            else:
                new = share * rescaled
        else:
            new = share * decayed
        self.state[0] = kept - new
        lost = self.lr * self.dtype(wd_lh)
        left = (self.dtype(1) - lost) * w
        return left + self.lr * sign(self.state[0])

    def adadelta(self, w, _s, _scaled, decay, rescaled, decayed):
        g = rescaled if self.mxnet1 else decayed
        rho = self.parameters.get("rho", 0.9)
        epsilon = self.number("epsilon", 1e-5 if self.mxnet1 else 1e-6)

        def mean(old, x):
            kept = self.dtype(rho) * old
            new = self.dtype(1.0 - rho) * x
            new = new * x
            return kept + new

        squares, steps = self.state
        squares = mean(squares, g)
        up = np.sqrt(steps + epsilon)
        down = np.sqrt(squares + epsilon)
        step = up / down
        step = step * g
        self.state = [squares, mean(steps, step)]
        step = step + decay if self.mxnet1 else self.lr * step
        return w - step

    def rmsprop(self, w, _s, scaled, decay, _rescaled, decayed):
        g = self.clipped(scaled + decay) if self.mxnet1 else decayed
        rho, epsilon = self.number("rho", 0.9), self.number("epsilon", 1e-8)
        share = self.dtype(1) - rho
        if self.parameters.get("centered", 0.0) == 1.0:
            mean, var, momentum = self.state
            kept = rho * mean
            new = share * g
            mean = kept + new
            kept = rho * var
            new = (share * g) * g if self.mxnet1 else share * (g * g)
            var = kept + new
            spread = var - mean * mean
            spread = spread + epsilon
            step = self.lr * g
            step = step / np.sqrt(spread)
            kept = self.dtype(self.momentum) * momentum
            momentum = kept - step
            self.state = [mean, var, momentum]
            w = w + momentum
        else:
            kept = rho * self.state[0]
            new = share * (g * g)
            var = kept + new
            self.state = [var]
            down = np.sqrt(var + epsilon) if self.mxnet1 else np.sqrt(var) + epsilon
            step = g / down
            step = self.lr * step
            w = w - step
        bound = self.parameters.get("clip_weights")
        return w if bound is None else self.clipped_to(self.dtype(bound), w)

    def dcasgd(self, w, _s, _scaled, _decay, rescaled, decayed):
        g = rescaled if self.mxnet1 else decayed
        correction = self.number("lamda", 0.04) * g
        correction = correction * g
        per_worker = self.parameters.get("per_worker", 0.0) == 1.0
        moved = w - self.previous.get(self.worker, w) if per_worker else self.state[-1]
        correction = correction * moved
        d = decayed + correction
        step = self.lr * d
        if self.momentum == 0:
            new_w = w - step
        else:
            kept = self.dtype(self.momentum) * self.state[0]
            self.state[0] = kept - step
            new_w = w + self.state[0]
        if per_worker:
            self.previous[self.worker] = new_w
        else:
            self.state[-1] = new_w - w
        return new_w

    def ftrl(self, w, _s, _scaled, _decay, rescaled, _decayed):
        lamda1, beta = self.number("lamda1", 0.01), self.number("beta", 1.0)
        z, n = self.state
        square = rescaled * rescaled
        n_new = n + square
        root = np.sqrt(n_new)
        sigma = root - np.sqrt(n)
        pulled = sigma * w
        pulled = pulled / self.lr
        pull = rescaled - pulled
        z_new = z + pull
        self.state = [z_new, n_new]
        rate = beta + root
        rate = rate / self.lr
        rate = rate + self.wd
        over = np.copysign(lamda1, z_new) - z_new
        return np.where(np.abs(z_new) <= lamda1, self.dtype(0), over / rate)
