#!/usr/bin/env python3
"""Runs PyTorch's own optimizers, where they have our rule, and writes pytorch.txt beside this script.
Needs PyTorch, so it is run by hand and its result is committed:

  python3 -m venv V && V/bin/pip install numpy torch && V/bin/python make_pytorch_vectors.py

Format: as formulas.txt. `exact` are PyTorch's values, computed in f64; `bound` says how far from them
f32 may be, by make_formula_vectors.py over as many rounds. Inputs are new ones.

What PyTorch has otherwise is left out: adamw's weight decay, which is not corrected for the bias
there, and adam's epsilon, which is added to the corrected root (here it is too small to count).
"""
import pathlib

import numpy as np
import torch

import make_vectors
from make_formula_vectors import Formulas, Number

HERE = pathlib.Path(__file__).resolve().parent
ELEMENTS = 7
ROUNDS = 60
TINY = 1e-30
OPTIM = torch.optim

# Ours, its numbers, PyTorch's class, and what differs from our numbers there.
CASES = [
    ("sgd", {"learning_rate": 0.1, "wd": 0.01}, OPTIM.SGD, {}),
    ("sgd", {"learning_rate": 0.05, "momentum": 0.85, "wd": 0.01}, OPTIM.SGD, {}),
    ("nag", {"learning_rate": 0.05, "momentum": 0.85, "wd": 0.01}, OPTIM.SGD, {"nesterov": True}),
    ("adagrad", {"learning_rate": 0.1, "wd": 0.01, "epsilon": 1e-3}, OPTIM.Adagrad, {}),
    ("adadelta", {"learning_rate": 0.5, "rho": 0.8, "epsilon": 1e-3, "wd": 0.01}, OPTIM.Adadelta, {}),
    ("adam", {"learning_rate": 0.02, "beta1": 0.8, "beta2": 0.95, "epsilon": TINY, "wd": 0.01},
     OPTIM.Adam, {}),
    ("adamw", {"learning_rate": 0.02, "beta1": 0.8, "beta2": 0.95, "epsilon": TINY}, OPTIM.AdamW,
     {"weight_decay": 0.0}),
    ("adamax", {"learning_rate": 0.02, "beta1": 0.8, "beta2": 0.95, "epsilon": TINY, "wd": 0.01},
     OPTIM.Adamax, {}),
    ("nadam", {"learning_rate": 0.02, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3, "wd": 0.01,
               "schedule_decay": 0.004}, OPTIM.NAdam, {}),
    ("rmsprop", {"learning_rate": 0.02, "rho": 0.8, "epsilon": 1e-3, "wd": 0.01}, OPTIM.RMSprop, {}),
    ("rmsprop", {"learning_rate": 0.02, "rho": 0.8, "epsilon": TINY, "centered": 1.0,
                 "momentum": 0.7, "wd": 0.01}, OPTIM.RMSprop, {}),
]
NAMES = {"learning_rate": "lr", "wd": "weight_decay", "epsilon": "eps", "rho": "alpha",
         "schedule_decay": "momentum_decay"}


def torchs(optimizer, numbers, theirs):
    """The arguments of PyTorch's class."""
    given = dict(numbers)
    arguments = dict(theirs)
    if "beta1" in given:
        arguments["betas"] = (given.pop("beta1"), given.pop("beta2"))
    if given.pop("centered", 0.0):
        arguments["centered"] = True
    names = dict(NAMES, rho="rho") if optimizer == "adadelta" else NAMES
    for name, value in given.items():
        arguments.setdefault(names.get(name, name), value)
    return arguments


def all_lines():
    yield "# Made by make_pytorch_vectors.py, which describes the format. Do not edit."
    random = make_vectors.SplitMix64(20261129)
    for optimizer, numbers, cls, theirs in CASES:
        start = random.array(np.float32, ELEMENTS)
        yield " ".join(["case", optimizer, "f32"] + [f"{k}={v!r}" for k, v in numbers.items()])
        yield "value 0 " + make_vectors.words(start)
        weight = torch.nn.Parameter(torch.tensor(start.astype(np.float64)))
        rule = cls([weight], **torchs(optimizer, numbers, theirs))
        formulas = Formulas(optimizer, numbers)
        w = Number(start.astype(np.float64))
        for n in range(1, ROUNDS + 1):
            s = random.array(np.float32, ELEMENTS)
            weight.grad = torch.tensor(s.astype(np.float64))
            rule.step()
            w = getattr(formulas, optimizer)(w, Number(s.astype(np.float64)))
            exact = weight.detach().numpy()
            assert np.all(abs(exact - w.value) <= 2e-7 * (1 + abs(exact))), (optimizer, n, exact, w.value)
            yield f"sum {n} " + make_vectors.words(s)
            yield f"exact {n} " + " ".join(f"{x:.17g}" for x in exact)
            yield f"bound {n} " + " ".join(f"{2 * x:.3g}" for x in w.error)


if __name__ == "__main__":
    (HERE / "pytorch.txt").write_text("\n".join(all_lines()) + "\n")
