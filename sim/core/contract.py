"""Contracts: their YAML block, and the one place where decimals become integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, final

from pydantic import Discriminator, Field, Tag

from marginquake.sim.core.fields import Block
from marginquake.sim.core.integers.limits import INT64_MOST, LEAST_LEVERAGE, POSITION_MARGIN
from marginquake.sim.core.typing import Floats
from marginquake.sim.core.valuation import LotValue


class ContractConfig(Block):
    """A linear perpetual: lots are base units, money is quote currency."""

    type: Literal["linear"] = "linear"
    initial_price: float = Field(100_000.0, gt=0, description="Price at the start, quote units")
    tick_size: float = Field(1.0, gt=0, description="Smallest price step, quote units")
    lot_size: float = Field(0.001, gt=0, description="Smallest quantity, base units")
    multiplier: float = Field(1.0, gt=0)
    money_unit: float = Field(1e-6, gt=0, description="Smallest amount of money, quote units")
    max_price_multiple: float = Field(2.0, gt=1, description="The ladder ends at this multiple of initial_price")
    max_position_lots: int = Field(50_000_000, gt=0, lt=2**30, description="Largest position of one account")


class InverseContractConfig(Block):
    """An inverse perpetual: lots are quote units, money is the base coin; profit = lots * value * (1/entry - 1/exit).

    Amounts of the scenario (deposits, brackets, insurance, ...) stay in quote units: they are coin at `initial_price`.
    """

    type: Literal["inverse"] = "inverse"
    initial_price: float = Field(100_000.0, gt=0, description="Price at the start, quote units of one coin")
    tick_size: float = Field(1.0, gt=0, description="Smallest price step, quote units")
    contract_value: float = Field(100.0, gt=0, description="Quote units of one contract, the smallest quantity")
    money_unit: float = Field(1e-8, gt=0, description="Smallest amount of money, coin")
    max_price_multiple: float = Field(2.0, gt=1, description="The ladder ends at this multiple of initial_price")
    max_position_lots: int = Field(20_000_000, gt=0, lt=2**30, description="Largest position of one account")


def _contract_type(value: Any) -> str:
    """A contract without `type` is linear."""
    return str(value.get("type", "linear") if isinstance(value, dict) else getattr(value, "type", "linear"))


Contract = Annotated[
    Annotated[ContractConfig, Tag("linear")] | Annotated[InverseContractConfig, Tag("inverse")],
    Discriminator(_contract_type),
]
FINEST_ROUNDING = 10_000
"""A lot of an inverse contract is worth at least so many money units at the initial price: half a basis point."""


@final
@dataclass(frozen=True)
class ContractSpec:
    """A contract whose lots are base units and whose money is quote currency (linear), or whose lots are quote units
    and whose money is the base coin (`inverse`).  `sim.core.valuation` says what a position is worth.

    Conversions live here.  Amounts are always quote units: those of an inverse contract are its coin at `coin_price`,
    the contract's initial price (1 for a linear one), whatever the price is now.  A spec whose largest product could
    overflow int64 is refused (docs/model.md, eq. 1).
    """

    name: str
    tick_size: Decimal
    lot_size: Decimal
    multiplier: Decimal
    money_unit: Decimal
    max_price_ticks: int
    max_position_lots: int
    inverse: bool = False
    coin_price: Decimal = Decimal(1)

    @classmethod
    def from_fields(
        cls, name: str, fields: Mapping[str, Any], max_price_ticks: int, max_position_lots: int
    ) -> "ContractSpec":
        """The contract that a `contract` block describes, as plain data."""
        inverse = fields.get("type") == "inverse"
        return cls(
            name=name,
            tick_size=_decimal(fields["tick_size"]),
            lot_size=_decimal(fields["contract_value" if inverse else "lot_size"]),
            multiplier=_decimal(fields.get("multiplier", 1)),
            money_unit=_decimal(fields["money_unit"]),
            max_price_ticks=max_price_ticks,
            max_position_lots=max_position_lots,
            inverse=inverse,
            coin_price=_decimal(fields["initial_price"]) if inverse else Decimal(1),
        )

    def __post_init__(self) -> None:
        if self.inverse:
            self._check_rounding()
        else:
            self._check_exactness()
        dearest, formula, larger = self.max_price_ticks * self.lot_value.at_one_tick, "max_price * value", "lot_size"
        if self.inverse:
            dearest, formula, larger = self.lot_value.at_one_tick, "worth of a lot at one tick", "tick_size"
        largest = self.max_position_lots * dearest
        if largest * POSITION_MARGIN > INT64_MOST:
            raise ValueError(
                f"max_position_lots * {formula} = {Decimal(largest):.3g} money units could overflow int64; "
                f"use a larger {larger} or money_unit"
            )

    def _check_exactness(self) -> None:
        exact = self._exact_value
        if exact != exact.to_integral_value() or exact <= 0:
            raise ValueError(
                f"one tick times one lot is {exact} money units; choose money_unit so that it is a whole number"
            )

    def _check_rounding(self) -> None:
        lot_value = float(self._exact_value * self.tick_size / self.coin_price)
        if lot_value < FINEST_ROUNDING or -self.lot_value.value_of_lot(self.max_price_ticks) < 1:
            raise ValueError(
                f"one lot is worth {lot_value:.6g} money units at the initial price, rounded to a whole number: "
                f"it must be "
                f"{FINEST_ROUNDING} or more; use a larger contract_value or smaller money_unit"
            )

    @property
    def _exact_value(self) -> Decimal:
        if self.inverse:
            return self.lot_size * self.multiplier / (self.tick_size * self.money_unit)
        return self.tick_size * self.lot_size * self.multiplier / self.money_unit

    @cached_property
    def lot_value(self) -> LotValue:
        """How money follows from lots and ticks."""
        return LotValue(int(self._exact_value.to_integral_value()), self.inverse)

    @cached_property
    def least_leverage(self) -> float:
        """Less leverage is taken for this: the initial margin of the largest position must fit in 64 bits."""
        dearest = self.lot_value.at_one_tick * (1 if self.inverse else self.max_price_ticks)
        return max(LEAST_LEVERAGE, self.max_position_lots * dearest / 2.0**62)

    @property
    def amount_unit(self) -> Decimal:
        """Quote units that one money unit counts as."""
        return self.money_unit * self.coin_price

    @cached_property
    def money_amount(self) -> float:
        """`amount_unit` as a float."""
        return float(self.amount_unit)

    def to_ticks(self, price: float) -> int:
        """Nearest tick of a price in quote units."""
        return round(price / float(self.tick_size))

    def to_price(self, ticks: float) -> float:
        """Quote price of a (possibly fractional) number of ticks."""
        return ticks * float(self.tick_size)

    def to_money(self, amount: float) -> int:
        """Money units of an amount in quote units."""
        return round(amount / self.money_amount)

    def to_amount(self, money: float) -> float:
        """Quote amount of money units."""
        return float(money) * self.money_amount

    def lots_for(self, notional: float, price_ticks: float) -> float:
        """Lots (fractional) whose notional at `price_ticks` is `notional` quote units."""
        return notional / (self.notional_per_lot(price_ticks))

    def notional_per_lot(self, price_ticks: float) -> float:
        """Notional of one lot at `price_ticks`, an amount: what margin is calculated on."""
        if self.inverse:
            return self.lot_value.at_one_tick / price_ticks * self.money_amount
        return price_ticks * self.lot_value.at_one_tick * self.money_amount

    def worth_per_lot(self, price_ticks: float) -> float:
        """Value of one lot held long, an amount: its notional, negative if inverse; 0 while there is no price."""
        if price_ticks == 0:
            return 0.0
        return -self.notional_per_lot(price_ticks) if self.inverse else self.notional_per_lot(price_ticks)

    def notional(self, lots: Any, price_ticks: Any) -> Floats:
        """Notional of (unsigned) lots at their prices, element by element; amounts."""
        if self.inverse:
            inverse: Floats = lots * (self.notional_per_lot(1.0) / price_ticks)
            return inverse
        linear: Floats = lots * self.notional_per_lot(1.0) * price_ticks
        return linear

    def gain(self, lots: Any, from_ticks: Any, to_ticks: Any) -> Floats:
        """What signed lots gain between two prices, an amount."""
        if self.inverse:
            inverse: Floats = lots * self.notional_per_lot(1.0) * (1.0 / from_ticks - 1.0 / to_ticks)
            return inverse
        linear: Floats = lots * self.notional_per_lot(1.0) * (to_ticks - from_ticks)
        return linear

    def quote_per_lot(self, price_ticks: float) -> float:
        """What changes hands outside where one lot is hedged at `price_ticks`: quote units of that moment."""
        if self.inverse:
            return float(self.lot_size * self.multiplier)
        return self.notional_per_lot(price_ticks)


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))
