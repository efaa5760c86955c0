"""Facts of falls: what is left of the book, how far the spread opens, the rebound, and who is liquidated."""

import math
from collections.abc import Callable

import numpy as np

from marginquake.analysis.facts.fact import Fact, Measurement, OfPrices, Pool, measured, price_fact
from marginquake.analysis.facts.observed import Observed
from marginquake.analysis.facts.prices import DAY_S, FIVE_MINUTES_S, MINUTE_S, Prices
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.market_quality import spread_bps
from marginquake.analysis.statistics.swings import Swing, fall_depth, normal_before
from marginquake.sim.core.typing import Floats

DEEP_FALL = 0.03
EXTREME_SIGMAS = 5.0
LEAST_FALLS_FOR_P10 = 10
LEAST_LIQUIDATION_S = 6 * 3600.0
REBOUND_TELLS_BP = 20.0


def _over_falls(observed: Prices, of_one: Callable[[Swing], float]) -> Floats:
    """A number for each fall that can give it; refuses where none can, with the last one's reason."""
    if not observed.falls:
        raise Unmeasurable("no fall of 1 % within 15 min")
    found, why = [], ""
    for fall in observed.falls:
        try:
            found.append(of_one(fall))
        except Unmeasurable as reason:
            why = str(reason)
    if not found:
        raise Unmeasurable(why)
    return np.array(found)


def _median(values: Floats) -> float:
    return float(np.median(values))


def _p10(values: Floats) -> float:
    if len(values) < LEAST_FALLS_FOR_P10:
        raise Unmeasurable(f"{len(values)} falls: a tenth of them needs {LEAST_FALLS_FOR_P10}")
    return float(np.quantile(values, 0.1))


def survival(observed: Observed) -> Floats:
    """Of each fall: least bid depth within 1 % until it ended, over the median of the hour before."""
    depth = observed.column("bid_depth_1pct")

    def of_one(fall: Swing) -> float:
        return _share(
            float(depth[fall.first : fall.last + 1].min()), normal_before(depth, fall.first, observed.every_s)
        )

    return _over_falls(observed, of_one)


def near_side(observed: Observed) -> Floats:
    """Of each fall of 3 %: ask depth within 1 % when it got there, over the median of the hour before."""
    depth, down = observed.column("ask_depth_1pct"), fall_depth(observed.mid, observed.every_s)

    def of_one(fall: Swing) -> float:
        there = np.flatnonzero(down[fall.first : fall.last + 1] >= DEEP_FALL)
        if len(there) == 0:
            raise Unmeasurable("no fall of 3 % within 15 min")
        return _share(float(depth[fall.first + there[0]]), normal_before(depth, fall.first, observed.every_s))

    return _over_falls(observed, of_one)


def _share(part: float, normal: float) -> float:
    if normal <= 0.0:
        raise Unmeasurable("nothing rested within 1 % before the fall")
    return part / normal


def extreme_spread(observed: Observed) -> Floats:
    """Of each event with 1-min returns beyond 5 standard deviations: its widest spread over the run's median.

    Such minutes closer than five minutes are one event.
    """
    returns = observed.returns(MINUTE_S)
    sigma = float(np.sqrt(np.mean(observed.known_returns(MINUTE_S) ** 2)))
    extreme = np.flatnonzero(np.abs(returns) > EXTREME_SIGMAS * sigma)
    if len(extreme) == 0:
        raise Unmeasurable("no 1-min return beyond 5 standard deviations")
    spread = spread_bps(observed.column("best_bid"), observed.column("best_ask"))
    normal = float(np.nanmedian(spread))
    edges = observed.grid(MINUTE_S)
    apart = np.flatnonzero(np.diff(extreme) > FIVE_MINUTES_S / MINUTE_S)
    begin, end = extreme[np.append(0, apart + 1)], extreme[np.append(apart, len(extreme) - 1)]
    first = np.searchsorted(observed.time_s, edges[begin] + 1e-6, side="right")
    last = np.searchsorted(observed.time_s, edges[end + 1] + 1e-6, side="right")
    events = [spread[a:b] for a, b in zip(first, last, strict=True)]
    widest = np.array([float(np.nanmax(part)) / normal for part in events if np.isfinite(part).any()])
    if len(widest) == 0:
        raise Unmeasurable("the book was one-sided in every such minute")
    return widest


def rebound(prices: Prices) -> Floats:
    """Of each fall: log return from its lowest point to five minutes later, bp.

    Counted from the lowest point, which only hindsight knows: a random walk rebounds from it too.
    """
    steps = round(FIVE_MINUTES_S / prices.every_s)

    def of_one(fall: Swing) -> float:
        price = prices.price
        if fall.far + steps >= len(price):
            raise Unmeasurable("the run ends within 5 min of the low")
        return 1e4 * math.log(price[fall.far + steps] / price[fall.far])

    return _over_falls(prices, of_one)


def losing_side(observed: Observed) -> Floats:
    """Of each day with a move of 1 % within 15 min: share of the liquidated notional on the side that lost by it.

    Days from the end of the warm-up; the largest such move of the day decides.
    """
    moves = [(swing, 1.0) for swing in observed.falls] + [(swing, -1.0) for swing in observed.rises]
    if not moves:
        raise Unmeasurable("no move of 1 % within 15 min")
    day_of_move = np.array([observed.time_s[swing.far] // DAY_S for swing, _ in moves])
    size = np.array([swing.fraction for swing, _ in moves])
    loser = np.array([side for _, side in moves])
    time_s, signed = observed.liquidated
    shares = []
    for day in np.unique(day_of_move):
        largest = np.argmax(np.where(day_of_move == day, size, 0.0))
        forced = signed[time_s // DAY_S == day]
        if len(forced):
            shares.append(float(np.abs(forced[np.sign(forced) == loser[largest]]).sum() / np.abs(forced).sum()))
    if not shares:
        raise Unmeasurable("nobody was liquidated on a day with such a move")
    return np.array(shares)


def long_liquidations(observed: Observed) -> float:
    """Long positions liquidated in a day, over mean open interest."""
    observed.need_duration(LEAST_LIQUIDATION_S, "a daily rate")
    interest = float(np.mean(observed.column("open_interest")))
    if interest <= 0.0:
        raise Unmeasurable("nobody held a position")
    signed = observed.liquidated[1]
    return float(signed[signed > 0].sum()) / interest / observed.duration_s * DAY_S


def _event_fact(
    name: str,
    label: str,
    values: Callable[[Observed], Floats],
    unit: str = "",
    one: Callable[[Floats], float] = _median,
) -> Fact:
    """A fact of the events of all runs together: the median (or `one`) over events."""

    def estimate(observed: Observed) -> Measurement:
        return measured(one, values(observed))

    def pooled(pool: Pool) -> float:
        return one(_together(pool))

    return Fact(name, label, estimate, unit, "pooled", name, pooled)


def _together(pool: Pool) -> Floats:
    return np.concatenate(list(pool))


def _median_of_all(pool: Pool) -> float:
    return _median(_together(pool))


FACTS = (
    _event_fact("LQ1med", "bid depth 1 % in falls / before, median", survival),
    _event_fact("LQ1p10", "bid depth 1 % in falls / before, p10", survival, one=_p10),
    _event_fact("LQ3", "ask depth 1 % at -3 % / before", near_side),
    _event_fact("LQ4", "spread in a 5-sigma minute / median", extreme_spread),
    price_fact(
        "CA12",
        "rebound 5 min after the low",
        OfPrices(rebound, _together, REBOUND_TELLS_BP),
        _median_of_all,
        "bp",
        "pooled",
        "CA12",
    ),
    _event_fact("CA14", "losing side of liquidations", losing_side),
    Fact("CA15L", "longs liquidated a day / open interest", long_liquidations, target="CA15L"),
)
