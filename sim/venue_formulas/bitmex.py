"""BitMEX: what a takeover leaves to the insurance fund.  Mark: `sim.prices.fair_price`; ADL: `sim.waterfall`."""

from sim.records import Side


def takeover_insurance_delta(side: Side, quantity: float, bankruptcy_price: float, fill_price: float) -> float:
    """Change of the insurance fund when a position taken over at bankruptcy is closed at `fill_price` (eq. 96).

    s q (fill - bankruptcy): better than bankruptcy feeds the fund, worse is paid by it.  liquidationExamples, grade B.
    `side`: of the position that was taken over.
    """
    return side * quantity * (fill_price - bankruptcy_price)
