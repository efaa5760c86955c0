"""Who sold, and who took the other side."""

import numpy as np

from marginquake.analysis import formats
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
    """From the first call to the extreme: aggressors by cause, and every population's sales, purchases and net."""
    fills = view.fills_between(view.cascade.start_s, view.extreme_s)
    side = -1 if view.falls else 1
    with_it = fills.side == side
    whole = float(fills.notional[with_it].sum())
    until = f"From the first call to the {view.extreme_word} at {formats.clock(view.extreme_s)}"
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
    return Section("Who sold, who absorbed" if view.falls else "Who bought, who absorbed", sentences,
                   ("population", "bought", "sold", "net"), rows)  # fmt: skip


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
