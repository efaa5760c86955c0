"""Episodes of forced flow: forced fills that follow each other closely in time.

A description, not an explanation: closeness in time is all that joins the fills of an episode.  What caused what is
another question, answered by the twin run and by the causal tree.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np

from marginquake.analysis.frames.market import Fills
from marginquake.sim.core.records import Cause
from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True)
class Episode:
    """A run of forced fills without a pause longer than the gap.

    Times in seconds from the end of the warm-up; notional in quote units.  `accounts` counts the accounts whose own
    liquidation orders traded; `fund_fraction` is the share of notional that the insurance fund traded, unwinding what
    it had taken over; `sell_fraction` the share sold.  Prices are those of the forced fills themselves.
    """

    start_s: float
    end_s: float
    fills: int
    accounts: int
    notional: float
    sell_fraction: float
    fund_fraction: float
    price_first: float
    price_last: float
    price_low: float
    price_high: float

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last forced fill."""
        return self.end_s - self.start_s

    @property
    def range_fraction(self) -> float:
        """Highest over lowest forced price, minus 1."""
        return self.price_high / self.price_low - 1.0


def episodes(fills: Fills, gap_s: float = 30.0) -> list[Episode]:
    """Forced fills, cut where the pause to the next is longer than `gap_s`, largest notional first."""
    forced = fills.select(fills.forced)
    if len(forced) == 0:
        return []
    cuts = np.flatnonzero(np.diff(forced.time_s) > gap_s) + 1
    bounds = [0, *cuts.tolist(), len(forced)]
    found = [_episode(forced, first, last) for first, last in pairwise(bounds)]
    return sorted(found, key=lambda episode: -episode.notional)


def _episode(forced: Fills, first: int, last: int) -> Episode:
    span = slice(first, last)
    price: Floats = forced.price[span]
    notional = float(forced.notional[span].sum())
    sold = float(forced.notional[span][forced.side[span] < 0].sum())
    fund = forced.cause[span] == Cause.TAKEOVER
    return Episode(
        start_s=float(forced.time_s[first]),
        end_s=float(forced.time_s[last - 1]),
        fills=last - first,
        accounts=len(np.unique(forced.account[span][~fund])),
        notional=notional,
        sell_fraction=sold / notional if notional > 0 else float("nan"),
        fund_fraction=float(forced.notional[span][fund].sum()) / notional if notional > 0 else float("nan"),
        price_first=float(price[0]),
        price_last=float(price[-1]),
        price_low=float(price.min()),
        price_high=float(price.max()),
    )
