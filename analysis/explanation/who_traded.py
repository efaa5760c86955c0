"""Who sold, and who took the other side."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import Way
from marginquake.analysis.explanation.cascade_view import CascadeView, Section
from marginquake.analysis.formats import short_number as short
from marginquake.analysis.frames.market import Fills
from marginquake.sim.core.records import Cause
from marginquake.sim.core.typing import Floats

ORDERS = {
    Cause.VOLUNTARY: "voluntary market orders",
    Cause.STOP: "stops",
    Cause.LIQUIDATION: "liquidation orders",
    Cause.TAKEOVER: "the insurance fund's unwinding",
}


def traders(view: CascadeView) -> Section:
    """From the first call or stop to the extreme: aggressors by cause, and every population's sales, purchases and net;
    then what the cascade closed by force, and what followed from ADL."""
    fills = view.fills_between(view.cascade.start_s, view.extreme_s)
    side = -1 if view.falls else 1
    with_it = fills.side == side
    whole = float(fills.notional[with_it].sum())
    until = f"From the {view.begins_with} to the {view.extreme_word} at {formats.clock(view.extreme_s)}"
    everybody = "market orders of everybody, called or not,"
    if not whole:
        return Section("Who sold, who absorbed", (f"{until} nothing was {view.forced_word} by market orders.",))
    by_cause = {cause: float(fills.notional[with_it & (fills.cause == cause)].sum()) for cause in ORDERS}
    causes = ", ".join(
        f"{ORDERS[cause]} {short(amount)} ({amount / whole * 100:.0f} %)"
        for cause, amount in sorted(by_cause.items(), key=lambda item: -item[1])
        if amount
    )
    against = float(fills.notional[~with_it].sum())
    names, bought, sold = flows(view, fills)
    net = bought - sold
    givers, takers = (net < 0, net > 0) if view.falls else (net > 0, net < 0)
    sentences = (
        f"{until} {everybody} {view.forced_word} {short(whole)}: {causes}. "
        f"Market orders of the other side came to {short(against)}.",
        f"Net {'sellers' if view.falls else 'buyers'}: {_largest(names, net, givers)}. "
        f"Absorbed by {_largest(names, net, takers)}.",
        *closed_by_force(view),
    )
    order = np.argsort(net if view.falls else -net)
    rows = tuple(
        (
            names[k],
            short(bought[k]),
            short(sold[k]),
            f"{'+' if net[k] > 0 else ''}{short(net[k])}",
        )
        for k in order
        if bought[k] + sold[k]
    )
    title = "Who sold, who absorbed" if view.falls else "Who bought, who absorbed"
    leading = len(sentences) if view.flows.total(Way.ADL) else 1  # with ADL market orders are not the half of it
    return Section(title, sentences, ("population", "bought", "sold", "net"), rows, leading)


CLOSED_BY = {
    Way.LIQUIDATION: "liquidation orders",
    Way.FUND: "the insurance fund's unwinding",
    Way.OFFER: "the fund's resting orders",
    Way.STOP: "stops",
    Way.CALLED: "called accounts that {traded} by themselves",
    Way.ADL: "auto-deleveraging (ADL)",
}


def closed_by_force(view: CascadeView) -> list[str]:
    """What the cascade closed, each position once, to its last flow; and what those whom ADL closed did next."""
    own = view.flows
    closed = {way: own.total(way) for way in CLOSED_BY}
    whole = sum(closed.values())
    if not whole:
        return []
    listed = ", ".join(
        f"{CLOSED_BY[way].format(traded=view.forced_word)} {short(amount)} ({amount / whole * 100:.0f} %)"
        for way, amount in sorted(closed.items(), key=lambda item: -item[1])
        if amount
    )
    told = [f"This cascade closed {short(whole)} until {formats.clock(view.cascade.last_flow_s)}: {listed}."]
    spot, again = own.total(Way.SPOT), own.total(Way.REOPENED)
    nexts = [
        *([f"{short(spot)} of spot that had hedged what they lost"] if spot else []),
        *([f"{short(again)} here, to hold the position again"] if again else []),
    ]
    if nexts:
        told.append(f"Those whom ADL closed {view.forced_word} {' and '.join(nexts)}.")
    return told


def flows(view: CascadeView, fills: Fills) -> tuple[tuple[str, ...], Floats, Floats]:
    """Names, and what each bought and sold, resting orders included; forced sales count for the closed account."""
    names, place = view.owners
    bought, sold = np.zeros(len(names)), np.zeros(len(names))
    for account, side in ((fills.account, fills.side), (fills.maker_account, -fills.side)):
        known = (account >= 0) & (account < len(place))
        owner = np.where(known, place[np.where(known, account, 0)] if len(place) else 0, 0)
        bought += np.bincount(owner, np.where(side > 0, fills.notional, 0.0), minlength=len(names))
        sold += np.bincount(owner, np.where(side < 0, fills.notional, 0.0), minlength=len(names))
    return names, bought, sold


def _largest(names: tuple[str, ...], net: Floats, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    """Those with most of it, until nine tenths are named."""
    whole = float(np.abs(net[chosen]).sum())
    largest, so_far = [], 0.0
    for k in sorted(np.flatnonzero(chosen).tolist(), key=lambda k: -abs(net[k])):
        largest.append(f"{names[k]} {short(abs(float(net[k])))}")
        so_far += abs(float(net[k]))
        if so_far > 0.9 * whole:
            break
    return ", ".join(largest) or "nobody"
