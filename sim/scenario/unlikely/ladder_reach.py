"""Prices that may come to an end of the ladder, and ticks that are coarse beside the price."""

from collections.abc import Iterator
from typing import Final

from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.price_range import FIELD, HEADROOM, declared_range, rounded_up
from marginquake.sim.scenario.unlikely.look import MarketLook

COARSE: Final = 0.01
"""A tick larger than this share of the price is coarse: no move of less than it can be seen."""


def check(look: MarketLook) -> Iterator[ScenarioWarning]:
    """The ladder's upper end, its lower end, the tick."""
    market, contract = look.market, look.market.contract
    end = contract.initial_price * contract.max_price_multiple
    reach = declared_range(market, look.head)
    lowest = contract.initial_price
    if reach is not None:
        lowest = min(lowest, reach.lowest)
        multiple = f"{contract.max_price_multiple:g}"
        if HEADROOM * reach.likely_highest >= end:
            message = (
                f"the price may come to the end of the ladder, {end:,.6g}, where the mark stands still: {reach.by} to "
                f"{reach.highest:,.6g}, and chance may take it to {reach.likely_highest:,.6g} (four standard "
                "deviations)"
            )
            needed = rounded_up(HEADROOM * reach.likely_highest / reach.initial)
            yield look.warn("ladder_end", FIELD, message, f"write {needed:g} or more", multiple)
        if reach.likely_lowest < contract.tick_size <= reach.lowest:
            message = (
                f"the price may fall below one tick: {reach.by} to {reach.lowest:,.6g}, and chance may take it to "
                f"{reach.likely_lowest:,.3g} (four standard deviations)"
            )
            path = ("contract", "tick_size")
            yield look.warn("ladder_end", path, message, "make the tick smaller", f"{contract.tick_size:g}")
    share = contract.tick_size / max(lowest, contract.tick_size)
    if share > COARSE:
        where = "" if lowest > 0.99 * contract.initial_price else f", {lowest:,.6g} at its lowest"
        message = f"one tick is {share * 100:.3g} % of the price{where}; prices move in jumps of that size"
        way_out = "make it at most 1 % of the price" if share < 1 else "make it smaller"
        yield look.warn("coarse_tick", ("contract", "tick_size"), message, way_out, f"{contract.tick_size:g}")
