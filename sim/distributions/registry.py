"""Distributions by name: a new one is a file of its own and one entry here."""

from collections.abc import Mapping
from typing import Final

from sim.distributions.base import Distribution
from sim.distributions.beta import Beta
from sim.distributions.buckets import Buckets
from sim.distributions.constant import Constant
from sim.distributions.empirical import Empirical
from sim.distributions.exponential import Exponential
from sim.distributions.lognormal import Lognormal
from sim.distributions.normal import Normal
from sim.distributions.pareto import Pareto
from sim.distributions.uniform import Uniform
from sim.imports import import_class
from sim.problems import closest

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
            raise ValueError(f"{name!r} is not a subclass of sim.distributions.Distribution")
        return found
    near = closest(name, DISTRIBUTIONS) if isinstance(name, str) else None
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"no such distribution; one of {', '.join(DISTRIBUTIONS)}, or module:Class{hint}")
