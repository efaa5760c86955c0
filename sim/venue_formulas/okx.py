"""OKX (and Gate): the fee of the way out counts as maintenance."""

from sim.records import Side


def fee_inclusive_liquidation_price(
    side: Side,
    quantity: float,
    entry_price: float,
    isolated_margin: float,
    maintenance_rate: float,
    taker_fee: float,
) -> float:
    """Isolated liquidation price where the exit fee counts as maintenance: OKX, Gate (eq. 86, grade A by freqtrade).

    (e - s margin / q) / (1 - s (rate + fee)); all rates are fractions of notional.
    """
    return (entry_price - side * isolated_margin / quantity) / (1 - side * (maintenance_rate + taker_fee))
