"""Calls beyond the closed form, and what they are due to (docs/model.md, eq. 213).

    called - forecast = (crossed in the twin - forecast) + (crossed - crossed in the twin) + (called - crossed)
    excess            =  price                           +  feedback                       +  conduct

*price*: what the outside price did that a Brownian motion of the volatility assumed would not have done: shocks, jumps,
a volatility that was misjudged.  The twin without forced sales has the same outside price and none of the feedback.
*feedback*: triggers that the mark reached only because of forced sales (negative: that they kept it away from).
*conduct*: calls of accounts that had changed their position or margin by then, less those that had left in time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.risk.call_forecasts import CallForecast
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.analysis.statistics.reliability import with_interval
from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True)
class Excess:
    """Shares of the accounts, with intervals over seeds.  Without twins price and feedback stand in `moved` alone."""

    accounts: int
    seeds: int
    forecast: Estimate
    called: Estimate
    excess: Estimate
    moved: Estimate
    """crossed - forecast: price and feedback together."""
    price: Estimate
    feedback: Estimate
    conduct: Estimate
    twin_called: Estimate
    error: float
    """Standard error of the share crossed without feedback, were the closed form true: price / error is its test."""


def excess(made: Sequence[CallForecast]) -> Excess:
    """Excess of calls over the forecasts of one source and horizon, all runs and moments together."""
    has_twin = all(each.twin_crossed is not None for each in made)
    has_twin_calls = all(each.twin_called is not None for each in made)
    seeds = list(dict.fromkeys(each.seed for each in made))
    sums = [np.sum([_sums(each) for each in made if each.seed == seed], axis=0) for seed in seeds]

    def share(*columns: tuple[int, float]) -> Estimate:
        def of(total: Floats) -> float:
            return float(sum(sign * total[c] for c, sign in columns) / total[0]) if total[0] else math.nan

        return with_interval(sums, of)

    count, p, called, crossed, twin_crossed, twin_called = range(6)
    return Excess(
        accounts=int(sum(each[count] for each in sums)),
        seeds=len(seeds),
        forecast=share((p, 1)),
        called=share((called, 1)),
        excess=share((called, 1), (p, -1)),
        moved=share((crossed, 1), (p, -1)),
        price=share((twin_crossed, 1), (p, -1)) if has_twin else UNKNOWN,
        feedback=share((crossed, 1), (twin_crossed, -1)) if has_twin else UNKNOWN,
        conduct=share((called, 1), (crossed, -1)),
        twin_called=share((twin_called, 1)) if has_twin_calls else UNKNOWN,
        error=_error(made, seeds),
    )


def _error(made: Sequence[CallForecast], seeds: Sequence[str]) -> float:
    """Seeds are independent; moments of one seed are taken as if they moved together, which is the worst they can."""
    of_seeds = [math.fsum(_deviation(each) for each in made if each.seed == seed) for seed in seeds]
    count = sum(len(each) for each in made)
    return math.sqrt(math.fsum(each**2 for each in of_seeds)) / count if count else math.nan


def _deviation(made: CallForecast) -> float:
    """Of the number crossed: longs of one path are all called by its one minimum, so two are with min(p, q).

    Longs and shorts exclude each other rather than not, so that taking them as independent errs on the large side.
    """
    variance = 0.0
    for side in (1, -1):
        p = np.sort(made.probability[made.standing.side == side])
        pairs = 2.0 * np.arange(len(p) - 1, -1, -1) + 1.0  # in which this one is the smaller
        variance += max(float((p * pairs).sum() - p.sum() ** 2), 0.0)
    return math.sqrt(variance)


def _sums(made: CallForecast) -> Floats:
    twin_crossed = made.twin_crossed.sum() if made.twin_crossed is not None else 0
    twin_called = made.twin_called.sum() if made.twin_called is not None else 0
    return np.array(
        [len(made), made.probability.sum(), made.called.sum(), made.crossed.sum(), twin_crossed, twin_called],
        np.float64,
    )
