"""sgld's noise as docs/optimizers.md says, in plain Python: sums, products and roots of doubles."""
import math

KEY = 17  # of all values

A = [3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3]
B = [1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3]
C = [1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4]
D = [1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9]


def mix64(x):
    mask = (1 << 64) - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def noise_share(seed, update, index):
    """With which probability a normal number is below that of `index`."""
    h = mix64(mix64(mix64(mix64(seed) ^ KEY) ^ update) ^ index)
    return ((h >> 12) + 0.5) / 2.0**52


def logarithm(x):
    m, exponent = math.frexp(x)
    if m < 0.70710678118654752:
        m, exponent = 2 * m, exponent - 1
    s = (m - 1) / (m + 1)
    square = s * s
    total = 0.0
    for n in range(23, 0, -2):
        total = total * square + 1.0 / n
    return exponent * 0.69314718055994531 + 2 * (s * total)


def rational(up, down, x):
    above, below = up[7], down[7]
    for i in range(6, -1, -1):
        above = above * x + up[i]
        below = below * x + down[i]
    return above / below


def normal_quantile(u):
    """Algorithm AS 241, without its last part: no u here is below e^-25."""
    q = u - 0.5
    if abs(q) <= 0.425:
        return q * rational(A, B, 0.180625 - q * q)
    r = math.sqrt(-logarithm(u if q < 0 else 1 - u))
    assert r <= 5
    z = rational(C, D, r - 1.6)
    return -z if q < 0 else z
