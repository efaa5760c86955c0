"""What one fill does to one account.  Lots and money only move; nothing is made or lost."""

from dataclasses import replace
from typing import Any

from marginquake.sim.core.accounts import FEES_ROW, INSURANCE_ROW
from marginquake.sim.core.records import Cause, Stage
from tests.oracles.naive_accounts import NaiveAccount
from tests.oracles.naive_margin import bracket_of, muldiv, value_of_lot


def change_position(rules: Any, account: NaiveAccount, side: int, lots: int, price_ticks: int) -> None:
    """Close what is on the other side first, then open the rest."""
    if account.position_lots * side < 0:
        closed = min(lots, abs(account.position_lots))
        _close(rules, account, closed, price_ticks)
        lots -= closed
    if lots > 0:
        _open(rules, account, side, lots, price_ticks)


def _open(rules: Any, account: NaiveAccount, side: int, lots: int, price_ticks: int) -> None:
    lot_value = lots * value_of_lot(rules, price_ticks)
    notional = abs(lot_value)
    held = abs(account.position_lots * value_of_lot(rules, price_ticks))
    account.position_lots += side * lots
    account.cost += side * lot_value
    if account.isolated:
        was, now = _initial_ppm(rules, account, held), _initial_ppm(rules, account, held + notional)
        wanted = muldiv(notional, now) + muldiv(held, now) - muldiv(held, was)
        free = account.collateral - account.isolated_margin
        account.isolated_margin += max(0, min(wanted, free))


def _initial_ppm(rules: Any, account: NaiveAccount, notional: int) -> int:
    """What a position of this size needs: its bracket's initial margin, or the account's own where that is more."""
    return max(account.initial_margin_ppm, rules.bracket_initial_ppm[bracket_of(rules, notional)])


def _close(rules: Any, account: NaiveAccount, closed: int, price_ticks: int) -> None:
    size = abs(account.position_lots)
    sign = 1 if account.position_lots > 0 else -1
    released_cost = abs(account.cost) * closed // size * (1 if account.cost >= 0 else -1)
    realised = sign * closed * value_of_lot(rules, price_ticks) - released_cost
    if account.isolated:
        released_margin = account.isolated_margin * closed // size
        account.isolated_margin -= released_margin
        account.isolated_margin += min(0, released_margin + realised)
    account.collateral += realised
    account.cost -= released_cost
    account.position_lots -= sign * closed


def pay_maker_fee(rules: Any, accounts: list[NaiveAccount], account: NaiveAccount, notional: int) -> None:
    """A share of the notional to the fee account; a negative share is a rebate.  The insurance fund pays no fees."""
    if account.row == INSURANCE_ROW:
        return
    fee = muldiv(notional, rules.maker_fee_ppm)
    account.collateral -= fee
    accounts[FEES_ROW].collateral += fee


def equity_of_closed_part(rules: Any, account: NaiveAccount, side: int, lots: int, price_ticks: int) -> int:
    """What backs the lots that this fill would close, and what they would realise; 0 if it closes none."""
    size = abs(account.position_lots)
    closed = min(lots, size) if account.position_lots * side < 0 else 0
    if closed == 0:
        return 0
    backing = account.isolated_margin if account.isolated else account.collateral
    trial = replace(account)
    _close(rules, trial, closed, price_ticks)
    return backing * closed // size + trial.collateral - account.collateral


def pay_taker_fee(
    rules: Any, accounts: list[NaiveAccount], account: NaiveAccount, notional: int, cause: int, closed_equity: int
) -> int:
    """The aggressor's fee, by the cause of its order; returns it.

    `closed_equity` (see `equity_of_closed_part`) is the most that a liquidation may cost: the rest keeps its share.
    """
    if cause == Cause.TAKEOVER:
        return 0
    if cause == Cause.LIQUIDATION:
        fee = max(0, min(muldiv(notional, rules.liquidation_fee_ppm), closed_equity))
        account.collateral -= fee
        accounts[INSURANCE_ROW].collateral += fee
        return fee
    fee = muldiv(notional, rules.taker_fee_ppm)
    account.collateral -= fee
    accounts[FEES_ROW].collateral += fee
    return fee


def cover_deficit(accounts: list[NaiveAccount], account: NaiveAccount) -> tuple[int, int]:
    """A flat account with a hole gets what the insurance fund has; returns (deficit, paid)."""
    if account.position_lots != 0 or account.of_the_venue:
        return 0, 0
    deficit = max(0, -account.collateral)
    if account.isolated:
        if account.stage > Stage.WARNED and account.isolated_margin < 0:
            deficit = -account.isolated_margin
        account.isolated_margin = 0
    fund = accounts[INSURANCE_ROW]
    paid = min(deficit, max(0, fund.collateral))
    fund.collateral -= paid
    account.collateral += paid
    return deficit, paid
