"""The standard normal between two ends."""

import math

import numpy as np

from sim.distributions.base import Floats


def normal_mass(low: float, high: float) -> float:
    """P(low < Z < high), exact in both tails."""
    if low > 0:
        low, high = -high, -low
    return (math.erfc(-high / math.sqrt(2)) - math.erfc(-low / math.sqrt(2))) / 2


def normal_between(u: Floats, low: float, high: float) -> Floats:
    """Quantiles of a standard normal cut to (low, high); the upper tail is mirrored to keep its digits."""
    from scipy.special import ndtr, ndtri

    if low > 0:
        return -normal_between(1 - u, -high, -low)
    first, last = ndtr(low), ndtr(high)
    return np.asarray(ndtri(first + u * (last - first)), np.float64)


def normal_mean_between(low: float, high: float) -> float:
    """Mean of a standard normal cut to (low, high)."""
    if math.isinf(low) and math.isinf(high):
        return 0.0
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) if math.isfinite(x) else 0.0 for x in (low, high)]
    return (density[0] - density[1]) / normal_mass(low, high)
