"""Paired estimates over seeds of what a mechanism did: amplification, its share of the move, points (eq. 182, 183).

Logs of ratios are averaged, so that a mechanism that doubles one fall and halves another has done nothing on average;
their interval is that of `analysis.statistics.paired`: over seeds, none below five.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.analysis.statistics.intervals import interval_over_seeds
from marginquake.analysis.statistics.paired import Paired, paired
from marginquake.sim.core.typing import Floats, Ints


@final
@dataclass(frozen=True)
class Effect:
    """What the mechanisms in `of` did while those in `given` were off.

    `amplification`: geometric mean over seeds of move with / move without.  `share`: 1 - 1 / amplification, the part of
    the move that is theirs.  `ratio_of_means`: mean move with / mean move without.  `points`: mean of with - without, a
    fraction of the price.  `n`: seeds with both moves above 0, which a ratio needs.  `unchanged`: seeds whose move is
    the same to the last bit.
    """

    of: tuple[str, ...]
    given: tuple[str, ...]
    amplification: Estimate
    share: Estimate
    ratio_of_means: Estimate
    points: Estimate
    n: int
    unchanged: int


def effect_of(of: tuple[str, ...], given: tuple[str, ...], with_it: Floats, without_it: Floats) -> Effect:
    """Estimate an effect from the moves of every seed, in the same order."""
    positive = (with_it > 0) & (without_it > 0)
    ratios = paired(np.log(without_it[positive]), np.log(with_it[positive])) if positive.any() else None
    amplification = _mean_of(ratios).through(math.exp)
    return Effect(
        of=of,
        given=given,
        amplification=amplification,
        share=amplification.through(_share),
        ratio_of_means=_ratio_of_means(with_it, without_it),
        points=_mean_of(paired(without_it, with_it)),
        n=int(positive.sum()),
        unchanged=int(np.sum(with_it == without_it)),
    )


def _mean_of(found: Paired | None) -> Estimate:
    return UNKNOWN if found is None else Estimate(found.mean, found.low, found.high)


def _share(amplification: float) -> float:
    return 1.0 - 1.0 / amplification


def _ratio_of_means(with_it: Floats, without_it: Floats) -> Estimate:
    """With its interval: whole seeds are drawn again, so that pairs stay pairs."""
    if len(with_it) == 0 or not without_it.mean() > 0:
        return UNKNOWN
    value = float(with_it.mean() / without_it.mean())

    def ratio(picks: Ints) -> Floats:
        below = without_it[picks].mean(axis=1)
        return with_it[picks].mean(axis=1) / below if (below > 0).all() else np.full(len(below), math.nan)

    return Estimate(value, *interval_over_seeds(len(with_it), ratio))
