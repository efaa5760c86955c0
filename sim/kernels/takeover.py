"""Takeover of bankrupt positions by the insurance fund, many in a row (docs/model.md, eq. 19-20)."""

import numpy as np

from sim.accounts import INSURANCE_ROW, SYSTEM_ROWS
from sim.kernels import helper, kernel
from sim.kernels.ledger import share
from sim.records import Cause, EventKind, MarginMode, Side

EVENTS_PER_ROW = 2
_ISOLATED = np.int64(MarginMode.ISOLATED)
_TAKEOVER = np.int64(EventKind.TAKEOVER)
_INSURANCE = np.int64(EventKind.INSURANCE)
_BY_TAKEOVER = np.int64(Cause.TAKEOVER)
_BUY, _SELL = np.int64(Side.BUY), np.int64(Side.SELL)
_MOST_TICKS = np.int64(2**31 - 1)


@helper
def equity(accounts, value, mark, row):  # type: ignore[no-untyped-def]
    """Backing plus unrealised profit at `mark`."""
    a = accounts[row]
    backing = a["isolated_margin"] if a["mode"] == _ISOLATED else a["collateral"]
    return backing + a["position_lots"] * mark * value - a["cost"]


@helper
def signed_share(total, part, whole):  # type: ignore[no-untyped-def]
    """total * part / whole, toward zero."""
    return share(total, part, whole) if total >= 0 else -share(-total, part, whole)


@helper
def receive(accounts, lots, cost):  # type: ignore[no-untyped-def]
    """The fund, whose margin is cross, receives signed `lots` that cost `cost`."""
    fund = accounts[INSURANCE_ROW]
    position, held_cost = fund["position_lots"], fund["cost"]
    fund["position_lots"] = position + lots
    if (position >= 0 and lots >= 0) or (position <= 0 and lots <= 0):
        fund["cost"] = held_cost + cost
        return
    closed = min(abs(lots), abs(position))
    released = signed_share(held_cost, closed, abs(position))
    used = signed_share(cost, closed, abs(lots))
    fund["collateral"] -= released + used
    fund["cost"] = held_cost - released + cost - used


@helper
def blank(event, kind, time_ns, account, mark):  # type: ignore[no-untyped-def]
    """An event between `account` and the fund, but for what it says."""
    event["time_ns"] = time_ns
    event["order_id"] = 0
    event["maker_order_id"] = 0
    event["quantity_lots"] = 0
    event["money"] = 0
    event["account"] = account
    event["maker_account"] = INSURANCE_ROW
    event["price_ticks"] = 0
    event["mark_ticks"] = mark
    event["kind"] = kind
    event["side"] = 0
    event["cause"] = _BY_TAKEOVER
    event["reason"] = 0


@kernel
def absorb(accounts, value, mark, rows, first, time_ns, events, written):  # type: ignore[no-untyped-def]
    """The fund takes over `rows` from place `first` on while it can bear it: equity at the mark not below zero.

    `written[0]`: events so far, `EVENTS_PER_ROW` a row at most.  Returns the place of the first account that it cannot
    bear, or their number.
    """
    n = written[0]
    for place in range(first, rows.shape[0]):
        row = rows[place]
        a = accounts[row]
        position = a["position_lots"]
        if row < SYSTEM_ROWS or position == 0:
            continue
        own = equity(accounts, value, mark, row)
        if equity(accounts, value, mark, INSURANCE_ROW) + own < 0:
            written[0] = n
            return place
        isolated = a["mode"] == _ISOLATED
        backing = a["isolated_margin"] if isolated else a["collateral"]
        cost = a["cost"] - backing
        a["collateral"] -= backing
        a["position_lots"] = 0
        a["cost"] = 0
        receive(accounts, position, cost)
        per_tick = abs(position) * value
        ticks = (2 * (cost if position > 0 else -cost) + per_tick) // (2 * per_tick)
        event = events[n]
        blank(event, _TAKEOVER, time_ns, row, mark)
        event["side"] = _BUY if position > 0 else _SELL
        event["quantity_lots"] = abs(position)
        event["price_ticks"] = min(max(ticks, -_MOST_TICKS - 1), _MOST_TICKS)
        event["money"] = own
        n += 1
        if isolated:
            a["isolated_margin"] = 0
        deficit = -a["collateral"]
        if deficit <= 0:
            continue
        fund = accounts[INSURANCE_ROW]
        paid = min(deficit, max(np.int64(0), fund["collateral"]))
        fund["collateral"] -= paid
        a["collateral"] += paid
        blank(events[n], _INSURANCE, time_ns, row, mark)
        events[n]["money"] = paid
        n += 1
    written[0] = n
    return rows.shape[0]
