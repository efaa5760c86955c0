"""What makes a crowd enter more, on which side, and with how much leverage.

Models: trend chasing (D) and self-excited arrivals (Hawkes 1971), leverage that is procyclical in calm (Adrian and
Shin 2014; Aymanns and Farmer 2015).  Differs from both: leverage follows volatility and own losses, of new positions
only.  Sources: docs/sources.md.
"""

import math
from typing import final

import numpy as np

from marginquake.agents.retail.config import RetailConfig
from marginquake.agents.toolbox.indicators import CLIP_VARIANCES, YEAR_S, VolatilityGauge, per_second, weight
from marginquake.sim.core.accounts import AccountView
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext

PPM = 1_000_000
MINUTE_NS = 60_000_000_000
DAY_S = 86_400.0
MAX_SIGMAS = 4.0
"""Trend chasers see no move as larger than this."""


@final
class TrendChasing:
    """Share of entries that buy: logistic(logit(long_share) + trend_sensitivity * z).

    z: log-return of the past `trend_time` in local standard deviations of such a return, clipped to +-4.
    """

    def __init__(self, config: RetailConfig, interval_s: float) -> None:
        self._usual = config.long_share
        self._sensitivity = config.trend_sensitivity
        self._gauge = VolatilityGauge(
            config.reference_volatility,
            interval_s,
            slow_s=4 * 3600.0,
            fast_s=30.0,
            window_s=config.trend_time * 1e-9,
        )

    def see(self, price: float) -> None:
        """Take in the price of this decision."""
        self._gauge.update(price)

    @property
    def long_share(self) -> float:
        """Chance that an entry now is long."""
        if not 0.0 < self._usual < 1.0:
            return self._usual
        sigmas = min(MAX_SIGMAS, max(-MAX_SIGMAS, self._gauge.window_sigmas))
        log_odds = math.log(self._usual / (1.0 - self._usual)) + self._sensitivity * sigmas
        return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, log_odds))))


@final
class SelfExcitation:
    """Entries incite entries: a Hawkes process with an exponential memory, as a multiple of the usual hazard.

    With E the rate at which the flat accounts would enter by themselves and S the exponential average of the rate at
    which they did, the multiple is 1 - n + n S / E: branching ratio n, and a mean rate that stays E for any n.
    """

    def __init__(self, config: RetailConfig, interval_s: float) -> None:
        self._branching = config.excitation
        self._cap = config.excitation_cap
        self._memory_s = config.excitation_time * 1e-9
        self._decay = math.exp(-interval_s / self._memory_s)
        self._usual_per_s = 0.0
        self._recent_per_s = -1.0

    def expect(self, usual_per_s: float) -> None:
        """What the accounts that are now flat would do by themselves; the first time, also what they have done."""
        self._usual_per_s = usual_per_s
        if self._recent_per_s < 0.0:
            self._recent_per_s = usual_per_s

    def entered(self, count: int) -> None:
        """One decision has passed, in which so many entered."""
        self._recent_per_s = self._recent_per_s * self._decay + count / self._memory_s

    @property
    def multiple(self) -> float:
        """Factor on the hazard of entering, at most `excitation_cap`."""
        if self._usual_per_s <= 0.0:
            return 1.0
        return min(self._cap, 1.0 - self._branching + self._branching * self._recent_per_s / self._usual_per_s)


@final
class MinuteVolatility:
    """Exponential average of squared one-minute returns, started at a believed volatility."""

    def __init__(self, annual_volatility: float, memory_s: float) -> None:
        self._variance = per_second(annual_volatility) ** 2
        self._memory_s = memory_s
        self._last_ns = 0
        self._last_log_price: float | None = None

    def sample(self, price: float, now_ns: int) -> None:
        """Take in a price, a minute after the last one (or later: returns are calculated per second)."""
        log_price = math.log(price)
        elapsed_s = (now_ns - self._last_ns) * 1e-9
        if self._last_log_price is not None and elapsed_s > 0.0:
            squared = min((log_price - self._last_log_price) ** 2 / elapsed_s, CLIP_VARIANCES * self._variance)
            self._variance += weight(elapsed_s, self._memory_s) * (squared - self._variance)
        self._last_log_price, self._last_ns = log_price, now_ns

    @property
    def annual(self) -> float:
        """Volatility per year."""
        return math.sqrt(self._variance * YEAR_S)

    @property
    def daily(self) -> float:
        """Standard deviation of a day's log-return."""
        return math.sqrt(self._variance * DAY_S)


@final
class LeverageTargets:
    """Leverage of the next position: drawn leverage, more in calm, less in storm and after an own liquidation.

    l = drawn * clip((sigma_ref / sigma) ** response, range) * (1 - (1 - humility) exp(-t / humility_time)), t since
    the account's last liquidation.  A response of 1 keeps value at risk over equity constant.
    """

    def __init__(self, config: RetailConfig, context: ParticipantContext, accounts: AccountView) -> None:
        self._config = config
        self._max_leverage = context.max_leverage
        self._drawn = PPM / accounts.initial_margin_ppm
        self._liquidated_ns = np.full(len(context.rows), -np.inf)

    def humble(self, index: Ints, now_ns: int) -> None:
        """These have just been liquidated."""
        self._liquidated_ns[index] = now_ns

    def wanted(self, index: Ints, annual_volatility: float, now_ns: int) -> Floats:
        """Leverage of these accounts, were they to enter now; as the venue will round it."""
        config = self._config
        low, high = config.leverage_range
        ratio = config.reference_volatility / max(annual_volatility, 1e-9)
        calm = min(high, max(low, ratio**config.leverage_response))
        since = (now_ns - self._liquidated_ns[index]) / config.humility_time
        pride = 1.0 - (1.0 - config.humility) * np.exp(-since)
        leverage = (self._drawn[index] * calm * pride).clip(1e-3, self._max_leverage)
        rounded: Floats = PPM / np.ceil(PPM / leverage - 1e-6)
        return rounded
