"""Maintenance margin that rises with volatility, as a value at risk does."""

import math
from typing import final

from sim.config import SECOND, MaintenanceConfig
from sim.margin_rules.base import MaintenanceRule

YEAR_NS = 365 * 86_400 * SECOND


def volatility_multiplier(volatility: float, reference: float, sensitivity: float, cap: float) -> float:
    """min(cap, 1 + sensitivity max(0, volatility / reference - 1)) (eq. 146); mechanisms 2.3, "VaR-style" margin, D."""
    return min(cap, 1.0 + sensitivity * max(0.0, volatility / reference - 1.0))


@final
class VolatilityLinked(MaintenanceRule):
    """Eq. 146 of the volatility of the mark: an exponential average of squared returns per time, 365 days a year.

    It begins at the reference: the multiple is 1 until the market has moved.
    """

    def __init__(self, config: MaintenanceConfig) -> None:
        super().__init__(config)
        self._variance = config.reference_volatility**2
        self._ticks = 0
        self._then_ns = 0

    @property
    def volatility(self) -> float:
        """Average volatility of the mark so far, per year."""
        return math.sqrt(self._variance)

    def observe(self, now_ns: int, mark_ticks: int) -> None:
        """One more return of the mark."""
        waited = now_ns - self._then_ns
        if self._ticks > 0 and waited > 0:
            kept = 0.5 ** (waited / self.config.half_life)
            per_year = math.log(mark_ticks / self._ticks) ** 2 * (YEAR_NS / waited)
            self._variance = kept * self._variance + (1.0 - kept) * per_year
        self._ticks, self._then_ns = mark_ticks, now_ns

    def multiplier(self) -> float:
        """Multiple of the brackets' maintenance rates."""
        config = self.config
        return volatility_multiplier(self.volatility, config.reference_volatility, config.sensitivity, config.cap)
