"""What set it off."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import Calls, Part, Stops
from marginquake.analysis.explanation.cascade_view import CascadeView, Section, change, largest_move, signed
from marginquake.analysis.formats import short_number as short
from marginquake.sim.core.fields import parse_duration
from marginquake.sim.core.typing import Bools

DUST = 0.005
"""Where ADL made less than that of the moves, the table leaves it out."""
TOLD = 0.05
"""Smaller shares are left to the table."""
NAMES = {
    Part.INDEX: "the outside price",
    Part.VOLUNTARY: "voluntary trades",
    Part.STOP: "stop orders",
    Part.FORCED: "forced orders of earlier liquidations",
    Part.SMOOTHING: "the mark's smoothing",
    Part.ADL: "what those closed by ADL did next",
}
"""Part of a move, in words."""


def beginning(view: CascadeView) -> Section:
    """The first calls or stops, and the shares of the moves that caused those without a parent."""
    calls, cascade, series = view.calls, view.cascade, view.series
    sentences = [_first_stop(view)] if view.begins_with == "first stop" else []
    groups: dict[str, tuple[Calls | Stops, Bools]] = {}
    if len(calls):
        roots = calls.generation == 0
        first = int(np.argmin(calls.time_s))
        sentences += [
            f"The first call came at {formats.clock(float(calls.time_s[first]))}, at a mark of "
            f"{calls.mark[first]:,.6g}: {_who(view, first)}.",
            _roots(view, roots),
        ]
        groups = {"roots": (calls, roots), "all others": (calls, ~roots)}
    if len(view.stops):
        groups["stops"] = (view.stops, view.stops.moved)
    leading = len(sentences)
    start, call, end = view.before, view.move.first, view.extreme
    sentences.append(
        f"From {formats.clock(float(series['time_s'][start]))}, when the first causes begin, to the {view.begins_with} "
        f"the outside price moved {signed(change(series['fundamental'], start, call))} and the last price "
        f"{signed(change(series['last'], start, call))}; from there to the {view.extreme_word} at "
        f"{formats.clock(view.extreme_s)} {signed(change(series['fundamental'], call, end))} and "
        f"{signed(view.move.change)}."
    )
    sentences.append(_of_the_largest(view))
    sentences += _declared(view, float(series["time_s"][start]), cascade.end_s)
    sentences += [
        f"A fault of the venue that the scenario declares, {fault.type}, lasted from {formats.clock(fault.start_s)} to "
        f"{formats.clock(fault.end_s)}."
        for fault in view.market.faults
        if fault.start_s <= cascade.end_s and fault.end_s >= float(series["time_s"][start])
    ]
    columns = {name: each for name, each in groups.items() if each[1].any()}
    parts = [
        part
        for part in Part
        if part is not Part.ADL or any(abs(_share(part, *each)) > DUST for each in columns.values())
    ]
    rows = tuple((NAMES[part], *(signed(_share(part, *each), 0) for each in columns.values())) for part in parts)
    headings = ("share of the move that called" + (" or set off" if "stops" in columns else ""), *columns)
    return Section("What set it off", tuple(sentences), headings, rows, leading=leading)


def _of_the_largest(view: CascadeView) -> str:
    """How the cascade's own move and the run's largest fall, that of the scorecard, go together."""
    whole = largest_move(view)
    word, start = ("fall", "peak") if view.falls else ("rise", "low")
    told = (
        f"{formats.percent(whole.fraction)} from the {start} at {formats.clock(whole.from_s)} to the "
        f"{view.extreme_word} at {formats.clock(whole.to_s)}"
    )
    if not whole.overlaps:
        return f"The run's largest {word}, {told}, is at another time."
    before, inside, after = (f"{100 * part + 0.0:.2f}" for part in (whole.before, whole.inside, whole.after))
    return (
        f"Of the run's largest {word}, {told}, {before} points came before the {view.begins_with}, {inside} until the "
        f"cascade's own {view.extreme_word} and {after} after it."
    )


def _first_stop(view: CascadeView) -> str:
    stops = view.stops
    whose = "long" if stops.side[0] > 0 else "short"
    return (
        f"It began with stop orders: the first went off at {formats.clock(float(stops.time_s[0]))}, "
        f"{view.market.account_name(int(stops.account[0]))}, {whose} {short(float(stops.notional[0]))}."
    )


def _roots(view: CascadeView, roots: Bools) -> str:
    made = f"The move that called them was made by {_shares(view, roots)}."
    if roots.all():
        return f"No call had a forced order among its main causes. {made}"
    count = f"{formats.plural(int(roots.sum()), 'call')} of {len(roots):,}"
    others = f"All others were called by {_shares(view, ~roots)}."
    return f"{count} had no forced order among the main causes: that is where it began. {made} {others}"


def share_of(view: CascadeView, part: Part, chosen: Bools) -> float:
    """Mean share of a part over calls that the mark moved, each counting alike; nan if there are none."""
    return _share(part, view.calls, chosen)


def _share(part: Part, of: Calls | Stops, chosen: Bools) -> float:
    by_price = chosen & of.moved
    return float(of.share(part)[by_price].mean()) if by_price.any() else float("nan")


def _shares(view: CascadeView, chosen: Bools) -> str:
    shares = {part: share_of(view, part, chosen) for part in Part}
    if any(share != share for share in shares.values()):
        return "nothing that moved the mark against them within a minute"
    made = sorted((part for part in Part if shares[part] >= TOLD), key=lambda part: -shares[part])
    against = sorted((part for part in Part if shares[part] <= -TOLD), key=lambda part: shares[part])
    text = _listed(made, shares) or "many things a little"
    return f"{text}; {_listed(against, shares)} worked against it" if against else text


def _listed(parts: list[Part], shares: dict[Part, float]) -> str:
    return ", ".join(f"{NAMES[part]} ({shares[part] * 100:.0f} %)" for part in parts)


def _who(view: CascadeView, call: int) -> str:
    side = "long" if view.calls.side[call] > 0 else "short"
    row = int(view.calls.account[call])
    text = f"{view.market.account_name(row)}, {side} {short(float(view.calls.notional[call]))}"
    accounts = view.market.accounts
    if accounts:
        place = np.flatnonzero(accounts["row"] == row)
        if len(place):
            text += (
                f" at {float(accounts['leverage'][place[0]]):.3g}x, of population {accounts['population'][place[0]]}"
            )
    return text


def _declared(view: CascadeView, from_s: float, to_s: float) -> list[str]:
    """Shocks to the outside price that the scenario declares and that overlap with the cascade."""
    declared = []
    for shock in (view.scenario.get("index") or {}).get("shocks") or ():
        at_s = parse_duration(str(shock["at"])) / 1e9
        over_s = parse_duration(str(shock.get("over") or "0s")) / 1e9
        if at_s <= to_s and at_s + over_s >= from_s:
            declared.append(
                f"The scenario declares a shock to the outside price: {signed(float(shock['log_return']))} (log) from "
                f"{formats.clock(at_s)} over {formats.duration(over_s)}."
            )
    return declared
