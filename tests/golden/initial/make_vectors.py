#!/usr/bin/env python3
"""Values by rule, made without our code: what docs/consistency.md says, in Python and NumPy.

  make_vectors.py > vectors.txt

A line: rule a b seed key first dtype, then the elements. Of `uniform` they are the bytes (hex,
little-endian), exact. Of `normal` they are f64 (float.hex()), by the inverse of the normal
distribution in Python's statistics, whose logarithm is the C library's: close, not the same bits.
"""
import statistics

import numpy

MASK = (1 << 64) - 1


def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def fraction(seed, key, index):
    stream = mix64(mix64(mix64(seed) ^ key) ^ 0)
    return ((mix64(stream ^ index) >> 12) + 0.5) * 2.0 ** -52


def bf16(value):
    """An f64 rounded once to bf16: its two neighbours, the nearer one, ties to even."""
    toward_zero = numpy.float32(value).view(numpy.uint32)
    if abs(float(numpy.float32(value))) > abs(value):
        toward_zero -= 1
    low = int(toward_zero) >> 16
    numbers = [float(numpy.uint32(n << 16).view(numpy.float32)) for n in (low, low + 1)]
    distances = [abs(value - number) for number in numbers]
    up = distances[1] < distances[0] or (distances[1] == distances[0] and low % 2 == 1)
    return numpy.uint16(low + up).tobytes()


def as_bytes(value, dtype):
    if dtype == "bf16":
        return bf16(value)
    return numpy.dtype({"f64": "<f8", "f32": "<f4", "f16": "<f2"}[dtype]).type(value).tobytes()


def main():
    cases = [(0, 17, 0), (7, MASK, (1 << 60) - 3), (MASK, 0, 12345)]
    for seed, key, first in cases:
        for low, high in ((-0.1, 0.1), (0.0, 1.0), (3.0, 1000.0)):
            for dtype in ("f64", "f32", "f16", "bf16"):
                values = [low + fraction(seed, key, first + i) * (high - low) for i in range(40)]
                print("uniform", low.hex(), high.hex(), seed, key, first, dtype,
                      b"".join(as_bytes(value, dtype) for value in values).hex())
        for mean, deviation in ((0.0, 1.0), (-2.5, 0.01)):
            inverse = statistics.NormalDist().inv_cdf
            values = [mean + deviation * inverse(fraction(seed, key, first + i)) for i in range(300)]
            print("normal", mean.hex(), deviation.hex(), seed, key, first, "f64",
                  *(value.hex() for value in values))


if __name__ == "__main__":
    main()
