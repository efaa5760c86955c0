"""Fuel ratio: what waits to be forced near the start price, over what rests there (docs/model.md, eq. 29).

The one definition.  `sim.venue.seeding` solves sizes for it, the summary has it, figures and report repeat that number.
"""

NEAR, FAR = 0.01, 0.05
"""Distances from the start price, as fractions, within which the summary states it."""


def fuel_ratio(forced: float, distance: float, depth_1pct: float) -> float:
    """Lambda: notional forced within `distance`, per 1 % of distance, over D1."""
    return forced / (100.0 * distance) / depth_1pct


def forced_notional(ratio: float, distance: float, depth_1pct: float) -> float:
    """The notional within `distance` that makes this fuel ratio."""
    return ratio * (100.0 * distance) * depth_1pct
