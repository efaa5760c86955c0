"""What happened in words: the short form of `marginquake explain`."""

from analysis.causes import causal_tree
from analysis.explain import cascades_told, sentences
from analysis.load import MarketFrames, RunFrames
from analysis.page.section import Content


def wanted(run: RunFrames, market: MarketFrames) -> bool:
    """Only where there is a cascade to tell of."""
    return cascades_told(causal_tree(market)) > 0


def content(run: RunFrames, market: MarketFrames) -> Content:
    """The headline of the largest cascade, and what follows."""
    headline, *rest = sentences(run, market)
    aside = "`marginquake explain` says more, about any cascade of the run."
    return Content(lead=headline, sentences=rest, aside=aside)
