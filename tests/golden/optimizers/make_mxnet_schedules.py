#!/usr/bin/env python3
"""Asks MXNet 1.9.1's own lr_scheduler for learning rates and writes schedules.txt, and runs its
optimizers with them, from begin_num_update on, and writes mxnet_1_9_1_schedules.txt. Needs the
wheel, as make_mxnet_vectors.py says; run by hand, the results are committed:

  V/bin/python make_mxnet_schedules.py

schedules.txt: `case NAME parameter=number… steps=a,b,c`, then lines `at UPDATE BITS`: the rate of
that update, as the bits of an f64. The other file has the format of vectors.txt, with the schedule
among the parameters: `lr_scheduler=NAME lr_scheduler.step=10 …`.
"""
import pathlib
import struct

import mxnet as mx
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MADE = {"factor": mx.lr_scheduler.FactorScheduler,
        "multifactor": mx.lr_scheduler.MultiFactorScheduler,
        "poly": mx.lr_scheduler.PolyScheduler, "cosine": mx.lr_scheduler.CosineScheduler}
WHOLE = ("step", "max_update", "warmup_steps")

SCHEDULES = [
    ("factor", {"step": 1, "factor": 0.9}, []),
    ("factor", {"step": 7, "factor": 0.5, "base_lr": 0.3, "stop_factor_lr": 0.01}, []),
    ("factor", {"step": 10, "base_lr": 0.3}, []),
    ("factor", {"step": 3, "factor": 0.7, "base_lr": 0.2, "warmup_steps": 11,
                "warmup_begin_lr": 0.05}, []),
    ("multifactor", {"factor": 0.1, "base_lr": 1.0}, [1, 2, 30, 400]),
    ("multifactor", {"factor": 0.3, "base_lr": 0.7, "warmup_steps": 5, "warmup_constant": 1,
                     "warmup_begin_lr": 0.125}, [3, 50]),
    ("poly", {"max_update": 100, "base_lr": 0.4}, []),
    ("poly", {"max_update": 333, "base_lr": 0.4, "final_lr": 0.03, "pwr": 1}, []),
    ("poly", {"max_update": 200, "base_lr": 0.9, "pwr": 0.9, "warmup_steps": 20}, []),
    ("poly", {"max_update": 57, "base_lr": 0.01, "final_lr": 0.02, "pwr": 3.7}, []),
    ("cosine", {"max_update": 100, "base_lr": 0.4}, []),
    ("cosine", {"max_update": 333, "base_lr": 0.7, "final_lr": 0.05, "warmup_steps": 33,
                "warmup_begin_lr": 0.1}, []),
]
UPDATES = list(range(1, 70)) + [99, 100, 101, 199, 200, 201, 332, 333, 334, 399, 400, 401, 1000]


def scheduler_of(name, parameters, steps):
    theirs = {k: int(v) if k in WHOLE else v for k, v in parameters.items()}
    if theirs.pop("warmup_constant", 0):
        theirs["warmup_mode"] = "constant"
    if steps:
        theirs["step"] = list(steps)
    return MADE[name](**theirs)


def words_of(parameters, steps, prefix=""):
    words = [f"{prefix}{k}={v!r}" for k, v in parameters.items()]
    return words + ([f"{prefix}steps=" + ",".join(map(str, steps))] if steps else [])


def schedules():
    yield "# Made by make_mxnet_schedules.py with mxnet 1.9.1. Do not edit."
    for name, parameters, steps in SCHEDULES:
        yield " ".join(["case", name] + words_of(parameters, steps))
        scheduler = scheduler_of(name, parameters, steps)
        for update in UPDATES:
            yield f"at {update} " + struct.pack(">d", scheduler(update)).hex()


OPTIMIZERS = [
    ("sgd", {"wd": 0.01}, 0, 0),
    ("sgd", {"momentum": 0.9}, 1, 0),
    ("adam", {}, 3, 40),
    ("adam", {"lr_mult": 0.5}, 5, 0),
    ("nag", {"momentum": 0.9}, 7, 290),
    ("adagrad", {}, 8, 0),
    ("rmsprop", {}, 11, 0),
    ("ftml", {}, 10, 30),
    ("adamax", {}, 4, 7),
    ("signum", {}, 2, 5),
]
ROUNDS = 60
ELEMENTS = 11


def words(array):
    return " ".join(f"{int(b):08x}" for b in array.view(np.uint32))


def runs():
    yield ("# Made by make_mxnet_schedules.py with mxnet 1.9.1; format as vectors.txt. "
           "Do not edit.")
    random = np.random.RandomState(20240301)
    for optimizer, numbers, which, begin in OPTIMIZERS:
        name, parameters, steps = SCHEDULES[which]
        parameters = {"base_lr": 0.01, **parameters}
        ours = {**numbers, "mxnet1": 1.0}
        if begin:
            ours["begin_num_update"] = begin
        yield " ".join(["case", optimizer, "f32"] + words_of(ours, []) + [f"lr_scheduler={name}"]
                       + words_of(parameters, steps, "lr_scheduler."))
        theirs = {k: v for k, v in numbers.items() if k != "lr_mult"}
        # A learning rate takes the place of the scheduler's, so it must be the same.
        created = mx.optimizer.create(optimizer, learning_rate=parameters["base_lr"],
                                      lr_scheduler=scheduler_of(name, parameters, steps),
                                      begin_num_update=begin, **theirs)
        created.set_lr_mult({0: numbers.get("lr_mult", 1.0)})
        update = mx.optimizer.get_updater(created)
        value = random.standard_normal(ELEMENTS).astype(np.float32)
        yield "value 0 " + words(value)
        weight = mx.nd.array(value)
        for number in range(1, ROUNDS + 1):
            grad = (random.standard_normal(ELEMENTS) * 10.0 ** random.randint(-3, 2)).astype(
                np.float32)
            yield f"sum {number} " + words(grad)
            update(0, mx.nd.array(grad), weight)
            yield f"value {number} " + words(weight.asnumpy())


if __name__ == "__main__":
    (HERE / "schedules.txt").write_text("\n".join(schedules()) + "\n")
    (HERE / "mxnet_1_9_1_schedules.txt").write_text("\n".join(runs()) + "\n")
