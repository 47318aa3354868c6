#!/usr/bin/env python3
"""Digests of NumPy's conversions between f16 and f32, over every f16 and, the other way, over every
f16, every midpoint between neighbours, and the f32s beside all these: the inputs of
tests/common/kernels/conversions_test.cc in the same order, without the NaNs.

  make_digests.py            writes digests.txt beside this script
  make_digests.py --check    makes them again and compares: exit 0 equal, 1 not, 77 without NumPy
"""
import pathlib
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent


def digest(words):
    """FNV-1a over little-endian words of 32 bits. Source: draft-eastlake-fnv."""
    value = 0xcbf29ce484222325
    for byte in np.asarray(words, dtype="<u4").tobytes():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def narrow_inputs():
    bits = np.arange(0x10000, dtype=np.uint32)
    bits = bits[(bits & 0x7fff) < 0x7c00]
    at = bits.astype(np.uint16).view(np.float16).astype(np.float64)
    after = (bits + 1).astype(np.uint16).view(np.float16).astype(np.float64)
    after[np.isinf(after)] = np.copysign(65536.0, after[np.isinf(after)])
    between = (at + after) / 2
    columns = []
    for x in (at, between):
        word = x.astype(np.float32).view(np.uint32)
        columns += [word - np.uint32(1), word, word + np.uint32(1)]
    inputs = np.stack(columns, axis=1).reshape(-1).view(np.float32)
    special = np.array([2.0**-149, 2.0**-126, 65504.0, 65519.99, 65520.0, 65536.0, 3.4e38,
                        np.finfo(np.float32).max, np.inf], dtype=np.float32)
    inputs = np.concatenate([inputs, np.stack([special, -special], axis=1).reshape(-1)])
    return inputs[~np.isnan(inputs)]


def main():
    wide = np.arange(0x10000, dtype=np.uint32).astype(np.uint16).view(np.float16).astype(np.float32)
    wide = wide[~np.isnan(wide)]
    with np.errstate(over="ignore"):
        narrow = narrow_inputs().astype(np.float16)
    lines = ["# Made by make_digests.py, which describes them. Do not edit.",
             f"widen f16 {digest(wide.view(np.uint32)):016x}",
             f"narrow f16 {digest(narrow.view(np.uint16)):016x}"]
    path = HERE / "digests.txt"
    if sys.argv[1:] == ["--check"]:
        equal = path.read_text().splitlines() == lines
        print(f"{path.name}: {'agrees' if equal else 'differs'}")
        sys.exit(0 if equal else 1)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
