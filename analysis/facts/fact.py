"""What a fact of the scoreboard is: a number estimated from one run, how runs are put together, and its band."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.outside.stored_text import read_json
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from marginquake.analysis.facts.observed import Observed
    from marginquake.analysis.facts.prices import Prices


TARGETS_FILE = Path(__file__).with_name("targets.json")


class MissingExtra(ImportError):
    """The estimators of the scoreboard are not installed."""


@final
@dataclass(frozen=True)
class Target:
    """A published band: where it comes from and how far to trust it (grades: docs/model.md)."""

    lo: float
    hi: float
    grade: str
    source: str


@final
@dataclass(frozen=True)
class Measurement:
    """One fact of one run; cheap to pickle.

    `value` is NaN where the run cannot answer, and `reason` says why.  `standard_error`: of the fit, where there is
    one.  `pool`: what the estimate over several runs together is made of; None where runs are not pooled.
    """

    value: float
    reason: str = ""
    standard_error: float = math.nan
    pool: Floats | None = None


Pool = Sequence[Floats]
"""The `pool` of every run."""


def total(pool: Pool) -> Floats:
    """The sum of tables of one shape."""
    return np.asarray(np.sum(np.stack(list(pool)), axis=0), np.float64)


@final
@dataclass(frozen=True)
class OfPrices:
    """What makes a fact measurable in a series of prices, a run's or a file's.

    `pool`: what a stretch of prices adds to the estimate.  `joined`: the pools of the blocks of one series as the pool
    of that series.  `tells`: half of the widest interval of a difference that still says something; None = half of
    the real value.
    """

    pool: "Callable[[Prices], Floats]"
    joined: Callable[[Pool], Floats]
    tells: float | None = None


@final
@dataclass(frozen=True)
class Fact:
    """One line of the scoreboard.

    `over_runs`: what stands for several runs.  "mean"; "median" where single runs scatter with heavy tails; "pooled"
    where one estimate over all runs together is better than an average of estimates, `pooled` making it from the
    runs' pools.  `target`: id in targets.json; None = shown without a band.  `magnitude`: the band is for the absolute
    value.  `money`: the unit is quote currency, shown as 1.2M.  `resamples`: of the bootstrap of `pooled`.
    `of_prices`: how a series of prices alone answers; None where book, orders or positions are needed.
    """

    id: str
    label: str
    estimate: "Callable[[Observed], float | Measurement]"
    unit: str = ""
    over_runs: Literal["mean", "median", "pooled"] = "mean"
    target: str | None = None
    pooled: Callable[[Pool], float] | None = None
    magnitude: bool = False
    money: bool = False
    resamples: int = 300
    of_prices: "OfPrices | None" = None

    def measure(self, observed: "Observed") -> Measurement:
        """The fact in one run; a run that cannot answer gives NaN and the reason."""
        try:
            found = self.estimate(observed)
        except Unmeasurable as why:
            return Measurement(math.nan, str(why))
        return found if isinstance(found, Measurement) else Measurement(float(found))


def price_fact(
    name: str,
    label: str,
    of_prices: OfPrices,
    value: Callable[[Pool], float],
    unit: str = "",
    over_runs: Literal["mean", "median", "pooled"] = "mean",
    target: str | None = None,
    *,
    magnitude: bool = False,
    resamples: int = 300,
) -> Fact:
    """A fact of prices: one estimator, `value` of pools, for a run, several runs, and a price file."""
    return Fact(
        name, label, lambda observed: measured(lambda pool: value([pool]), of_prices.pool(observed)), unit, over_runs,
        target, value, magnitude=magnitude, resamples=resamples, of_prices=of_prices,
    )  # fmt: skip


def measured(estimate: Callable[[Floats], float], pool: Floats) -> Measurement:
    """`estimate` of one run's pool.  A pool too small by itself still counts when runs are put together."""
    try:
        return Measurement(estimate(pool), pool=pool)
    except Unmeasurable as why:
        return Measurement(math.nan, str(why), pool=pool)


@cache
def targets() -> Mapping[str, Target]:
    """The bands of analysis/facts/targets.json by id."""
    rows = read_json(TARGETS_FILE)
    return {row["id"]: Target(float(row["lo"]), float(row["hi"]), row["grade"], row["source"]) for row in rows}
