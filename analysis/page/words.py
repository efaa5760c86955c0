"""What happened in words: the short form of `marginquake explain`."""

from analysis.causes import causal_tree
from analysis.explain import sentences
from analysis.load import MarketFrames, RunFrames
from analysis.page.section import Content


def wanted(run: RunFrames, market: MarketFrames) -> bool:
    """Only where somebody was called, and it is known why."""
    return bool(causal_tree(market).cascades)


def content(run: RunFrames, market: MarketFrames) -> Content:
    """The headline of the largest cascade, and the first sentence of every part of its explanation."""
    headline, *rest = (each.removesuffix(":") + "." if each.endswith(":") else each for each in sentences(run, market))
    aside = "`marginquake explain` says more, about any cascade of the run."
    return Content(lead=headline, sentences=rest, aside=aside)
