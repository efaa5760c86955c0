"""A market for one participant: it sees what a test says, and what it says is kept.  No model, no matching."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES, Participant
from marginquake.agents.liquidation_engine import LiquidationEngine
from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, AccountTable, Rows
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import backing_equity, default_brackets, position_notional
from marginquake.sim.core.records import EVENT, Cause, EventKind, MarginMode, Stage
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry, OrderIds
from marginquake.sim.market.streams import Stream
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import sample

PRICE = 100_000
STEP_NS = 100_000_000
DEPTH_1PCT = 12e6


def contract() -> ContractSpec:
    """Tick 1, lot 0.001: one lot is worth 100 at the usual price, one tick a lot 0.001."""
    return ContractSpec("BTC", Decimal(1), Decimal("0.001"), Decimal(1), Decimal("0.000001"), 200_000, 50_000_000)


class FakeSpot:
    """Spot that fills everything and moves nothing; what it earns is what a test says."""

    def __init__(self, capacity: int) -> None:
        self.lots = np.zeros(capacity)
        self.earned = np.zeros(capacity)
        self.trades: list[tuple[Rows, NDArray[np.float64]]] = []

    def trade(self, rows: Rows, signed_lots: NDArray[np.float64]) -> None:
        self.lots[rows] += signed_lots
        self.trades.append((rows, signed_lots))

    def position_lots(self, rows: Rows) -> NDArray[np.float64]:
        return self.lots[rows]

    def profit(self, rows: Rows) -> NDArray[np.float64]:
        return self.earned[rows]


class FakeDepth:
    """A book with as many lots on each side per 1 % as told."""

    def __init__(self, lots_per_percent: int) -> None:
        self.lots_per_percent = lots_per_percent

    def within(self, side: int, fraction: float) -> int:
        return round(self.lots_per_percent * fraction * 100)


class FakeDesk:
    """The venue's side of liquidation, with stages and calls but no waterfall."""

    def __init__(self, table: AccountTable, ids: OrderIds, spot: FakeSpot, mark_ticks: int, most: int) -> None:
        self.table = table
        self.mark_ticks = mark_ticks
        self.maintenance_rate = 0.005
        self.most = most
        self.allowance: int | None = None
        self.tier_caps: tuple[int, ...] = ()
        """Largest positions of the brackets, lots."""
        self.released: list[int] = []
        self.taken_over: list[int] = []
        self.started: list[int] = []
        self.due: list[int] = []
        self.in_hand = 0
        self.fund_orders = OrderEntry(table, np.arange(1), spot, ids, Cause.TAKEOVER)

    @property
    def rows_view(self) -> NDArray[Any]:
        view = self.table.rows.view()
        view.flags.writeable = False
        return view

    @property
    def fund_position_lots(self) -> int:
        return int(self.table.rows["position_lots"][INSURANCE_ROW])

    @property
    def capacity(self) -> int:
        return self.most

    @property
    def loss_allowance(self) -> int | None:
        return self.allowance

    def take_in_hand(self, rows: Rows) -> None:
        self.in_hand += len(rows)

    def reserve_loss(self, money: int) -> None:
        assert self.allowance is not None
        self.allowance -= money

    def equity(self, rows: Rows) -> NDArray[np.int64]:
        return self.equity_at(rows, np.full(len(rows), self.mark_ticks))

    def equity_at(self, rows: Rows, price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        return backing_equity(self.table.rows[rows], price_ticks, self.table.lot_value)

    def notional(self, rows: Rows) -> NDArray[np.int64]:
        return position_notional(self.table.rows[rows], self.mark_ticks, self.table.lot_value)

    def maintenance(self, rows: Rows) -> NDArray[np.int64]:
        return (self.notional(rows) * self.maintenance_rate).astype(np.int64)

    def lower_tier_lots(self, rows: Rows) -> NDArray[np.int64]:
        lots = np.abs(self.table.rows["position_lots"][rows])
        tier = np.searchsorted(self.tier_caps, lots, side="left")
        return np.array((0, *self.tier_caps), np.int64)[tier]

    def within_band(self, side: NDArray[np.int64], price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.clip(price_ticks, round(self.mark_ticks * 0.9), round(self.mark_ticks * 1.1))

    def review_calls(self) -> Rows:
        rows = np.flatnonzero(self.table.rows["stage"] == Stage.CALLED)
        excess = self.margin_excess(rows)
        cured = (excess > 0) | (self.table.rows["position_lots"][rows] == 0)
        if cured.any():
            self.release(rows[cured])
        return rows[~cured][np.argsort(excess[~cured], kind="stable")]

    def in_liquidation(self) -> Rows:
        return np.array(self.due, np.int64)

    def margin_excess(self, rows: Rows) -> NDArray[np.int64]:
        block = self.table.rows[rows]
        notional = self.table.lot_value.notional(block["position_lots"], self.mark_ticks)
        equity = block["collateral"] + self.table.lot_value.value(block["position_lots"], self.mark_ticks)
        return (equity - block["cost"] - notional * self.maintenance_rate).astype(np.int64)

    def bankruptcy_ticks(self, rows: Rows) -> NDArray[np.int64]:
        block = self.table.rows[rows]
        lots = np.where(block["position_lots"] == 0, 1, block["position_lots"])
        return ((block["cost"] - block["collateral"]) / (lots * self.table.lot_value.at_one_tick)).astype(np.int64)

    def start(self, rows: Rows) -> None:
        self.table.rows["stage"][rows] = Stage.LIQUIDATING
        self.started += rows.tolist()

    def release(self, rows: Rows) -> None:
        self.table.rows["stage"][rows] = Stage.OK
        self.released += rows.tolist()

    def take_over(self, rows: Rows) -> Rows:
        self.table.rows["stage"][rows] = Stage.TAKEN_OVER
        self.taken_over += rows.tolist()
        return rows


@dataclass
class Booth:
    """One participant with its accounts, its order entry, and a clock."""

    participant: Participant
    table: AccountTable
    orders: OrderEntry
    spot: FakeSpot
    ids: OrderIds
    desk: FakeDesk | None = None
    step: int = 0
    said: list[NDArray[Any]] = field(default_factory=list)

    def view(self, **changes: Any) -> MarketView:
        """The usual market (bid 99,998, ask 100,002, index 100,000) with some of it changed."""
        bid, ask = changes.pop("bid", PRICE - 2), changes.pop("ask", PRICE + 2)
        two_sided = bid > 0 and ask > 0
        values: dict[str, Any] = {
            "step": self.step,
            "now_ns": self.step * STEP_NS,
            "step_ns": STEP_NS,
            "best_bid_ticks": bid,
            "best_ask_ticks": ask,
            "bid_lots": 10 if bid else 0,
            "ask_lots": 10 if ask else 0,
            "mid_ticks": (bid + ask) / 2 if two_sided else 0.0,
            "last_ticks": PRICE,
            "mark_ticks": PRICE,
            "index_ticks": float(PRICE),
            "fundamental_ticks": float(PRICE),
            "funding_rate": 0.0,
            "contract": contract(),
            "depth": FakeDepth(100),
        }
        return MarketView(**values | changes)

    def decide(self, **changes: Any) -> NDArray[Any]:
        """One decision; returns the commands said."""
        self.participant.decide(self.view(**changes), self.orders)
        commands = self.orders.drain(self.step * STEP_NS)
        self.said.append(commands)
        self.step += 1
        return commands

    def tell(self, *events: dict[str, Any], **changes: Any) -> NDArray[Any]:
        """Hand events to the participant; returns the commands it says to them."""
        batch = np.zeros(len(events), EVENT)
        for place, event in enumerate(events):
            for name, value in event.items():
                batch[name][place] = int(value)
        self.participant.on_events(batch, self.view(**changes), self.orders)
        return self.orders.drain(self.step * STEP_NS)

    def give(self, index: int, lots: int, entry_ticks: int = PRICE, liquidation_ticks: int = 0) -> dict[str, Any]:
        """Write a position into the ledger, as settlement would; returns the fill event that says so."""
        row = int(self.participant.rows[index])
        block = self.table.rows
        block["position_lots"][row] += lots
        block["cost"][row] += self.table.lot_value.value(lots, entry_ticks)
        block["liquidation_ticks"][row] = liquidation_ticks
        return {"kind": EventKind.FILL, "account": row, "quantity_lots": abs(lots), "price_ticks": entry_ticks}


def seat_of(kind: str, seed: int = 0, spec: ContractSpec | None = None, **settings: Any) -> Booth:
    """A participant of AGENT_TYPES in a market of its own, of the usual contract or another."""
    agent_type = AGENT_TYPES[kind]
    config = agent_type.config_type.model_validate(agent_type.example | settings)
    spec = contract() if spec is None else spec
    table = AccountTable(SYSTEM_ROWS + config.accounts + 8, spec.lot_value)
    rows = table.claim(0, config.accounts)
    stream = Stream(seed, kind)
    leverage = sample(config.leverage, stream.child("leverage"), len(rows))
    deposit = sample(config.deposit, stream.child("deposit"), len(rows))
    table.rows["initial_margin_ppm"][rows] = np.ceil(1e6 / leverage)
    table.rows["collateral"][rows] = (deposit / spec.money_amount).astype(np.int64)
    table.rows["mode"][rows] = MarginMode.ISOLATED if config.margin_mode == "isolated" else MarginMode.CROSS
    context = ParticipantContext(kind, rows, table, spec, stream, STEP_NS, DEPTH_1PCT, PRICE, 125.0, default_brackets())
    spot, ids = FakeSpot(len(table.rows)), OrderIds()
    if agent_type is not LiquidationEngine:
        participant = agent_type(mesa.Model(rng=0), config, context)
        return Booth(participant, table, OrderEntry(table, rows, spot, ids), spot, ids)
    table.count = len(table.rows)
    desk = FakeDesk(table, ids, spot, PRICE, config.rules.capacity)
    engine = LiquidationEngine(mesa.Model(rng=0), config, context, desk)
    everyone = np.arange(len(table.rows))
    return Booth(engine, table, OrderEntry(table, everyone, spot, ids, Cause.LIQUIDATION), spot, ids, desk)


def engine(**rules: Any) -> tuple[Booth, FakeDesk]:
    """The liquidation engine with these rules, and what stands for its venue."""
    booth = seat_of("liquidation_engine", rules=rules)
    assert booth.desk is not None
    return booth, booth.desk


def call(booth: Booth, row: int, lots: int, equity_per_lot: float, stage: Stage = Stage.CALLED) -> None:
    """An account whose equity at the mark is so many quote units a lot (maintenance is 0.5)."""
    block = booth.table.rows
    block["position_lots"][row] = lots
    block["cost"][row] = lots * PRICE * booth.table.lot_value.at_one_tick
    block["collateral"][row] = round(abs(lots) * equity_per_lot * 1e6)
    block["stage"][row] = stage
