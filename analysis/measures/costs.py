"""What liquidations cost whom, and how concentrated ADL was."""

import numpy as np

from marginquake.analysis.measures.cases import NS, Cases, Liquidations
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import EventKind, Stage
from marginquake.sim.core.typing import Floats


def overshoots(seen: Liquidations) -> Floats:
    """How far the mark was beyond the trigger when it called, as a fraction of the trigger; one a call."""
    audit, calls = seen.audit, seen.calls
    trigger = audit["trigger_ticks"][calls].astype(np.float64)
    side = np.sign(audit["position_lots"][calls])
    beyond: Floats = side * (trigger - audit["mark_ticks"][calls]) / trigger
    return beyond


def overshoot_bps(seen: Liquidations, quantile: float | None) -> float:
    """Mean (no quantile) or quantile of the overshoot at the call, bp."""
    return _summary(overshoots(seen), quantile) * 1e4


def drift_bps(seen: Liquidations) -> float:
    """Mean distance of the mark beyond the trigger when the forced sale begins, bp."""
    cases = seen.cases
    trigger = cases.at_start("trigger_ticks").astype(np.float64)
    return float(np.mean(cases.side * (trigger - cases.at_start("mark_ticks")) / trigger) * 1e4)


def queue_wait_s(seen: Liquidations, quantile: float) -> float:
    """From the call to the beginning of the forced sale, seconds."""
    return float(np.quantile(seen.cases.at_start("wait_ns"), quantile) * NS)


def time_to_flat_s(seen: Liquidations, quantile: float) -> float:
    """From the call to the end of the position, for those that ended flat, seconds."""
    cases = seen.ended
    flat = cases.at_end("position_lots") == 0
    if not flat.any():
        raise Unmeasurable("no liquidated account ended flat")
    return float(np.quantile(cases.at_end("wait_ns")[flat], quantile) * NS)


def share_of_lots(seen: Liquidations, column: str) -> float:
    """Lots closed in one way over lots held when forced sales began."""
    cases = seen.ended
    return float(cases.at_end(column).sum() / np.abs(cases.at_start("position_lots")).sum())


def slippage_bps(seen: Liquidations, quantile: float | None) -> float:
    """Mean fill of a forced sale against the mark at its beginning, to the account's loss, bp; the mean is by lots."""
    cases = seen.ended
    lots = cases.at_end("filled_lots")
    filled = lots > 0
    if not filled.any():
        raise Unmeasurable("no liquidation order was filled")
    mark = cases.at_start("mark_ticks").astype(np.float64)[filled]
    fill = cases.at_end("filled_tick_lots")[filled] / lots[filled]
    slippage = cases.side[filled] * (mark - fill) / mark * 1e4
    if quantile is None:
        return float(np.average(slippage, weights=lots[filled]))
    return float(np.quantile(slippage, quantile))


def fund_change(cases: Cases) -> Floats:
    """What each liquidation brought the insurance fund at once: fee less what it paid; money."""
    return cases.at_end("fee") - cases.at_end("fund_paid")


def fund_change_mean(seen: Liquidations) -> float:
    """Mean change of the fund by a liquidation, an amount."""
    return float(seen.money(fund_change(seen.ended)).mean())


def total(seen: Liquidations, column: str) -> float:
    """Sum of a payment over all liquidations that are over, an amount."""
    return float(seen.money(seen.ended.at_end(column)).sum())


def bad_debt(seen: Liquidations) -> float:
    """Negative equity at the mark of those whom the waterfall took, and debts of those closed in the book."""
    cases = seen.ended
    shortfall = -np.minimum(seen.audit["equity"][seen.given_up], 0).sum()
    sold = seen.audit["from_stage"][cases.end] == Stage.LIQUIDATING
    debts = cases.at_end("unpaid") + cases.at_end("fund_paid")
    return float(seen.money(np.array([shortfall + debts[sold].sum()]))[0])


def _summary(values: Floats, quantile: float | None) -> float:
    return float(values.mean() if quantile is None else np.quantile(values, quantile))


def closed_by_account(seen: Liquidations) -> Floats:
    """Notional that ADL closed, one value an account that was deleveraged, largest first."""
    reason = seen.market.not_recorded("liquidations")
    if reason:
        raise Unmeasurable(reason)
    events = seen.market.events
    chosen = (events["kind"] == EventKind.ADL) & (events["time_s"] >= 0)
    if not chosen.any():
        raise Unmeasurable("nobody was deleveraged in this run")
    notional = seen.contract.notional(events["quantity_lots"][chosen], events["mark_ticks"][chosen])
    _, place = np.unique(events["account"][chosen], return_inverse=True)
    return np.asarray(np.sort(np.bincount(place, weights=notional))[::-1], np.float64)


def top_share(seen: Liquidations, fraction: float) -> float:
    """Share of the closed notional that the most-hit `fraction` of those deleveraged bore (at least one account)."""
    closed = closed_by_account(seen)
    first = max(1, round(fraction * len(closed)))
    return float(closed[:first].sum() / closed.sum())


def gini(seen: Liquidations) -> float:
    """Gini coefficient of the closed notional over those deleveraged: 0 = all alike."""
    closed = closed_by_account(seen)[::-1]
    count = len(closed)
    rank = np.arange(1, count + 1)
    return float((2 * rank - count - 1) @ closed / (count * closed.sum()))


def overshoot(seen: Liquidations) -> float:
    """Profit that ADL closed over the deficit it was there for: negative equity of the accounts it closed."""
    closed_by_account(seen)
    cases = seen.ended
    audit = seen.audit
    deleveraged = cases.at_end("deleveraged_lots") > 0
    equity = audit["equity"][seen.given_up]
    accounts = audit["account"][cases.end[deleveraged]]
    deficit = -np.minimum(equity[np.isin(audit["account"][seen.given_up], accounts)], 0).sum()
    if deficit <= 0:
        raise Unmeasurable("nobody that ADL closed had less than nothing")
    return float(cases.at_end("winners_profit")[deleveraged].sum() / deficit)
