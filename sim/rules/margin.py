"""Rules that move margins with the market (`venue.maintenance.rule`, `venue.initial.rule`)."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Final, final

from pydantic import Field

from marginquake.sim.core.fields import SECOND, Amount, Duration, Fraction, Idle
from marginquake.sim.rules.formulas.dydx import open_interest_initial_fraction
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock


class MaintenanceConfig(RuleBlock):
    """Whether maintenance margin stays what the brackets say; if it rises, so does initial margin."""

    rule: str = "fixed"


class MovingMaintenanceConfig(MaintenanceConfig):
    """The block of every maintenance rule that is not fixed."""

    update_every: Duration = Field(60 * SECOND, gt=0, description="New margins this often; a multiple of mark.period")


class InitialConfig(RuleBlock):
    """Whether the least initial margin stays what the brackets say."""

    rule: str = "fixed"


class MovingInitialConfig(InitialConfig):
    """The block of every initial margin rule that is not fixed."""

    update_every: Duration = Field(60 * SECOND, gt=0, description="New margins this often; a multiple of mark.period")


class MaintenanceRule(Rule, ABC):
    """Says what the brackets' maintenance rates are multiplied with.

    The block of one that moves is a `MovingMaintenanceConfig`.
    """

    config_type: ClassVar[type[MaintenanceConfig]] = MovingMaintenanceConfig
    fixed: ClassVar[bool] = False
    """True: `multiplier` is always 1, and the venue need not ask."""

    def __init__(self, config: MaintenanceConfig) -> None:
        self.config = config

    @abstractmethod
    def observe(self, now_ns: int, mark_ticks: int) -> None:
        """A new mark; called once every mark period from t = 0 on."""

    @abstractmethod
    def multiplier(self) -> float:
        """Multiple of the brackets' maintenance rates, asked for every `update_every`."""


class InitialRule(Rule, ABC):
    """Says what the least initial margin is.

    The block of one that moves is a `MovingInitialConfig`.
    """

    config_type: ClassVar[type[InitialConfig]] = MovingInitialConfig
    fixed: ClassVar[bool] = False
    """True: `fraction` is always what it is given, and the venue need not ask."""

    def __init__(self, config: InitialConfig) -> None:
        self.config = config

    @abstractmethod
    def fraction(self, base: float, open_notional: float) -> float:
        """Least initial margin where the bracket says `base`, fractions of notional; asked for every `update_every`.

        `open_notional`: open interest of one side at the oracle's price, quote units.  It may not fall as `base` rises.
        """


@final
class FixedMaintenance(MaintenanceRule):
    """The brackets' rates, always."""

    config_type = MaintenanceConfig
    fixed: ClassVar[bool] = True

    def observe(self, now_ns: int, mark_ticks: int) -> None:
        """Nothing to learn."""

    def multiplier(self) -> float:
        """One."""
        return 1.0


@final
class FixedInitial(InitialRule):
    """The brackets' initial margin, always."""

    config_type = InitialConfig
    fixed: ClassVar[bool] = True

    def fraction(self, base: float, open_notional: float) -> float:
        """What the bracket says."""
        return base


@final
class OpenInterestLinked(InitialRule):
    """dYdX v4 (eq. 91, grade A): min(base + max(0, (ON - lower) / (upper - lower)) (1 - base), 1).

    `base` is the bracket's, or that of the block where that is larger.  Maintenance stays what it is.
    """

    class Config(MovingInitialConfig):
        """The block of `open_interest_linked`."""

        idle: ClassVar[tuple[Idle, ...]] = (
            Idle(
                ("base",),
                lambda own, market: own.base is not None and own.base <= 1 / market.venue.brackets[0].max_leverage,
                "the brackets ask for as much initial margin already",
            ),
        )

        base: Fraction | None = Field(
            None, gt=0, le=1, description="Initial margin at low open interest, at least the brackets'"
        )
        lower: Amount = Field(20e6, ge=0, description="Open notional from which it rises")
        upper: Amount = Field(50e6, gt=0, description="Open notional at which it is all of notional")

        def problems(self) -> Iterator[tuple[str, str, str]]:
            """It has to rise somewhere."""
            if not self.lower < self.upper:
                yield "upper", f"must be above lower ({self.lower:g})", f"{self.upper:g}"

    config: Config

    def fraction(self, base: float, open_notional: float) -> float:
        """Least initial margin at this open notional."""
        config = self.config
        least = max(base, config.base or 0.0)
        return open_interest_initial_fraction(least, open_notional, config.lower, config.upper)


YEAR_NS = 365 * 86_400 * SECOND


def volatility_multiplier(volatility: float, reference: float, sensitivity: float, cap: float) -> float:
    """min(cap, 1 + sensitivity max(0, volatility / reference - 1)) (eq. 146); "VaR-style", ours (D)."""
    return min(cap, 1.0 + sensitivity * max(0.0, volatility / reference - 1.0))


@final
class VolatilityLinked(MaintenanceRule):
    """Eq. 146 of the volatility of the mark: an exponential average of squared returns per time, 365 days a year.

    It begins at the reference: the multiple is 1 until the market has moved.
    """

    class Config(MovingMaintenanceConfig):
        """The block of `volatility_linked`."""

        idle: ClassVar[tuple[Idle, ...]] = (
            Idle(
                ("reference_volatility", "cap", "half_life", "update_every"),
                lambda own, market: own.sensitivity == 0,
                "sensitivity is 0: margins stay what they are",
            ),
            Idle(
                ("sensitivity", "reference_volatility", "half_life", "update_every"),
                lambda own, market: own.cap == 1,
                "cap is 1: margins stay what they are",
            ),
        )

        sensitivity: float = Field(0.5, ge=0, description="beta of 1 + beta (volatility / reference - 1), not below 1")
        reference_volatility: Fraction = Field(0.6, gt=0, description="Per year")
        cap: float = Field(3.0, ge=1, description="Largest multiple of the brackets' rates")
        half_life: Duration = Field(3600 * SECOND, gt=0, description="Memory of mark returns")

    config: Config

    def __init__(self, config: Config) -> None:
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


MAINTENANCE_RULES: Final[Registry[type[MaintenanceRule]]] = Registry(
    "maintenance rule",
    MaintenanceRule,
    {"fixed": FixedMaintenance, "volatility_linked": VolatilityLinked},
    default="fixed",
)
"""By the name in `venue.maintenance.rule`."""
INITIAL_RULES: Final[Registry[type[InitialRule]]] = Registry(
    "initial margin rule",
    InitialRule,
    {"fixed": FixedInitial, "open_interest_linked": OpenInterestLinked},
    default="fixed",
)
"""By the name in `venue.initial.rule`."""
