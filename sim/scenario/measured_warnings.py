"""What only a run can tell of its scenario: the same for a run and for the rehearsal of `validate`."""

from collections.abc import Iterator, Mapping
from typing import Final

from marginquake.sim.core.measured import Measured
from marginquake.sim.core.numbers import short_number
from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.scenario.places import Places
from marginquake.sim.scenario.price_range import FIELD
from marginquake.sim.scenario.scenario import Scenario

LIQUIDATED: Final = 0.2
"""Of a crowd within a minute of the start: more is hardly meant."""
FUEL_LEFT: Final = 0.5
"""Of a fuel ratio within a quarter of an hour in which nothing happened outside: less is hardly meant."""
LEAST_FUEL: Final = 0.05
"""A smaller fuel ratio is not watched: it is no fuel."""
FAR: Final = 2.0
"""D1 measured is far from what the scenario says if it is this many times it, or it this many times D1."""


def measured_warnings(scenario: Scenario, measured: Mapping[str, Measured]) -> tuple[ScenarioWarning, ...]:
    """Warnings by what was measured, by market; () of a scenario whose places are not known."""
    if scenario.places is None:
        return ()
    return tuple(
        warning
        for market, found in measured.items()
        for warning in _of_market(scenario, scenario.market(market), found, scenario.places)
        if warning.name not in scenario.meant
    )


def _of_market(scenario: Scenario, market: MarketConfig, found: Measured, places: Places) -> Iterator[ScenarioWarning]:
    name = market.name
    for population, share in found.liquidated_fraction.items():
        if share > LIQUIDATED and found.liquidated[population] > 1:
            yield places.warning(
                "liquidated_at_once",
                name,
                ("populations", population),
                f"{share * 100:.3g} % of those who held a position at the start ({found.liquidated[population]:,} "
                "accounts) were liquidated within the first minute",
                "lower leverage, raise minimum_distance, or let the shock come later",
            )
    if found.fuel_ratio >= LEAST_FUEL and found.fuel_ratio_least < FUEL_LEFT * found.fuel_ratio:
        yield places.warning(
            "fuel_halves",
            name,
            ("fuel_ratio",),
            f"measured {found.fuel_ratio:.3g} at the start and {found.fuel_ratio_least:.3g} after "
            f"{_minutes(found.fuel_ratio_least_s)}, although nothing had happened outside",
            "the crowd leaves or is called by itself: raise exit_time, or lower leverage",
            None if market.fuel_ratio is None else f"{market.fuel_ratio:g}",
        )
    yield from _depth(scenario, market, found, places)
    if found.seconds_at_ladder_end > 0:
        end = market.contract.initial_price * market.contract.max_price_multiple
        yield places.warning(
            "at_ladder_end",
            name,
            FIELD,
            f"the price was at an end of the ladder ({market.contract.tick_size:g} to {end:,.6g}) for "
            f"{found.seconds_at_ladder_end:,.3g} s: the mark stood still there, and one side of the book was empty",
            "write a larger multiple, or a smaller tick_size if the price fell",
            f"{market.contract.max_price_multiple:g}",
        )


def _depth(scenario: Scenario, market: MarketConfig, found: Measured, places: Places) -> Iterator[ScenarioWarning]:
    said = market.depth_1pct
    path = ("depth_1pct",)
    if found.depth_1pct == 0:
        if scenario.warmup > 0 and any(each.market == market.name for each in scenario.populations.values()):
            yield places.warning(
                "depth_far_off",
                market.name,
                path,
                "no depth within 1 % of mid was measured in the last 30 s of the warm-up: the book had two sides at no "
                "time; sizes go by the number written",
                "add those who quote (`type: market_maker`, `type: background`), or make the warm-up longer",
                f"{said:g}",
            )
    elif not 1 / FAR <= found.depth_1pct / said <= FAR:
        yield places.warning(
            "depth_far_off",
            market.name,
            path,
            f"the book has {short_number(found.depth_1pct)} within 1 % of mid at the end of the warm-up, "
            f"{found.depth_1pct / said:.3g} times this; sizes in units of D1 go by the number written",
            f"write about {short_number(found.depth_1pct, 2)}, or change who quotes",
            f"{said:g}",
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} min"
