"""Why it stopped: what the map, the book, the outside price and the venue looked like at the extreme."""

import numpy as np

from analysis import style
from analysis.explain.scene import Scene, change, signed
from analysis.explain.section import Section
from analysis.explain.traders import flows
from analysis.liquidation_map import Fuel, fuel_near
from analysis.style import short_number as short

REACH = 0.01
AFTER_S = 60.0


def ending(scene: Scene) -> Section:
    """The reasons that figures support, strongest first, then the figures of the rest."""
    found = [*_fuel(scene), *_outside(scene), *_buyers(scene), *_venue(scene)]
    found.sort(key=lambda reason: not reason[0])
    supported = sum(1 for holds, _ in found if holds)
    word = "low" if scene.falls else "high"
    head = (
        f"The {word} was {scene.series['last'][scene.extreme]:,.6g} at {style.clock(scene.extreme_s)}."
        if supported
        else f"Nothing in the record says why the price stopped at the {word} of {style.clock(scene.extreme_s)}:"
    )
    return Section("Why it stopped", (head, *(text for _, text in found)))


def pressure(scene: Scene, time_s: float, price: float) -> tuple[float, float, float] | None:
    """Forced notional within 1 % beyond a price, resting depth there, and their ratio (PI); None without maps."""
    if scene.market.map is None:
        return None
    fuel: Fuel = fuel_near(scene.market.map, price, REACH, time_s)
    if scene.falls:
        return fuel.long_notional, fuel.bid_depth, fuel.long_ratio
    return fuel.short_notional, fuel.ask_depth, fuel.short_ratio


def _fuel(scene: Scene) -> list[tuple[bool, str]]:
    start_s = scene.cascade.start_s
    first = pressure(scene, start_s, float(scene.series["last"][scene.row_at(start_s)]))
    last = pressure(scene, scene.extreme_s, float(scene.series["last"][scene.extreme]))
    if first is None or last is None:
        return []
    ran_out = last[2] < 0.5 or last[0] < 0.25 * first[0]
    lead = "It ran out of fuel: within" if ran_out else "There was fuel left: within"
    return [
        (
            ran_out,
            f"{lead} 1 % {scene.beyond} the price {short(last[0])} still waited to be forced, against "
            f"{short(last[1])} resting there (pressure {last[2]:.2g}); at the first call it was "
            f"{short(first[0])} against {short(first[1])} ({first[2]:.2g}).",
        )
    ]


def _outside(scene: Scene) -> list[tuple[bool, str]]:
    outside = scene.series["fundamental"]
    after = scene.row_at(scene.extreme_s + AFTER_S)
    if after == scene.extreme:
        return []
    moved = change(outside, scene.extreme, after)
    so_far = change(outside, scene.before, scene.extreme)
    sign = -1 if scene.falls else 1
    stopped = sign * moved <= 0 or (sign * so_far > 0 and sign * moved < 0.1 * sign * so_far)
    return [
        (
            stopped and sign * so_far > 0.001,
            f"The outside price moved {signed(moved)} in the minute after, {signed(so_far)} before: it "
            + ("no longer pushed." if stopped else "went on pushing."),
        )
    ]


def _buyers(scene: Scene) -> list[tuple[bool, str]]:
    """Voluntary market orders against the move around the extreme, and who sent them."""
    fills = scene.fills_between(scene.extreme_s - AFTER_S / 2, scene.extreme_s + AFTER_S / 2)
    if not len(fills):
        return []
    sign = -1 if scene.falls else 1
    free = ~fills.forced & (fills.cause == 0)
    net = -sign * float((fills.side * fills.notional)[free].sum())
    names, bought, sold = flows(scene, fills.select(free))
    towards = -sign * (bought - sold)
    best = int(np.argmax(towards))
    forced = float(fills.notional[fills.forced].sum())
    when = f"In the {AFTER_S:.0f} s around it voluntary market orders"
    if net > 0:
        text = f"{when} {'bought' if scene.falls else 'sold'} net {short(net)}, {names[best]} most"
    else:
        text = f"{when} did not {'buy' if scene.falls else 'sell'} on balance"
    return [(net > 0 and net > 0.5 * forced, f"{text}; forced orders came to {short(forced)}.")]


def _venue(scene: Scene) -> list[tuple[bool, str]]:
    """Pauses, ADL, and what the fund still held."""
    start_s, end_s = scene.cascade.start_s, scene.cascade.end_s
    told = [
        (True, f"The circuit breaker paused matching from {style.clock(pause.start_s)} to {style.clock(pause.end_s)}.")
        for pause in scene.market.pauses
        if start_s <= pause.start_s <= end_s
    ]
    deleveraged = float(scene.series["adl_notional"][scene.between(start_s, end_s)].sum())
    if deleveraged:
        told.append(
            (True, f"Auto-deleveraging closed {short(deleveraged)} that was not {scene.forced_word} in the book.")
        )
    held = float(scene.series["fund_position"][scene.extreme]) if "fund_position" in scene.series else 0.0
    if held:
        told.append((False, f"The insurance fund still held {short(abs(held))} of what it had taken over."))
    return told
