"""Distributions by name, and draws from them."""

from typing import Final

import numpy as np

from marginquake.sim.core.typing import Floats
from marginquake.sim.rules.registry import Registry
from marginquake.sim.scenario.distributions.base import Distribution, UniformSource
from marginquake.sim.scenario.distributions.continuous import Beta, Exponential, Lognormal, Normal, Pareto, Uniform
from marginquake.sim.scenario.distributions.discrete import Buckets, Constant, Empirical

DISTRIBUTIONS: Final[Registry[type[Distribution]]] = Registry(
    "distribution",
    Distribution,
    {
        "constant": Constant,
        "uniform": Uniform,
        "normal": Normal,
        "lognormal": Lognormal,
        "exponential": Exponential,
        "beta": Beta,
        "pareto": Pareto,
        "buckets": Buckets,
        "empirical": Empirical,
    },
    key="distribution",
)
"""By the name in `distribution` of any trait."""


def find_distribution(name: object) -> type[Distribution]:
    """The class of a `distribution:` name.  ValueError says which names there are."""
    try:
        return DISTRIBUTIONS.find(name)
    except ValueError as why:
        near = DISTRIBUTIONS.nearest(name)
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"{why}{hint}") from None


def sample(trait: float | Distribution, stream: UniformSource, size: int, counter: int = 0) -> Floats:
    """One value of `trait` for each of `size` accounts, from `stream` at `counter`; durations are float ns."""
    if isinstance(trait, Distribution):
        return trait.quantile(stream.uniform(counter, size))
    return np.full(size, float(trait))


def mean(trait: float | Distribution) -> float:
    """Exact mean of a trait."""
    return trait.mean() if isinstance(trait, Distribution) else float(trait)
