"""A trait of a population: one number for all accounts, or a distribution over them.

    leverage: 20
    deposit: {distribution: lognormal, median: 2k, sigma: 1.2, maximum: 1M}

A new distribution is one class here and one entry in `registry.DISTRIBUTIONS`; `distribution: my_lab.shapes:Bimodal`
names one outside the repository.  Sampling is by inverse CDF from counter-based uniforms: account i keeps its draw
in a population of any size, and quantiles move continuously with the parameters (common random numbers).
"""

from marginquake.sim.scenario.distributions.base import Continuous, Distribution, UniformSource, trait_fields
from marginquake.sim.scenario.distributions.continuous import Beta, Exponential, Lognormal, Normal, Pareto, Uniform
from marginquake.sim.scenario.distributions.discrete import Buckets, Constant, Empirical
from marginquake.sim.scenario.distributions.registry import DISTRIBUTIONS, find_distribution, mean, sample
from marginquake.sim.scenario.distributions.trait import Trait

__all__ = [
    "DISTRIBUTIONS",
    "Beta",
    "Buckets",
    "Constant",
    "Continuous",
    "Distribution",
    "Empirical",
    "Exponential",
    "Lognormal",
    "Normal",
    "Pareto",
    "Trait",
    "Uniform",
    "UniformSource",
    "find_distribution",
    "mean",
    "sample",
    "trait_fields",
]
