"""dYdX v4: liquidation and fillable price, bankruptcy quote, funding cap, initial margin by open interest.

`position` is signed, in base units; `quote_balance` is what the subaccount holds in quote currency, negative for a
long's debt; collateral (net) = quote balance + position * oracle price.  Source: dYdX v4 documents and v4-chain (A).
"""


def liquidation_price(
    equity: float, position: float, oracle_price: float, maintenance_fraction: float, other_maintenance: float = 0.0
) -> float:
    """Oracle price at which collateral meets maintenance (eq. 87); liquidations.mdx, grade A.

    (equity - other maintenance - position P) / (|position| fraction - position), `equity` at the oracle price P.
    `other_maintenance`: that of the subaccount's other positions, their prices standing still.
    """
    backing = equity - other_maintenance - position * oracle_price
    return backing / (abs(position) * maintenance_fraction - position)


def fillable_price(
    quote_balance: float,
    position: float,
    oracle_price: float,
    maintenance_fraction: float,
    bankruptcy_adjustment: float,
    spread_to_maintenance_ratio: float,
    other_value: float = 0.0,
    other_maintenance: float = 0.0,
) -> float:
    """Worst price at which the protocol's liquidation order may fill (eq. 88); v4-chain liquidations.go, grade A.

    (V - A r MM) / position with V = position P, MM = |position| P fraction, r `spread_to_maintenance_ratio` and
    A = clamp(`bankruptcy_adjustment` (1 - collateral / all maintenance), 0, 1).  Below the oracle price for longs and
    above it for shorts: the printed `P (1 - ...)` of the documents holds for longs only.  Mainnet genesis: adjustment
    1, ratio 1.5; software defaults: ratio 0.1.  `other_*`: net value and maintenance of the other positions.
    """
    value = position * oracle_price
    maintenance = abs(position) * oracle_price * maintenance_fraction
    collateral = quote_balance + value + other_value
    missing = 1.0 - collateral / (maintenance + other_maintenance)
    adjustment = min(max(bankruptcy_adjustment * missing, 0.0), 1.0)
    return (value - adjustment * spread_to_maintenance_ratio * maintenance) / position


def bankruptcy_quote(
    quote_balance: float,
    position: float,
    delta: float,
    oracle_price: float,
    maintenance_fraction: float,
    other_value: float = 0.0,
    other_maintenance: float = 0.0,
) -> float:
    """Quote received (negative: paid) for changing the position by `delta` at its bankruptcy price (eq. 89); grade A.

    -delta P - collateral |change of maintenance| / all maintenance: the share of collateral that belongs to the part
    closed goes with it.  v4-chain GetBankruptcyPriceInQuoteQuantums.
    """
    per_unit = oracle_price * maintenance_fraction
    collateral = quote_balance + position * oracle_price + other_value
    released = abs(abs(position + delta) - abs(position)) * per_unit
    return -delta * oracle_price - collateral * released / (abs(position) * per_unit + other_maintenance)


def funding_cap_8h(initial_fraction: float, maintenance_fraction: float, factor: float = 6.0) -> float:
    """Largest funding rate of 8 hours: 600 % of (initial - maintenance fraction) (eq. 90); funding.mdx, grade A."""
    return factor * (initial_fraction - maintenance_fraction)


def open_interest_initial_fraction(
    base_fraction: float, open_notional: float, lower_cap: float, upper_cap: float
) -> float:
    """Initial margin fraction that rises with the market's open notional (eq. 91); margin.mdx, grade A.

    min(base + max(0, (N - lower) / (upper - lower)) (1 - base), 1).  The maintenance fraction does not move.
    """
    share = max(0.0, (open_notional - lower_cap) / (upper_cap - lower_cap))
    return min(base_fraction + share * (1.0 - base_fraction), 1.0)
