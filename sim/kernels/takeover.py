"""Takeover of bankrupt positions by the insurance fund, many in a row, and ADL (docs/model.md, eq. 19-20, 122)."""

import numpy as np

from marginquake.sim.core.accounts import INSURANCE_ROW, ROUNDING_ROW, SYSTEM_ROWS
from marginquake.sim.core.records import Cause, EventKind, MarginMode, Side, Stage
from marginquake.sim.kernels import helper, kernel
from marginquake.sim.kernels.valuation import lot_value_at, nearest_ticks, share

EVENTS_PER_ROW = 2
LEAST_EQUITY, ALLOWANCE = 0, 1
"""Places in the limits of a scan: equity that the fund must keep at the mark, and what it may still lose; money."""
_ISOLATED = np.int64(MarginMode.ISOLATED)
_TAKEOVER = np.int64(EventKind.TAKEOVER)
_INSURANCE = np.int64(EventKind.INSURANCE)
_ADL = np.int64(EventKind.ADL)
_BY_TAKEOVER, _BY_ADL = np.int64(Cause.TAKEOVER), np.int64(Cause.ADL)
_CALLED = np.int64(Stage.CALLED)
_ZERO = np.int64(0)
_BUY, _SELL = np.int64(Side.BUY), np.int64(Side.SELL)


@helper
def equity(accounts, lot_value, row):
    """Backing plus unrealised profit where a lot is worth `worth`."""
    a = accounts[row]
    backing = a["isolated_margin"] if a["mode"] == _ISOLATED else a["collateral"]
    return backing + a["position_lots"] * lot_value - a["cost"]


@helper
def signed_share(total, part, whole):
    """total * part / whole, toward zero."""
    return share(total, part, whole) if total >= 0 else -share(-total, part, whole)


@helper
def receive(accounts, lots, cost):
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
def blank(event, kind, time_ns, account, other, mark, cause):
    """An event between two accounts, but for what it says."""
    event["time_ns"] = time_ns
    event["order_id"] = 0
    event["maker_order_id"] = 0
    event["quantity_lots"] = 0
    event["money"] = 0
    event["account"] = account
    event["maker_account"] = other
    event["price_ticks"] = 0
    event["mark_ticks"] = mark
    event["kind"] = kind
    event["side"] = 0
    event["cause"] = cause
    event["reason"] = 0


@helper
def cover(accounts, limits, mark, row, cause, time_ns, events, n):
    """A flat account below zero is lifted as far as the fund's collateral and allowance go: an INSURANCE event.
    Returns the number of events."""
    a = accounts[row]
    if row < SYSTEM_ROWS or a["position_lots"] != 0:
        return n
    deficit = max(_ZERO, -a["collateral"])
    if a["mode"] == _ISOLATED:
        if a["stage"] >= _CALLED and a["isolated_margin"] < 0:
            deficit = -a["isolated_margin"]
        a["isolated_margin"] = 0
    if deficit == 0:
        return n
    fund = accounts[INSURANCE_ROW]
    paid = min(deficit, max(_ZERO, fund["collateral"]), max(_ZERO, limits[ALLOWANCE]))
    limits[ALLOWANCE] -= paid
    fund["collateral"] -= paid
    a["collateral"] += paid
    blank(events[n], _INSURANCE, time_ns, row, INSURANCE_ROW, mark, cause)
    events[n]["money"] = paid
    return n + 1


@kernel
def absorb(accounts, value, inverse, mark, rows, first, limits, time_ns, events, written):
    """The fund takes over `rows` from place `first` on while it can bear it: equity at the mark not below
    `limits[LEAST_EQUITY]`, losses not above `limits[ALLOWANCE]`, which they use up.  `value`, `inverse`: those of
    `sim.core.valuation.LotValue`.

    `written[0]`: events so far, `EVENTS_PER_ROW` a row at most.  Returns the place of the first account that it cannot
    bear, or their number.
    """
    n = written[0]
    lot_value = lot_value_at(value, inverse, mark)
    for place in range(first, rows.shape[0]):
        row = rows[place]
        a = accounts[row]
        position = a["position_lots"]
        if row < SYSTEM_ROWS or position == 0:
            continue
        own = equity(accounts, lot_value, row)
        if equity(accounts, lot_value, INSURANCE_ROW) + own < limits[LEAST_EQUITY] or -own > limits[ALLOWANCE]:
            written[0] = n
            return place
        limits[ALLOWANCE] += min(own, _ZERO)
        isolated = a["mode"] == _ISOLATED
        backing = a["isolated_margin"] if isolated else a["collateral"]
        cost = a["cost"] - backing
        a["collateral"] -= backing
        a["position_lots"] = 0
        a["cost"] = 0
        receive(accounts, position, cost)
        event = events[n]
        blank(event, _TAKEOVER, time_ns, row, INSURANCE_ROW, mark, _BY_TAKEOVER)
        event["side"] = _BUY if position > 0 else _SELL
        event["quantity_lots"] = abs(position)
        event["price_ticks"] = nearest_ticks(value, inverse, position, cost)
        event["money"] = own
        n += 1
        if isolated:
            a["isolated_margin"] = 0
        n = cover(accounts, limits, mark, row, _BY_TAKEOVER, time_ns, events, n)
    written[0] = n
    return rows.shape[0]


@helper
def transfer(accounts, row, lots, cost):
    """Settle a transfer of signed `lots` that cost `cost` (signed money) as a fill would be, without fees (eq. 20).

    Returns the realised profit.  Closing an isolated position releases its margin in proportion.
    """
    a = accounts[row]
    position, held_cost = a["position_lots"], a["cost"]
    if (position >= 0 and lots >= 0) or (position <= 0 and lots <= 0):
        a["position_lots"] = position + lots
        a["cost"] = held_cost + cost
        return _ZERO
    size = abs(position)
    closed = min(abs(lots), size)
    released = signed_share(held_cost, closed, size)
    used = signed_share(cost, closed, abs(lots))
    realised = -(released + used)
    a["collateral"] += realised
    a["position_lots"] = position + lots
    a["cost"] = held_cost - released + cost - used
    if a["mode"] == _ISOLATED:
        margin = a["isolated_margin"]
        freed = share(margin, closed, size)
        a["isolated_margin"] = margin - freed + min(_ZERO, freed + realised)
    return realised


@kernel
def deleverage(accounts, mark, bankrupt, money, relief, price_ticks, rows, lots, limits, time_ns, events):
    """Close `bankrupt` whole for signed `money` against `lots` of each of `rows`, which hold the other side and sum to
    its position (eq. 19, 122).  The price of all is `price_ticks`, for the record.  `relief`: money by which the fund,
    where it is one of `rows`, closes better than the others; the bankrupt account closes worse by it.

    An ADL event for each and INSURANCE for each that is left below zero: two a row and one at most; returns how many.
    What splitting the money leaves over goes to the rounding row.
    """
    n = _ZERO
    position = accounts[bankrupt]["position_lots"]
    side = _BUY if position > 0 else _SELL
    transfer(accounts, bankrupt, -position, relief - money)
    paid = _ZERO
    for place in range(rows.shape[0]):
        row = rows[place]
        part = signed_share(money, lots[place], abs(position))
        if row == INSURANCE_ROW:
            part -= relief
        profit = transfer(accounts, row, side * lots[place], part)
        paid += part
        event = events[n]
        blank(event, _ADL, time_ns, row, bankrupt, mark, _BY_ADL)
        event["side"] = side
        event["quantity_lots"] = lots[place]
        event["price_ticks"] = price_ticks
        event["money"] = profit
        n = cover(accounts, limits, mark, row, _BY_ADL, time_ns, events, n + 1)
    accounts[ROUNDING_ROW]["collateral"] -= money - relief - paid
    return cover(accounts, limits, mark, bankrupt, _BY_ADL, time_ns, events, n)


@kernel
def haircut(accounts, rows, amounts):
    """Take `amounts` of money out of the unrealised profit of `rows`, for the fund: their entry prices move, their
    collateral does not (eq. 125).  Returns the sum."""
    total = _ZERO
    for place in range(rows.shape[0]):
        accounts[rows[place]]["cost"] += amounts[place]
        total += amounts[place]
    accounts[INSURANCE_ROW]["collateral"] += total
    return total
