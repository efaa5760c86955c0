"""The figures: one module each, one entry here.  A figure draws one market of one run on an empty matplotlib figure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from marginquake.analysis.figures import (
    book_heatmap,
    crowd,
    entries,
    levels,
    leverage,
    liquidation_map,
    liquidity,
    losses,
    map_forecast,
    pressure,
    price,
    returns,
    round_prices,
)
from marginquake.analysis.frames.market import MarketFrames

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True)
class Picture:
    """One entry: how to draw it, what a reader should look for, its height (inches) and its theme.

    `applies`: False for runs that it says nothing about; they get it only when it is asked for by name.
    `in_charts`: the report shows the same in charts that can be zoomed, and leaves the picture out.
    """

    draw: "Callable[[MarketFrames, Figure], None]"
    caption: str
    height_inches: float = 6.6
    dark: bool = False
    applies: Callable[[MarketFrames], bool] = lambda market: True
    in_charts: bool = False


FIGURES: dict[str, Picture] = {
    "price": Picture(
        price.draw,
        "Index, mark and last price. Triangles: margin calls. Bubbles: forced fills, area in proportion to notional. "
        "Where the price leaves the fundamental while bubbles crowd, the market is falling by its own weight. "
        "Below: what liquidation orders, the fund and stops traded; what was taken over or auto-deleveraged (ADL).",
        height_inches=8.2,
        in_charts=True,
    ),
    "liquidation_map": Picture(
        liquidation_map.draw,
        "Every horizontal streak is a group of positions that will be closed by force when the mark gets there: bright "
        "means much notional. The white line is the mark; bubbles are liquidations as they were executed.",
        7.0,
        dark=True,
        in_charts=True,
    ),
    "levels": Picture(
        levels.draw,
        "Above: who is forced where, at the start. Middle: what somebody outside would draw. Below: where forced sales "
        "rise above the book, a move that far would feed itself.",
        8.6,
        applies=levels.applies,
    ),
    "forecast": Picture(
        map_forecast.draw,
        "The map before the largest cascade (or bunch of calls) against what came: which clusters the mark ran "
        "through, where forced orders traded, and who got away.",
        6.4,
        applies=map_forecast.applies,
    ),
    "entries": Picture(
        entries.draw,
        "Entry prices that crowd, with leverages that crowd, make liquidation levels that crowd.",
        4.8,
        applies=entries.applies,
    ),
    "book_heatmap": Picture(
        book_heatmap.draw,
        "Resting orders, bids below and asks above the touch. Dark water around the price means that there was little "
        "to trade against.",
        7.0,
        dark=True,
        in_charts=True,
    ),
    "liquidity": Picture(
        liquidity.draw,
        "What it costs to trade at once, and how much can be traded near the price. Makers withdraw when the price "
        "moves fast, which is when forced orders need them.",
        in_charts=True,
    ),
    "leverage": Picture(
        leverage.draw,
        "Open positions, the rate that longs pay shorts, and the fund that pays for bankrupt positions.",
    ),
    "pressure": Picture(
        pressure.draw,
        "How much a small move would force to trade, for every unit that rests in the book on the way. Where the line "
        "of a small move is above 1, that move cannot be absorbed: the next one follows.",
        7.0,
        applies=pressure.applies,
    ),
    "losses": Picture(
        losses.draw,
        "Profit and loss of every population over the run. Diamonds are sums.",
        5.0,
        in_charts=True,
    ),
    "returns": Picture(
        returns.draw,
        "Fat tails (points above the dashed curve) and memory in the size of returns but not in their sign are what "
        "real markets show.",
        6.4,
    ),
    "crowd": Picture(
        crowd.draw,
        "Who holds the longs and how levered they are. In calm the crowd comes back and levers up; a fall takes the "
        "most levered away.",
        7.6,
        applies=crowd.applies,
    ),
    "round_prices": Picture(
        round_prices.draw,
        "Stops lie just beyond round prices, take-profits at them: prices run on after crossing one, or turn there.",
        7.2,
        applies=round_prices.applies,
    ),
}
"""All figures of a run, in the order of the report."""
