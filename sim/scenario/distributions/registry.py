"""Distributions by name, and draws from them."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from marginquake.sim.core.plugins import import_class
from marginquake.sim.core.problems import closest
from marginquake.sim.scenario.distributions.base import Distribution, Floats, UniformSource
from marginquake.sim.scenario.distributions.continuous import Beta, Exponential, Lognormal, Normal, Pareto, Uniform
from marginquake.sim.scenario.distributions.discrete import Buckets, Constant, Empirical

DISTRIBUTIONS: Final[Mapping[str, type[Distribution]]] = {
    "constant": Constant,
    "uniform": Uniform,
    "normal": Normal,
    "lognormal": Lognormal,
    "exponential": Exponential,
    "beta": Beta,
    "pareto": Pareto,
    "buckets": Buckets,
    "empirical": Empirical,
}


def find_distribution(name: object) -> type[Distribution]:
    """The class of a `distribution:` name.  ValueError says which names there are."""
    if isinstance(name, str) and name in DISTRIBUTIONS:
        return DISTRIBUTIONS[name]
    if isinstance(name, str) and ":" in name:
        found = import_class(name)
        if not issubclass(found, Distribution):
            raise ValueError(f"{name!r} is not a subclass of marginquake.sim.scenario.distributions.Distribution")
        return found
    near = closest(name, DISTRIBUTIONS) if isinstance(name, str) else None
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"no such distribution; one of {', '.join(DISTRIBUTIONS)}, or module:Class{hint}")


def sample(trait: float | Distribution, stream: UniformSource, size: int, counter: int = 0) -> Floats:
    """One value of `trait` for each of `size` accounts, from `stream` at `counter`; durations are float ns."""
    if isinstance(trait, Distribution):
        return trait.quantile(stream.uniform(counter, size))
    return np.full(size, float(trait))


def mean(trait: float | Distribution) -> float:
    """Exact mean of a trait."""
    return trait.mean() if isinstance(trait, Distribution) else float(trait)
