"""The waterfall as venues publish it: ADL score, insurance draw, deleveraging at the bankruptcy price; floats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


def binance_adl_score(unrealised_pnl: float, wallet_balance: float, margin_ratio: float) -> float:
    """max(0, unrealised) / max(1, wallet) * margin ratio (eq. 17); amounts in quote units; Binance USD-M, grade B.

    `margin_ratio` is the venue's: maintenance / (wallet + unrealised), 0 where that denominator is not positive.
    """
    return max(0.0, unrealised_pnl) / max(1.0, wallet_balance) * margin_ratio


def allocate_adl(quantity_lots: int, candidate_lots: Sequence[int], scores: Sequence[float]) -> list[int]:
    """Lots closed at each candidate: the highest score closes first and whole, ties in the order given (eq. 18).

    The sum is `quantity_lots`, or all that the candidates have.
    """
    closed = [0] * len(candidate_lots)
    left = quantity_lots
    for place in sorted(range(len(candidate_lots)), key=lambda i: -scores[i]):
        closed[place] = min(left, candidate_lots[place])
        left -= closed[place]
        if left == 0:
            break
    return closed


def insurance_draw(position: float, entry_price: float, collateral: float, fill_price: float) -> float:
    """What the insurance fund pays when a position closes at `fill_price`: the equity below zero (dYdX, grade A).

    `position` is signed, in base units; amounts and prices in quote units.
    """
    return max(0.0, -(collateral + position * (fill_price - entry_price)))


@final
@dataclass(frozen=True)
class Deleveraging:
    """Outcome of closing a bankrupt account against a counterparty, quote units."""

    price: float
    counterparty_pnl: float
    bankrupt_equity: float


def deleverage_at_bankruptcy(
    position: float, entry_price: float, collateral: float, counterparty_position: float, counterparty_entry: float
) -> Deleveraging:
    """Both sides close at the bankrupt account's bankruptcy price (eq. 8, 19); the counterparty is opposite.

    `position` and `counterparty_position` are signed; as much as both have is closed.  Binance, BitMEX, dYdX, grade A.
    """
    price = entry_price - collateral / position
    quantity = min(abs(position), abs(counterparty_position))
    side = 1.0 if counterparty_position > 0 else -1.0
    profit = side * quantity * (price - counterparty_entry)
    return Deleveraging(price, profit, collateral + position * (price - entry_price))
