"""Why it stopped: what the map, the book, the outside price and the venue looked like at the extreme."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.explanation.cascade_view import CascadeView, Section, change, signed
from marginquake.analysis.formats import short_number as short
from marginquake.analysis.frames.lookup import last_map, mark_at, reach_near
from marginquake.sim.core.records import Cause, EventKind

REACH = 0.01
AFTER_S = 60.0
HARMLESS = 0.5
"""Pressure below which what waits is no reason for a fall to go on."""
PUSH = 0.001
"""The outside price has pushed if it moved by so much in the direction of the cascade."""


def ending(view: CascadeView) -> Section:
    """The reasons that figures support, strongest first, then the figures of the rest."""
    found = [*_fuel(view), *_outside(view), *_buyers(view), *_venue(view)]
    found.sort(key=lambda reason: not reason[0])
    supported = sum(1 for holds, _ in found if holds)
    word = view.extreme_word
    left_s = float(view.series["time_s"][-1]) - view.extreme_s
    if left_s < AFTER_S:
        when = f"The run ends {left_s:.0f} s after the {word} of the last price"
        head = f"{when}, {_price(view)}: whether it stopped is not known."
        return Section("Why it stopped", (head, *(text for _, text in found)))
    head = (
        f"The {word} of the last price was {_price(view)}."
        if supported
        else f"Nothing in the record says why the price stopped at the {word} of {formats.clock(view.extreme_s)}."
    )
    return Section("Why it stopped", (head, *(text for _, text in found)), leading=2 if supported else 1)


def _price(view: CascadeView) -> str:
    """The extreme as sampled, and the farthest print, which lasts as long as an order does."""
    sampled = view.series["last"][view.extreme]
    fills = view.fills_between(view.cascade.start_s - 1e-9, view.cascade.end_s)
    text = f"{sampled:,.6g} at {formats.clock(view.extreme_s)}"
    if not len(fills):
        return text
    print_price = float(fills.price.min() if view.falls else fills.price.max())
    beyond = print_price < sampled if view.falls else print_price > sampled
    return f"{text} (as sampled with the series; single prints went to {print_price:,.6g})" if beyond else text


def pressure(view: CascadeView, time_s: float) -> tuple[float, float, float] | None:
    """Of the last map: forced notional within 1 % of the mark, resting depth there, and their ratio (PI, eq. 214).

    The mark is that of the map, which knows nothing of later; None without maps.
    """
    levels = view.market.map
    if levels is None:
        return None
    row = last_map(levels, time_s)
    near = reach_near(levels, row, mark_at(view.market, float(levels.time_s[row])), REACH)
    if view.falls:
        return near.longs, near.bids, near.pressure_below
    return near.shorts, near.asks, near.pressure_above


def _pressed(ratio: float) -> str:
    if ratio != ratio:
        return "no pressure"
    return "nothing to meet it" if ratio == float("inf") else f"pressure {ratio:.2g}"


def _fuel(view: CascadeView) -> list[tuple[bool, str]]:
    start_s = float(np.nextafter(view.cascade.start_s, -np.inf))  # a map of that instant is after the first of it
    first, last = pressure(view, start_s), pressure(view, view.extreme_s)
    if first is None or last is None:
        return []
    ran_out = last[2] < HARMLESS <= first[2] and last[0] < first[0]
    if ran_out:
        lead = "It ran out of fuel: within"
    else:
        lead = "There was fuel left: within" if last[2] >= HARMLESS else "Fuel was scarce before as after: within"
    return [
        (
            ran_out,
            f"{lead} 1 % {view.beyond} the mark {short(last[0])} still waited to be forced, against "
            f"{short(last[1])} resting there ({_pressed(last[2])}); before the {view.begins_with} it was "
            f"{short(first[0])} against {short(first[1])} ({_pressed(first[2])}).",
        )
    ]


def _outside(view: CascadeView) -> list[tuple[bool, str]]:
    outside = view.series["fundamental"]
    after = view.row_at(view.extreme_s + AFTER_S)
    if float(view.series["time_s"][-1]) < view.extreme_s + AFTER_S:
        return []
    moved = change(outside, view.extreme, after)
    so_far = change(outside, view.before, view.extreme)
    sign = -1 if view.falls else 1
    pushed = sign * so_far > PUSH
    stopped = sign * moved < 0.1 * sign * so_far
    text = f"The outside price moved {signed(so_far)} until then and {signed(moved)} in the minute after: it "
    if not pushed:
        return [(False, f"{text}was not what pushed.")]
    return [(stopped, text + ("no longer pushed." if stopped else "went on pushing."))]


def _buyers(view: CascadeView) -> list[tuple[bool, str]]:
    """Voluntary market orders against the move around the extreme, and who sent most of them."""
    fills = view.fills_between(view.extreme_s - AFTER_S / 2, view.extreme_s + AFTER_S / 2)
    if not len(fills):
        return []
    sign = -1 if view.falls else 1
    free = fills.select(~fills.forced & (fills.cause == Cause.VOLUNTARY))
    net = -sign * float((free.side * free.notional).sum())
    forced = float(fills.notional[fills.forced & (fills.side == sign)].sum())
    when = f"In the {AFTER_S:.0f} s around it voluntary market orders"
    if net > 0:
        names, place = view.owners
        by = np.bincount(place[free.account], -sign * free.side * free.notional) if len(place) else np.array([net])
        text = f"{when} {'bought' if view.falls else 'sold'} net {short(net)}, {names[int(np.argmax(by))]} most"
    else:
        text = f"{when} did not {'buy' if view.falls else 'sell'} on balance"
    return [(net > 0 and net > 0.5 * forced, f"{text}; {short(forced)} was {view.forced_word} in the book by force.")]


def _venue(view: CascadeView) -> list[tuple[bool, str]]:
    """Pauses, ADL, and what the fund still held."""
    start_s, end_s = view.cascade.start_s, view.cascade.end_s
    found = [
        (
            True,
            f"The circuit breaker paused matching from {formats.clock(pause.start_s)} to {formats.clock(pause.end_s)}.",
        )
        for pause in view.market.pauses
        if start_s <= pause.start_s <= end_s
    ]
    deleveraged = view.notional_of(EventKind.ADL)
    if deleveraged:
        found.append(
            (
                True,
                f"Auto-deleveraging (ADL) closed {short(deleveraged)}, which was not {view.forced_word} in the book.",
            )
        )
    held = float(view.series["fund_position"][view.extreme]) if "fund_position" in view.series else 0.0
    if held:
        found.append((False, f"The insurance fund still held {short(abs(held))} of what it had taken over."))
    return found
