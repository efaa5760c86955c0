"""Sizes that no market has had: shocks, volatilities, fees; most of them are percent written without the sign."""

import math
from collections.abc import Iterator
from typing import Any, Final

from marginquake.sim.core.fields import SECOND, format_duration
from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.unlikely.look import MarketLook
from marginquake.sim.scenario.yaml_tree import Path_

HOUR: Final = 3600 * SECOND
SHOCKS: Final = ((20 * SECOND, 0.15), (HOUR, 0.3), (2**62, 0.6))
"""Longest `over` of a shock, and the log return beyond which it is implausible.  On 12 March 2020 bitcoin fell by 9.5 %
within 20 s and by 26.4 % within 20 min (scenarios/data/btcusdt_2020-03-12.csv), and by about half from one day's high
to the next one's low."""
MOST_VOLATILITY: Final = 5.0
MOST: Final[tuple[tuple[Path_, float, str], ...]] = (
    (("index", "fundamental", "volatility"), MOST_VOLATILITY, "a year"),
    (("index", "fundamental", "bridge_volatility"), MOST_VOLATILITY, "a year"),
    (("index", "fundamental", "drift"), 5.0, "a year"),
    (("index", "fundamental", "jumps", "mean"), 0.2, "a jump"),
    (("index", "fundamental", "jumps", "deviation"), 0.2, "a jump"),
    (("venue", "fees", "maker"), 0.01, "of what is traded"),
    (("venue", "fees", "taker"), 0.01, "of what is traded"),
    (("venue", "fees", "liquidation"), 0.2, "of what is liquidated"),
    (("venue", "funding", "interest"), 0.05, "every 8 hours"),
    (("venue", "maintenance", "reference_volatility"), MOST_VOLATILITY, "a year"),
)
"""Fractions of a market that are hardly meant to be larger, either way, and what they are of."""
MOST_OF_A_POPULATION: Final[tuple[tuple[str, float, str], ...]] = (
    ("volatility", MOST_VOLATILITY, "a year"),
    ("reference_volatility", MOST_VOLATILITY, "a year"),
)
MOST_JUMPS: Final = 1000.0
"""A day."""


def check(look: MarketLook) -> Iterator[ScenarioWarning]:
    """Shocks, then everything else that has a usual size."""
    yield from _shocks(look)
    for path, most, of in MOST:
        value = _at(look.market, path)
        if isinstance(value, float) and abs(value) > most:
            yield _too_large(look, path, value, most, of)
    for name, (_, config) in look.populations.items():
        for field, most, of in MOST_OF_A_POPULATION:
            value = getattr(config, field, None)
            if isinstance(value, float) and value > most:
                yield _too_large(look, ("populations", name, field), value, most, of)
    per_day = _at(look.market, ("index", "fundamental", "jumps", "per_day"))
    if per_day is not None and per_day > MOST_JUMPS:
        message = f"{per_day:g} jumps a day are one every {86_400 / per_day:.3g} s: no jumps any more, but volatility"
        yield look.warn(
            "implausible_size", ("index", "fundamental", "jumps", "per_day"), message, "raise volatility instead"
        )


def _shocks(look: MarketLook) -> Iterator[ScenarioWarning]:
    for position, shock in enumerate(look.market.index.shocks):
        size = abs(shock.log_return)
        most = next(most for longest, most in SHOCKS if shock.over <= longest)
        if size > most:
            yield look.warn(
                "implausible_shock",
                ("index", "shocks", position, "log_return"),
                f"a move of {percent(shock.log_return)} within {format_duration(shock.over)}; bitcoin's worst 20 s of "
                "12 March 2020 were -9.5 %, its worst 20 min -26 %",
                _percent_meant(shock.log_return),
            )


def _too_large(look: MarketLook, path: Path_, value: float, most: float, of: str) -> ScenarioWarning:
    message = f"is {value * 100:,.6g} % {of}; more than {most * 100:g} % is hardly meant"
    return look.warn("implausible_size", path, message, _percent_meant(value), f"{value:g}")


def percent(log_return: float) -> str:
    """What a log return comes to: 2 -> '+639 %'."""
    return f"{math.expm1(min(log_return, 700.0)) * 100:+,.3g} %" if log_return < 10 else f"{log_return:g} log units"


def _percent_meant(value: float) -> str:
    if abs(value) >= 1:
        return f"a bare number is a share of 1: write {value:g}% if percent was meant"
    return "make it smaller, unless an extreme is meant"


def _at(block: Any, path: Path_) -> Any:
    for key in path:
        block = getattr(block, str(key), None)
    return block
