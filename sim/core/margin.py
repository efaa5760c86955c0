"""Brackets and margin as integers: the rules on rows of the account table, in money; kernels agree to the unit.

Equation numbers are those of docs/model.md.  The venues' float formulas are in `sim.rules.formulas`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.fields import Amount, Block, Fraction
from marginquake.sim.core.records import MarginMode
from marginquake.sim.core.typing import Ints
from marginquake.sim.core.valuation import LotValue


class Bracket(Block):
    """One row of a venue's notional brackets; the deduction is derived (docs/model.md, eq. 5)."""

    notional_cap: Amount = Field(gt=0, description="Upper end of the bracket, quote units")
    max_leverage: float = Field(gt=0)
    maintenance: Fraction = Field(gt=0, lt=1, description="Maintenance margin rate")


BTCUSDT_2024 = (
    (50e3, 125, 0.004), (600e3, 100, 0.005), (3e6, 75, 0.0065), (12e6, 50, 0.01), (70e6, 25, 0.02), (100e6, 20, 0.025),
    (230e6, 10, 0.05), (480e6, 5, 0.1), (600e6, 4, 0.125), (800e6, 3, 0.15), (1.2e9, 2, 0.25), (1.8e9, 1, 0.5),
)  # fmt: skip
"""Binance USD-M BTCUSDT brackets, 2024-10-24 (freqtrade's snapshot of the exchange table)."""


def default_brackets() -> tuple[Bracket, ...]:
    """The BTCUSDT table of 2024-10-24."""
    return tuple(Bracket(notional_cap=c, max_leverage=lev, maintenance=m) for c, lev, m in BTCUSDT_2024)


PPM = 1_000_000
MOST_MAINTENANCE_PPM = 990_000
"""The largest maintenance rate that a rule may set.  It is below 1, so that every liquidation price is unique."""
AccountRows = NDArray[Any]
"""Structured rows of `sim.core.accounts.ACCOUNT`."""


def muldiv(amount: Ints, ppm: Ints | int) -> Ints:
    """floor(amount * ppm / 10**6) without overflow of the product."""
    result: Ints = amount // PPM * ppm + amount % PPM * ppm // PPM
    return result


@final
@dataclass(frozen=True)
class BracketSchedule:
    """A venue's brackets as integers, by bracket: the form that `ExchangeRules` and the kernels take.

    `cap`, `deduction`: money; `rate_ppm`: maintenance rate; `initial_ppm`: least initial margin, rounded up so that
    nobody exceeds the bracket's leverage.  A notional belongs to the first bracket with notional <= cap.
    """

    cap: tuple[int, ...]
    rate_ppm: tuple[int, ...]
    deduction: tuple[int, ...]
    initial_ppm: tuple[int, ...]

    @classmethod
    def from_config(cls, brackets: Sequence[Bracket], contract: ContractSpec) -> "BracketSchedule":
        """Integer brackets of a venue.  The deduction of eq. 5 is derived with the same floors as `muldiv`, so that the
        requirement is continuous to the unit at every cap."""
        unit = contract.amount_unit
        cap = tuple(round(Decimal(str(b.notional_cap)) / unit) for b in brackets)
        rate = tuple(round(Decimal(str(b.maintenance)) * PPM) for b in brackets)
        initial = tuple(_ceiling(Decimal(PPM) / Decimal(str(b.max_leverage))) for b in brackets)
        for n in range(1, len(cap)):
            if cap[n] <= cap[n - 1] or rate[n] < rate[n - 1] or initial[n] < initial[n - 1]:
                raise ValueError(
                    f"brackets[{n}]: notional_cap must rise, maintenance must not fall and max_leverage must not rise "
                    f"from one bracket to the next; got {brackets[n - 1]} then {brackets[n]}"
                )
        return cls(cap, rate, _integer_deductions(cap, rate), initial)

    def moved(
        self, multiplier: float, initial_ppm: Sequence[int], most_ppm: int = MOST_MAINTENANCE_PPM
    ) -> "BracketSchedule":
        """The same brackets with both margins times `multiplier`, and initial margins of at least these (eq. 147).

        No maintenance rate is raised beyond `most_ppm`, no initial margin beyond notional; deductions are derived
        again,
        so that the requirement stays continuous.
        """
        rate = tuple(max(ppm, min(math.floor(ppm * multiplier), most_ppm)) for ppm in self.rate_ppm)
        raised = (min(math.ceil(ppm * multiplier), PPM) for ppm in self.initial_ppm)
        initial = tuple(max(pair) for pair in zip(initial_ppm, raised, strict=True))
        return BracketSchedule(self.cap, rate, _integer_deductions(self.cap, rate), initial)

    def mistaken(self, factor: float, most_ppm: int = MOST_MAINTENANCE_PPM) -> "BracketSchedule":
        """The same brackets with maintenance rates times `factor`, up or down, and deductions that follow (eq. 133).

        Between one part in a million and `most_ppm`; initial margins stay, so an account may be opened that is called.
        """
        rate = tuple(min(max(math.floor(ppm * factor), 1), max(most_ppm, ppm)) for ppm in self.rate_ppm)
        return BracketSchedule(self.cap, rate, _integer_deductions(self.cap, rate), self.initial_ppm)

    @property
    def max_leverage(self) -> float:
        """Highest leverage of the first bracket."""
        return PPM / self.initial_ppm[0]

    def bracket_of(self, notional: Ints) -> Ints:
        """Index of the bracket of each notional (money)."""
        found = np.searchsorted(np.array(self.cap, np.int64), notional, side="left")
        return np.minimum(found, len(self.cap) - 1)

    def maintenance(self, notional: Ints) -> Ints:
        """Maintenance requirement of each notional, money (eq. 4)."""
        bracket = self.bracket_of(notional)
        rate = np.array(self.rate_ppm, np.int64)[bracket]
        return muldiv(notional, rate) - np.array(self.deduction, np.int64)[bracket]


def leverage_capped(brackets: Sequence[Bracket], most: float | None) -> tuple[Bracket, ...]:
    """Brackets in which nobody has more leverage than `most` (None: as they are)."""
    if most is None:
        return tuple(brackets)
    return tuple(b.model_copy(update={"max_leverage": min(b.max_leverage, most)}) for b in brackets)


def backing_money(rows: AccountRows) -> Ints:
    """What stands behind each position: the isolated margin, or the whole collateral (cross)."""
    isolated = rows["mode"] == MarginMode.ISOLATED
    return np.where(isolated, rows["isolated_margin"], rows["collateral"]).astype(np.int64)


def backing_equity(rows: AccountRows, mark_ticks: int | Ints, lot_value: LotValue) -> Ints:
    """E of eq. 2: backing plus unrealised profit at an integer mark, money."""
    equity: Ints = backing_money(rows) + lot_value.value(rows["position_lots"], mark_ticks) - rows["cost"]
    return equity


def position_notional(rows: AccountRows, mark_ticks: int, lot_value: LotValue) -> Ints:
    """|position| at an integer mark, money."""
    notional: Ints = np.abs(rows["position_lots"]) * abs(lot_value.value_of_lot(mark_ticks))
    return notional


def maintenance_money(rows: AccountRows, mark_ticks: int, lot_value: LotValue, brackets: BracketSchedule) -> Ints:
    """MM of eq. 4 for many accounts at an integer mark, money; 0 without a position."""
    return brackets.maintenance(position_notional(rows, mark_ticks, lot_value))


def entry_ticks(rows: AccountRows, lot_value: LotValue) -> NDArray[np.float64]:
    """Average entry price of many accounts, ticks; 0 without a position."""
    return np.where(rows["position_lots"] != 0, lot_value.entry_ticks(rows["cost"], rows["position_lots"]), 0.0)


def bankruptcy_ticks(rows: AccountRows, lot_value: LotValue) -> Ints:
    """Bankruptcy price of many accounts as the last tick at which equity is *not negative* (eq. 8).

    Rounded up for longs and down for shorts: closing the whole position there leaves equity in
    [0, |position| * one tick), so a limit at this tick never costs the insurance fund anything.  0: no position, or a
    long that no price can bankrupt.  A short that every price bankrupts gives 1, the lowest tick there is.  Of an
    inverse contract, a short that no price can bankrupt and a long that every price bankrupts give `MOST_TICKS`.
    """
    position = rows["position_lots"]
    numerator = rows["cost"] - backing_money(rows)
    if lot_value.inverse:
        size = np.maximum(np.abs(position), 1)
        long_ticks = lot_value.lowest_ticks(-numerator // size)
        short_ticks = np.maximum(lot_value.highest_ticks(-(-numerator // size)), 1)
        return np.where(position > 0, long_ticks, np.where(position < 0, short_ticks, 0)).astype(np.int64)
    per_tick = np.where(position == 0, 1, position * lot_value.at_one_tick)
    long_ticks = np.maximum(-((-numerator) // per_tick), 0)
    short_ticks = np.maximum(numerator // per_tick, 1)
    return np.where(position > 0, long_ticks, np.where(position < 0, short_ticks, 0)).astype(np.int64)


def _muldiv(amount: int, ppm: int) -> int:
    return amount // PPM * ppm + amount % PPM * ppm // PPM


def _integer_deductions(cap: Sequence[int], rate_ppm: Sequence[int]) -> tuple[int, ...]:
    """Eq. 5 with the floors of `muldiv`: continuous to the unit at every cap."""
    deduction = [0]
    for n in range(1, len(cap)):
        step = _muldiv(cap[n - 1], rate_ppm[n]) - _muldiv(cap[n - 1], rate_ppm[n - 1])
        deduction.append(deduction[-1] + step)
    return tuple(deduction)


def _ceiling(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding="ROUND_CEILING"))
