"""What a margin rule is."""

from abc import ABC, abstractmethod
from typing import ClassVar

from sim.config import InitialConfig, MaintenanceConfig


class MaintenanceRule(ABC):
    """Says what the brackets' maintenance rates are multiplied with."""

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


class InitialRule(ABC):
    """Says what the least initial margin is."""

    fixed: ClassVar[bool] = False
    """True: `fraction` is always what it is given, and the venue need not ask."""

    def __init__(self, config: InitialConfig) -> None:
        self.config = config

    @abstractmethod
    def fraction(self, base: float, open_notional: float) -> float:
        """Least initial margin where the bracket says `base`, fractions of notional; asked for every `update_every`.

        `open_notional`: open interest of one side at the oracle's price, quote units.  It may not fall as `base` rises.
        """
