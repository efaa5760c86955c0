"""Episodes of forced flow: forced fills and auto-deleveraging (ADL) that follow each other closely in time.

A description, not an explanation: closeness in time is all that joins an episode.  What caused what is
another question, answered by the twin run and by the causal tree.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import final

import numpy as np

from marginquake.analysis.causes.owners import FUND_ROW
from marginquake.analysis.frames.market import Fills, MarketFrames
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True)
class Episode:
    """Forced fills and ADL without a pause longer than the gap, and until the low (or high) that they run into.

    Times in seconds from the end of the warm-up; notional in quote units.  `fills` counts ADL events too; `accounts`
    those whose own liquidation orders traded or whom ADL closed; `fund_fraction` is the share of notional that the
    insurance fund traded, unwinding what it had taken over, `adl_fraction` that of ADL; `sell_fraction` the share sold.
    Prices are those of the fills, of ADL the mark.
    """

    start_s: float
    end_s: float
    fills: int
    accounts: int
    notional: float
    sell_fraction: float
    fund_fraction: float
    adl_fraction: float
    price_first: float
    price_last: float
    price_low: float
    price_high: float

    @property
    def duration_s(self) -> float:
        """Seconds from the first forced fill to the end."""
        return self.end_s - self.start_s

    @property
    def closed(self) -> float:
        """What it closed, as of a cascade."""
        return self.notional

    @property
    def range_fraction(self) -> float:
        """Highest over lowest forced price, minus 1."""
        return self.price_high / self.price_low - 1.0


def episodes_of(market: MarketFrames, gap_s: float = 30.0) -> list[Episode]:
    """Those of a market, largest notional first; each ends at its low if that comes within the gap after its last fill.

    The low (of purchases: the high) is that of the last price, as sampled with the series.
    """
    adl = {name: column[market.events["kind"] == EventKind.ADL] for name, column in market.events.items()}
    forced, (time_s, notional) = market.forced_fills, market.handed_over(EventKind.ADL)
    closed = Fills(
        time_s=time_s,
        price=adl["mark_ticks"] * market.contract.to_price(1.0),
        notional=notional,
        side=-adl["side"].astype(np.int64),
        cause=adl["cause"].astype(np.int64),
        account=adl["maker_account"].astype(np.int64),
        maker_account=adl["account"].astype(np.int64),
        order_id=adl["order_id"],
    )
    names = Fills.__dataclass_fields__
    both = Fills(**{name: np.concatenate([getattr(forced, name), getattr(closed, name)]) for name in names})
    order = np.argsort(both.time_s, kind="stable")
    found = episodes(Fills(**{name: getattr(both, name)[order] for name in names}), gap_s)
    return [_until_the_low(market, each, gap_s) for each in found]


def _until_the_low(market: MarketFrames, episode: Episode, gap_s: float) -> Episode:
    time_s, last = market.series["time_s"], market.series["last"]
    inside = np.flatnonzero((time_s >= episode.start_s) & (time_s <= episode.end_s + gap_s) & np.isfinite(last))
    if not len(inside):
        return episode
    sign = 1.0 if episode.sell_fraction >= 0.5 else -1.0
    low_s = float(time_s[inside[np.argmin(sign * last[inside])]])
    return replace(episode, end_s=max(episode.end_s, low_s))


def episodes(fills: Fills, gap_s: float = 30.0) -> list[Episode]:
    """Forced fills and ADL, cut where the pause to the next is longer than `gap_s`, largest notional first."""
    forced = fills.select(fills.forced | (fills.cause == Cause.ADL))
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
    fund, adl = forced.cause[span] == Cause.TAKEOVER, forced.cause[span] == Cause.ADL
    whose = forced.account[span][~fund & ~(adl & (forced.account[span] == FUND_ROW))]
    return Episode(
        start_s=float(forced.time_s[first]),
        end_s=float(forced.time_s[last - 1]),
        fills=last - first,
        accounts=len(np.unique(whose)),
        notional=notional,
        sell_fraction=sold / notional if notional > 0 else float("nan"),
        fund_fraction=float(forced.notional[span][fund].sum()) / notional if notional > 0 else float("nan"),
        adl_fraction=float(forced.notional[span][adl].sum()) / notional if notional > 0 else float("nan"),
        price_first=float(price[0]),
        price_last=float(price[-1]),
        price_low=float(price.min()),
        price_high=float(price.max()),
    )
