"""What a run measured of itself that says whether its scenario is likely to be what was meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from marginquake.sim.core.fields import SECOND

OPENING_NS = 900 * SECOND
"""Fuel is watched for a quarter of an hour."""
FIRST_MINUTE_NS = 60 * SECOND


@final
@dataclass(frozen=True, slots=True)
class Measured:
    """One market, up to now.

    `depth_1pct`: D1 at the end of the warm-up, quote units; 0 where none was measured.  `fuel_ratio`: Lambda at the
    start; `fuel_ratio_least`: its least value, `fuel_ratio_least_s`: when, within a quarter of an hour and while
    nothing happened outside: before the first shock, the index within 1 % of where it began.  `liquidated_fraction`: by
    population, of the accounts that held a position at the start, who was liquidated within a minute;
    `liquidated`: how many.  `seconds_at_ladder_end`: time with mark, last price or index at an end of the ladder.
    """

    depth_1pct: float
    fuel_ratio: float
    fuel_ratio_least: float
    fuel_ratio_least_s: float
    liquidated_fraction: Mapping[str, float]
    liquidated: Mapping[str, int]
    seconds_at_ladder_end: float
