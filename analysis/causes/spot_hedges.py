"""What those whom ADL closed did on spot: they sell what they held there against the position that is gone.

No event tells of it; the record has the spot holdings of every population with the series.  How far a sale moves the
index is known (docs/model.md, eq. 15a and 179).
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import final

import numpy as np

from marginquake.analysis.causes.owners import FUND_ROW
from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.sim.core.records import EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints

DUST_LOTS = 1e-6
"""Less than that on spot is rounding."""


@final
@dataclass(frozen=True)
class SpotHedges:
    """Spot trades that follow from ADL, in order of time.

    `at_s`: when, as far as that is known (not before the ADL, nor before the last sample); `adl_row`: row of the ADL
    event; `lots`: bought (+) or sold (-); `notional` signed, at the index, quote units; `push`: what each adds to the
    log of the index at once, which decays with the times `decay_s`, that part of it in `weights` with each.
    """

    at_s: Floats
    adl_row: Ints
    lots: Floats
    notional: Floats
    push: Floats
    decay_s: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.at_s)

    def displacement(self, time_s: Floats) -> Floats:
        """Log of the index over what it would be without these trades."""
        found = np.zeros(len(time_s))
        if not len(self):
            return found
        last = np.searchsorted(self.at_s, time_s, side="left") - 1  # a trade moves what comes after it
        known = last >= 0
        since_s = np.where(known, time_s - self.at_s[np.maximum(last, 0)], 0.0)
        for decay_s, weight in zip(self.decay_s, self.weights, strict=True):
            level, levels, before_s = 0.0, np.empty(len(self)), float(self.at_s[0])
            for k, (at_s, push) in enumerate(zip(self.at_s.tolist(), self.push.tolist(), strict=True)):
                level = level * math.exp((before_s - at_s) / decay_s) + weight * push
                levels[k], before_s = level, at_s
            found += np.where(known, levels[np.maximum(last, 0)] * np.exp(-since_s / decay_s), 0.0)
        return found

    def each(self, time_s: float) -> Floats:
        """What each trade has left in the log of the index at one time: their sum is `displacement`."""
        since_s = time_s - self.at_s
        left = sum(
            (weight * np.exp(-np.maximum(since_s, 0.0) / decay_s)
             for decay_s, weight in zip(self.decay_s, self.weights, strict=True)),
            start=np.zeros(len(self)),
        )  # fmt: skip
        return np.where(since_s > 0, self.push * left, 0.0)


NO_HEDGES = SpotHedges(np.zeros(0), np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


@final
@dataclass
class _Waiting:
    """What one population has still to trade on spot: after each ADL (row, signed lots), and for its own fills."""

    adl: deque[list[float]] = field(default_factory=deque)
    other: float = 0.0

    def owe(self, row: int, lots: float) -> None:
        """ADL has closed a position: so many lots are to be traded on spot, less what its own fills ask the other way
        round."""
        if self.other * lots < 0:
            cancelled = min(abs(self.other), abs(lots)) * (1 if lots > 0 else -1)
            self.other += cancelled
            lots -= cancelled
        if lots:
            self.adl.append([row, lots])

    def trade_for_fills(self, lots: float) -> None:
        """Its own fills ask for so many lots; where ADL asks for the opposite, neither is needed."""
        while self.adl and self.adl[0][1] * lots < 0:
            first = self.adl[0]
            cancelled = min(abs(first[1]), abs(lots)) * (1 if lots > 0 else -1)
            first[1] += cancelled
            lots -= cancelled
            if first[1]:
                break
            self.adl.popleft()
        self.other += lots

    def traded(self, lots: float) -> list[tuple[int, float]]:
        """So many lots were traded: the part of each ADL among what was to be traded this way, oldest first."""
        sign = 1 if lots > 0 else -1
        own = max(self.other * sign, 0.0)
        owed = sum(max(each[1] * sign, 0.0) for each in self.adl)
        if own + owed < DUST_LOTS:
            return []
        share = min(abs(lots) / (own + owed), 1.0)
        self.other -= sign * own * share
        left, parts = owed * share, []
        while self.adl and left > DUST_LOTS and self.adl[0][1] * sign > 0:
            first = self.adl[0]
            taken = min(left, abs(first[1]))
            parts.append((int(first[0]), sign * taken))
            first[1] -= sign * taken
            left -= taken
            if abs(first[1]) <= DUST_LOTS:
                self.adl.popleft()
        return parts


def spot_hedges(market: MarketFrames) -> SpotHedges:
    """Spot trades after ADL of the accounts that it closed; none where the run does not hold what they had on spot.

    A population hedges when its spot holdings change against its position.  Of what it trades between two samples, the
    part that ADL asked for and the part that its own fills asked for are in proportion to what was still to be traded.
    """
    feedback, events = market.index_feedback, market.events
    adl = np.flatnonzero((events["kind"] == EventKind.ADL) & (events["account"] != FUND_ROW))
    if feedback is None or not len(adl) or not market.accounts:
        return NO_HEDGES
    owner = np.full(int(market.accounts["row"].max()) + 1, "", dtype=market.accounts["population"].astype(str).dtype)
    owner[market.accounts["row"].astype(np.int64)] = market.accounts["population"].astype(str)
    found: list[tuple[float, int, float]] = []
    for name in np.unique(owner[events["account"][adl]]).tolist():
        columns = market.populations.get(name)
        if columns is not None and np.any(columns["spot_lots"]):
            found += _of_population(events, columns, owner == name)
    found.sort()
    at_s, row, lots = (np.array(column) for column in zip(*found, strict=True)) if found else (np.zeros(0),) * 3
    series_s, index = market.series["time_s"], market.series["index"]
    place = np.maximum(np.searchsorted(series_s, at_s, side="right") - 1, 0)
    ticks = index[place] / market.contract.to_price(1.0) if len(at_s) else np.zeros(0)
    notional = np.sign(lots) * np.asarray(market.contract.notional(np.abs(lots), ticks), np.float64)
    push = 0.01 * notional / feedback.one_percent_depth
    return SpotHedges(at_s, row.astype(np.int64), lots, notional, push, feedback.decay_s, feedback.weights)


def _of_population(events: Columns, columns: Columns, members: Bools) -> list[tuple[float, int, float]]:
    """Moments, ADL rows and signed lots of what one population traded on spot after ADL."""
    sampled_s, held = columns["time_s"], columns["spot_lots"].astype(np.float64)
    kind, signed = events["kind"], events["quantity_lots"].astype(np.float64) * events["side"]
    by_them, of_them = (_among(events[name].astype(np.int64), members) for name in ("account", "maker_account"))
    is_adl, is_fill = (kind == EventKind.ADL) & by_them, kind == EventKind.FILL
    first_s = float(events["time_s"][np.flatnonzero(is_adl)[0]])
    # What was traded before the first ADL, and for what, is over.
    sample = int(np.searchsorted(sampled_s, first_s, side="left"))
    after = events["time_s"] > (sampled_s[sample - 1] if sample else -np.inf)
    rows = np.flatnonzero(after & (is_adl | (is_fill & (by_them != of_them))))
    # Lots that a closed position or a fill of theirs leaves to be traded on spot.
    asked = np.where(is_adl | by_them, -signed, signed)
    ends = np.searchsorted(events["time_s"][rows], sampled_s, side="right")
    waiting, found, begin = _Waiting(), list[tuple[float, int, float]](), 0
    for k in range(sample, len(sampled_s)):
        for row in rows[begin : ends[k]].tolist():
            if is_adl[row]:
                waiting.owe(row, float(asked[row]))
            else:
                waiting.trade_for_fills(float(asked[row]))
        begin = int(ends[k])
        traded = float(held[k] - held[k - 1]) if k else 0.0
        if abs(traded) > DUST_LOTS:
            since_s = float(sampled_s[k - 1])
            for row, part in waiting.traded(traded):
                found.append((max(since_s, float(events["time_s"][row])), row, part))
    return found


def _among(account: Ints, members: Bools) -> Bools:
    """True for rows of accounts that are members."""
    known = (account >= 0) & (account < len(members))
    return np.asarray(known & members[np.where(known, account, 0)], np.bool_)
