"""The whole explanation of one cascade, in the order in which one asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from analysis import style
from analysis.causes import causal_tree
from analysis.causes.cascade import largest_bunch
from analysis.causes.moves import WINDOW_S
from analysis.explain.beginning import beginning
from analysis.explain.depth import depth
from analysis.explain.ending import ending
from analysis.explain.payers import payers
from analysis.explain.route import route
from analysis.explain.scene import Scene, change
from analysis.explain.section import Section
from analysis.explain.traders import traders
from analysis.explain.twin import twin
from analysis.load import MarketFrames, RunFrames
from analysis.style import short_number as short

SECTIONS: tuple[Callable[[Scene], Section], ...] = (beginning, route, traders, depth, ending, payers, twin)
"""Parts of an explanation, in order."""

NO_CASCADE = "No call had a forced order among its main causes, so there is no cascade; the largest bunch of calls"


@final
@dataclass(frozen=True)
class Explanation:
    """`headline`: one sentence; `sections`: what set it off, ..., what the twin says; none without calls."""

    headline: str
    sections: tuple[Section, ...]


class NoSuchCascade(ValueError):
    """There are fewer cascades than that."""


def explain(run: RunFrames, market: MarketFrames | None = None, cascade: int = 1) -> Explanation:
    """Explain cascade number `cascade` of a market (default: the first market), 1 the largest by forced notional.

    Raises `NoSuchCascade`.
    """
    market = market or run.first
    tree = causal_tree(market)
    if tree.missing:
        return Explanation(f"Nothing can be said about causes: fills are {tree.missing}.", ())
    if not tree.cascades and run.summary.get("margin_calls"):
        return Explanation(
            "Nothing can be said about causes: the events of this run are missing (events/*.parquet).", ()
        )
    if not tree.cascades:
        return Explanation("Nobody was called in this run: there is no cascade to explain.", ())
    told = tree.several
    if not told and cascade == 1:
        bunch = largest_bunch(market.margin_calls, tree.forced, WINDOW_S)
        return _told(Scene(run, market, tree, bunch), NO_CASCADE)
    if not 1 <= cascade <= len(told):
        raise NoSuchCascade(
            f"there {'is 1 cascade' if len(told) == 1 else f'are {len(told)} cascades'} of two calls or more"
        )
    which = "The only cascade" if len(told) == 1 else f"Cascade {cascade} of {len(told)}"
    return _told(Scene(run, market, tree, told[cascade - 1]), which)


def _told(scene: Scene, which: str) -> Explanation:
    return Explanation(headline(scene, which), tuple(section(scene) for section in SECTIONS))


def headline(scene: Scene, which: str) -> str:
    """Who, when, how much, how far."""
    cascade = scene.cascade
    accounts = style.plural(len(np.unique(scene.calls.account)), "long" if scene.falls else "short")
    calls = "" if len(np.unique(scene.calls.account)) == len(cascade.calls) else f" {len(cascade.calls):,} times"
    last = scene.series["last"]
    generations = len(cascade.generations)
    moved = abs(change(last, scene.before, scene.extreme))
    return (
        f"{which}: {accounts} called{calls} from {style.clock(cascade.start_s)} to "
        f"{style.clock(float(scene.calls.time_s[-1]))}, in {style.plural(generations, 'generation')}; "
        f"{short(cascade.notional)} of theirs {scene.forced_word} by force until {style.clock(cascade.end_s)}; the "
        f"price {scene.word} by {style.percent(moved)}."
    )


def sentences(run: RunFrames, market: MarketFrames | None = None) -> list[str]:
    """The headline of the largest cascade and the first sentences of each section: for the report."""
    told = explain(run, market)
    return [told.headline, *(" ".join(section.sentences[: section.leading]) for section in told.sections)]
