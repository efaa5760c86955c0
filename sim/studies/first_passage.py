"""First-passage mode: how often accounts are called when nobody's orders move the price.

Every account sees an index path of its own, a geometric Brownian motion, looked at once a monitoring period; the mark
is the index.  Its trigger is the venue's: the position is booked in an exchange with the scenario's contract and
brackets, and the liquidation price is read off the account.  Beside each frequency stands the closed form (eq. 98) with
the barrier shifted, since nobody looks between two looks (eq. 99).  No book, no agents, no feedback: what a market
adds to
this is the clustering.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.assets.index import IndexConfig
from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.barriers import YEAR_S, Cell, first_passage_probability, monitoring_shift
from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.records import MarginMode, Side
from marginquake.sim.kernels import barrier_paths as kernel
from marginquake.sim.market.streams import Stream, Streams
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.venue.venue import Venue

PPM = 1_000_000
CHUNK = 4096
SPAN_LOOKS = 4096


@final
@dataclass(frozen=True)
class Question:
    """What is asked: fresh isolated positions of `notional` quote units on one side; each leverage, each horizon.

    `volatility` and `drift` are per year; durations nanoseconds; `paths` accounts a leverage.
    """

    market: MarketConfig
    side: Side
    leverages: tuple[float, ...]
    horizons: tuple[int, ...]
    notional: float
    volatility: float
    drift: float
    monitor_period: int
    paths: int
    seed: int

    def __post_init__(self) -> None:
        if self.paths < 1 or not self.leverages or not self.horizons:
            raise ValueError("ask for at least one path, one leverage and one horizon")
        for name, given, unit in (("leverage", self.leverages, 1.0), ("horizon", self.horizons, float(SECOND))):
            twice = next((each for number, each in enumerate(given) if each in given[:number]), None)
            if twice is not None:
                raise ValueError(f"{name} {twice / unit:g}{' s' if name == 'horizon' else ''}: is asked for twice")
        if self.volatility <= 0:
            raise ValueError(f"volatility {self.volatility:g}: must be positive")
        if self.monitor_period <= 0:
            raise ValueError("the monitoring period must be positive")
        for horizon in self.horizons:
            if horizon <= 0 or horizon % self.monitor_period:
                raise ValueError(
                    f"horizon {horizon / SECOND:g} s: must be a whole number of monitoring periods of "
                    f"{self.monitor_period / SECOND:g} s"
                )


@final
@dataclass(frozen=True)
class Trigger:
    """A fresh position as the venue books it, and the mark that calls it; 0: no mark does."""

    leverage: float
    entry_ticks: int
    trigger_ticks: int
    entry_price: float
    liquidation_price: float

    def log_distance(self, side: Side) -> float:
        """Log distance from the entry to where the mark rounds to the trigger; infinite where nothing calls it."""
        if self.trigger_ticks == 0:
            return math.inf
        return -side * math.log((self.trigger_ticks + 0.5 * side) / self.entry_ticks)


def triggers(question: Question) -> list[Trigger]:
    """Book one fresh isolated position a leverage at the contract's initial price and read what would call it.

    Raises ValueError for a leverage that the bracket of such a position does not allow.
    """
    market = question.market.model_copy(update={"index": IndexConfig()})
    venue = Venue(market, Streams(question.seed), question.monitor_period, len(question.leverages), Path())
    entry = venue.initial_ticks
    lots = round(venue.contract.lots_for(question.notional, entry))
    if not 1 <= lots <= venue.contract.max_position_lots:
        raise ValueError(f"notional {question.notional:g}: is {lots} lots, not between 1 and the position limit")
    rows = venue.accounts.claim(0, len(question.leverages))
    table = venue.accounts.rows
    margin = np.array([math.ceil(PPM / leverage - 1e-9) for leverage in question.leverages], np.int64)
    _check_allowed(venue, question, lots, margin)
    table["mode"][rows] = MarginMode.ISOLATED
    table["initial_margin_ppm"][rows] = margin
    table["collateral"][rows] = venue.contract.to_money(2.0 * question.notional)
    signed = np.full(len(rows), int(question.side) * lots, np.int64)
    venue.exchange.seed_positions(rows, signed, np.full(len(rows), entry, np.int64))
    return [
        Trigger(leverage, entry, ticks, venue.contract.to_price(entry), venue.contract.to_price(ticks) or math.nan)
        for leverage, ticks in zip(question.leverages, table["liquidation_ticks"][rows].tolist(), strict=True)
    ]


def _check_allowed(venue: Venue, question: Question, lots: int, margin: Rows) -> None:
    notional = venue.contract.lot_value.notional(np.array([lots]), venue.initial_ticks)
    bracket = int(venue.brackets.bracket_of(notional)[0])
    least = venue.brackets.initial_ppm[bracket]
    for leverage, own in zip(question.leverages, margin.tolist(), strict=True):
        if own < least or leverage < 1:
            raise ValueError(
                f"leverage {leverage:g}: a position of {question.notional:g} may have 1 to {PPM / least:g} "
                "by the venue's brackets"
            )


def simulate(question: Question, progress: Callable[[int, int], None] | None = None) -> list[Cell]:
    """Simulated and closed-form probabilities, leverages in the order asked and all horizons of each.

    `progress(done, total)` is told paths.
    """
    period_s = question.monitor_period / SECOND
    shift = monitoring_shift(question.volatility, period_s)
    cells = []
    for number, trigger in enumerate(triggers(question)):
        side = f"{'long' if question.side > 0 else 'short'}/{trigger.leverage:g}"
        stream = Streams(question.seed)[f"first_passage/{side}"]
        done = number * question.paths
        tell = None if progress is None else _told(progress, done, question.paths * len(question.leverages))
        hits, overshoots = first_looks(question, trigger, stream, tell)
        away = trigger.log_distance(question.side)
        for horizon in question.horizons:
            called = (hits > 0) & (hits <= horizon // question.monitor_period)
            bounds = question.volatility, horizon / SECOND, question.drift
            cells.append(
                Cell(
                    leverage=trigger.leverage,
                    horizon_s=horizon / SECOND,
                    liquidation_price=trigger.liquidation_price,
                    distance=1.0 - math.exp(-away) if question.side > 0 else math.exp(away) - 1.0,
                    continuous=_probability(question.side, away, *bounds),
                    closed_form=_probability(question.side, away + shift, *bounds),
                    simulated=float(called.mean()),
                    paths=question.paths,
                    overshoot=float(overshoots[called].mean()) if called.any() else math.nan,
                    expected_overshoot=shift,
                )
            )
    return cells


def first_looks(
    question: Question, trigger: Trigger, stream: Stream, progress: Callable[[int], None] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Look at which each path is called, 0 if not within the longest horizon, and the overshoot there (log price)."""
    looks = max(question.horizons) // question.monitor_period
    hits, overshoots = np.zeros(question.paths, np.int64), np.zeros(question.paths)
    if trigger.trigger_ticks == 0:
        return hits, overshoots
    years = question.monitor_period / SECOND / YEAR_S
    deviation = question.volatility * math.sqrt(years)
    drift = (question.drift - 0.5 * question.volatility**2) * years
    span = min(SPAN_LOOKS, 1 << max(0, looks - 1).bit_length())
    depth = span.bit_length() + 1
    ends, values = np.zeros(depth, np.int64), np.zeros(depth)
    for first in range(0, question.paths, CHUNK):
        part = slice(first, first + CHUNK)
        stream.run(
            kernel.first_passages, first, int(question.side), float(trigger.entry_ticks), trigger.trigger_ticks,
            deviation, drift, looks, span, ends, values, hits[part], overshoots[part],
        )  # fmt: skip
        if progress is not None:
            progress(min(first + CHUNK, question.paths))
    return hits, overshoots


def mean_overshoot(cells: Sequence[Cell]) -> float:
    """Mean log distance past the barrier at the look that finds it crossed, over the calls of the longest horizon."""
    longest = max(cell.horizon_s for cell in cells)
    called = [cell for cell in cells if cell.horizon_s == longest and cell.simulated > 0]
    calls = math.fsum(cell.simulated for cell in called)
    return math.fsum(cell.simulated * cell.overshoot for cell in called) / calls if called else math.nan


def to_csv(cells: Sequence[Cell]) -> str:
    """The table as CSV: fractions, seconds, quote units."""
    heads = (
        "leverage", "horizon_s", "liquidation_price", "distance", "continuous", "closed_form", "simulated",
        "standard_error", "error_se", "paths", "overshoot", "expected_overshoot",
    )  # fmt: skip
    lines = [",".join(heads)]
    lines += [
        f"{c.leverage:g},{c.horizon_s:g},{c.liquidation_price:.10g},{c.distance:.8g},{c.continuous:.8g},"
        f"{c.closed_form:.8g},{c.simulated:.8g},{c.standard_error:.4g},{c.error:.4g},{c.paths},{c.overshoot:.6g},"
        f"{c.expected_overshoot:.6g}"
        for c in cells
    ]
    return "\n".join(lines) + "\n"


def _probability(side: Side, away: float, volatility: float, horizon_s: float, drift: float) -> float:
    return 0.0 if math.isinf(away) else first_passage_probability(side, away, volatility, horizon_s, drift)


def _told(progress: Callable[[int, int], None], done: int, total: int) -> Callable[[int], None]:
    return lambda paths: progress(done + paths, total)
