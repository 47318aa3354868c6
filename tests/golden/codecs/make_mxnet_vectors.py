#!/usr/bin/env python3
"""Golden vectors of 2bit from outside: what MXNet 1.9.1's device store makes of compressed pushes.

  make_mxnet_vectors.py    writes mxnet_1_9_1.txt beside this script; needs the packages mxnet 1.9.1
                           and numpy 1.23.5

Two values per push, as of two devices, each with a left over of its own; without an optimizer the
value of the key becomes the sum of what was sent.

Format, a text file of lines of words:
  case THRESHOLD        begins a case
  x N DEVICE HEX...     what device 0 or 1 pushes in round N, input
  value N HEX...        the value after round N, expected
HEX is the bits of an f32.
"""
import pathlib

import mxnet as mx
import numpy as np

ELEMENTS = 37
ROUNDS = 20


def hexes(x):
    return " ".join(f"{bits:08x}" for bits in np.asarray(x, np.float32).view(np.uint32))


def lines():
    random = np.random.default_rng(20261129)
    yield "# Made by make_mxnet_vectors.py, which describes the format. Do not edit."
    for threshold in (0.5, 0.1, 2.0):
        store = mx.kv.create("device")
        store.set_gradient_compression({"type": "2bit", "threshold": threshold})
        store.init("a", mx.nd.zeros((ELEMENTS,)))
        yield f"case {threshold!r}"
        for round_ in range(ROUNDS):
            pushed = [(random.standard_normal(ELEMENTS) * 0.6).astype(np.float32) for _ in range(2)]
            for device, x in enumerate(pushed):
                x[:4] = (threshold, -threshold, 0, -0.0)
                yield f"x {round_} {device} {hexes(x)}"
            store.push("a", [mx.nd.array(x) for x in pushed])
            out = mx.nd.zeros((ELEMENTS,))
            store.pull("a", out=out)
            yield f"value {round_} {hexes(out.asnumpy())}"


if __name__ == "__main__":
    path = pathlib.Path(__file__).resolve().parent / "mxnet_1_9_1.txt"
    path.write_text("\n".join(lines()) + "\n")
