"""Values and means of traits, be they numbers or distributions."""

import numpy as np

from sim.distributions.base import Distribution, Floats, UniformSource


def sample(trait: float | Distribution, stream: UniformSource, size: int, counter: int = 0) -> Floats:
    """One value of `trait` for each of `size` accounts, from `stream` at `counter`; durations are float ns."""
    if isinstance(trait, Distribution):
        return trait.quantile(stream.uniform(counter, size))
    return np.full(size, float(trait))


def mean(trait: float | Distribution) -> float:
    """Exact mean of a trait."""
    return trait.mean() if isinstance(trait, Distribution) else float(trait)
