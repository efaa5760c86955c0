"""A part of an explanation: plain sentences, and a small table where figures say more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import Way, causal_tree
from marginquake.analysis.causes.cascade import largest_bunch, until_the_low
from marginquake.analysis.causes.price_parts import WINDOW_S
from marginquake.analysis.explanation.book_depth import depth
from marginquake.analysis.explanation.cascade_view import CascadeView, Section, largest_move, moved
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
OF_STOPS: tuple[Callable[[CascadeView], Section], ...] = (beginning, traders, depth, ending)
"""Parts where stops set each other off and nobody was called."""
LARGE = 0.1
"""Stops, takeovers and deleveraging stand in the headline from this part of the sales in the book on."""
NO_CASCADE = (
    "No call had a forced order among its main causes, nor a stop or auto-deleveraging (ADL), so there is no cascade; "
    "the largest bunch of calls"
)
NO_CALLS = "Nobody was called in this run: no position was closed by the venue"


@final
@dataclass(frozen=True)
class Explanation:
    """`headline`: one sentence; `sections`: what set it off, ..., what the twin says; none without calls."""

    headline: str
    sections: tuple[Section, ...]


class NoSuchCascade(ValueError):
    """There are fewer cascades than that."""


def explain(run: RunFrames, market: MarketFrames | None = None, cascade: int = 1) -> Explanation:
    """Explain cascade number `cascade` of a market (default: the first market), 1 that in which most was closed.

    Where nobody was called: chains of stops that set each other off.  Raises `NoSuchCascade`.
    """
    market = market or run.first
    tree = causal_tree(market)
    if tree.missing:
        return Explanation(f"Nothing can be said about causes: fills are {tree.missing}.", ())
    if not tree.cascades and np.nansum(market.run["margin_calls"]) > 0:
        return Explanation(
            "Nothing can be said about causes: the events of this run are missing (events/*.parquet).", ()
        )
    cascades = tree.several if tree.cascades else tree.chains_of_stops
    if not tree.cascades and not cascades:
        return Explanation("Nobody was called in this run: there is no cascade to explain.", ())
    if not cascades and cascade == 1:
        bunch = until_the_low(market, largest_bunch(market.margin_calls, tree.forced, WINDOW_S))
        return _explained(CascadeView(run, market, tree, bunch), NO_CASCADE)
    if not 1 <= cascade <= len(cascades):
        count = "is 1 cascade" if len(cascades) == 1 else f"are {len(cascades) or 'no'} cascades"
        choice = "1" if len(cascades) <= 1 else f"1 to {len(cascades)}"
        raise NoSuchCascade(f"there {count} of two calls or more; use --cascade {choice}")
    view = CascadeView(run, market, tree, cascades[cascade - 1])
    if not tree.cascades:
        which = "Its only chain of stops" if len(cascades) == 1 else f"Chain of stops {cascade} of {len(cascades)}"
        return Explanation(f"{NO_CALLS}. {_headline_of_stops(view, which)}", tuple(part(view) for part in OF_STOPS))
    which = "The only cascade" if len(cascades) == 1 else f"Cascade {cascade} of {len(cascades)}"
    return _explained(view, which)


def _explained(view: CascadeView, which: str) -> Explanation:
    return Explanation(headline(view, which), tuple(section(view) for section in SECTIONS))


def headline(view: CascadeView, which: str) -> str:
    """Who, when, how much, how far."""
    cascade = view.cascade
    accounts = formats.plural(len(np.unique(view.calls.account)), "long" if view.falls else "short")
    calls = "" if len(np.unique(view.calls.account)) == len(cascade.calls) else f" {len(cascade.calls):,} times"
    generations = len(cascade.generations)
    return (
        f"{which}: {accounts} called{calls} from {formats.clock(float(view.calls.time_s[0]))} to "
        f"{formats.clock(float(view.calls.time_s[-1]))}, in {formats.plural(generations, 'generation')}; "
        f"{short(_in_the_book(view))} of theirs{_by_stops(view)} {view.forced_word} in the book by force until "
        f"{formats.clock(cascade.last_flow_s)}{_outside_the_book(view)}; {_fell(view)}."
    )


def _headline_of_stops(view: CascadeView, which: str) -> str:
    longs = "longs" if view.falls else "shorts"
    stops = view.stops
    return (
        f"{which}: {formats.plural(len(stops), 'stop order')} of {longs} went off from "
        f"{formats.clock(view.cascade.start_s)} to {formats.clock(float(stops.time_s[-1]))}, "
        f"{short(float(stops.notional.sum()))} {view.forced_word}; {_fell(view)}."
    )


def _fell(view: CascadeView) -> str:
    """How far the price went in the cascade, and in the run's largest move if that ends where the cascade does."""
    text = (
        f"the last price {moved(view.move.change)} from the {view.begins_with} to the {view.extreme_word} at "
        f"{formats.clock(view.extreme_s)}"
    )
    whole = largest_move(view)
    if not whole.overlaps or whole.to_s != view.extreme_s:
        return text
    start = "peak" if view.falls else "low"
    return f"{text}, {formats.percent(whole.fraction)} from its {start} at {formats.clock(whole.from_s)}"


def _in_the_book(view: CascadeView) -> float:
    """What liquidation orders and the insurance fund traded of it."""
    return view.flows.total(Way.LIQUIDATION, Way.FUND)


def _by_stops(view: CascadeView) -> str:
    """What its stops traded, where that is much beside what was forced through the book."""
    stopped = view.flows.total(Way.STOP)
    return f" and {short(stopped)} of stops" if stopped > LARGE * _in_the_book(view) else ""


def _outside_the_book(view: CascadeView) -> str:
    """What takeovers and auto-deleveraging closed, where that is much beside what was forced through the book.

    Of everybody in the cascade's time, called in it or not, like the payments of "Who paid".
    """
    taken, deleveraged = view.notional_of(EventKind.TAKEOVER), view.notional_of(EventKind.ADL)
    closed = []
    if taken > LARGE * _in_the_book(view):
        closed.append(f"the insurance fund took over {short(taken)}")
    if deleveraged > LARGE * _in_the_book(view):
        closed.append(f"auto-deleveraging (ADL) closed {short(deleveraged)}")
    return f"; in the whole market meanwhile {' and '.join(closed)}" if closed else ""


def sentences(run: RunFrames, market: MarketFrames | None = None) -> list[str]:
    """The headline of the largest cascade and the first sentences of each section: for the report."""
    explanation = explain(run, market)
    return [explanation.headline, *(" ".join(section.sentences[: section.leading]) for section in explanation.sections)]
