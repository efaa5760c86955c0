"""Liquidation prices, and the index that finds the accounts whose trigger the mark has reached (eq. 6, 7)."""

import numpy as np

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import EventKind, MarginMode, Stage
from marginquake.sim.kernels import bitmap, helper, kernel, routine
from marginquake.sim.kernels.state import emit
from marginquake.sim.kernels.valuation import (
    backing_equity,
    highest_ticks,
    lot_value_at,
    lowest_ticks,
    maintenance,
    muldiv,
)

_ZERO = np.int64(0)
_WHOLE = np.int64(1_000_000)
_ONE = np.int64(1)
_ISOLATED = np.int64(MarginMode.ISOLATED)
_OK = np.int64(Stage.OK)
_WARNED = np.int64(Stage.WARNED)
_CALLED = np.int64(Stage.CALLED)
_MARGIN_CALL = np.int64(EventKind.MARGIN_CALL)
_WARNING = np.int64(EventKind.WARNING)


@helper
def under(brackets, base, slope, level, scale):
    """True where equity <= `scale` ppm of maintenance at this level; `slope`: what equity gains with a step of it."""
    required = maintenance(brackets, abs(slope) * level)
    if scale != _WHOLE:
        required = muldiv(required, scale)
    return base + slope * level <= required


@helper
def guess_liquidation(brackets, base, slope, scale):
    """Real-valued liquidation level, bracket by bracket; exactness comes from `liquidation_level`."""
    times = scale / 1e6
    guess = 0.0
    floor = 0.0
    per_step = float(abs(slope))
    sign = 1.0 if slope > 0 else -1.0
    for k in range(brackets.shape[0]):
        bracket = brackets[np.uint64(k)]
        rate = bracket["rate_ppm"] / 1e6 * times
        guess = -(base + bracket["deduction"] * times) / (per_step * (sign - rate))
        notional = guess * per_step
        if notional > floor and notional <= bracket["cap"]:
            break
        floor = float(bracket["cap"])
    return guess


@routine
def search_liquidation(brackets, base, slope, scale, good, bad):
    """Last level from `good` (where equity <= maintenance) towards `bad` (where not) that is still good: bisection."""
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        if under(brackets, base, slope, middle, scale):
            good = middle
        else:
            bad = middle
    return good


@helper
def liquidation_level(brackets, base, slope, scale, low, high):
    """Of the levels `low..high` that equity rises with (`slope` > 0) the highest, or that it falls with the lowest, at
    which equity <= `scale` ppm of maintenance; 0 = none.

    Equity minus maintenance never falls as the level moves the position's way, so two neighbours that differ prove the
    answer: nearly always the guess and the next.
    """
    guess = np.int64(min(max(guess_liquidation(brackets, base, slope, scale), float(low)), float(high)))
    direction = _ONE
    first = low
    last = high
    if slope < 0:
        direction = -_ONE
        first = high
        last = low
        guess = min(guess + 1, high)
    if under(brackets, base, slope, guess, scale):
        if guess == last or not under(brackets, base, slope, guess + direction, scale):
            return guess
        if under(brackets, base, slope, last, scale):
            return last
        return search_liquidation(brackets, base, slope, scale, guess + direction, last)
    if guess == first:
        return _ZERO
    if under(brackets, base, slope, guess - direction, scale):
        return guess - direction
    if not under(brackets, base, slope, first, scale):
        return _ZERO
    return search_liquidation(brackets, base, slope, scale, first, guess - direction)


@routine
def inverse_liquidation_ticks(brackets, base, position, scale, value, top):
    """`liquidation_ticks` of an inverse contract: the level is what a lot is worth in coin, which falls as the price
    rises; the last price of that level or beyond is the answer."""
    low = -lot_value_at(value, True, top)
    coin = liquidation_level(brackets, base, -position, scale, low, -lot_value_at(value, True, _ONE))
    if coin == 0:
        return _ZERO
    return min(highest_ticks(value, coin), top) if position > 0 else lowest_ticks(value, coin)


@helper
def liquidation_ticks(x, a, scale):
    """Long: highest tick at which equity <= `scale` ppm of maintenance; short: lowest; 0 = none on the ladder."""
    rules = x.rules[0]
    top = rules["size"] - 1
    base = (a["isolated_margin"] if a["mode"] == _ISOLATED else a["collateral"]) - a["cost"]
    if rules["inverse"] != 0:
        return inverse_liquidation_ticks(x.brackets, base, a["position_lots"], scale, rules["value"], top)
    return liquidation_level(x.brackets, base, a["position_lots"] * rules["value"], scale, _ONE, top)


@helper
def unlink(x, a):
    """Take an account out of the liquidation-price index."""
    a["liquidation_ticks"] = 0
    if a["index_prev"] == 0:
        return
    previous = np.int64(a["index_prev"])
    following = a["index_next"]
    if following != 0:
        x.accounts[np.uint64(following)]["index_prev"] = previous
    if previous > 0:
        x.accounts[np.uint64(previous)]["index_next"] = following
    else:
        # the head of a list remembers its bucket as minus one minus its number
        bucket = -previous - 1
        x.calls[np.uint64(bucket)] = following
        if following == 0:
            bitmap.discard(x.call_bits, bucket)
    a["index_next"] = 0
    a["index_prev"] = 0


@helper
def relink(x, row):
    """Recompute an account's liquidation price, and put it where the mark will find its next trigger (the price of its
    warning, then of its call): first of that bucket."""
    if row < SYSTEM_ROWS:
        return
    a = x.accounts[np.uint64(row)]
    ticks = _ZERO
    trigger = _ZERO
    if a["stage"] < _CALLED and a["position_lots"] != 0:
        own_scale = x.rules[0]["warning_ppm"] if a["stage"] == _OK else x.rules[0]["call_ppm"]
        # One place in this text calculates both: another copy of it would cost seconds of compilation.
        scale = _WHOLE
        for turn in range(2):
            trigger = liquidation_ticks(x, a, scale)
            if turn == 0:
                ticks = trigger
            if scale == own_scale:
                break
            scale = own_scale
    bucket = trigger if a["position_lots"] > 0 else x.rules[0]["size"] + trigger
    if trigger != 0 and a["index_prev"] == -bucket - 1:
        a["liquidation_ticks"] = ticks
        return
    unlink(x, a)
    a["liquidation_ticks"] = ticks
    if trigger == 0:
        return
    head = x.calls[np.uint64(bucket)]
    if head != 0:
        x.accounts[np.uint64(head)]["index_prev"] = row
    else:
        bitmap.add(x.call_bits, bucket)
    a["index_next"] = head
    a["index_prev"] = -bucket - 1
    x.calls[np.uint64(bucket)] = row


@kernel
def call_crossed(x, time_ns):
    """Every account whose trigger the mark has reached is warned, if the venue warns and it is not yet, or else called
    and out of the index.  A price that jumps beyond both does both, one after the other.  Returns 1 when done, 0 when
    the event buffer is full (the caller grows it and calls again)."""
    size = x.rules[0]["size"]
    warns = x.rules[0]["warning_ppm"] > x.rules[0]["call_ppm"]
    mark = x.state[0]["mark"]
    while True:
        bucket = bitmap.below(x.call_bits, size - 1)
        if bucket < mark:
            bucket = bitmap.above(x.call_bits, size)
            if bucket < 0 or bucket - size > mark:
                return 1
        if x.state[0]["events"] >= x.events.shape[0]:
            return 0
        row = np.int64(x.calls[bucket])
        a = x.accounts[row]
        ticks = bucket if bucket < size else bucket - size
        warned = warns and a["stage"] == _OK
        unlink(x, a)
        a["stage"] = _WARNED if warned else _CALLED
        what = _WARNING if warned else _MARGIN_CALL
        position = a["position_lots"]
        side = _ONE if position > 0 else -_ONE
        n = emit(x, what, time_ns, row, _ZERO, side, ticks, abs(position), _ZERO, _ZERO)
        x.events[n]["money"] = backing_equity(x, row, mark)
        if warned:
            relink(x, row)


@kernel
def relink_rows(x, rows):
    """Relink many accounts after a change that was not a fill (seed, deposit, funding, takeover)."""
    for i in range(rows.shape[0]):
        relink(x, rows[i])
    return rows.shape[0]
