"""Whom auto-deleveraging hit, and how much of it for how little (mechanisms 2.13, 2.24; CA3)."""

import numpy as np

from analysis.facts.fact import Unmeasurable
from analysis.liquidation_cases import Liquidations
from analysis.load import Floats
from sim.records import EventKind


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
