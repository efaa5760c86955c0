"""What facts are estimated from: one market of one run after its warm-up, each derived quantity made once."""

from functools import cached_property
from typing import final

import numpy as np

from marginquake.analysis.facts import impact
from marginquake.analysis.facts.prices import DAY_S, MINUTE_S, Prices, held, time_text
from marginquake.analysis.frames.market import Fills, MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.statistics import memory
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.market_quality import sample
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Bools, Floats

SIGN_LAGS = 1000
WHALE, HFT = "whale", "hft"
"""Types of population, as scenarios name them."""


@final
class Observed(Prices):
    """One market of a run.  Every quantity that a run does not hold raises `Unmeasurable` with the reason.

    `metaorder_gap_s`: a pause of one account that ends its metaorder, seconds.
    """

    def __init__(self, frames: RunFrames, market: MarketFrames, metaorder_gap_s: float) -> None:
        self.market = market
        self.series = market.run
        self.metaorder_gap_s = metaorder_gap_s
        self._types = {
            str(name): str(block.get("type", "")) for name, block in (frames.scenario.get("populations") or {}).items()
        }

    @cached_property
    def time_s(self) -> Floats:
        """Times of the series' rows."""
        time_s = self.series["time_s"]
        if len(time_s) < 3 or time_s[-1] < 0:
            raise Unmeasurable("the run ends before its first three samples")
        return time_s

    @cached_property
    def every_s(self) -> float:
        """Sampling of the series, seconds."""
        return float(np.median(np.diff(self.time_s)))

    @cached_property
    def duration_s(self) -> float:
        """Length of the series."""
        return float(self.time_s[-1] - self.time_s[0])

    def need_duration(self, least_s: float, what: str) -> None:
        """Refuse a run shorter than `least_s`."""
        if self.duration_s < least_s - 1e-6:
            raise Unmeasurable(f"{what} needs {time_text(least_s)}, the run has {time_text(self.duration_s)}")

    def column(self, name: str) -> Floats:
        """A column of the series."""
        if name not in self.series:
            raise Unmeasurable(f"series.parquet has no column {name}")
        return self.series[name]

    def grid(self, step_s: float) -> Floats:
        """Times `step_s` apart.  Refuses a series that is sampled too coarsely for it."""
        ratio = step_s / self.every_s
        if ratio < 1.0 - 1e-6 or (ratio < 10.0 and abs(ratio - round(ratio)) > 1e-6):
            raise Unmeasurable(
                f"sampled every {self.every_s:g} s: too coarse for steps of {time_text(step_s)}", step_s=step_s
            )
        return np.arange(self.time_s[0], self.time_s[-1] + 1e-6, step_s)

    def log_price(self, step_s: float) -> Floats:
        """Logarithm of mid at points of the grid; NaN where there was no price yet."""
        grid, mid = self.grid(step_s), self.mid
        return np.asarray(np.log(mid[np.searchsorted(self.time_s, grid + 1e-6, side="right") - 1]), np.float64)

    @property
    def price(self) -> Floats:
        """Mid."""
        return self.mid

    @cached_property
    def mid(self) -> Floats:
        """Mid at every row; the last one known while a side of the book is empty."""
        mid = self.column("mid")
        if not np.isfinite(mid).any():
            raise Unmeasurable("the book was never two-sided")
        return held(mid)

    def volume(self, step_s: float) -> Floats:
        """Quote notional traded in each step of the grid."""
        traded = np.cumsum(self.column("volume"))
        return np.diff(sample(self.time_s, traded, step_s))

    @cached_property
    def daily_volume(self) -> float:
        """Quote notional traded per day."""
        traded = float(self.column("volume")[1:].sum())
        if traded <= 0.0:
            raise Unmeasurable("nothing was traded")
        return traded / self.duration_s * DAY_S

    @cached_property
    def daily_volatility(self) -> float:
        """Root mean square of 1-min returns, scaled to a day."""
        returns = self.known_returns(MINUTE_S)
        return float(np.sqrt(np.mean(returns**2) * DAY_S / MINUTE_S))

    @cached_property
    def depth_1pct(self) -> Floats:
        """Resting notional within 1 % of mid, mean of both sides."""
        return 0.5 * (self.column("bid_depth_1pct") + self.column("ask_depth_1pct"))

    @cached_property
    def fills(self) -> Fills:
        """All fills, warm-up included."""
        fills = self.market.fills
        if len(fills) == 0:
            raise Unmeasurable(f"fills: {self.market.not_recorded('fills') or 'there were none'}")
        return fills

    @cached_property
    def takers(self) -> impact.TakerOrders:
        """All aggressive orders, warm-up included."""
        return impact.taker_orders(self.fills)

    @cached_property
    def sign_sums(self) -> Floats:
        """Lagged sums (`memory.lagged_sums`) of the signs of taker orders after the warm-up, less their mean."""
        signs = self.takers.side[self.takers.time_s >= 0].astype(np.float64)
        if len(signs) < 2 * memory.BINS_PER_DECADE:
            raise Unmeasurable(f"{len(signs)} taker orders")
        return memory.lagged_sums(signs - signs.mean(), SIGN_LAGS)

    @cached_property
    def impact_table(self) -> Floats:
        """Impact of the whales' metaorders by octave of size: daily volatilities against shares of daily volume."""
        metaorders = impact.metaorders(self.takers, self.rows_of(WHALE), self.metaorder_gap_s)
        late = metaorders.start_s >= 0
        return impact.impact_table(
            metaorders.notional[late] / self.daily_volume, metaorders.move[late] / self.daily_volatility
        )

    def populations_of(self, kind: str) -> list[str]:
        """Names of the populations of a type in this market."""
        here = set(np.unique(self.market.accounts.get("population", np.zeros(0, str))).tolist())
        names = [name for name, found in self._types.items() if found == kind and name in here]
        if not names:
            raise Unmeasurable(f"no population of type {kind}")
        return names

    def rows_of(self, kind: str) -> Bools:
        """By account row: does it belong to a population of this type?"""
        accounts = self.market.accounts
        belongs = np.zeros(int(accounts["row"].max()) + 1, np.bool_)
        belongs[accounts["row"]] = np.isin(accounts["population"], self.populations_of(kind))
        return belongs

    def inventory(self, kind: str) -> Floats:
        """Net lots of all populations of a type, sampled like the series."""
        names, held = self.populations_of(kind), self.market.populations
        if any(name not in held for name in names):
            raise Unmeasurable("the run has no populations.parquet (made by an older version)")
        after = held[names[0]]["time_s"] >= 0
        net = np.sum([held[name]["net_lots"] for name in names], axis=0)
        return np.asarray(net[after], np.float64)

    @cached_property
    def liquidated(self) -> tuple[Floats, Floats]:
        """Time of each liquidation after the warm-up, and its notional: of longs +, of shorts -.

        Liquidation orders as filled, and positions that the insurance fund took over, at the mark (eq. 19).
        """
        if missing := self.market.not_recorded("liquidations"):
            raise Unmeasurable(f"liquidations: {missing}")
        events = self.market.events
        filled = (events["kind"] == EventKind.FILL) & (events["cause"] == Cause.LIQUIDATION)
        taken = events["kind"] == EventKind.TAKEOVER
        chosen = (filled | taken) & (events["time_s"] >= 0)
        ticks = np.where(taken, events["mark_ticks"], events["price_ticks"])[chosen]
        notional = self.market.contract.notional(events["quantity_lots"][chosen], ticks)
        sign = np.where(taken[chosen], 1.0, -1.0) * events["side"][chosen]
        return events["time_s"][chosen], notional * sign
