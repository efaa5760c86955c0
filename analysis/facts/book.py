"""Facts of the book: spread, depth by distance, and how close the market stays to its index."""

from functools import partial

import numpy as np

from marginquake.analysis.facts.fact import Fact
from marginquake.analysis.facts.observed import Observed
from marginquake.analysis.statistics.estimate import Unmeasurable, all_alike
from marginquake.analysis.statistics.market_quality import basis_bps, spread_bps
from marginquake.sim.core.typing import Floats

REACHES = {"01pct": 0.001, "1pct": 0.01, "5pct": 0.05}


def _spread(observed: Observed) -> Floats:
    return _seen(spread_bps(observed.column("best_bid"), observed.column("best_ask")))


def _seen(values: Floats) -> Floats:
    """The moments at which there was such a thing."""
    seen = values[np.isfinite(values)]
    if len(seen) == 0:
        raise Unmeasurable("the book was never two-sided")
    return seen


def spread_quantile(quantile: float, observed: Observed) -> float:
    """Quantile of best ask less best bid, bp of mid; every sample weighs the same."""
    return float(np.quantile(_spread(observed), quantile))


def spread_ticks(observed: Observed) -> float:
    """Median spread in ticks."""
    return float(np.median(_seen(observed.column("spread_ticks"))))


def tracking_error(quantile: float, observed: Observed) -> float:
    """Quantile of |mid / index - 1|, bp."""
    return float(np.quantile(np.abs(_seen(basis_bps(observed.column("mid"), observed.column("index")))), quantile))


def depth(label: str, observed: Observed) -> float:
    """Mean resting notional within a distance of mid, mean of both sides."""
    return float(np.mean(observed.column(f"bid_depth_{label}") + observed.column(f"ask_depth_{label}")) / 2.0)


def depth_variation(observed: Observed) -> float:
    """Coefficient of variation of depth within 1 %: standard deviation over mean, in time."""
    values = observed.depth_1pct
    if values.mean() <= 0.0:
        raise Unmeasurable("nothing rests within 1 %")
    return 0.0 if all_alike(values) else float(values.std() / values.mean())


def depth_exponent(observed: Observed) -> float:
    """kappa of D(u) ~ u^kappa: a line through the logarithms of median depth at 0.1, 1 and 5 % (eq. 58)."""
    medians = np.array(
        [np.median(observed.column(f"bid_depth_{label}") + observed.column(f"ask_depth_{label}")) for label in REACHES]
    )
    if (medians <= 0.0).any():
        raise Unmeasurable("half of the time nothing rests within 0.1 %")
    return float(np.polyfit(np.log(list(REACHES.values())), np.log(medians), 1)[0])


def depth_share(observed: Observed) -> float:
    """Depth within 1 % over daily volume."""
    return float(observed.depth_1pct.mean()) / observed.daily_volume


def interest_share(observed: Observed) -> float:
    """Mean open interest over daily volume."""
    return float(np.mean(observed.column("open_interest"))) / observed.daily_volume


FACTS = (
    Fact("SPREAD_TICKS", "median spread", spread_ticks, "ticks", target="SPREAD_TICKS"),
    Fact("SPREAD_BP", "median spread", partial(spread_quantile, 0.5), "bp", target="SPREAD_BP"),
    Fact("SPREAD_P99", "99 % quantile of the spread", partial(spread_quantile, 0.99), "bp", "median"),
    Fact("TRACK_MEDIAN", "|mid/index - 1|, median", partial(tracking_error, 0.5), "bp", target="TRACK_MEDIAN"),
    Fact("TRACK_P99", "|mid/index - 1|, 99 % quantile", partial(tracking_error, 0.99), "bp", "median", "TRACK_P99"),
    Fact("DEPTH_01pct", "depth within 0.1 %", partial(depth, "01pct"), "quote", money=True),
    Fact("D1", "depth within 1 %, D1", partial(depth, "1pct"), "quote", money=True),
    Fact("DEPTH_5pct", "depth within 5 %", partial(depth, "5pct"), "quote", money=True),
    Fact("D1_CV", "variation of D1 in time", depth_variation),
    Fact("OB7", "depth exponent kappa", depth_exponent, target="OB7"),
    Fact("D1_ADV", "D1 / daily volume", depth_share, target="D1_ADV"),
    Fact("OI_ADV", "open interest / daily volume", interest_share, target="OI_ADV"),
)
