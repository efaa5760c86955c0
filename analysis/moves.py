"""Falls and rises of a run in words (docs/model.md, eq. 185); what is measured: `sim.moves`."""

from analysis import style
from analysis.load import Columns
from sim.moves import largest_fall, largest_rise


def market_moves(series: Columns) -> str:
    """`Largest fall of the last price 3.59 %, of the fundamental 1.37 %`; the rise comes first where it is larger.

    `series`: of one market, from t = 0 on.
    """
    last, outside = series["last"], series["fundamental"]
    fall, rise = largest_fall(last).fraction, largest_rise(last).fraction
    words = [f"fall of the last price {style.percent(fall)}, of the fundamental "
             f"{style.percent(largest_fall(outside).fraction)}"]  # fmt: skip
    if rise > fall:
        words.insert(0, f"rise of the last price {style.percent(rise)}, of the fundamental "
                        f"{style.percent(largest_rise(outside).fraction)}")  # fmt: skip
    return "; largest ".join(["Largest " + words[0], *words[1:]])
