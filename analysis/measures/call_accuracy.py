"""Was it right to call?  Mark against fundamental, false calls, misses, transient dips (docs/model.md, eq. 7c)."""

import numpy as np

from marginquake.analysis.measures.cases import NS, Cases, Liquidations
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import Stage
from marginquake.sim.core.typing import Bools, Floats, Ints

NEAR_S = 60.0
"""The fundamental must have crossed the liquidation price within so long of the call."""
TRANSIENT_S = 600.0
"""A dip from which the mark comes back within so long was transient."""


def mark_error_bps(seen: Liquidations, quantile: float) -> float:
    """Quantile of |ln(mark / fundamental)| over the series, bp."""
    mark, fundamental = seen.market.run["mark"], seen.market.run["fundamental"]
    error = np.abs(np.log(mark / fundamental))
    error = error[np.isfinite(error)]
    if len(error) == 0:
        raise Unmeasurable("the series has no mark price")
    return float(np.quantile(error, quantile) * 1e4)


def false_call_rate(seen: Liquidations) -> float:
    """Share of forced sales whose trigger the fundamental did not cross within a minute before or after the call."""
    cases = seen.cases
    called_s = _called_s(cases)
    known = called_s + NEAR_S <= seen.time_s[-1]
    if not known.any():
        raise Unmeasurable("every call was in the last minute of the run")
    trigger = seen.price(cases.at_start("trigger_ticks"))
    crossed = reached(seen, "fundamental", called_s - NEAR_S, called_s + NEAR_S, trigger, cases.side)
    return float(1.0 - crossed[known].mean())


def transient_share(seen: Liquidations) -> float:
    """Share of forced sales after whose call the mark was back on the safe side of the trigger within ten minutes."""
    cases = seen.cases
    called_s = _called_s(cases)
    known = called_s + TRANSIENT_S <= seen.time_s[-1]
    if not known.any():
        raise Unmeasurable("no call was more than ten minutes before the end of the run")
    trigger = seen.price(cases.at_start("trigger_ticks"))
    back = reached(seen, "mark", called_s, called_s + TRANSIENT_S, trigger, -cases.side, strictly=True)
    return float(back[known].mean())


def miss_rate(seen: Liquidations) -> float:
    """Share of crossings of a liquidation price by the fundamental without a forced sale within a minute.

    Asked of accounts whose liquidation price of t = 0 is known to have held: not called and the same at the end, or
    first called at it.
    """
    accounts = seen.market.accounts
    start, end = accounts["liquidation_price_start"], accounts["liquidation_price_end"]
    lots = accounts["position_start"]
    tick = seen.contract.to_price(1.0)
    called_ns, trigger, sold_s = _first_call(seen, len(start))
    uncalled = (called_ns < 0) & (lots == accounts["position_end"]) & (np.abs(start - end) < tick / 2)
    at_its_price = (called_ns >= 0) & (np.abs(trigger - start) < 1.5 * tick)
    chosen = np.flatnonzero((lots != 0) & np.isfinite(start) & (uncalled | at_its_price))
    crossing_s = first_crossing_s(seen, start[chosen], np.sign(lots[chosen]))
    crossed = np.isfinite(crossing_s) & (crossing_s + NEAR_S <= seen.time_s[-1])
    if not crossed.any():
        raise Unmeasurable(
            "the fundamental crossed no liquidation price that held from t = 0, or only in the last minute"
        )
    missed = np.abs(sold_s[chosen][crossed] - crossing_s[crossed]) > NEAR_S
    missed |= np.isnan(sold_s[chosen][crossed])
    return float(missed.mean())


def _called_s(cases: Cases) -> Floats:
    """When each of those sold was called, seconds."""
    return np.asarray((cases.at_start("time_ns") - cases.at_start("wait_ns")) * NS, np.float64)


def _first_call(seen: Liquidations, rows: int) -> tuple[Ints, Floats, Floats]:
    """For each account: when it was first called (-1 never), at which price, when its first forced sale began."""
    audit = seen.audit
    called_ns, trigger, sold_s = np.full(rows, -1), np.full(rows, np.nan), np.full(rows, np.nan)
    # The last assignment wins, so that going backwards leaves the first call.
    calls = np.flatnonzero(audit["to_stage"] == Stage.CALLED)[::-1]
    called_ns[audit["account"][calls]] = audit["time_ns"][calls]
    trigger[audit["account"][calls]] = seen.price(audit["trigger_ticks"][calls])
    sales = np.flatnonzero(audit["to_stage"] == Stage.LIQUIDATING)[::-1]
    sold_s[audit["account"][sales]] = audit["time_ns"][sales] * NS
    return called_ns, trigger, sold_s


def reached(
    seen: Liquidations, name: str, from_s: Floats, to_s: Floats, level: Floats, side: Ints, strictly: bool = False
) -> Bools:
    """Whether a price of the series was at or beyond each level within a stretch of time: below it for side +1."""
    time_s, price = seen.time_s, seen.market.run[name]
    out = np.zeros(len(level), np.bool_)
    for sign in (1, -1):
        chosen = np.flatnonzero(side == sign)
        signed = np.where(np.isfinite(price), sign * price, np.inf)
        first = np.searchsorted(time_s, from_s[chosen], side="left")
        last = np.searchsorted(time_s, to_s[chosen], side="right")
        lowest = _range_minimum(signed, first, last)
        bound = sign * level[chosen]
        out[chosen] = lowest < bound if strictly else lowest <= bound
    return out


def first_crossing_s(seen: Liquidations, level: Floats, side: Ints) -> Floats:
    """When the fundamental first was at or beyond each level; nan if never, 0 s not counted."""
    time_s, price = seen.time_s, seen.market.run["fundamental"]
    out = np.full(len(level), np.nan)
    for sign in (1, -1):
        chosen = np.flatnonzero(side == sign)
        lowest = np.minimum.accumulate(sign * price)
        # `lowest` falls: the first place where it is no more than the level.
        place = np.searchsorted(-lowest, -sign * level[chosen], side="left")
        inside = (place < len(time_s)) & (place > 0)
        out[chosen[inside]] = time_s[place[inside]]
    return out


def _range_minimum(values: Floats, first: Ints, last: Ints) -> Floats:
    """Minimum of values[first:last] for many ranges, by a table of minima over powers of two; inf where empty."""
    table = [values]
    while 2 ** len(table) <= len(values):
        step = 2 ** (len(table) - 1)
        table.append(np.minimum(table[-1][:-step], table[-1][step:]))
    length = last - first
    out = np.full(len(first), np.inf)
    some = np.flatnonzero(length > 0)
    power = np.floor(np.log2(np.maximum(length, 1))).astype(np.int64)
    for k in np.unique(power[some]).tolist():
        at = some[power[some] == k]
        out[at] = np.minimum(table[k][first[at]], table[k][last[at] - 2**k])
    return out
