"""Margin by the definition: requirements from brackets, liquidation price by trying every tick."""

import math
from fractions import Fraction
from typing import Any

from marginquake.sim.core.records import Side, Stage
from tests.oracles.naive_accounts import NaiveAccount

MILLION = 10**6


def muldiv(amount: int, ppm: int) -> int:
    """`amount * ppm / 10**6` as the market rounds it (floor, the whole millions first)."""
    return amount // MILLION * ppm + amount % MILLION * ppm // MILLION


def bracket_of(rules: Any, notional: int) -> int:
    """Number of the first bracket that holds `notional`; the last one if none does."""
    for number, cap in enumerate(rules.bracket_cap):
        if notional <= cap:
            return number
    return len(rules.bracket_cap) - 1


def value_of_lot(rules: Any, price_ticks: int) -> int:
    """What one lot held long is worth in money: the price, or, inverse, the coin owed for it, to the nearest unit."""
    if rules.lot_value.inverse:
        return -math.floor(Fraction(rules.lot_value.at_one_tick, price_ticks) + Fraction(1, 2))
    return price_ticks * int(rules.lot_value.at_one_tick)


def backing_equity(rules: Any, account: NaiveAccount, price_ticks: int) -> int:
    """Money behind the position if the mark were `price_ticks`."""
    backing = account.isolated_margin if account.isolated else account.collateral
    return backing + account.position_lots * value_of_lot(rules, price_ticks) - account.cost


def total_equity(rules: Any, account: NaiveAccount, price_ticks: int) -> int:
    """Collateral plus unrealised profit, whatever the margin mode."""
    return account.collateral + account.position_lots * value_of_lot(rules, price_ticks) - account.cost


def maintenance_margin(rules: Any, position_lots: int, price_ticks: int) -> int:
    """What the venue wants to see behind a position at `price_ticks`."""
    notional = abs(position_lots * value_of_lot(rules, price_ticks))
    bracket = bracket_of(rules, notional)
    return muldiv(notional, rules.bracket_rate_ppm[bracket]) - rules.bracket_deduction[bracket]


def liquidation_price(rules: Any, account: NaiveAccount, scale_ppm: int = MILLION) -> int:
    """The first tick, on the way against the position, where equity no longer exceeds `scale_ppm` of maintenance; 0 if
    none.

    Every tick of the ladder is tried: highest first for a long, lowest first for a short.
    """
    if account.position_lots == 0 or account.of_the_venue:
        return 0
    ticks = range(1, rules.ladder_size)
    for price in reversed(ticks) if account.position_lots > 0 else ticks:
        required = muldiv(maintenance_margin(rules, account.position_lots, price), scale_ppm)
        if backing_equity(rules, account, price) <= required:
            return price
    return 0


def trigger_price(rules: Any, account: NaiveAccount) -> int:
    """Where the mark warns an ordinary account, or calls it; a warned one is called."""
    return liquidation_price(rules, account, rules.warning_ppm if account.stage == Stage.OK else rules.call_ppm)


def can_open(
    rules: Any, account: NaiveAccount, open_buy_lots: int, open_sell_lots: int, side: int, lots: int, mark_ticks: int
) -> bool:
    """Whether the account's equity carries `lots` more on `side`, all its resting orders on that side filled."""
    position = account.position_lots

    def worst(buys: int, sells: int) -> int:
        return max(abs(position + buys), abs(position - sells))

    before = worst(open_buy_lots, open_sell_lots)
    if side == Side.BUY:
        after = worst(open_buy_lots + lots, open_sell_lots)
    else:
        after = worst(open_buy_lots, open_sell_lots + lots)
    if after <= before:
        return True
    notional = abs(after * value_of_lot(rules, mark_ticks))
    ppm = max(account.initial_margin_ppm, rules.bracket_initial_ppm[bracket_of(rules, notional)])
    return total_equity(rules, account, mark_ticks) >= muldiv(notional, ppm)


def price_of_ruin(rules: Any, account: NaiveAccount) -> int:
    """The worst tick at which closing the whole position still leaves collateral at zero or more.

    Inverse: every tick of the ladder is tried; one beyond it where none is good enough (long) or every one is (short).
    """
    if rules.lot_value.inverse:
        good = [t for t in range(1, rules.ladder_size) if total_equity(rules, account, t) >= 0]
        if account.position_lots > 0:
            return min(good, default=rules.ladder_size)
        return max(good, default=0)
    per_tick = abs(account.position_lots) * rules.lot_value.at_one_tick
    if account.position_lots > 0:
        return math.ceil(Fraction(account.cost - account.collateral, per_tick))
    return math.floor(Fraction(account.collateral - account.cost, per_tick))
