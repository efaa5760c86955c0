"""Falls and rises of a run in words (docs/model.md, eq. 185); what is measured: `sim.moves`."""

from analysis import style
from analysis.load import Columns
from sim.moves import largest_fall, largest_rise


def market_moves(series: Columns) -> str:
    """`Largest fall of the last price 3.59 %, of the fundamental 1.37 %`; the rise comes first where it is larger.

    `series`: of one market, from t = 0 on.
    """
    falls = [largest_fall(series[name]).fraction for name in ("last", "fundamental")]
    rises = [largest_rise(series[name]).fraction for name in ("last", "fundamental")]
    fall, fall_outside, rise, rise_outside = map(style.percent, (*falls, *rises))
    if rises[0] <= falls[0]:
        return f"Largest fall of the last price {fall}, of the fundamental {fall_outside}"
    return (
        f"Largest rise of the last price {rise}, of the fundamental {rise_outside}; largest fall {fall} and "
        f"{fall_outside}"
    )
