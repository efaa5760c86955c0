"""Series and summary of one market while it runs."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.measured import Measured
from marginquake.sim.core.price_moves import from_start, largest_fall, largest_rise
from marginquake.sim.core.records import Cause, EventKind, MarginMode, Side, Stage, raw_copy
from marginquake.sim.kernels.tallies import COUNT, OUTCOME, count
from marginquake.sim.recording.digest import EventDigest
from marginquake.sim.recording.opening import OpeningRecorder
from marginquake.sim.recording.populations import PopulationRecorder
from marginquake.sim.recording.snapshots import MapRecorder, PositionRecorder
from marginquake.sim.runs.event_log import EventLog
from marginquake.sim.scenario.config import RecordConfig
from marginquake.sim.venue.seeding import Fuel
from marginquake.sim.venue.venue import Venue

QUOTES = (EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.MODIFIED, EventKind.EXPIRED, EventKind.REJECTED)
FORCED = (Cause.LIQUIDATION, Cause.TAKEOVER)
_IS_KEPT = ~np.isin(np.arange(256), QUOTES)
_IS_FORCED = np.isin(np.arange(256), FORCED)
# Plain integers: numpy asks an enum member for a dozen attributes at every comparison.
_FILL, _MARGIN_CALL, _STARTED = int(EventKind.FILL), int(EventKind.MARGIN_CALL), int(EventKind.LIQUIDATION_STARTED)
_DEPOSIT, _INSURANCE, _ADL = int(EventKind.DEPOSIT), int(EventKind.INSURANCE), int(EventKind.ADL)
_TAKEOVER, _KINDS, _BY_STOP = int(EventKind.TAKEOVER), len(EventKind), int(Cause.STOP)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
DEPTHS = {"01pct": 0.001, "1pct": 0.01, "5pct": 0.05}
COUNTED = (COUNT.names or ())[:-2]
"""Columns of the series that count since the row before."""
SERIES = (
    "time_s", "fundamental", "index", "oracle", "mark", "last", "mid", "best_bid", "best_ask", "spread_ticks",
    *(f"{side}_depth_{label}" for label in DEPTHS for side in ("bid", "ask")),
    "open_interest", "funding_rate", "insurance_fund", *COUNTED, "fund_position",
    "maintenance_multiplier", "initial_margin", "paused_s",
)  # fmt: skip
"""Columns of the series."""
NO_COUNT = np.zeros(1, COUNT)
NO_FUEL = Fuel(0.0, 0.0, 0.0, 0.0)
TAKEN_AT_ONCE = 32_768
"""Events that may wait to be digested and kept: so many at least are taken together, however rarely the series is
sampled.  They fit into a processor's cache."""


@final
class MarketRecorder:
    """Collects one market's record.  `observe` after each step, `sample` and `snapshot` on their own periods.

    What it holds grows with rows of the series and columns of the maps, not with events: those go to `log`.
    """

    def __init__(self, venue: Venue, record: RecordConfig, log: EventLog) -> None:
        self._venue = venue
        self._record = record
        self._contract = venue.contract
        self._lot_value = venue.contract.lot_value
        self._lot_notional = venue.contract.notional_per_lot(1.0), venue.contract.inverse
        self._unit = venue.contract.money_amount
        self._tick = float(venue.contract.tick_size)
        self.log = log
        self._counts = [0.0] * len(COUNTED)
        self._digest = EventDigest()
        self._series = GrowingTable(SERIES)
        self._counted = 0
        self._new_counts = np.zeros(1, COUNT)
        self._populations = PopulationRecorder(venue)
        self._maps = MapRecorder(venue, record)
        self._positions = PositionRecorder(venue, record)
        self._outcomes = np.zeros(venue.accounts.count, OUTCOME)
        self._start: dict[str, NDArray[Any]] = {}
        self._totals = [0.0] * len(COUNTED)
        self._start_open_interest = 0.0
        self._fund_start = 0.0
        self._insurance_paid = 0.0
        self.fuel: Fuel | None = None
        self.depth_1pct = venue.config.depth_1pct
        self.depth_measured = 0.0
        """D1 at the end of the warm-up; 0 where none was measured, and `depth_1pct` is what the scenario says."""
        self._opening = OpeningRecorder(venue)
        self.position_scale = 1.0
        self.left_out: dict[int, str] = {}
        """Why accounts of a book were left out, by row."""
        self.events_seen = 0
        self.fills_seen = 0
        self._events_live = 0
        self._paused_ns = 0

    @property
    def calls_seen(self) -> int:
        """Margin calls since t = 0."""
        return int(self._totals[COUNTED.index("margin_calls")])

    @property
    def open_interest(self) -> float:
        """Quote notional of all long positions at the mark, positions as of the last row of the series."""
        return self._notional(self._populations.long_lots)

    @property
    def fund_equity(self) -> float:
        """Insurance fund at the mark, quote units."""
        fund = self._venue.accounts.rows[INSURANCE_ROW]
        lot_value = int(fund["position_lots"]) * self._lot_value.value_of_lot(self._venue.exchange.mark_ticks)
        return (int(fund["collateral"]) + lot_value - int(fund["cost"])) * self._unit

    def _notional(self, lots: int) -> float:
        """Of lots at the mark, 0 before there is one; quote units."""
        mark = self._venue.exchange.mark_ticks
        return lots * self._contract.notional_per_lot(mark) if mark else 0.0

    def start(self) -> None:
        """The clock stands at 0 and positions are seeded: what everything is measured against."""
        venue = self._venue
        self._populations.recount()
        rows = venue.accounts.rows[: venue.accounts.count]
        mark = venue.exchange.mark_ticks
        position = rows["position_lots"].copy()
        entry = self._lot_value.entry_ticks(rows["cost"], position)
        self._start = {
            "position": position,
            "entry": np.where(position != 0, entry, np.nan) * self._tick,
            "collateral": rows["collateral"].copy(),
            "equity": self._equity(rows, mark),
            "liquidation": rows["liquidation_ticks"].copy(),
            "spot": venue.spot.profits()[: len(rows)],
        }
        self._start_open_interest = self.open_interest
        self._fund_start = self.fund_equity
        self._positions.snapshot(0)
        fuel = self.fuel or NO_FUEL
        self._opening.start(fuel.ratio_5pct(self.depth_1pct), self.depth_1pct)

    def observe(self, now_ns: int) -> None:
        """A step has ended."""
        if now_ns > 0:
            self._observe_opening(now_ns)
        if self._positions.due(now_ns):
            self._positions.snapshot(now_ns)
        if self._venue.exchange.events_held >= TAKEN_AT_ONCE:
            self._count_in(now_ns)
            self._take_in()

    def _observe_opening(self, now_ns: int) -> None:
        self._opening.observe(now_ns)
        if self._opening.due(now_ns):
            self._count_in(now_ns)
            self._opening.note_liquidated(self._outcomes["liquidated"])

    def sample(self, now_ns: int) -> None:
        """One row of the series; counts run from the previous row."""
        self._count_in(now_ns)
        counts, self._counts = self._counts, [0.0] * len(COUNTED)
        venue = self._venue
        tick = self._tick
        bid, ask, _, _, last, mark = venue.exchange.quote()
        mid = 0.5 * (bid + ask) if bid and ask else math.nan
        time_s = now_ns / 1e9
        self._series.append(
            (
                time_s,
                venue.index.fundamental_ticks * tick,
                venue.index.index_ticks * tick,
                venue.oracle.index_ticks * tick,
                mark * tick if mark else math.nan,
                last * tick if last else math.nan,
                mid * tick,
                bid * tick if bid else math.nan,
                ask * tick if ask else math.nan,
                float(ask - bid) if bid and ask else math.nan,
                *[notional for pair in resting_within(venue, DEPTHS.values()) for notional in pair],
                self.open_interest,
                venue.funding.next_rate,
                self.fund_equity,
                *counts,
                self._notional(int(venue.accounts.rows["position_lots"][INSURANCE_ROW])),
                venue.margins.multiplier,
                venue.brackets.initial_ppm[0] / 1e6,
                self._paused_since(),
            )
        )
        self._populations.sample(time_s)

    def _paused_since(self) -> float:
        """Seconds that matching has been paused since this was last asked."""
        breaker = self._venue.breaker
        if breaker is None:
            return 0.0
        before, self._paused_ns = self._paused_ns, breaker.paused_ns
        return (self._paused_ns - before) / 1e9

    def snapshot(self, now_ns: int) -> None:
        """One column of the depth and liquidation maps."""
        self._maps.snapshot(now_ns)

    def _count_in(self, now_ns: int) -> None:
        """Count what happened since the last time."""
        events = self._venue.exchange.events_since(self._counted)
        if not len(events):
            return
        self._counted += len(events)
        self.events_seen += len(events)
        live = now_ns > 0
        if live:
            self._events_live += len(events)
        counts = self._new_counts
        counts[:] = NO_COUNT
        venue, follow = self._venue, self._populations
        if count(
            events, live, *self._lot_notional, self._unit, venue.config.venue.fees.maker, self._outcomes, counts,
            venue.accounts.rows, follow.seen, follow.totals, SYSTEM_ROWS,
        ):  # fmt: skip
            follow.recount()
        *values, fills, insurance_paid = counts.item()
        self.fills_seen += fills
        self._insurance_paid += venue.contract.to_amount(insurance_paid)
        self._counts = [before + new for before, new in zip(self._counts, values, strict=True)]
        if live:
            self._totals = [before + new for before, new in zip(self._totals, values, strict=True)]

    def _take_in(self) -> None:
        """Digest and keep what has been counted."""
        events = self._venue.drain_events()
        assert len(events) == self._counted, "every event is counted before it is taken in"
        self._counted = 0
        if len(events):
            self._digest.update(events)
            self._keep(events)

    def _keep(self, events: NDArray[Any]) -> None:
        """Log what `record.events` asks for."""
        level = self._record.events
        if level == "all":
            self.log.append(raw_copy(events))
        elif level != "none":
            kept = _IS_KEPT[events["kind"]]
            if level == "liquidations":
                kept &= (events["kind"] != _FILL) | _IS_FORCED[events["cause"]]
            self.log.append(events.take(np.flatnonzero(kept)))

    def _equity(self, rows: NDArray[Any], mark: int) -> NDArray[np.float64]:
        money = rows["collateral"] + rows["position_lots"] * self._lot_value.value_of_lot(mark) - rows["cost"]
        equity: NDArray[np.float64] = money * self._unit
        return equity

    def series(self) -> dict[str, NDArray[np.float64]]:
        """The series so far, a column each."""
        return self._series.arrays()

    def populations(self, names: Mapping[int, str]) -> dict[str, Any]:
        """What each population held at every row of the series, a column each; `names` by owner number."""
        return self._populations.table(names)

    def positions(self, names: Mapping[int, str]) -> dict[str, Any]:
        """Who held what at some times, a column each; `names` by owner number."""
        return self._positions.table(names)

    def maps(self) -> dict[str, NDArray[Any]]:
        """Depth and liquidation maps: time by price bin, quote notional."""
        return self._maps.arrays()

    def accounts(self, populations: dict[int, str]) -> dict[str, Any]:
        """One row an account: where it started, where it ended, what happened to it."""
        venue = self._venue
        rows = venue.accounts.rows[: venue.accounts.count]
        tick, unit = self._tick, self._unit
        names = ["insurance", "fees", "rounding"] + [populations[int(o)] for o in rows["owner"][SYSTEM_ROWS:]]
        end_price = rows["liquidation_ticks"] * tick
        start_price = self._start["liquidation"] * tick
        return {
            "market": [venue.name] * len(rows),
            "row": np.arange(len(rows)),
            "population": names,
            "leverage": 1e6 / np.maximum(rows["initial_margin_ppm"], 1),
            "isolated": rows["mode"] == MarginMode.ISOLATED,
            "deposit": self._start["collateral"] * unit,
            "position_start": self._start["position"],
            "entry_start": self._start["entry"],
            "position_end": rows["position_lots"].copy(),
            "equity_start": self._start["equity"],
            "equity_end": self._equity(rows, venue.exchange.mark_ticks),
            "margin_called": self._outcomes["called"],
            "liquidated": self._outcomes["liquidated"],
            "forced_notional": self._outcomes["forced"],
            "adl_notional": self._outcomes["adl"],
            "fees_paid": self._outcomes["fees"],
            "liquidation_price_start": np.where(start_price > 0, start_price, np.nan),
            "liquidation_price_end": np.where(end_price > 0, end_price, np.nan),
            "deposits_added": self._outcomes["deposits"],
            "spot_pnl": venue.spot.profits()[: len(rows)] - self._start["spot"],
        }

    @property
    def has_book(self) -> bool:
        """Whether accounts of this market came from a file."""
        return bool(self._venue.accounts.stated)

    def names(self) -> dict[str, Any]:
        """More columns of `accounts`, of runs with a book: what its owner calls each account, its line in the file
        (0: none), and why it was left out (empty: it was not)."""
        stated, rows = self._venue.accounts.stated, range(self._venue.accounts.count)
        return {
            "id": [stated[row][0] if row in stated else "" for row in rows],
            "line": np.array([stated[row][1] if row in stated else 0 for row in rows], np.int64),
            "left_out": [self.left_out.get(row, "") for row in rows],
        }

    def summary(self) -> dict[str, int | float | str | bool]:
        """Headline numbers, from t = 0 on."""
        series = self.series()
        live = series["time_s"] >= 0
        rows = self._venue.accounts.rows[SYSTEM_ROWS : self._venue.accounts.count]
        feedback = self._venue.config.index.feedback
        flat_debt = rows["collateral"][(rows["position_lots"] == 0) & (rows["collateral"] < 0)]
        unpaid = -self._venue.contract.to_amount(int(flat_debt.sum()))
        fuel = self.fuel or NO_FUEL
        open_interest = self._start_open_interest
        totals = dict(zip(COUNTED, self._totals, strict=True))
        breaker = self._venue.breaker
        forced = totals["forced_volume"]
        mid = series["mid"][live]
        basis = (series["mid"] / series["index"] - 1.0)[live] * 1e4
        return {
            "events": self._events_live,
            "fills": self.fills_seen,
            "volume": totals["volume"],
            "margin_calls": int(totals["margin_calls"]),
            "liquidations": int(totals["liquidations"]),
            "accounts_called": int(self._outcomes["called"].sum()),
            "accounts_called_fraction": float(self._outcomes["called"].sum() / max(len(rows), 1)),
            "forced_notional": forced,
            "forced_fill_fraction_of_open_interest": forced / open_interest if open_interest > 0 else 0.0,
            "stop_notional": totals["stop_volume"],
            "max_drawdown_fraction": largest_fall(series["last"][live]).fraction,
            "max_rise_fraction": largest_rise(series["last"][live]).fraction,
            "fall_from_start_fraction": from_start(series["last"][live], "fall"),
            "rise_from_start_fraction": from_start(series["last"][live], "rise"),
            "fundamental_drawdown_fraction": largest_fall(series["fundamental"][live]).fraction,
            "fundamental_rise_fraction": largest_rise(series["fundamental"][live]).fraction,
            "index_drawdown_fraction": largest_fall(series["index"][live]).fraction,
            "bad_debt": self._venue.bad_debt + self._insurance_paid + unpaid,
            "insurance_fund_start": self._fund_start,
            "insurance_fund_end": self.fund_equity,
            "takeover_notional": totals["takeover_notional"],
            "adl_notional": totals["adl_notional"],
            "socialised_loss": self._venue.contract.to_amount(self._venue.waterfall.socialised_money),
            "open_interest_start": open_interest,
            "open_interest_end": self.open_interest,
            "fuel_ratio_within_1pct": fuel.ratio_1pct(self.depth_1pct),
            "fuel_ratio_within_5pct": fuel.ratio_5pct(self.depth_1pct),
            "position_scale": self.position_scale,
            "depth_1pct": self.depth_1pct,
            "index_feedback_enabled": feedback.enabled,
            "index_feedback_depth_1pct": self._venue.index.one_percent_depth,
            "median_spread_ticks": median(series["spread_ticks"][live]),
            "median_basis_bps": median(np.abs(basis)),
            "annualised_volatility": volatility(mid, self._record.series_every),
            "accounts_leverage_capped": self._venue.capped_accounts,
            "accounts_left_out": len(self.left_out),
            "accounts_called_end": int((rows["stage"] == Stage.CALLED).sum()),
            "accounts_in_liquidation_end": int((rows["stage"] >= Stage.LIQUIDATING).sum()),
            "pauses": breaker.pauses if breaker is not None else 0,
            "paused_seconds": breaker.paused_ns / 1e9 if breaker is not None else 0.0,
            "seconds_at_ladder_end": self._seconds_at_ladder_end(series, live),
            **self._venue.margins.summary(),
        }

    def measured(self, names: Mapping[int, str]) -> Measured:
        """What the run says so far of its own scenario; `names` by owner number."""
        series = self.series()
        fractions, counts = self._opening.liquidated(self._outcomes["liquidated"], names)
        return Measured(
            depth_1pct=self.depth_measured,
            fuel_ratio=self._opening.fuel_ratio,
            fuel_ratio_least=self._opening.fuel_ratio_least,
            fuel_ratio_least_s=self._opening.fuel_ratio_least_s,
            liquidated_fraction=fractions,
            liquidated=counts,
            seconds_at_ladder_end=self._seconds_at_ladder_end(series, series["time_s"] >= 0),
        )

    def _seconds_at_ladder_end(self, series: Mapping[str, NDArray[np.float64]], live: NDArray[np.bool_]) -> float:
        """Time with the mark, the last price or the index at the ladder's first or last tick, or beyond it."""
        lowest, highest = self._tick * 1.000001, (self._contract.max_price_ticks - 1) * self._tick * 0.999999
        at_end = np.zeros(len(live), np.bool_)
        for name in ("mark", "last", "index"):
            at_end |= (series[name] <= lowest) | (series[name] >= highest)
        return int(np.count_nonzero(at_end & live & (series["time_s"] > 0))) * self._record.series_every / 1e9

    def digest(self) -> bytes:
        """Hash of every event counted so far, quotes included."""
        self._take_in()
        return self._digest.digest()


def resting_within(venue: Venue, reaches: Iterable[float]) -> list[tuple[float, float]]:
    """Quote notional of bids and asks within each fraction of the mid (of the last price while a side is empty)."""
    bid, ask, _, _, last, _ = venue.exchange.quote()
    centre = 0.5 * (bid + ask) if bid and ask else float(last or venue.initial_ticks)
    distances = tuple(reaches)
    lows = np.array([math.ceil(centre * (1 - reach)) for reach in distances])
    highs = np.array([math.floor(centre * (1 + reach)) for reach in distances])
    per_lot = venue.contract.notional_per_lot(centre)
    bids, asks = venue.exchange.depths(lows, highs)
    return [(lots * per_lot, others * per_lot) for lots, others in zip(bids, asks, strict=True)]


def median(values: NDArray[np.float64]) -> float:
    """Median of what is not missing."""
    seen = values[~np.isnan(values)]
    return float(np.median(seen)) if len(seen) else math.nan


def volatility(prices: NDArray[np.float64], every_ns: int) -> float:
    """Root mean square of one-minute log returns, per year of 365 days."""
    stride = max(1, round(60e9 / every_ns))
    with np.errstate(invalid="ignore", divide="ignore"):
        returns = np.diff(np.log(prices[::stride]))
    returns = returns[np.isfinite(returns)]
    if len(returns) == 0:
        return math.nan
    per_year = 365 * 86400e9 / (stride * every_ns)
    return float(np.sqrt(np.mean(returns**2) * per_year))


@final
class GrowingTable:
    """Columns of floats, by name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._rows = array("d")

    def append(self, row: Sequence[float]) -> None:
        """One more row: a number for each name.  Raises ValueError at another number of them."""
        if len(row) != len(self._names):
            raise ValueError(f"a row of {len(row)} numbers in a table of {len(self._names)} columns")
        self._rows.extend(row)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """A copy of each column."""
        rows = np.array(self._rows, np.float64).reshape(-1, len(self._names))
        return {name: rows[:, place].copy() for place, name in enumerate(self._names)}
