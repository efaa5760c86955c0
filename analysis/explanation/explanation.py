"""A part of an explanation: plain sentences, and a small table where figures say more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import causal_tree
from marginquake.analysis.causes.cascade import largest_bunch
from marginquake.analysis.causes.price_parts import WINDOW_S
from marginquake.analysis.explanation.book_depth import depth
from marginquake.analysis.explanation.cascade_view import CascadeView, Section, moved
from marginquake.analysis.explanation.feedback import feedback
from marginquake.analysis.explanation.route import route
from marginquake.analysis.explanation.twin import twin
from marginquake.analysis.explanation.what_set_it_off import beginning
from marginquake.analysis.explanation.who_paid import payers
from marginquake.analysis.explanation.who_traded import traders
from marginquake.analysis.explanation.why_it_stopped import ending
from marginquake.analysis.formats import short_number as short
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.sim.core.records import EventKind

SECTIONS: tuple[Callable[[CascadeView], Section], ...] = (
    beginning,
    route,
    feedback,
    traders,
    depth,
    ending,
    payers,
    twin,
)
"""Parts of an explanation, in order."""
LARGE = 0.1
"""Takeovers and deleveraging stand in the headline from this part of the sales in the book on."""
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
    if not tree.cascades and np.nansum(market.run["margin_calls"]) > 0:
        return Explanation(
            "Nothing can be said about causes: the events of this run are missing (events/*.parquet).", ()
        )
    if not tree.cascades:
        return Explanation("Nobody was called in this run: there is no cascade to explain.", ())
    cascades = tree.several
    if not cascades and cascade == 1:
        bunch = largest_bunch(market.margin_calls, tree.forced, WINDOW_S)
        return _explained(CascadeView(run, market, tree, bunch), NO_CASCADE)
    if not 1 <= cascade <= len(cascades):
        count = "is 1 cascade" if len(cascades) == 1 else f"are {len(cascades) or 'no'} cascades"
        choice = "1" if len(cascades) <= 1 else f"1 to {len(cascades)}"
        raise NoSuchCascade(f"there {count} of two calls or more; use --cascade {choice}")
    which = "The only cascade" if len(cascades) == 1 else f"Cascade {cascade} of {len(cascades)}"
    return _explained(CascadeView(run, market, tree, cascades[cascade - 1]), which)


def _explained(view: CascadeView, which: str) -> Explanation:
    return Explanation(headline(view, which), tuple(section(view) for section in SECTIONS))


def headline(view: CascadeView, which: str) -> str:
    """Who, when, how much, how far."""
    cascade = view.cascade
    accounts = formats.plural(len(np.unique(view.calls.account)), "long" if view.falls else "short")
    calls = "" if len(np.unique(view.calls.account)) == len(cascade.calls) else f" {len(cascade.calls):,} times"
    generations = len(cascade.generations)
    return (
        f"{which}: {accounts} called{calls} from {formats.clock(cascade.start_s)} to "
        f"{formats.clock(float(view.calls.time_s[-1]))}, in {formats.plural(generations, 'generation')}; "
        f"{short(cascade.notional)} of theirs {view.forced_word} in the book by force until "
        f"{formats.clock(cascade.end_s)}{_outside_the_book(view)}; the last price {moved(view.move.change)} from the "
        f"first call to the {view.extreme_word} at {formats.clock(view.extreme_s)}."
    )


def _outside_the_book(view: CascadeView) -> str:
    """What takeovers and auto-deleveraging closed, where that is much beside what was forced through the book.

    Of everybody in the cascade's time, called in it or not, like the payments of "Who paid".
    """
    taken, deleveraged = view.notional_of(EventKind.TAKEOVER), view.notional_of(EventKind.ADL)
    closed = []
    if taken > LARGE * view.cascade.notional:
        closed.append(f"the insurance fund took over {short(taken)}")
    if deleveraged > LARGE * view.cascade.notional:
        closed.append(f"auto-deleveraging closed {short(deleveraged)}")
    return f"; in the whole market meanwhile {' and '.join(closed)}" if closed else ""


def sentences(run: RunFrames, market: MarketFrames | None = None) -> list[str]:
    """The headline of the largest cascade and the first sentences of each section: for the report."""
    explanation = explain(run, market)
    return [explanation.headline, *(" ".join(section.sentences[: section.leading]) for section in explanation.sections)]
