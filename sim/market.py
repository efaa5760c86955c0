"""What agents may know (MarketView) and what they may say (OrderEntry)."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from sim.accounts import AccountTable, Rows
from sim.command_buffer import CommandBuffer
from sim.config import Bracket
from sim.contract import ContractSpec
from sim.records import Cause, Flag, OrderKind
from sim.streams import Stream

Ticks = NDArray[np.int64] | int
Lots = NDArray[np.int64] | int
Sides = NDArray[np.int8] | NDArray[np.int64] | int

PRICELESS = frozenset({OrderKind.CANCEL, OrderKind.CANCEL_ALL})
CONDITIONAL = frozenset({OrderKind.STOP, OrderKind.TAKE_PROFIT})


@final
class MarketView(NamedTuple):
    """The market as one participant sees it at a decision: a snapshot taken `data latency` ago.

    Prices are ticks. `bid_lots`, `ask_lots`: size at the touch. `best_*_ticks` is 0 while that side is empty.
    `depth` answers questions on the *visible* book at decision time; see `DepthProbe`.  `maintenance_multiplier`: what
    the venue multiplies its brackets' maintenance rates with (eq. 146).
    """

    step: int
    now_ns: int
    step_ns: int
    best_bid_ticks: int
    best_ask_ticks: int
    bid_lots: int
    ask_lots: int
    mid_ticks: float
    last_ticks: int
    mark_ticks: int
    index_ticks: float
    fundamental_ticks: float
    funding_rate: float
    contract: ContractSpec
    depth: "DepthProbe"
    maintenance_multiplier: float = 1.0

    @property
    def two_sided(self) -> bool:
        """True while both sides have orders."""
        return self.best_bid_ticks > 0 and self.best_ask_ticks > 0

    @property
    def spread_ticks(self) -> int:
        """Best ask minus best bid, 0 while a side is empty."""
        return self.best_ask_ticks - self.best_bid_ticks if self.two_sided else 0


class DepthProbe(Protocol):
    """Resting quantity near the touch."""

    def within(self, side: int, fraction: float) -> int:
        """Lots resting on `side` (BUY = bids) within `fraction` of the mid."""
        ...


class SpotMarket(Protocol):
    """The outside market where the index is made: hedges trade at the index and push it."""

    def trade(self, rows: Rows, signed_lots: NDArray[np.float64]) -> None:
        """Buy (+) or sell (-) on spot for these accounts, at the index price; the index listens."""
        ...

    def position_lots(self, rows: Rows) -> NDArray[np.float64]:
        """Spot holdings of these accounts, in lots of the contract."""
        ...

    def profit(self, rows: Rows) -> NDArray[np.float64]:
        """What spot has earned these accounts since the start, holdings at the index, quote units."""
        ...


@final
class OrderEntry:
    """Vectorised order entry for one participant in one market: collects commands, stamps arrival times.

    Rows not owned by the participant are refused with PermissionError: nobody trades another's account.
    Every method takes arrays or scalars that broadcast to `rows`, and returns the order ids (int64).
    """

    def __init__(
        self,
        accounts: AccountTable,
        owned: Rows,
        spot: SpotMarket,
        ids: "OrderIds",
        cause: Cause = Cause.VOLUNTARY,
        said: CommandBuffer | None = None,
    ) -> None:
        """`said`: where commands go, stamped with each account's latency; None: they are kept until `drain`."""
        self._latency_ns = accounts.latency_ns
        self._first, self._last = (int(owned[0]), int(owned[-1])) if len(owned) else (1 << 62, -1)
        self._span = np.uint64(max(0, self._last - self._first))
        self._ids = ids
        self._cause = int(cause)
        self._said = CommandBuffer() if said is None else said
        self._deposits: list[tuple[Rows, NDArray[np.int64]]] = []
        self._margins: list[tuple[Rows, NDArray[np.int64]]] = []
        self._leverages: list[tuple[Rows, NDArray[np.float64]]] = []
        self.spot = spot

    def limit(
        self,
        rows: Rows,
        side: Sides,
        price_ticks: Ticks,
        lots: Lots,
        *,
        kind: OrderKind = OrderKind.LIMIT,
        flags: Flag = Flag.NONE,
    ) -> Rows:
        """Limit order; `kind` may be LIMIT, POST_ONLY, IOC or FOK."""
        return self._send(rows, kind, side, price_ticks, lots, flags=flags)

    def market(self, rows: Rows, side: Sides, lots: Lots, *, bound_ticks: Ticks = 0, flags: Flag = Flag.NONE) -> Rows:
        """Market order; `bound_ticks` is its worst price (0: only the venue's price band)."""
        return self._send(rows, OrderKind.MARKET, side, bound_ticks, lots, flags=flags)

    def stop(
        self,
        rows: Rows,
        side: Sides,
        trigger_ticks: Ticks,
        lots: Lots,
        *,
        bound_ticks: Ticks = 0,
        flags: Flag = Flag.REDUCE_ONLY,
    ) -> Rows:
        """Stop-market: a SELL fires when price <= trigger, a BUY when price >= trigger."""
        return self._send(
            rows, OrderKind.STOP, side, bound_ticks, lots, trigger_ticks=trigger_ticks, flags=flags, cause=Cause.STOP
        )

    def take_profit(
        self,
        rows: Rows,
        side: Sides,
        trigger_ticks: Ticks,
        lots: Lots,
        *,
        bound_ticks: Ticks = 0,
        flags: Flag = Flag.REDUCE_ONLY,
    ) -> Rows:
        """Take-profit market: a SELL fires when price >= trigger, a BUY when price <= trigger."""
        return self._send(
            rows,
            OrderKind.TAKE_PROFIT,
            side,
            bound_ticks,
            lots,
            trigger_ticks=trigger_ticks,
            flags=flags,
            cause=Cause.VOLUNTARY,
        )

    def cancel(self, rows: Rows, order_ids: Rows) -> None:
        """Cancel single orders by id."""
        self._send(rows, OrderKind.CANCEL, 0, 0, 0, order_ids=order_ids)

    def modify(self, rows: Rows, order_ids: Rows, price_ticks: Ticks, lots: Lots) -> None:
        """New price and remaining quantity; priority is lost on a price change or a size increase."""
        self._send(rows, OrderKind.MODIFY, 0, price_ticks, lots, order_ids=order_ids)

    def cancel_all(self, rows: Rows) -> None:
        """Cancel every resting and conditional order of these accounts."""
        self._send(rows, OrderKind.CANCEL_ALL, 0, 0, 0)

    def deposit(self, rows: Rows, money: NDArray[np.int64]) -> None:
        """Top up: bring `money` (> 0) from outside as collateral; where margin is isolated it backs the position."""
        self._keep(self._deposits, rows, money)

    def drain_deposits(self) -> list[tuple[Rows, NDArray[np.int64]]]:
        """All top-ups since the last call, in the order they were said (used by the model)."""
        deposits, self._deposits = self._deposits, []
        return deposits

    def add_margin(self, rows: Rows, money: NDArray[np.int64]) -> None:
        """Put up to `money` (> 0) of an account's free collateral behind its isolated position."""
        self._keep(self._margins, rows, money)

    def drain_margins(self) -> list[tuple[Rows, NDArray[np.int64]]]:
        """All margin added since the last call, in the order it was said (used by the model)."""
        margins, self._margins = self._margins, []
        return margins

    def set_leverage(self, rows: Rows, leverage: NDArray[np.float64]) -> None:
        """Leverage of each account's next position, at most the venue's.

        The venue takes it at once, but not from an account that has a position or orders: positions keep theirs.
        """
        self._keep(self._leverages, rows, leverage)

    def drain_leverages(self) -> list[tuple[Rows, NDArray[np.float64]]]:
        """All leverages set since the last call, in the order they were said (used by the model)."""
        leverages, self._leverages = self._leverages, []
        return leverages

    def _keep(self, queue: list[tuple[Rows, NDArray[Any]]], rows: Rows, values: NDArray[Any]) -> None:
        if len(rows):
            self._check_owned(rows)
            queue.append((rows, values))

    @property
    def moves_money(self) -> bool:
        """True while deposits, margins or leverages wait to be drained."""
        return bool(self._deposits or self._margins or self._leverages)

    @property
    def silent(self) -> bool:
        """True while no command has been said since the last drain."""
        return not self._said.written

    def drain(self, now_ns: int, latency_ns: int | None = None) -> NDArray[Any]:
        """All commands since the last call, in the order they were said (used by the model for the engine).

        They arrive after each account's own latency, or after `latency_ns` (the engine's, on others' accounts)."""
        batch = self._said.take()
        latency = self._latency_ns[batch["account"]] if latency_ns is None else latency_ns
        batch["arrival_ns"] = now_ns + latency
        return batch

    def _send(
        self,
        rows: Rows,
        kind: OrderKind,
        side: Sides,
        price_ticks: Ticks,
        lots: Lots,
        *,
        trigger_ticks: Ticks = 0,
        flags: Flag = Flag.NONE,
        cause: Cause | None = None,
        order_ids: Rows | None = None,
    ) -> Rows:
        count = len(rows)
        if count == 0:
            return np.empty(0, np.int64)
        why = self._cause if cause is None else int(cause)
        said = self._said
        if count == 1:
            row = int(rows[0])
            if not self._first <= row <= self._last:
                self._refuse()
            ids = self._ids.take(1) if order_ids is None else order_ids
            said.append(
                said.now_ns + self._latency_ns.item(row),
                int(ids[0]),
                lots if type(lots) is int else _single(lots),
                row,
                price_ticks if type(price_ticks) is int else _single(price_ticks),
                trigger_ticks if type(trigger_ticks) is int else _single(trigger_ticks),
                kind,
                side if type(side) is int else _single(side),
                flags,
                why,
            )
            return ids
        self._check_owned(rows)
        ids = self._ids.take(count) if order_ids is None else order_ids
        new = said.blank(count)
        columns = said.columns
        columns["arrival_ns"][new] = self._latency_ns[rows] + said.now_ns
        columns["order_id"][new] = ids
        columns["account"][new] = rows
        # Writing a column costs half a microsecond: zeros are there already.
        if kind:
            columns["kind"][new] = int(kind)
        if kind not in PRICELESS:
            columns["side"][new] = side
            columns["price_ticks"][new] = price_ticks
            columns["quantity_lots"][new] = lots
        if kind in CONDITIONAL:
            columns["trigger_ticks"][new] = trigger_ticks
        if flags:
            columns["flags"][new] = int(flags)
        if why:
            columns["cause"][new] = why
        return ids

    def _check_owned(self, rows: Rows) -> None:
        # As unsigned numbers, rows below the first are beyond any last.
        if np.count_nonzero(np.subtract(rows, self._first).view(np.uint64) > self._span):
            self._refuse()

    def _refuse(self) -> None:
        raise PermissionError("an order names an account that this participant does not own")


def _single(value: NDArray[Any] | int) -> int:
    """A number, or the only one of an array."""
    return int(value.item()) if isinstance(value, np.ndarray) else int(value)


@final
class OrderIds:
    """Hands out order ids, unique in one market, from 1."""

    def __init__(self) -> None:
        self._next = 1

    def take(self, count: int) -> Rows:
        """The next `count` ids."""
        first = self._next
        self._next += count
        return np.arange(first, first + count)


@dataclass(frozen=True, slots=True)
class Seat:
    """What the model hands to a participant: its rows, its market's contract, its stream of randomness.

    `brackets`: the venue's notional brackets (public rules); empty = flat maintenance.
    """

    name: str
    rows: Rows
    table: AccountTable
    contract: ContractSpec
    stream: Stream
    step_ns: int
    depth_1pct: float
    initial_price_ticks: int
    max_leverage: float
    brackets: tuple[Bracket, ...] = ()


@dataclass(frozen=True, slots=True)
class SeedPositions:
    """Positions to book at t = 0: signed lots and entry prices by row.

    `scalable`: sizes may be multiplied by a common factor to meet the scenario's fuel ratio.
    `sizing_ticks`: entry prices that the fuel ratio is solved with (None = `entry_ticks`), so that moving entries
    about changes no size.
    `minimum_distance`: whoever would be nearer to liquidation (a fraction of the mark) starts flat.
    `takes_other_side`: this population receives minus the sum of all others' seeded lots, spread over its rows.
    `hedged_on_spot`: the model also books minus the seeded lots on spot, at the index and without moving it.
    """

    signed_lots: NDArray[np.int64]
    entry_ticks: NDArray[np.int64]
    scalable: bool = False
    minimum_distance: float = 0.0
    takes_other_side: bool = False
    hedged_on_spot: bool = False
    sizing_ticks: NDArray[np.int64] | None = None


class LiquidationDesk(Protocol):
    """The venue's side of liquidation: who is called, what is owed, and the waterfall behind the engine."""

    @property
    def rows_view(self) -> NDArray[Any]:
        """Read-only ACCOUNT rows of the whole market."""
        ...

    @property
    def mark_ticks(self) -> int:
        """Current mark."""
        ...

    @property
    def fund_position_lots(self) -> int:
        """Signed position the insurance fund holds from takeovers."""
        ...

    @property
    def fund_orders(self) -> "OrderEntry":
        """Order entry on the insurance row, cause TAKEOVER."""
        ...

    @property
    def capacity(self) -> int:
        """Accounts that the engine may handle in this scan."""
        ...

    def called(self) -> Rows:
        """Rows in stage CALLED, oldest call first."""
        ...

    def in_liquidation(self) -> Rows:
        """Rows in stage LIQUIDATING whose last forced order has completed, oldest first."""
        ...

    def margin_excess(self, rows: Rows) -> NDArray[np.int64]:
        """Equity minus maintenance margin at the mark, money."""
        ...

    def equity(self, rows: Rows) -> NDArray[np.int64]:
        """Equity at the mark, money."""
        ...

    def equity_at(self, rows: Rows, price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Equity at a price for each account, money."""
        ...

    def maintenance(self, rows: Rows) -> NDArray[np.int64]:
        """Maintenance margin at the mark, money."""
        ...

    def notional(self, rows: Rows) -> NDArray[np.int64]:
        """Worth of the position at the mark, money."""
        ...

    def lower_tier_lots(self, rows: Rows) -> NDArray[np.int64]:
        """Lots that fit the bracket below each account's own, at the mark; 0 in the lowest bracket."""
        ...

    def within_band(self, side: NDArray[np.int64], price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """These limit prices, no further from the mark than the venue's price band lets orders of that side trade."""
        ...

    @property
    def loss_allowance(self) -> int | None:
        """What the fund may still lose in this scan, money; None where there is no limit."""
        ...

    def reserve_loss(self, money: int) -> None:
        """Orders sent in this scan may cost the fund so much: it is not available to takeovers any more."""
        ...

    def bankruptcy_ticks(self, rows: Rows) -> NDArray[np.int64]:
        """Price at which equity is 0, rounded to the solvent side; 0 where there is none."""
        ...

    def cured(self, rows: Rows, excess: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True for called accounts that are out of danger: flat, or below the level that calls."""
        ...

    def may_start(self, rows: Rows, excess: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True for called accounts whose forced sale may begin: window and grace are over."""
        ...

    def start(self, rows: Rows) -> None:
        """Stage LIQUIDATING; LIQUIDATION_STARTED."""
        ...

    def release(self, rows: Rows) -> None:
        """Recovered or closed: stage OK, watched again; LIQUIDATION_ENDED."""
        ...

    def take_over(self, rows: Rows) -> Rows:
        """The waterfall: the fund takes what is left at bankruptcy price, or ADL closes it; returns whom it took."""
        ...
