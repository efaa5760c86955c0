"""What can be known of a market at a moment: the ex-ante vector of an early warning (docs/model.md, eq. 220).

A signal is a function of `Seen` and one entry of `SIGNALS`.  Everything is taken from rows at or before the sample's
time, so later events change nothing; a test holds every entry to that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from marginquake.analysis.frames.lookup import known_at, last_at
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.risk.pressure import DIRECTIONS, pressure
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.market_quality import YEAR_S, returns_of
from marginquake.sim.core.typing import Bools, Floats

DAY_S = 86_400.0
LEAST_SIGNS = 30
"""Orders in a window, below which their signs have no autocorrelation."""


@final
class Seen:
    """One market at sample times, with a trailing window of `window_s` and a short one of `horizon_s`."""

    def __init__(self, market: MarketFrames, times_s: Floats, window_s: float, horizon_s: float) -> None:
        self.market = market
        self.times_s = times_s
        self.window_s = window_s
        self.horizon_s = horizon_s
        self.series_s = market.series["time_s"]
        self.row = last_at(self.series_s, times_s)
        """Of the series: the last row at or before each sample."""

    def now(self, values: Floats) -> Floats:
        """A column of the series as it stands at each sample; the last value known where it has none just then."""
        return known_at(self.series_s, values, self.times_s)

    def trailing(self, values: Floats, reduce: Callable[[Floats], float], window_s: float | None = None) -> Floats:
        """`reduce` of the known values in the window that ends at each sample (its last row is the present)."""
        span = self.window_s if window_s is None else window_s
        first = np.searchsorted(self.series_s, self.times_s - span - 1e-9, side="left")
        found = np.full(len(self.times_s), np.nan)
        for number, (low, high) in enumerate(zip(first.tolist(), self.row.tolist(), strict=True)):
            inside = values[low : high + 1]
            inside = inside[np.isfinite(inside)]
            if len(inside):
                found[number] = reduce(inside)
        return found

    def percentile(self, values: Floats) -> Floats:
        """Where the present value stands among those of the window: share at or below it, ties counted half."""
        return self.trailing(values, lambda x: float((x < x[-1]).mean() + 0.5 * (x == x[-1]).mean()))

    def volatility(self, window_s: float) -> Floats:
        """Log of the realised volatility of mid per year over the window; a still market counts as 1 %."""
        mid = self.market.series["mid"]
        returns = np.concatenate(([np.nan], returns_of(mid)))
        every_s = float(np.median(np.diff(self.series_s)))
        variance = self.trailing(returns**2, lambda x: float(x.mean()), window_s)
        return np.asarray(0.5 * np.log(np.maximum(variance * YEAR_S / every_s, 1e-4)), np.float64)

    def of_maps(self, values: Floats) -> Floats:
        """A value a map as it stands at each sample; NaN before the first."""
        maps = self.market.map
        assert maps is not None
        place = last_at(maps.time_s, self.times_s)
        return np.where(place >= 0, values[np.maximum(place, 0)], np.nan)

    @cached_property
    def signs(self) -> tuple[Floats, Floats]:
        """When each aggressor order first traded, and its side."""
        if missing := self.market.not_recorded("fills"):
            raise Unmeasurable(f"signs of orders: {missing}")
        fills = self.market.fills
        if len(fills) == 0:
            raise Unmeasurable("nothing was traded")
        new = np.concatenate(([True], np.diff(fills.order_id) != 0))
        return fills.time_s[new], fills.side[new].astype(np.float64)


MOST_PRESSED = 1000.0
"""Pressure above this, or infinite because nothing rests, is not told apart: a model cannot take in infinity."""


@final
@dataclass(frozen=True)
class Signal:
    """One entry of the vector.  `public`: made of what every participant of a venue can see."""

    label: str
    of: Callable[[Seen], Floats]
    public: bool = True


def depth(seen: Seen) -> Floats:
    """Percentile of the depth within 1 %, both sides."""
    series = seen.market.series
    return seen.percentile(series["bid_depth_1pct"] + series["ask_depth_1pct"])


def spread(seen: Seen) -> Floats:
    """Percentile of the spread."""
    return seen.percentile(seen.market.series["spread_ticks"])


def funding(seen: Seen) -> Floats:
    """Funding rate, were the interval to end now, in basis points."""
    return 1e4 * seen.now(seen.market.series["funding_rate"])


def funding_sum(seen: Seen, window_s: float) -> Floats:
    """What longs would have paid shorts over a trailing window, basis points: mean rate by intervals in the window.

    Payments themselves are rarer than most windows (every 8 h at most venues); the running rate is what they become.
    """
    mean = seen.trailing(seen.market.series["funding_rate"], lambda x: float(x.mean()), window_s)
    return 1e4 * mean * window_s / seen.market.funding_interval_s


def interest_to_volume(seen: Seen) -> Floats:
    """Log of open interest over the volume of a day at the window's pace."""
    series = seen.market.series
    paced = seen.trailing(series["volume"], lambda x: float(x.sum())) * DAY_S / seen.window_s
    interest = seen.now(series["open_interest"])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(interest / paced)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def basis(seen: Seen) -> Floats:
    """Mid over index, basis points."""
    series = seen.market.series
    return 1e4 * np.log(seen.now(series["mid"]) / seen.now(series["index"]))


def sign_memory(seen: Seen) -> Floats:
    """Autocorrelation of the signs of aggressor orders in the window, lag 1."""
    time_s, sign = seen.signs
    first = np.searchsorted(time_s, seen.times_s - seen.window_s, side="right")
    last = np.searchsorted(time_s, seen.times_s + 1e-9, side="right")
    found = np.full(len(seen.times_s), np.nan)
    for number, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        inside = sign[low:high]
        if len(inside) >= LEAST_SIGNS and np.ptp(inside) > 0:
            away = inside - inside.mean()
            found[number] = float((away[1:] * away[:-1]).sum() / (away**2).sum())
    return found


def drawdown(seen: Seen) -> Floats:
    """Fall of the mark from its high of the window, percent."""
    mark = seen.market.series["mark"]
    return 100.0 * np.log(seen.trailing(mark, lambda x: float(x.max())) / seen.now(mark))


def rise(seen: Seen) -> Floats:
    """Rise of the mark from its low of the window, percent: what a drawdown is to longs, it is to shorts."""
    mark = seen.market.series["mark"]
    return 100.0 * np.log(seen.now(mark) / seen.trailing(mark, lambda x: float(x.min())))


def within(move: float, seen: Seen) -> Floats:
    """Share of open interest within `move` of its trigger, longs and shorts together, percent."""
    forced = sum((pressure(seen.market, move, direction).forced for direction in DIRECTIONS), start=np.zeros(1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 100.0 * seen.of_maps(forced) / seen.now(seen.market.series["open_interest"])
    return np.where(np.isfinite(share), share, np.nan)


def pressed(move: float, seen: Seen) -> Floats:
    """Log of 1 + pressure index, of the side where it is higher; at most that of `MOST_PRESSED`."""
    sides = [np.minimum(pressure(seen.market, move, direction).index, MOST_PRESSED) for direction in DIRECTIONS]
    return seen.of_maps(np.log1p(np.fmax(*sides)))


def leverage(seen: Seen) -> Floats:
    """Log of notional over equity of all accounts that some mark would call, at the last snapshot of positions."""
    held = seen.market.positions
    if not held:
        raise Unmeasurable("leverage: the run recorded no positions")
    chosen: Bools = np.asarray((held["liquidation_price"] > 0) & (held["equity"] > 0), np.bool_)
    if not chosen.any():
        return np.full(len(seen.times_s), np.nan)  # nobody holds what could be called: there is no leverage to speak of
    taken_s, place = np.unique(held["time_s"][chosen], return_inverse=True)
    notional = np.bincount(place, held["notional"][chosen])
    equity = np.bincount(place, held["equity"][chosen])
    at = last_at(taken_s, seen.times_s)
    return np.where(at >= 0, np.log(notional / equity)[np.maximum(at, 0)], np.nan)


SIGNALS: dict[str, Signal] = {
    "volatility": Signal("log volatility of the last horizon", lambda seen: seen.volatility(seen.horizon_s)),
    "volatility_long": Signal("log volatility of the window", lambda seen: seen.volatility(seen.window_s)),
    "drawdown": Signal("fall from the window's high, %", drawdown),
    "rise": Signal("rise from the window's low, %", rise),
    "depth": Signal("depth (1 %), percentile", depth),
    "spread": Signal("spread, percentile", spread),
    "funding": Signal("funding rate, bp", funding),
    "funding_short": Signal("funding over the last horizon, bp", lambda seen: funding_sum(seen, seen.horizon_s)),
    "funding_long": Signal("funding over the window, bp", lambda seen: funding_sum(seen, seen.window_s)),
    "interest_to_volume": Signal("log OI / daily volume", interest_to_volume),
    "basis": Signal("basis, bp", basis),
    "sign_memory": Signal("autocorrelation of trade signs", sign_memory),
    "leverage": Signal("log OI / equity", leverage, public=False),
    "within_1pct": Signal("OI within 1 % of liquidation, %", lambda seen: within(0.01, seen), public=False),
    "within_5pct": Signal("OI within 5 % of liquidation, %", lambda seen: within(0.05, seen), public=False),
    "pressure": Signal("log (1 + PI(1 %))", lambda seen: pressed(0.01, seen), public=False),
}
"""Every signal by name, in the order of the vector."""


def vector(seen: Seen) -> tuple[Floats, dict[str, str]]:
    """(samples, signals) in the order of `SIGNALS`, and why a signal is missing (its column is NaN then)."""
    columns, missing = [], {}
    for name, signal in SIGNALS.items():
        try:
            columns.append(signal.of(seen))
        except Unmeasurable as why:
            columns.append(np.full(len(seen.times_s), math.nan))
            missing[name] = str(why)
    return np.stack(columns, axis=1), missing
