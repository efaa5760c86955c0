"""What is traded: tick, lot, multiplier.  Decimals become integers here and nowhere else."""

from dataclasses import dataclass
from decimal import Decimal
from typing import final

INT64_LIMIT = 2**63 - 1


@final
@dataclass(frozen=True)
class ContractSpec:
    """A linear contract: profit = lots * (exit - entry) * `money_per_tick_lot`, in `money_unit`s of quote currency.

    Conversions live here.  A spec whose largest product could overflow int64 is refused (docs/model.md, eq. 1).
    """

    name: str
    tick_size: Decimal
    lot_size: Decimal
    multiplier: Decimal
    money_unit: Decimal
    max_price_ticks: int
    max_position_lots: int

    def __post_init__(self) -> None:
        exact = self.tick_size * self.lot_size * self.multiplier / self.money_unit
        if exact != exact.to_integral_value() or exact <= 0:
            raise ValueError(
                f"one tick times one lot is {exact} money units; choose money_unit so that it is a whole number"
            )
        largest = self.max_position_lots * self.max_price_ticks * int(exact)
        if largest * 16 > INT64_LIMIT:
            raise ValueError(
                f"max_position_lots * max_price * value = {largest:.3g} money units could overflow int64; "
                "use a larger lot_size or money_unit"
            )

    @property
    def money_per_tick_lot(self) -> int:
        """Money units that one lot gains when price rises one tick."""
        return int(self.tick_size * self.lot_size * self.multiplier / self.money_unit)

    def to_ticks(self, price: float) -> int:
        """Nearest tick of a price in quote units."""
        return round(price / float(self.tick_size))

    def to_price(self, ticks: float) -> float:
        """Quote price of a (possibly fractional) number of ticks."""
        return ticks * float(self.tick_size)

    def to_money(self, amount: float) -> int:
        """Money units of an amount in quote currency."""
        return round(amount / float(self.money_unit))

    def to_amount(self, money: float) -> float:
        """Quote amount of money units."""
        return float(money) * float(self.money_unit)

    def lots_for(self, notional: float, price_ticks: float) -> float:
        """Lots (fractional) whose notional at `price_ticks` is `notional` quote units."""
        return notional / (self.notional_per_lot(price_ticks))

    def notional_per_lot(self, price_ticks: float) -> float:
        """Quote notional of one lot at `price_ticks`."""
        return price_ticks * self.money_per_tick_lot * float(self.money_unit)
