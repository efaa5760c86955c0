"""What it cost to cross the spread and how much rested near the price, in one sentence: for figure and report."""

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.statistics.market_quality import depth_statistics, spread_statistics


def spread_and_depth(market: MarketFrames) -> str:
    """Median and 99th percentile of the spread; bids within 1 % of mid, normally (in the warm-up) and at the least."""
    series, before = market.run, float(market.series["time_s"][0]) < 0
    spread = spread_statistics(series["best_bid"], series["best_ask"], market.contract.to_price(1.0))
    bids = depth_statistics(market.series["time_s"], market.series["bid_depth_1pct"], 0.0 if before else None)
    left = formats.percent(bids.survival, 2 if bids.survival < 0.01 else 0)
    return (
        f"Median spread {formats.plural(spread.median_ticks, 'tick')} ({spread.median_bps:.2f} bp), 99th percentile "
        f"{spread.p99_bps:.2f} bp. Bids within 1 % of mid: normally {formats.short_number(bids.normal)}, least "
        f"{formats.short_number(bids.least)} ({left} of normal)."
    )
