#!/usr/bin/env python3
"""Golden vectors of the codecs, made with NumPy from docs/compression.md.

NumPy rounds each single operation of an array expression to the array's dtype, so that writing the
rules one operation at a time gives the exact bits that our codecs must give.

  make_vectors.py            writes vectors.txt beside this script
  make_vectors.py --check    makes them again and compares with vectors.txt: exit 0 equal, 1 not,
                             77 when NumPy is not there

Format of vectors.txt, a text file of lines of words:
  case TYPE DTYPE [PARAMETER=VALUE]...   begins a case; the block is part 3 of key 17, of sender 2
  x N HEX...         what is added to what was left over before round N, input
  encoded N BYTES    in hexadecimal digits, expected
  decoded N HEX...   what the bytes stand for, expected
  left N HEX...      what is left over after round N, expected
HEX is an element's bits. Any NaN stands for every NaN.
"""
import difflib
import math
import pathlib
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
SIZES = (1, 9, 37)
ROUNDS = 3
KEY, PART, SENDER = 17, 3, 2
MASK = (1 << 64) - 1

CASES = [
    ("2bit", {}),
    ("2bit", {"threshold": 0.1}),
    ("1bit", {}),
    ("1bit", {"threshold": -0.25}),
    ("fp16", {}),
    ("bf16", {}),
    ("topk", {"ratio": 0.25}),
    ("topk", {}),
    ("randomk", {"ratio": 0.2, "seed": 5}),
    ("dithering", {}),
    ("dithering", {"bits": 2, "seed": 9}),
    ("dithering", {"bits": 8}),
    ("onebit_scaled", {}),
]


def mix64(x):
    """SplitMix64's finaliser."""
    x = (x + 0x9e3779b97f4a7c15) & MASK
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & MASK
    return x ^ (x >> 31)


def finite_or_zero(x):
    return np.where(np.isfinite(x), x, x.dtype.type(0))


def pack(codes, bits, pad):
    """Codes of so many bits, the first in the highest bits of a byte; whole units of `pad` bytes."""
    text = "".join(format(int(code), f"0{bits}b") for code in codes)
    unit = 8 * pad
    text += "0" * (-len(text) % unit)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def to_bf16(x):
    """f32 rounded to the upper half of its bits, to nearest, ties to even, and widened again."""
    bits = x.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16
    nan = (bits & 0x7fffffff) > 0x7f800000
    rounded = np.where(nan, bits >> 16 | 0x40, rounded).astype(np.uint16)
    return rounded, (rounded.astype(np.uint32) << 16).view(np.float32)


def two_bit(r, parameters, _round):
    t = r.dtype.type(parameters.get("threshold", 0.5))
    up, down = r >= t, r <= -t
    decoded = np.where(up, t, np.where(down, -t, r.dtype.type(0)))
    left = np.where(up, r - t, np.where(down, r + t, r))
    codes = np.where(up, 3, np.where(down, 2, 0))
    return pack(codes, 2, 4), decoded, finite_or_zero(left)


def one_bit(r, parameters, _round):
    t, one = r.dtype.type(parameters.get("threshold", 0.5)), r.dtype.type(1)
    up = r > t
    return pack(up, 1, 4), np.where(up, one, -one), finite_or_zero(np.where(up, r - one, r + one))


def cast(largest, narrow):
    def encode(r, _parameters, _round):
        bound = r.dtype.type(largest)
        clamped = np.where(np.isfinite(r), np.clip(r, -bound, bound), r).astype(np.float32)
        bits, wide = narrow(clamped)
        decoded = wide.astype(r.dtype)
        return bits.astype("<u2").tobytes(), decoded, finite_or_zero(r - decoded)
    return encode


def to_f16(x):
    half = x.astype(np.float16)
    return half.view(np.uint16), half.astype(np.float32)


def sent_of(n, parameters):
    return max(1, math.floor(parameters.get("ratio", 0.01) * n))


def top_k(r, parameters, _round):
    magnitude = np.where(np.isnan(r), np.inf, np.abs(r))
    # Largest first, of equal ones the first.
    places = sorted(sorted(range(len(r)), key=lambda i: -magnitude[i])[:sent_of(len(r), parameters)])
    decoded, left = np.zeros_like(r), r.copy()
    decoded[places], left[places] = r[places], 0
    encoded = np.array(places, "<u4").tobytes() + r[places].tobytes()
    return encoded, decoded, left


def random_k(r, parameters, round_):
    n, sent = len(r), sent_of(len(r), parameters)
    seed = mix64((mix64((mix64(int(parameters.get("seed", 0)) ^ KEY) + PART) & MASK) + round_) & MASK)
    places = []
    for k in range(sent):
        begin, end = n * k // sent, n * (k + 1) // sent
        places.append(begin + mix64((seed + k) & MASK) % (end - begin))
    decoded, left = np.zeros_like(r), r.copy()
    decoded[places], left[places] = r[places], 0
    return seed.to_bytes(8, "little") + r[places].tobytes(), decoded, left


def dithering(r, parameters, round_):
    number = r.dtype.type
    bits = int(parameters.get("bits", 4))
    steps = (1 << (bits - 1)) - 1
    of_part = mix64((mix64(int(parameters.get("seed", 0)) ^ KEY) + PART) & MASK)
    seed = mix64((mix64((of_part + SENDER) & MASK) + round_) & MASK)
    hashes = [mix64((seed + i // 2) & MASK) for i in range(len(r))]
    chance = np.array([number(h >> 16 & 0xffffff if i % 2 else h >> 40) * number(2.0 ** -24)
                       for i, h in enumerate(hashes)], r.dtype)
    largest = np.max(np.abs(r)) if np.all(np.isfinite(r)) else number(np.nan)
    level = np.zeros(len(r), np.int64)
    if largest > 0:
        scale = number(steps) / largest
        if np.isfinite(scale):
            level = np.minimum(np.floor(np.abs(r) * scale + chance), number(steps)).astype(np.int64)
    signed = np.where(np.signbit(r), -level, level)
    decoded = signed.astype(r.dtype) * (largest / number(steps))
    return (np.array([largest], r.dtype).tobytes() + pack(signed + steps, bits, 1), decoded,
            finite_or_zero(r - decoded))


def scaled_one_bit(r, _parameters, _round):
    sums = [0.0] * 8
    for i, x in enumerate(r):
        sums[i % 8] += abs(float(x))
    total = 0.0
    for each in sums:
        total += each
    mean = r.dtype.type(total / len(r))
    up = r >= 0  # a NaN is not
    left = np.where(up, r - mean, r + mean)
    return (np.array([mean], r.dtype).tobytes() + pack(up, 1, 4), np.where(up, mean, -mean),
            finite_or_zero(left))


ENCODERS = {
    "2bit": two_bit,
    "1bit": one_bit,
    "fp16": cast(65504.0, to_f16),
    "bf16": cast(float.fromhex("0x1.FEp127"), to_bf16),
    "topk": top_k,
    "randomk": random_k,
    "dithering": dithering,
    "onebit_scaled": scaled_one_bit,
}


def numbers(random, n, dtype, awkward):
    x = (random.standard_normal(n) * 0.6).astype(dtype)
    special = np.array([0.0, -0.0, 0.5, -0.5, 0.1, -0.25, 1e-40, 7e4, -1e6], dtype)
    x = np.where(random.random(n) < 0.2, special[random.integers(0, len(special), n)], x)
    if awkward:
        worse = np.array([np.inf, -np.inf, np.nan, np.finfo(dtype).max], dtype)
        x = np.where(random.random(n) < 0.15, worse[random.integers(0, len(worse), n)], x)
    return x.astype(dtype)


def hexes(x):
    digits = 2 * x.dtype.itemsize
    unsigned = x.view({4: np.uint32, 8: np.uint64}[x.dtype.itemsize])
    nan = {4: "7fc00000", 8: "7ff8000000000000"}[x.dtype.itemsize]
    return " ".join(nan if np.isnan(v) else format(int(b), f"0{digits}x")
                    for v, b in zip(x, unsigned))


def lines():
    random = np.random.default_rng(20261129)
    yield "# Made by make_vectors.py, which describes the format. Do not edit."
    for type_, parameters in CASES:
        for dtype, name in ((np.float32, "f32"), (np.float64, "f64")):
            for n in SIZES:
                for awkward in (False, True):
                    words = [f"{key}={value!r}" for key, value in parameters.items()]
                    yield " ".join(["case", type_, name] + words)
                    left = np.zeros(n, dtype)
                    for round_ in range(ROUNDS):
                        x = numbers(random, n, dtype, awkward)
                        with np.errstate(all="ignore"):
                            encoded, decoded, rest = ENCODERS[type_](left + x, parameters, round_)
                        yield f"x {round_} {hexes(x)}"
                        yield f"encoded {round_} {encoded.hex()}"
                        yield f"decoded {round_} {hexes(decoded.astype(dtype))}"
                        left = rest.astype(dtype)
                        yield f"left {round_} {hexes(left)}"


def main():
    made = "\n".join(lines()) + "\n"
    path = HERE / "vectors.txt"
    if "--check" not in sys.argv[1:]:
        path.write_text(made)
        return 0
    known = path.read_text()
    if known == made:
        return 0
    sys.stdout.writelines(list(difflib.unified_diff(known.splitlines(True), made.splitlines(True),
                                                    "vectors.txt", "made now"))[:20])
    return 1


if __name__ == "__main__":
    sys.exit(main())
