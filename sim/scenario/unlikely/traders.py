"""Markets without those who make one: nobody who quotes, no background flow."""

from collections.abc import Iterator
from typing import Final

from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.unlikely.look import MarketLook

LACKING: Final = (
    (
        "quotes",
        "no_market_maker",
        "no market maker: nobody keeps quotes on both sides of the book",
        "add a population of `type: market_maker`",
    ),
    (
        "flow",
        "no_background_flow",
        "no background flow: nobody trades but for a reason",
        "add a population of `type: background`",
    ),
)
"""What a market needs (`Participant.provides`), the warning where nobody provides it, and the way out."""


def check(look: MarketLook) -> Iterator[ScenarioWarning]:
    """One warning for each that nobody provides.  A class that does not say what it provides may provide anything."""
    provided = [getattr(kind, "provides", None) for kind, _ in look.populations.values()]
    if any(each is None for each in provided):
        return
    where = "" if look.market.name == "main" else f"{look.market.name} has "
    for needed, name, message, way_out in LACKING:
        if not any(needed in each for each in provided if each is not None):
            yield look.warn(name, ("populations",), f"{where}{message}", way_out)
