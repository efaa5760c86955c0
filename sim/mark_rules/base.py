"""What a mark rule sees, and what it is."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from sim.config import MarkConfig


@final
@dataclass(frozen=True, slots=True)
class MarkInputs:
    """What a mark rule may look at, in ticks.

    `index_ticks`: what the venue believes the index is (`sim.oracle`).  `mid_ticks`: nan while a side of the book is
    empty; `bid_ticks`, `ask_ticks`: nan while that side is empty; `last_ticks`: nan (or 0) before the first fill.
    `funding_rate`: that of the last payment, or what the funding rule says accrues; `time_to_funding_fraction`: time
    left / interval, 1 just after a payment.  `now_ns`: the time of this mark; a venue whose marks stand still (a fault)
    asks later than `MarkConfig.period` after the last time.
    """

    index_ticks: float
    mid_ticks: float
    last_ticks: float
    funding_rate: float
    time_to_funding_fraction: float
    bid_ticks: float = math.nan
    ask_ticks: float = math.nan
    now_ns: int = 0


class MarkRule(ABC):
    """Turns what the venue sees into the mark price; called once every `MarkConfig.period`."""

    def __init__(self, config: MarkConfig) -> None:
        self.config = config

    @abstractmethod
    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks (a float; the venue rounds it)."""


def missing(ticks: float) -> bool:
    """True where there is no such price."""
    return math.isnan(ticks) or ticks <= 0.0


def first(*candidates: float) -> float:
    """The first price that exists; nan if none does."""
    return next((ticks for ticks in candidates if not missing(ticks)), math.nan)
