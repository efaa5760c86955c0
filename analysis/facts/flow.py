"""Facts of who trades: memory of order signs, impact of metaorders, response to takers, inventories."""

import math
from collections.abc import Callable

import numpy as np

from marginquake.analysis.facts import impact
from marginquake.analysis.facts.fact import Fact, Measurement, Pool, measured, total
from marginquake.analysis.facts.observed import HFT, Observed
from marginquake.analysis.facts.prices import MINUTE_S
from marginquake.analysis.statistics import memory
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.typing import Floats

LEAST_ORDERS = 2000
SHARE_OF_ORDERS = 20
"""Lags reach to a twentieth of the taker orders, 1000 at most."""


def sign_decay(pool: Pool) -> float:
    """Exponent of the decay of the autocorrelation of taker signs, one sign an order, around the mean of each run."""
    table = memory.added(pool)
    orders = int(table[0, 0])
    if orders < LEAST_ORDERS:
        raise Unmeasurable(f"{orders} taker orders: fewer than {LEAST_ORDERS}")
    length = orders / len(pool)
    table = table[: 1 + int(length) // SHARE_OF_ORDERS]
    return memory.decay_exponent(memory.autocorrelation_of(table, mean=0.0), table[1:, 0], length).exponent


def _fitted(fit: Callable[[Floats], impact.Fit], table: Floats) -> Measurement:
    """One run's fit, with its standard error."""
    try:
        found = fit(table)
    except Unmeasurable as why:
        return Measurement(math.nan, str(why), pool=table)
    return Measurement(found.value, standard_error=found.error, pool=table)


def taker_response(observed: Observed) -> float:
    """Mean over minutes of the sign of the net taker flow times the return of that minute, bp."""
    returns = observed.returns(MINUTE_S)
    observed.known_returns(MINUTE_S)
    fills = observed.fills
    minute = np.floor((fills.time_s - observed.time_s[0]) / MINUTE_S).astype(np.int64)
    inside = (minute >= 0) & (minute < len(returns))
    flow = np.bincount(minute[inside], (fills.side * fills.notional)[inside], len(returns))
    known = np.isfinite(returns) & (flow != 0.0)
    if not known.any():
        raise Unmeasurable("nobody took")
    return float(np.mean(np.sign(flow[known]) * returns[known]) * 1e4)


def inventory_half_life(observed: Observed) -> float:
    """Half-life of the net position of high-frequency traders, seconds."""
    return memory.half_life(observed.inventory(HFT), observed.every_s)


FACTS = (
    Fact(
        "OB1",
        "decay exponent of ACF(taker sign)",
        lambda observed: measured(lambda table: sign_decay([table]), observed.sign_sums),
        over_runs="pooled",
        target="OB1",
        pooled=sign_decay,
    ),
    Fact(
        "OB2",
        "metaorder impact exponent",
        lambda observed: _fitted(impact.impact_exponent, observed.impact_table),
        over_runs="pooled",
        target="OB2",
        pooled=lambda pool: impact.impact_exponent(total(pool)).value,
    ),
    Fact(
        "OB2Y",
        "metaorder impact prefactor Y",
        lambda observed: _fitted(impact.impact_prefactor, observed.impact_table),
        over_runs="pooled",
        target="OB2Y",
        pooled=lambda pool: impact.impact_prefactor(total(pool)).value,
    ),
    Fact("OB3", "taker sign x return, 1 min", taker_response, "bp", target="OB3"),
    Fact("HFT_HALF_LIFE", "half-life of HFT inventory", inventory_half_life, "s", "median", "HFT_HALF_LIFE"),
)
