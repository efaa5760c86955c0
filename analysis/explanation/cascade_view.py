"""What an explanation is about: one cascade of a run, and the time around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import Calls, Cascade, CausalTree, ForcedFlows, Stops
from marginquake.analysis.causes.cascade import CascadeMove, cascade_move
from marginquake.analysis.frames.market import Columns, Fills, MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.cases import Cases, Liquidations
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.price_moves import largest_fall, largest_rise
from marginquake.sim.core.records import EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints

BEFORE_S = 600.0
"""What is called normal is taken from so long before the cascade, as far as the run reaches (warm-up included)."""


@final
@dataclass(frozen=True)
class CascadeView:
    """One cascade and where to look for what it did."""

    run: RunFrames
    market: MarketFrames
    tree: CausalTree
    cascade: Cascade

    @cached_property
    def falls(self) -> bool:
        """True where longs were called and the price went down."""
        return self.cascade.side > 0

    @property
    def begins_with(self) -> str:
        """'first call' or 'first stop'."""
        first_call_s = self.calls.time_s[0] if len(self.calls) else float("inf")
        return "first call" if first_call_s <= self.cascade.start_s else "first stop"

    @property
    def is_cascade(self) -> bool:
        """False where it is only a bunch of calls close in time."""
        return self.cascade.number >= 0

    @cached_property
    def calls(self) -> Calls:
        """The cascade's calls."""
        return self.tree.calls.select(self.cascade.calls)

    @cached_property
    def stops(self) -> Stops:
        """The cascade's stops."""
        return self.tree.stops.select(self.cascade.stops)

    @cached_property
    def flows(self) -> ForcedFlows:
        """What was closed by force in it, and what followed from that."""
        return self.tree.flows_of(self.cascade)

    @cached_property
    def move(self) -> CascadeMove:
        """How far the price went, from the first call or stop to the extreme."""
        return cascade_move(self.market, self.cascade)

    @property
    def extreme(self) -> int:
        """Row of the series with the lowest (falls) or highest last price of the cascade."""
        return self.move.extreme

    @property
    def extreme_s(self) -> float:
        """When that was."""
        return float(self.series["time_s"][self.extreme])

    @cached_property
    def before(self) -> int:
        """Row of the series at which the causes of the first call or stop begin."""
        first = self.calls if self.begins_with == "first call" else self.stops
        return self.row_at(float(first.from_s[0]))

    @property
    def series(self) -> Columns:
        """The series, warm-up included."""
        return self.market.series

    def row_at(self, time_s: float) -> int:
        """The last row of the series at or before a time."""
        return max(int(np.searchsorted(self.series["time_s"], time_s, side="right")) - 1, 0)

    def row_after(self, time_s: float) -> int:
        """The first row of the series at or after a time, or the last there is."""
        return min(int(np.searchsorted(self.series["time_s"], time_s)), len(self.series["time_s"]) - 1)

    def between(self, from_s: float, to_s: float) -> Bools:
        """Rows of the series in (from_s, to_s]."""
        time_s = self.series["time_s"]
        return np.asarray((time_s > from_s) & (time_s <= to_s), np.bool_)

    def normal(self, column: str) -> float:
        """Median of a column in the time before the cascade; nan where there is none."""
        start_s = self.cascade.start_s
        values = self.series[column][self.between(start_s - BEFORE_S, start_s)]
        values = values[np.isfinite(values)]
        return float(np.median(values)) if len(values) else float("nan")

    @cached_property
    def begun(self) -> tuple[Cases, Bools]:
        """Liquidations that are over, and which of them began in the cascade's time.  Raises `Unmeasurable`."""
        cases = Liquidations(self.market).ended
        begun_s = cases.at_start("time_s")
        return cases, np.asarray((begun_s >= self.cascade.start_s) & (begun_s <= self.cascade.end_s), np.bool_)

    @cached_property
    def settled_s(self) -> float:
        """When the last liquidation that began in the cascade's time was over; its end where that is not known."""
        try:
            cases, chosen = self.begun
        except Unmeasurable:
            return self.cascade.end_s
        return float(cases.at_end("time_s")[chosen].max(initial=self.cascade.end_s))

    def notional_of(self, kind: EventKind) -> float:
        """Notional at the mark of a kind of event (TAKEOVER, ADL) from the first call until all is settled (eq. 19)."""
        time_s, notional = self.market.handed_over(kind)
        return float(notional[(time_s >= self.cascade.start_s) & (time_s <= self.settled_s)].sum())

    def money_of(self, kind: EventKind) -> float:
        """Money of a kind of event from the beginning until all is settled, an amount."""
        events = self.market.events
        inside = (events["time_s"] >= self.cascade.start_s) & (events["time_s"] <= self.settled_s)
        return float(events["money"][inside & (events["kind"] == kind)].sum()) * self.market.contract.to_amount(1)

    def near_depth(self) -> str:
        """The series' column of resting orders that the forced ones run into."""
        return "bid_depth_1pct" if self.falls else "ask_depth_1pct"

    def fills_between(self, from_s: float, to_s: float) -> Fills:
        """Fills in (from_s, to_s]."""
        fills = self.market.fills
        return fills.select((fills.time_s > from_s) & (fills.time_s <= to_s))

    @cached_property
    def owners(self) -> tuple[tuple[str, ...], Ints]:
        """Names of all who trade, and for every account row the number of its name."""
        accounts = self.market.accounts
        if not accounts:
            return ("all accounts",), np.zeros(0, np.int64)
        names, number = np.unique(accounts["population"].astype(str), return_inverse=True)
        place = np.zeros(int(accounts["row"].max()) + 1, np.int64)
        place[accounts["row"].astype(np.int64)] = number
        return tuple("insurance fund" if name == "insurance" else name for name in names.tolist()), place

    @property
    def extreme_word(self) -> str:
        """'low' or 'high'."""
        return "low" if self.falls else "high"

    @property
    def forced_word(self) -> str:
        """'sold' or 'bought': what forced orders did."""
        return "sold" if self.falls else "bought"

    @property
    def beyond(self) -> str:
        """'below' or 'above' the price: where more would be forced."""
        return "below" if self.falls else "above"

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The market's part of the resolved scenario."""
        own = (self.run.scenario.get("markets") or {}).get(self.market.name, self.run.scenario)
        return own if isinstance(own, Mapping) else {}


@final
@dataclass(frozen=True)
class LargestMove:
    """The run's largest fall (where shorts were called: rise), as the scorecard has it, and a cascade's place in it.

    `fraction` from the price at `from_s` to that at `to_s`.  `before`, `inside` and `after` the cascade's own move sum
    to it: fractions of the price that it begins at.  `overlaps`: whether the two have a time in common.
    """

    fraction: float
    from_s: float
    to_s: float
    before: float
    inside: float
    after: float
    overlaps: bool


def largest_move(view: CascadeView) -> LargestMove:
    """The largest fall or rise of the last price since the end of the warm-up."""
    run, series = view.market.run, view.series
    found = largest_fall(run["last"]) if view.falls else largest_rise(run["last"])
    start, end = float(run["last"][found.first]), float(run["last"][found.last])
    first, extreme = (float(series["last"][row]) for row in (view.move.first, view.extreme))
    before, inside, after = (np.diff([start, first, extreme, end]) / start * (-1 if view.falls else 1)).tolist()
    from_s, to_s = float(run["time_s"][found.first]), float(run["time_s"][found.last])
    overlaps = from_s <= view.extreme_s and to_s >= float(series["time_s"][view.move.first])
    return LargestMove(found.fraction, from_s, to_s, before, inside, after, overlaps)


def change(values: Floats, first: int, last: int) -> float:
    """values[last] over values[first], minus 1."""
    return float(values[last] / values[first] - 1.0)


def signed(fraction: float, digits: int = 2) -> str:
    """0.0123 -> '+1.23 %'; NaN -> 'none'."""
    return "none" if fraction != fraction else f"{fraction * 100:+.{digits}f} %"


def moved(fraction: float) -> str:
    """-0.0123 -> 'fell by 1.23 %'; NaN -> 'is not known'."""
    if fraction != fraction:
        return "is not known"
    return (
        "stood still" if fraction == 0 else f"{'fell' if fraction < 0 else 'rose'} by {formats.percent(abs(fraction))}"
    )


@final
@dataclass(frozen=True)
class Section:
    """`rows` have as many cells as `headings`; both may be empty.  `leading`: how many sentences say the most."""

    title: str
    sentences: tuple[str, ...]
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    leading: int = 1
