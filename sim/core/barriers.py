"""First passage in closed form: how likely a Brownian path reaches a level (docs/model.md, eq. 98, 99)."""

import math
from dataclasses import dataclass
from typing import final

from marginquake.sim.core.records import Side

YEAR_S = 365.0 * 86_400.0
CHECKED = (0.001, 0.999)
"""Closed forms within these bounds are held against the simulation; beyond, three standard errors mean little."""
ALLOWANCE = 0.002
"""Beside three standard errors: the shift of eq. 99 is the first term of an expansion."""
MONITORING_SHIFT = 0.5826
"""-zeta(1/2) / sqrt(2 pi): Broadie, Glasserman, Kou 1997 (R+: recalled, not checked)."""


def fresh_distance(side: Side, leverage: float, maintenance_rate: float) -> float:
    """Distance to liquidation of a fresh isolated position: (1/l - m) / (1 - s m) (eq. 28)."""
    return (1.0 / leverage - maintenance_rate) / (1.0 - side * maintenance_rate)


def log_distance(side: Side, distance: float) -> float:
    """The log of price between here and a barrier `distance` below (a long's) or above (a short's); positive."""
    return -side * math.log1p(-side * distance)


def first_passage_probability(
    side: Side,
    log_distance: float,
    annual_volatility: float,
    horizon_s: float,
    annual_drift: float = 0.0,
) -> float:
    """Probability that the price touches the barrier within `horizon_s`, watched all the time (eq. 98).

    p = Phi((-b - v T) / s) + exp(-2 v b / sigma^2) Phi((-b + v T) / s), b = `log_distance`, s = sigma sqrt(T), v the
    drift of the log price away from the barrier: mu - sigma^2/2 for a long, its negative for a short.  Reflection
    principle (grade D).  A barrier at or beyond the price (b <= 0) is touched at once.
    """
    if log_distance <= 0.0:
        return 1.0
    if horizon_s <= 0.0 or annual_volatility <= 0.0:
        return 0.0
    years = horizon_s / YEAR_S
    away = side * (annual_drift - 0.5 * annual_volatility**2)
    deviation = annual_volatility * math.sqrt(years)
    direct = _normal((-log_distance - away * years) / deviation)
    reflected = _normal((-log_distance + away * years) / deviation)
    if reflected == 0.0:
        return direct
    log_weight = -2.0 * away * log_distance / annual_volatility**2
    return min(1.0, direct + math.exp(log_weight + math.log(reflected)))


def monitoring_shift(annual_volatility: float, period_s: float) -> float:
    """How much further in log price a barrier seems when looked at every `period_s` only (eq. 99).

    0.5826 sigma sqrt(period): Broadie, Glasserman, Kou 1997 (R+); also the mean overshoot at the look that finds the
    barrier crossed.  Good while the barrier is several sigma sqrt(period) away.
    """
    return MONITORING_SHIFT * annual_volatility * math.sqrt(period_s / YEAR_S)


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@final
@dataclass(frozen=True)
class Cell:
    """One leverage and horizon: closed forms, what was simulated, and the mean overshoot of those called."""

    leverage: float
    horizon_s: float
    liquidation_price: float
    distance: float
    continuous: float
    closed_form: float
    simulated: float
    paths: int
    overshoot: float
    expected_overshoot: float

    @property
    def standard_error(self) -> float:
        """Of the simulated frequency, were the closed form true."""
        return math.sqrt(self.closed_form * (1.0 - self.closed_form) / self.paths)

    @property
    def error(self) -> float:
        """Simulated less closed form, in standard errors; nan where that is 0."""
        return (self.simulated - self.closed_form) / self.standard_error if self.standard_error > 0 else math.nan

    @property
    def is_checked(self) -> bool:
        """True where the closed form lies within `CHECKED`."""
        return CHECKED[0] <= self.closed_form <= CHECKED[1]

    @property
    def agrees(self) -> bool:
        """Within three standard errors plus `ALLOWANCE`."""
        return abs(self.simulated - self.closed_form) <= 3.0 * self.standard_error + ALLOWANCE
