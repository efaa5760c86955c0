"""Quantiles of a few values with weights."""

import numpy as np

from sim.distributions.base import Floats


def staircase(u: Floats, values: Floats, weights: Floats) -> Floats:
    """The values at the probabilities `u`, in the order given."""
    steps = np.cumsum(weights)
    last = int(np.flatnonzero(weights)[-1])
    return np.asarray(values[np.minimum(np.searchsorted(steps, u * steps[-1], side="right"), last)], np.float64)
