"""How good forecast probabilities were: reliability diagram, Brier score and its parts (docs/model.md, eq. 212).

Everything is a function of sums over accounts by bin of forecast probability, and these add up over runs: so a
bootstrap over seeds, the independent units, resamples tables of sums and never an account.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import LEAST_VALUES, draw_weights, percentiles
from marginquake.sim.core.typing import Bools, Floats

EDGES = (0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of bins of forecast probability; the last bin includes 1.  Finer near 0, where most forecasts are."""
BINS = len(EDGES) - 1
RESAMPLES = 2000

COUNT, FORECAST, EVENT, FORECAST_2, BOTH = range(5)
"""Columns of a table of sums: accounts, p, y, p^2, p y."""


def table_of(probability: Floats, event: Bools) -> Floats:
    """(BINS, 5): the sums of one run."""
    place = np.clip(np.searchsorted(EDGES, probability, side="right") - 1, 0, BINS - 1)
    y = event.astype(np.float64)
    columns = (np.ones_like(probability), probability, y, probability**2, probability * y)
    return np.stack([np.bincount(place, column, BINS) for column in columns], axis=1)


@final
@dataclass(frozen=True)
class Brier:
    """score = reliability - resolution + uncertainty + within (Murphy 1973; Stephenson, Coelho, Jolliffe 2008, R).

    `reliability`: how far forecasts lie from what was observed; `resolution`: how far what was observed in the bins
    lies from its mean; `uncertainty`: of the event itself; `within`: what differences of forecasts inside one bin add.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float

    @property
    def skill(self) -> float:
        """1 - score / uncertainty: above 0 where the forecast beats knowing the mean frequency in hindsight."""
        return 1.0 - self.score / self.uncertainty if self.uncertainty > 0 else math.nan


def brier(table: Floats) -> Brier:
    """Score and parts from a table of sums, of one run or added up over many."""
    total = table[:, COUNT].sum()
    if total == 0:
        return Brier(*[math.nan] * 5)
    used = table[table[:, COUNT] > 0]
    count = used[:, COUNT]
    forecast, observed = used[:, FORECAST] / count, used[:, EVENT] / count
    mean = used[:, EVENT].sum() / total
    spread = used[:, FORECAST_2] - count * forecast**2
    together = used[:, BOTH] - count * forecast * observed
    return Brier(
        score=float((used[:, FORECAST_2] - 2.0 * used[:, BOTH] + used[:, EVENT]).sum() / total),
        reliability=float((count * (forecast - observed) ** 2).sum() / total),
        resolution=float((count * (observed - mean) ** 2).sum() / total),
        uncertainty=float(mean * (1.0 - mean)),
        within=float((spread - 2.0 * together).sum() / total),
    )


@final
@dataclass(frozen=True)
class Bin:
    """One dot of a reliability diagram.

    The interval of the observed frequency is over seeds, NaN where fewer than five of them have accounts here.
    """

    low: float
    high: float
    accounts: int
    forecast: float
    observed: Estimate


def diagram(tables: Sequence[Floats]) -> list[Bin]:
    """The bins that hold accounts, from the table of every run."""
    stacked = np.stack(list(tables))
    whole = stacked.sum(axis=0)
    resampled = resample(stacked)
    bins = []
    for place in np.flatnonzero(whole[:, COUNT]):
        sums = whole[place]
        low = high = math.nan
        if resampled is not None:
            counts, events = resampled[:, place, COUNT], resampled[:, place, EVENT]
            # A resample of seeds may hold no account of this bin.
            shares = np.divide(events, counts, out=np.full_like(events, math.nan), where=counts > 0)
            low, high = percentiles(shares, units=int((stacked[:, place, COUNT] > 0).sum()))
        bins.append(
            Bin(
                EDGES[place], EDGES[place + 1], int(sums[COUNT]), float(sums[FORECAST] / sums[COUNT]),
                Estimate(float(sums[EVENT] / sums[COUNT]), low, high),
            )
        )  # fmt: skip
    return bins


def resample(stacked: Floats) -> Floats | None:
    """Sums over resampled runs, (RESAMPLES, ...) from (runs, ...); None with fewer runs than a bootstrap needs."""
    runs = len(stacked)
    if runs < LEAST_VALUES:
        return None
    return np.asarray(np.tensordot(draw_weights(runs, RESAMPLES), stacked, axes=1), np.float64)


def with_interval(tables: Sequence[Floats], statistic: Callable[[Floats], float]) -> Estimate:
    """A function of the added tables, with its interval over seeds (`percentiles`, expanded)."""
    stacked = np.stack(list(tables))
    resampled = resample(stacked)
    estimate = statistic(stacked.sum(axis=0))
    if resampled is None:
        return Estimate(estimate)
    return Estimate(estimate, *percentiles(np.array([statistic(each) for each in resampled]), units=len(stacked)))
