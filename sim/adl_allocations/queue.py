"""The queue: the highest rank closes first and whole."""

from sim.adl_allocations.inputs import Candidates, Lots, greedy


def queue(quantity: int, candidates: Candidates) -> Lots:
    """Down the ranking until the quantity is met (eq. 18): Binance, BitMEX, Bybit, Hyperliquid, dYdX (grade A)."""
    return greedy(quantity, candidates.lots)
