"""What an order must pass before it trades: price range, band, position limit, margin (docs/model.md, eq. 19a-23a)."""

import numpy as np

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.kernels import helper, routine
from marginquake.sim.kernels.valuation import bracket_of, highest_ticks, lowest_ticks, muldiv, value_of_lot

_BUY = np.int64(1)
_ZERO = np.int64(0)


@helper
def in_range(x, price):
    """True for a price on the ladder."""
    return 1 <= price < x.rules[0]["size"]


@helper
def outside_band(x, side, price):
    """True where a limit price may trade further from the mark than the venue allows."""
    state = x.state[0]
    if x.rules[0]["price_band_ppm"] == 0 or state["mark"] == 0:
        return False
    return price > state["band_high"] if side == _BUY else price < state["band_low"]


@helper
def crosses(x, side, price):
    """True where a limit price meets the best of the other side."""
    state = x.state[0]
    return state["best_ask"] <= price if side == _BUY else state["best_bid"] >= price


@helper
def market_limit(x, side, bound):
    """Worst price a market order may trade at: its bound, clamped to the band."""
    state = x.state[0]
    banded = x.rules[0]["price_band_ppm"] != 0 and state["mark"] != 0
    if side == _BUY:
        limit = bound if bound > 0 else x.rules[0]["size"] - 1
        return min(limit, state["band_high"]) if banded else limit
    limit = bound if bound > 0 else np.int64(1)
    return max(limit, state["band_low"]) if banded else limit


@helper
def solvent_limit(x, row, side, limit):
    """`limit`, but no worse than the price at which closing the whole position leaves collateral at zero (eq. 19a)."""
    a = x.accounts[row]
    position = a["position_lots"]
    own = a["collateral"] - a["cost"]
    value = x.rules[0]["value"]
    if x.rules[0]["inverse"] != 0:
        if side < 0 and position > 0:
            return max(limit, lowest_ticks(value, own // position))
        if side > 0 and position < 0:
            return min(limit, highest_ticks(value, -(own // -position)))
        return limit
    per_tick = position * value
    if side < 0 and per_tick > 0:
        return max(limit, -(own // per_tick))
    if side > 0 and per_tick < 0:
        return min(limit, -own // per_tick)
    return limit


@routine
def beyond_ruin(x, side, price):
    """True where the insurance fund, closing its position at this price, would be left owing."""
    return solvent_limit(x, INSURANCE_ROW, side, price) != price


@helper
def reducible(x, account, side):
    """Lots by which an order on `side` can shrink the account's position."""
    position = x.accounts[np.uint64(account)]["position_lots"]
    return max(-position if side == _BUY else position, _ZERO)


@helper
def beyond_limit(x, account, side, lots):
    """True where `lots` more on `side`, with all that rests there filled, exceed the venue's largest position
    (eq. 23a)."""
    if account < SYSTEM_ROWS:
        return False
    a = x.accounts[np.uint64(account)]
    position = np.int64(a["position_lots"])
    held = max(position if side == _BUY else -position, _ZERO)  # what is held on the other side may be closed first
    resting = np.int64(a["open_buy_lots"] if side == _BUY else a["open_sell_lots"])
    return held + resting + lots > x.rules[0]["max_position_lots"]


@helper
def lacks_margin(x, account, side, lots):
    """True where the worst position this order can lead to is larger than equity allows (eq. 23)."""
    a = x.accounts[np.uint64(account)]
    mark = x.state[0]["mark"]
    own_ppm = np.int64(a["initial_margin_ppm"])
    if account < SYSTEM_ROWS or own_ppm <= 0 or mark == 0:
        return False
    position = a["position_lots"]
    buys = np.int64(a["open_buy_lots"])
    sells = np.int64(a["open_sell_lots"])
    before = max(abs(position + buys), abs(position - sells))
    if side == _BUY:
        buys += lots
    else:
        sells += lots
    after = max(abs(position + buys), abs(position - sells))
    if after <= before:
        return False
    lot_value = value_of_lot(x, mark)
    notional = abs(after * lot_value)
    ppm = max(own_ppm, x.brackets[bracket_of(x.brackets, notional)]["initial_ppm"])
    equity = a["collateral"] + position * lot_value - a["cost"]
    return equity < muldiv(notional, ppm)
