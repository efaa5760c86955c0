"""Positions, money and liquidation prices: what a fill does to an account (docs/model.md, eq. 2-8 and 20-24).

Integers throughout; every product is split so that it stays below 2**63.
"""

import numpy as np

from marginquake.sim.core.accounts import FEES_ROW, INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.records import Cause, EventKind, MarginMode, Stage
from marginquake.sim.kernels import helper, kernel
from marginquake.sim.kernels.liquidation_index import relink
from marginquake.sim.kernels.state import emit
from marginquake.sim.kernels.valuation import bracket_of, muldiv, share, value_of_lot

_MILLION = 1_000_000
_EXACT_IN_FLOAT = 2**51
_ZERO = np.int64(0)
_WHOLE = np.int64(1_000_000)
_ONE = np.int64(1)
_NEXT = np.uint64(1)
_ISOLATED = np.int64(MarginMode.ISOLATED)
_OK = np.int64(Stage.OK)
_WARNED = np.int64(Stage.WARNED)
_CALLED = np.int64(Stage.CALLED)
_LIQUIDATION = np.int64(Cause.LIQUIDATION)
_TAKEOVER = np.int64(Cause.TAKEOVER)
_INSURANCE = np.int64(EventKind.INSURANCE)
_MARGIN_CALL = np.int64(EventKind.MARGIN_CALL)
_WARNING = np.int64(EventKind.WARNING)


@helper
def initial_ppm(x, a, notional):
    """Initial margin of a position of this notional: the account's own, or its bracket's where that is more."""
    return max(np.int64(a["initial_margin_ppm"]), x.brackets[bracket_of(x.brackets, notional)]["initial_ppm"])


@helper
def move_position(x, row, signed_lots, lot_value):
    """Book signed lots, each `worth` that much at the price: cost, realised profit, isolated margin (eq. 20, 22)."""
    a = x.accounts[np.uint64(row)]
    position = a["position_lots"]
    opened = signed_lots
    if (position > 0 and signed_lots < 0) or (position < 0 and signed_lots > 0):
        size = abs(position)
        closed = min(abs(signed_lots), size)
        sign = np.int64(1) if position > 0 else np.int64(-1)
        cost = a["cost"]
        released = share(abs(cost), closed, size)
        if cost < 0:
            released = -released
        realised = sign * closed * lot_value - released
        a["collateral"] += realised
        a["cost"] = cost - released
        a["position_lots"] = position - sign * closed
        if a["mode"] == _ISOLATED:
            margin = a["isolated_margin"]
            freed = share(margin, closed, size)
            shortfall = freed + realised
            a["isolated_margin"] = margin - freed + (shortfall if shortfall < 0 else np.int64(0))
        opened = signed_lots + sign * closed
    if opened != 0:
        paid = opened * lot_value
        a["position_lots"] += opened
        a["cost"] += paid
        if a["mode"] == _ISOLATED:
            free = a["collateral"] - a["isolated_margin"]
            lots = a["position_lots"]
            before = abs((lots - opened) * lot_value)
            ppm = initial_ppm(x, a, abs(lots * lot_value))
            raised = muldiv(before, ppm) - muldiv(before, initial_ppm(x, a, before))
            allotted = min(muldiv(abs(paid), ppm) + raised, free)
            if allotted > 0:
                a["isolated_margin"] += allotted


@helper
def cover_deficit(x, a, row, time_ns):
    """A flat account that owes money: the insurance fund pays what it can (eq. 24)."""
    deficit = -a["collateral"]
    if a["mode"] == _ISOLATED:
        if a["stage"] > _WARNED and a["isolated_margin"] < 0:
            deficit = -a["isolated_margin"]
        a["isolated_margin"] = 0
    if deficit <= 0:
        return
    fund = x.accounts[INSURANCE_ROW]
    paid = min(deficit, max(_ZERO, fund["collateral"]))
    fund["collateral"] -= paid
    a["collateral"] += paid
    n = emit(x, _INSURANCE, time_ns, row, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO)
    x.events[n]["money"] = paid


@helper
def liquidation_fee(x, notional, backing, realised, closed, size):
    """Fee of a fill that closed `closed` of `size` lots: no more than what backed just these lots and what they
    realised, so that the rest keeps its own share and its bankruptcy price (eq. 21)."""
    if closed <= 0:
        return _ZERO
    own = share(backing, closed, size) + realised
    return max(_ZERO, min(muldiv(notional, x.rules[0]["liquidation_fee_ppm"]), own))


@helper
def taker_fee(x, a, backing, collateral, position, signed_lots, notional, cause):
    """Fee of the aggressor, credited to whom it is due; `backing`, `collateral`, `position`: before the fill."""
    if cause == _TAKEOVER:
        return _ZERO
    if cause == _LIQUIDATION:
        size = abs(position)
        closed = min(abs(signed_lots), size) if (position > 0) != (signed_lots > 0) else _ZERO
        # only realised profit has moved collateral so far; an isolated fee comes out of the margin just released
        fee = liquidation_fee(x, notional, backing, a["collateral"] - collateral, closed, size)
        x.accounts[INSURANCE_ROW]["collateral"] += fee
        return fee
    fee = muldiv(notional, x.rules[0]["taker_fee_ppm"])
    x.accounts[FEES_ROW]["collateral"] += fee
    return fee


@helper
def settle_fill(x, taker, maker, signed_lots, price, cause, time_ns):
    """Both sides of a fill, the aggressor's (`signed_lots`) first: position, fee, deficit, liquidation price.  Returns
    the aggressor's fee."""
    lot_value = value_of_lot(x, price)
    notional = abs(signed_lots * lot_value)
    fee_of_taker = _ZERO
    row = taker
    signed = signed_lots
    for turn in range(2):
        a = x.accounts[np.uint64(row)]
        position = a["position_lots"]
        collateral = a["collateral"]
        backing = a["isolated_margin"] if a["mode"] == _ISOLATED else collateral
        move_position(x, row, signed, lot_value)
        if turn == 0:
            fee = taker_fee(x, a, backing, collateral, position, signed, notional, cause)
            fee_of_taker = fee
        else:
            fee = muldiv(notional, x.rules[0]["maker_fee_ppm"]) if row != INSURANCE_ROW else _ZERO
            x.accounts[FEES_ROW]["collateral"] += fee
        a["collateral"] -= fee
        if row >= SYSTEM_ROWS:
            if a["position_lots"] == 0:
                cover_deficit(x, a, row, time_ns)
            relink(x, row)
        row = maker
        signed = -signed_lots
    return fee_of_taker


@kernel
def seed_positions(x, rows, signed_lots, price_ticks):
    """Book positions without trades (the state of the world at t = 0)."""
    for i in range(rows.shape[0]):
        move_position(x, rows[i], signed_lots[i], value_of_lot(x, price_ticks[i]))
        relink(x, rows[i])
    return rows.shape[0]
