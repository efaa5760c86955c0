"""Deribit: margin of futures and perpetuals that grows with the position."""

from typing import NamedTuple, final


@final
class MarginRule(NamedTuple):
    """Rates of a position of size 0, and what each coin of size adds to both."""

    initial: float
    maintenance: float
    per_coin: float


STANDARD_MARGIN = {
    "BTC": MarginRule(0.02, 0.01, 0.00005),
    "ETH": MarginRule(0.02, 0.01, 0.000004),
}
"""Standard margin since 2022-01-11 (Deribit's notice of that day, grade A)."""


def margin_rates(asset: str, position_size: float) -> tuple[float, float]:
    """Initial and maintenance rate of a position of `position_size` coins (eq. 97); notice of 11 Jan 2022, grade A."""
    rule = STANDARD_MARGIN[asset]
    added = rule.per_coin * abs(position_size)
    return rule.initial + added, rule.maintenance + added
