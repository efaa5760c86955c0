"""Counter-based random numbers: a draw is a pure function of (key, a, b).

The mixer is SplitMix64's finaliser (Steele, Lea, Flood 2014) applied to each word in turn. Scalar math only, so that
compiled and interpreted runs round alike.
"""

import math

import numpy as np

from marginquake.sim.kernels import helper, kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)
_S11 = np.uint64(11)
_TO_UNIT = 1.0 / 9007199254740992.0


@helper
def mix(z):
    """Avalanche one 64-bit word."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@helper
def word(key, a, b):
    """64 random bits at address (a, b) of the stream `key`."""
    z = mix(np.uint64(key) + _GAMMA * (np.uint64(a) + np.uint64(1)))
    return mix(z + _GAMMA * (np.uint64(b) + np.uint64(1)))


@helper
def unit(key, a, b):
    """Uniform in (0, 1): never 0, so its logarithm is finite."""
    return (float(word(key, a, b) >> _S11) + 0.5) * _TO_UNIT


@helper
def normal(key, a, b):
    """Standard normal by Box-Muller from addresses (a, 2b) and (a, 2b + 1)."""
    two_b = np.uint64(b) * np.uint64(2)
    u = unit(key, a, two_b)
    v = unit(key, a, two_b + np.uint64(1))
    return math.sqrt(-2.0 * math.log(u)) * math.cos(6.283185307179586 * v)


@kernel
def fill_words(key, a, first, out):
    """`out[i]` = 64 bits at (a, first + i)."""
    for i in range(out.shape[0]):
        out[i] = word(key, a, np.uint64(first) + np.uint64(i))
    return out.shape[0]


@kernel
def fill_units(key, a, first, out):
    """`out[i]` = uniform at (a, first + i)."""
    for i in range(out.shape[0]):
        out[i] = unit(key, a, np.uint64(first) + np.uint64(i))
    return out.shape[0]


@kernel
def fill_units_at(key, a, b, out):
    """`out[i]` = uniform at (a, b[i]): one draw an account, the same whatever other accounts there are."""
    for i in range(out.shape[0]):
        out[i] = unit(key, a, np.uint64(b[i]))
    return out.shape[0]


@kernel
def fill_normals(key, a, first, out):
    """`out[i]` = standard normal at (a, first + i)."""
    for i in range(out.shape[0]):
        out[i] = normal(key, a, np.uint64(first) + np.uint64(i))
    return out.shape[0]


@kernel
def poisson(key, a, b, mean):
    """Poisson count by sequential inversion; exact for the small means of one step, normal above 500."""
    if mean <= 0.0:
        return 0
    if mean > 500.0:
        z = normal(key, a, b)
        value = math.floor(mean + math.sqrt(mean) * z + 0.5)
        return int(value) if value > 0.0 else 0
    u = unit(key, a, np.uint64(b) * np.uint64(2))
    probability = math.exp(-mean)
    cumulative = probability
    k = 0
    while u > cumulative and k < 2000:
        k += 1
        probability *= mean / k
        cumulative += probability
    return k
