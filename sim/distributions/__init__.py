"""A trait of a population: one number for all accounts, or a distribution over them.

    leverage: 20
    deposit: {distribution: lognormal, median: 2k, sigma: 1.2, maximum: 1M}

A new distribution is one file here and one entry in `registry.DISTRIBUTIONS`; `distribution: my_lab.shapes:Bimodal`
names one outside the repository.  Sampling is by inverse CDF from counter-based uniforms: account i keeps its draw
however many others there are, and quantiles move continuously with the parameters (common random numbers).
"""

from sim.distributions.base import Continuous, Distribution, UniformSource, trait_fields
from sim.distributions.beta import Beta
from sim.distributions.buckets import Buckets
from sim.distributions.constant import Constant
from sim.distributions.empirical import Empirical
from sim.distributions.exponential import Exponential
from sim.distributions.lognormal import Lognormal
from sim.distributions.normal import Normal
from sim.distributions.pareto import Pareto
from sim.distributions.registry import DISTRIBUTIONS, find_distribution
from sim.distributions.sampling import mean, sample
from sim.distributions.trait import Trait
from sim.distributions.uniform import Uniform

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
