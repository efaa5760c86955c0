"""Positions, money and liquidation prices: what a fill does to an account (docs/model.md, eq. 2-8 and 20-24).

Integers throughout; every product is split so that it stays below 2**63.
"""

import numpy as np

from sim.accounts import FEES_ROW, INSURANCE_ROW, SYSTEM_ROWS
from sim.kernels import bitmap, helper, kernel, routine
from sim.kernels.events import emit
from sim.kernels.worth import highest_ticks, lot_worth, lowest_ticks, worth_of_lot
from sim.records import Cause, EventKind, MarginMode, Stage

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
def muldiv(n, ppm):  # type: ignore[no-untyped-def]
    """floor(n * ppm / 10^6) without overflow."""
    return n // _MILLION * ppm + n % _MILLION * ppm // _MILLION


@helper
def quotient(n, d):  # type: ignore[no-untyped-def]
    """floor(n / d) for 0 <= n, 0 < d and a quotient below 2^51: in floating point, then mended to be exact.

    A division of 64-bit integers costs the processor several times as much.
    """
    q = np.int64(float(n) / float(d))
    rest = n - q * d
    if rest < 0:
        return q - 1
    if rest >= d:
        return q + 1
    return q


@helper
def share(total, part, whole):  # type: ignore[no-untyped-def]
    """floor(total * part / whole) for 0 <= part <= whole, without overflow."""
    if part == whole:
        return total
    if 0 <= total < _EXACT_IN_FLOAT:
        shares = quotient(total, whole)
        return shares * part + quotient((total - shares * whole) * part, whole)
    return total // whole * part + total % whole * part // whole


@helper
def backing_equity(x, row, mark):  # type: ignore[no-untyped-def]
    """What backs the position at `mark`: isolated margin or whole collateral, plus unrealised profit."""
    a = x.accounts[row]
    base = a["isolated_margin"] if a["mode"] == _ISOLATED else a["collateral"]
    return base + a["position_lots"] * worth_of_lot(x, mark) - a["cost"]


@helper
def bracket_of(brackets, notional):  # type: ignore[no-untyped-def]
    """Number of the bracket of a notional: the first whose cap it does not exceed, or the last."""
    last = np.uint64(brackets.shape[0] - 1)
    k = np.uint64(0)
    while k < last and notional > brackets[k]["cap"]:
        k += _NEXT
    return k


@helper
def maintenance(brackets, notional):  # type: ignore[no-untyped-def]
    """Bracketed maintenance margin of a notional: rate * notional - deduction."""
    bracket = brackets[bracket_of(brackets, notional)]
    return muldiv(notional, bracket["rate_ppm"]) - bracket["deduction"]


@helper
def under(brackets, base, slope, level, scale):  # type: ignore[no-untyped-def]
    """True where equity <= `scale` ppm of maintenance at this level; `slope`: what equity gains with a step of it."""
    required = maintenance(brackets, abs(slope) * level)
    if scale != _WHOLE:
        required = muldiv(required, scale)
    return base + slope * level <= required


@helper
def guess_liquidation(brackets, base, slope, scale):  # type: ignore[no-untyped-def]
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
def search_liquidation(brackets, base, slope, scale, good, bad):  # type: ignore[no-untyped-def]
    """Last level from `good` (where equity <= maintenance) towards `bad` (where not) that is still good: bisection."""
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        if under(brackets, base, slope, middle, scale):
            good = middle
        else:
            bad = middle
    return good


@helper
def liquidation_level(brackets, base, slope, scale, low, high):  # type: ignore[no-untyped-def]
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
def inverse_liquidation_ticks(brackets, base, position, scale, value, top):  # type: ignore[no-untyped-def]
    """`liquidation_ticks` of an inverse contract: the level is what a lot is worth in coin, which falls as the price
    rises; the last price of that level or beyond is the answer."""
    low = -lot_worth(value, True, top)
    coin = liquidation_level(brackets, base, -position, scale, low, -lot_worth(value, True, _ONE))
    if coin == 0:
        return _ZERO
    return min(highest_ticks(value, coin), top) if position > 0 else lowest_ticks(value, coin)


@helper
def liquidation_ticks(x, a, scale):  # type: ignore[no-untyped-def]
    """Long: highest tick at which equity <= `scale` ppm of maintenance; short: lowest; 0 = none on the ladder."""
    rules = x.rules[0]
    top = rules["size"] - 1
    base = (a["isolated_margin"] if a["mode"] == _ISOLATED else a["collateral"]) - a["cost"]
    if rules["inverse"] != 0:
        return inverse_liquidation_ticks(x.brackets, base, a["position_lots"], scale, rules["value"], top)
    return liquidation_level(x.brackets, base, a["position_lots"] * rules["value"], scale, _ONE, top)


@helper
def unlink(x, a):  # type: ignore[no-untyped-def]
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
def relink(x, row):  # type: ignore[no-untyped-def]
    """Recompute an account's liquidation price, and put it where the mark will find its next trigger (the price of its
    warning, then of its call): first of that bucket."""
    if row < SYSTEM_ROWS:
        return
    a = x.accounts[np.uint64(row)]
    ticks = _ZERO
    trigger = _ZERO
    if a["stage"] < _CALLED and a["position_lots"] != 0:
        own_scale = x.rules[0]["warning_ppm"] if a["stage"] == _OK else x.rules[0]["call_ppm"]
        # One place in this text reckons both: another copy of it would cost seconds of compilation.
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


@helper
def move_position(x, row, signed_lots, worth):  # type: ignore[no-untyped-def]
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
        realised = sign * closed * worth - released
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
        paid = opened * worth
        a["position_lots"] += opened
        a["cost"] += paid
        if a["mode"] == _ISOLATED:
            free = a["collateral"] - a["isolated_margin"]
            ppm = max(np.int64(a["initial_margin_ppm"]), x.brackets[0]["initial_ppm"])
            allotted = min(muldiv(abs(paid), ppm), free)
            if allotted > 0:
                a["isolated_margin"] += allotted


@helper
def cover_deficit(x, a, row, time_ns):  # type: ignore[no-untyped-def]
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
def liquidation_fee(x, notional, backing, realised, closed, size):  # type: ignore[no-untyped-def]
    """Fee of a fill that closed `closed` of `size` lots: no more than what backed just these lots and what they
    realised, so that the rest keeps its own share and its bankruptcy price (eq. 21)."""
    if closed <= 0:
        return _ZERO
    own = share(backing, closed, size) + realised
    return max(_ZERO, min(muldiv(notional, x.rules[0]["liquidation_fee_ppm"]), own))


@helper
def taker_fee(x, a, backing, collateral, position, signed_lots, notional, cause):  # type: ignore[no-untyped-def]
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
def settle_fill(x, taker, maker, signed_lots, price, cause, time_ns):  # type: ignore[no-untyped-def]
    """Both sides of a fill, the aggressor's (`signed_lots`) first: position, fee, deficit, liquidation price.  Returns
    the aggressor's fee."""
    worth = worth_of_lot(x, price)
    notional = abs(signed_lots * worth)
    fee_of_taker = _ZERO
    row = taker
    signed = signed_lots
    for turn in range(2):
        a = x.accounts[np.uint64(row)]
        position = a["position_lots"]
        collateral = a["collateral"]
        backing = a["isolated_margin"] if a["mode"] == _ISOLATED else collateral
        move_position(x, row, signed, worth)
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
def call_crossed(x, time_ns):  # type: ignore[no-untyped-def]
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
def relink_rows(x, rows):  # type: ignore[no-untyped-def]
    """Relink many accounts after a change that was not a fill (seed, deposit, funding, takeover)."""
    for i in range(rows.shape[0]):
        relink(x, rows[i])
    return rows.shape[0]


@kernel
def seed_positions(x, rows, signed_lots, price_ticks):  # type: ignore[no-untyped-def]
    """Book positions without trades (the state of the world at t = 0)."""
    for i in range(rows.shape[0]):
        move_position(x, rows[i], signed_lots[i], worth_of_lot(x, price_ticks[i]))
        relink(x, rows[i])
    return rows.shape[0]
