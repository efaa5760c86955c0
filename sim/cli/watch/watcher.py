"""Looking on while a run goes on: what a watcher remembers, and the figures of one market at one moment.

Everything is read; nothing here changes the market, so a run that is watched has the events of one that is not.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.cli.watch.liquidations import ClosedLiquidation, ClosedLiquidations, listening
from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.reach import Reach, notional_reached
from marginquake.sim.core.records import Cause, EventKind, Side, Stage
from marginquake.sim.model.market_session import MarketSession
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs.event_log import OpenLog
from marginquake.sim.venue.venue import Venue

DISTANCES = (0.0025, 0.005, 0.01, 0.02, 0.05)
"""Distances from the price at which forced notional and depth are looked at, fractions."""
PRESSURE_DISTANCE = 0.01
"""Where the pressure of alerts is measured."""
PRESSURE_LEVELS = (1.0, 2.0, 3.0, 5.0, 10.0)
"""An alert is given where pressure rises through one of these."""
EASED = 0.8
"""A level is crossed again once pressure was below so much of it: depth flickers."""
CALL_LEVELS = tuple(base * 10**power for power in range(7) for base in (1, 3))
"""Alerts come at so many margin calls in all."""
BINS = 400
"""Bins of price in which the ladder is added up."""
RUNG_FRACTION = 1e-4
"""Width of a rung of the book ladder as a fraction of the initial price, about."""
RUNGS = 24
"""Rungs of a side at most."""
POINTS = 512
"""Points of the price history at most; then every other one is dropped."""
ALERTS = 64
"""Alerts that are remembered."""
_FILL = int(EventKind.FILL)


@final
@dataclass(frozen=True, slots=True)
class BookRung:
    """Orders that rest in one bucket of ticks: its outer price, and their quote notional."""

    price: float
    notional: float


@final
@dataclass(frozen=True, slots=True)
class Alert:
    """Something worth a look.  `grade`: 0 news, 1 warning, 2 serious."""

    time_s: float
    grade: int
    text: str


@final
@dataclass(frozen=True, slots=True)
class PricePoint:
    """Last price and index at one time; NaN where there is none."""

    time_s: float
    last: float
    index: float


@final
@dataclass(frozen=True)
class Frame:
    """One market at one moment: prices and notional in quote units, fractions, counts since the end of the warm-up.

    `start`: the last price when the warm-up ended, NaN before.  `basis`: mid / index - 1.  `largest_fall`: from a
    running high of the last price.  `bids`, `asks`: best first.  `why_no_closed`: why no liquidation can be listed.
    """

    scenario: str
    seed: int
    market: str
    time_s: float
    warmup_s: float
    duration_s: float
    decimals: int
    last: float
    mark: float
    index: float
    mid: float
    best_bid: float
    best_ask: float
    basis: float
    funding_rate: float
    start: float
    largest_fall: float
    history: tuple[PricePoint, ...]
    bids: tuple[BookRung, ...]
    asks: tuple[BookRung, ...]
    ladder: tuple[Reach, ...]
    open_interest: float
    open_interest_start: float
    insurance_fund: float
    insurance_fund_start: float
    fund_position: float
    warned: int
    called: int
    in_liquidation: int
    margin_calls: int
    liquidations: int
    forced_notional: float
    adl_closed: int
    paused: bool
    pauses: int
    faults: tuple[str, ...]
    alerts: tuple[Alert, ...]
    closed: tuple[ClosedLiquidation, ...]
    why_no_closed: str

    @property
    def change(self) -> float:
        """Last price over that of the start, less 1."""
        return self.last / self.start - 1.0

    @property
    def near(self) -> Reach:
        """The reach whose pressure alerts are about."""
        return nearest(self.ladder)


@final
class PriceHistory:
    """The whole run in at most `POINTS` points: every n-th sample, n doubling when they are full."""

    def __init__(self) -> None:
        self._points: list[PricePoint] = []
        self._every = 1
        self._seen = 0

    def add(self, point: PricePoint) -> None:
        """One sample more."""
        if self._seen % self._every == 0:
            self._points.append(point)
            if len(self._points) == POINTS:
                self._points = self._points[::2]
                self._every *= 2
        self._seen += 1

    def points(self) -> tuple[PricePoint, ...]:
        """Oldest first."""
        return tuple(self._points)


@final
class Thresholds:
    """Rising through levels: each is told once, and again after the value was clearly below it."""

    def __init__(self, levels: tuple[float, ...], eased: float) -> None:
        self._levels = levels
        self._eased = eased
        self._above = 0
        """Levels that the value is through."""

    def crossed(self, value: float) -> float | None:
        """The highest level that is newly crossed by this value; NaN is below all of them."""
        while self._above and not value >= self._eased * self._levels[self._above - 1]:
            self._above -= 1
        before = self._above
        while self._above < len(self._levels) and value >= self._levels[self._above]:
            self._above += 1
        return self._levels[self._above - 1] if self._above > before else None


@final
class Watcher:
    """Follows one market of a running model: call `look` before the first step and after every one.

    `market`: its name; None for the first.  Per step it counts events; prices, alerts and history are sampled on the
    period of the series, so that what is seen does not depend on how often anybody asks for a `frame`.
    """

    def __init__(self, market: str | None = None) -> None:
        self._market = market
        self._ears: dict[str, ClosedLiquidations] = {}
        self._alerts: list[Alert] = []
        self._unheard: list[Alert] = []
        self._history = PriceHistory()
        self._counts = np.zeros(len(EventKind), np.int64)
        self._forced = 0.0
        self._start = math.nan
        self._start_interest = 0.0
        self._start_fund = 0.0
        self._high = math.nan
        self._fall = 0.0
        self._pressure = {
            "below": Thresholds(PRESSURE_LEVELS, EASED),
            "above": Thresholds(PRESSURE_LEVELS, EASED),
        }
        self._calls = Thresholds(tuple(map(float, CALL_LEVELS)), 0.0)
        self._seen: dict[str, Any] = {"paused": False, "faults": (), "fund": True, "adl": False}

    def open_log(self, inner: OpenLog) -> OpenLog:
        """Logs for the run that is watched: those of `inner`, overheard."""
        return listening(inner, self._ears)

    def session(self, model: MarketModel) -> MarketSession:
        """The market that is watched."""
        sessions = {session.venue.name: session for session in model.sessions}
        return sessions[self._market] if self._market else model.sessions[0]

    def look(self, model: MarketModel) -> bool:
        """A step has ended; True where the market was sampled."""
        session = self.session(model)
        now_ns = model.now_ns
        if now_ns > 0:
            self._count(session)
        elif now_ns == 0:
            self._begin(session)
        if now_ns < 0 or now_ns % model.setup.record.series_every:
            return False
        self._sample(session, now_ns)
        return True

    def new_alerts(self) -> list[Alert]:
        """Alerts since this was last asked."""
        fresh, self._unheard = self._unheard, []
        return fresh

    def frame(self, model: MarketModel) -> Frame:
        """The market as it is now."""
        session = self.session(model)
        venue, recorder = session.venue, session.recorder
        bid, ask, _, _, last, mark = venue.exchange.quote()
        tick = float(venue.contract.tick_size)
        stages = np.bincount(venue.accounts.rows["stage"][SYSTEM_ROWS : venue.accounts.count], minlength=len(Stage))
        index = venue.index.index_ticks
        fund_lots = int(venue.accounts.rows["position_lots"][INSURANCE_ROW])
        heard = self._ears.get(venue.name)
        live = model.now_ns >= 0
        return Frame(
            scenario=model.setup.name,
            seed=model.seed_used,
            market=venue.name if len(model.sessions) > 1 else "",
            time_s=model.now_ns / 1e9,
            warmup_s=model.setup.warmup / 1e9,
            duration_s=model.setup.duration / 1e9,
            decimals=max(0, -int(venue.contract.tick_size.normalize().as_tuple().exponent)),
            last=_price(last, tick),
            mark=_price(mark, tick),
            index=index * tick,
            mid=venue.mid_ticks * tick,
            best_bid=_price(bid, tick),
            best_ask=_price(ask, tick),
            basis=venue.mid_ticks / index - 1.0,
            funding_rate=venue.funding.next_rate,
            start=self._start,
            largest_fall=self._fall,
            history=self._history.points(),
            bids=rungs(venue, Side.BUY),
            asks=rungs(venue, Side.SELL),
            ladder=liquidation_ladder(venue),
            open_interest=recorder.open_interest,
            open_interest_start=self._start_interest if live else recorder.open_interest,
            insurance_fund=recorder.fund_equity,
            insurance_fund_start=self._start_fund if live else recorder.fund_equity,
            fund_position=fund_lots * venue.contract.notional_per_lot(mark) if mark else 0.0,
            warned=int(stages[Stage.WARNED]),
            called=int(stages[Stage.CALLED]),
            in_liquidation=int(stages[Stage.LIQUIDATING] + stages[Stage.TAKEN_OVER]),
            margin_calls=int(self._counts[EventKind.MARGIN_CALL]),
            liquidations=int(self._counts[EventKind.LIQUIDATION_STARTED]),
            forced_notional=self._forced,
            adl_closed=int(self._counts[EventKind.ADL]),
            paused=venue.paused,
            pauses=venue.breaker.pauses if venue.breaker is not None else 0,
            faults=_faults(venue, model.now_ns),
            alerts=tuple(self._alerts),
            closed=heard.last(venue.contract, venue.accounts.stated) if heard is not None else (),
            why_no_closed="" if heard is not None else "not recorded (record.events: none)",
        )

    def _begin(self, session: MarketSession) -> None:
        """The warm-up is over, positions are seeded."""
        exchange = session.venue.exchange
        self._start = (exchange.last_ticks or exchange.mark_ticks) * float(session.venue.contract.tick_size)
        self._start_interest = session.recorder.open_interest
        self._start_fund = session.recorder.fund_equity

    def _count(self, session: MarketSession) -> None:
        events: NDArray[Any] = session.last_events
        if not len(events):
            return
        self._counts += np.bincount(events["kind"], minlength=len(EventKind))
        cause = events["cause"]
        forced = (events["kind"] == _FILL) & ((cause == Cause.LIQUIDATION) | (cause == Cause.TAKEOVER))
        if forced.any():
            of = events[forced]
            self._forced += float(session.venue.contract.notional(of["quantity_lots"], of["price_ticks"]).sum())

    def _sample(self, session: MarketSession, now_ns: int) -> None:
        venue, time_s = session.venue, now_ns / 1e9
        tick = float(venue.contract.tick_size)
        last = _price(venue.exchange.last_ticks, tick)
        self._history.add(PricePoint(time_s, last, venue.index.index_ticks * tick))
        if not math.isnan(last):
            self._high = max(last, self._high) if not math.isnan(self._high) else last
            self._fall = max(self._fall, 1.0 - last / self._high)
        near = nearest(liquidation_ladder(venue))
        for side, pressure, sold in (
            ("below", near.pressure_below, "longs within 1 %: {:.1f} × bids"),
            ("above", near.pressure_above, "shorts within 1 %: {:.1f} × asks"),
        ):
            level = self._pressure[side].crossed(pressure)
            if level is not None:
                self._say(time_s, 1 if level < 2 else 2, sold.format(pressure))
        calls = self._calls.crossed(float(self._counts[EventKind.MARGIN_CALL]))
        if calls is not None:
            self._say(time_s, 1, "first margin call" if calls == 1 else f"{calls:,.0f} margin calls so far")
        self._note_rules(session, time_s, now_ns)

    def _note_rules(self, session: MarketSession, time_s: float, now_ns: int) -> None:
        """Pauses, faults, the fund and ADL: said when they change."""
        venue, seen = session.venue, self._seen
        if venue.paused != seen["paused"]:
            self._say(time_s, 2, "matching is paused" if venue.paused else "matching goes on")
        faults = _faults(venue, now_ns)
        for kind in faults:
            if kind not in seen["faults"]:
                self._say(time_s, 2, f"fault: {kind.replace('_', ' ')}")
        for kind in seen["faults"]:
            if kind not in faults:
                self._say(time_s, 0, f"fault over: {kind.replace('_', ' ')}")
        has_fund = session.recorder.fund_equity > 0
        if seen["fund"] and not has_fund:
            self._say(time_s, 2, "the insurance fund is empty")
        has_adl = bool(self._counts[EventKind.ADL])
        if has_adl and not seen["adl"]:
            self._say(time_s, 2, "auto-deleveraging begins")
        self._seen = {"paused": venue.paused, "faults": faults, "fund": has_fund, "adl": has_adl}

    def _say(self, time_s: float, grade: int, text: str) -> None:
        alert = Alert(time_s, grade, text)
        for kept in (self._alerts, self._unheard):
            kept.append(alert)
            del kept[:-ALERTS]


def nearest(ladder: tuple[Reach, ...]) -> Reach:
    """The reach whose pressure alerts are about."""
    return next(reach for reach in ladder if reach.distance == PRESSURE_DISTANCE)


def liquidation_ladder(venue: Venue) -> tuple[Reach, ...]:
    """What waits and what rests within each distance of the mark (of the last price while there is none)."""
    exchange = venue.exchange
    centre = exchange.mark_ticks or exchange.last_ticks or venue.initial_ticks
    lows = [math.ceil(centre * (1.0 - distance)) for distance in DISTANCES]
    highs = [math.floor(centre * (1.0 + distance)) + 1 for distance in DISTANCES]
    between = np.linspace(min(lows), max(highs), BINS + 1).astype(np.int64)
    edges = np.unique([*between, *lows, *highs])
    lot_value = venue.contract.notional(1, 0.5 * (edges[1:] + edges[:-1] - 1))
    bids, asks, longs, shorts = (lots * lot_value for lots in exchange.profile(edges))
    return tuple(
        Reach(
            distance=distance,
            longs=float(notional_reached(edges, longs, low, 1)),
            bids=float(notional_reached(edges, bids, low, 1)),
            shorts=float(notional_reached(edges, shorts, high, -1)),
            asks=float(notional_reached(edges, asks, high, -1)),
        )
        for distance, low, high in zip(DISTANCES, lows, highs, strict=True)
    )


def rung_ticks(initial_ticks: int) -> int:
    """Width of a rung: 1, 2 or 5 times a power of ten, near `RUNG_FRACTION` of the initial price."""
    wanted = max(1.0, initial_ticks * RUNG_FRACTION)
    power = 10 ** math.floor(math.log10(wanted))
    return int(power * next(step for step in (1, 2, 5, 10) if step * power >= wanted * 0.999))


def rungs(venue: Venue, side: Side) -> tuple[BookRung, ...]:
    """The top of one side of the book in buckets of ticks, as venues group them: bids down, asks up; best first."""
    exchange, contract = venue.exchange, venue.contract
    width = rung_ticks(venue.initial_ticks)
    best = exchange.best_bid_ticks if side == Side.BUY else exchange.best_ask_ticks
    if not best:
        return ()
    if side == Side.BUY:
        outer = best // width * width - width * np.arange(RUNGS)
        edges = np.append(outer[::-1], best + 1)
        lots = exchange.profile(np.maximum(edges, 0))[0][::-1]
    else:
        outer = -(-best // width) * width + width * np.arange(RUNGS)
        edges = np.append(best, outer + 1)
        lots = exchange.profile(edges)[1]
    return tuple(
        BookRung(contract.to_price(ticks), held * contract.notional_per_lot(ticks))
        for ticks, held in zip(outer.tolist(), lots.tolist(), strict=True)
        if ticks > 0
    )


def _faults(venue: Venue, now_ns: int) -> tuple[str, ...]:
    """Kinds of the declared faults that are in force."""
    return tuple(fault.type for fault in venue.config.faults if fault.at <= now_ns < fault.until)


def _price(ticks: int, tick: float) -> float:
    return ticks * tick if ticks else math.nan
