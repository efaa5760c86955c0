"""One market's matching engine and ledger, seen from Python: batches in, events out."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, AccountTable, Rows
from marginquake.sim.core.integers.casts import exact_sum
from marginquake.sim.core.records import COMMAND, EVENT, Flag, Side, raw_copy
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.kernels import JIT, depth, liquidation_index, rulebook, settlement
from marginquake.sim.kernels.state import (
    BRACKET,
    MOST_LOTS,
    RULES,
    STATE_WORD,
    MarketArrays,
    grow_events,
    grow_orders,
    live_slots,
    make_market,
)

Events = NDArray[Any]

LIVE_ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("quantity_lots", "i8"),
        ("account", "i4"),
        ("price_ticks", "i4"),
        ("trigger_ticks", "i4"),
        ("side", "i1"),
        ("flags", "u1"),
        ("cause", "u1"),
        ("queue", "i1"),
    ],
    align=True,
)
"""An order that rests (`queue` -1) or waits for its trigger (0-3)."""

NO_EVENTS = np.empty(0, EVENT)
NO_COMMANDS = np.empty(0, COMMAND)
NO_MARK = -1
PPM = 1_000_000

_BID, _ASK, _LAST, _MARK, _FREE, _LIVE, _EVENTS = (
    STATE_WORD[name] for name in ("best_bid", "best_ask", "last", "mark", "free", "live", "events")
)


def _quiet() -> AbstractContextManager[Any]:
    """Interpreted kernels wrap their 64-bit hashes on purpose; compiled ones do so in silence."""
    return nullcontext() if JIT else np.errstate(over="ignore")


@final
@dataclass(frozen=True)
class ExchangeRules:
    """A venue's rules as integers: money units, ticks, parts per million."""

    lot_value: LotValue
    ladder_size: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    liquidation_fee_ppm: int
    bracket_cap: tuple[int, ...]
    bracket_rate_ppm: tuple[int, ...]
    bracket_deduction: tuple[int, ...]
    bracket_initial_ppm: tuple[int, ...]
    max_position_lots: int
    self_trade_cancels_taker: bool = False
    price_band_ppm: int = 0
    warning_ppm: int = 1_000_000
    call_ppm: int = 1_000_000

    def as_arrays(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The structured arrays kernels read: (rules, brackets)."""
        if self.max_position_lots > MOST_LOTS:
            raise ValueError(f"max_position_lots: {self.max_position_lots} is more than an order can hold, {MOST_LOTS}")
        rules = np.zeros(1, RULES)
        rules["value"] = self.lot_value.at_one_tick
        rules["inverse"] = int(self.lot_value.inverse)
        rules["size"] = self.ladder_size
        rules["maker_fee_ppm"] = self.maker_fee_ppm
        rules["taker_fee_ppm"] = self.taker_fee_ppm
        rules["liquidation_fee_ppm"] = self.liquidation_fee_ppm
        rules["max_position_lots"] = self.max_position_lots
        rules["self_trade_cancels_taker"] = int(self.self_trade_cancels_taker)
        rules["price_band_ppm"] = self.price_band_ppm
        rules["warning_ppm"] = self.warning_ppm
        rules["call_ppm"] = self.call_ppm
        brackets = np.zeros(len(self.bracket_cap), BRACKET)
        brackets["cap"] = self.bracket_cap
        brackets["rate_ppm"] = self.bracket_rate_ppm
        brackets["deduction"] = self.bracket_deduction
        brackets["initial_ppm"] = self.bracket_initial_ppm
        return rules, brackets


@final
class Exchange:
    """Book, conditional orders, accounts and liquidation-price index of one market.

    Commands are processed strictly in the order given; the venue orders them by arrival.
    """

    def __init__(self, rules: ExchangeRules, accounts: AccountTable, orders: int = 4096) -> None:
        self.rules = rules
        self.accounts = accounts
        self._market = make_market(accounts.rows, *rules.as_arrays(), orders)
        self._state = self._market.state.view(np.int64)
        self._level_lots = self._market.levels["lots"]
        self._spare = NO_EVENTS
        self._opened_lots = 0
        """Of the largest position booked without a trade, which may be beyond the limit."""

    def process(self, commands: NDArray[Any]) -> Events:
        """Run a batch; returns its events in order (a copy), and forgets them."""
        self.run(commands)
        return raw_copy(self.drain_events())

    def run(self, commands: NDArray[Any]) -> None:
        """Run a batch; its events stay here."""
        count = len(commands)
        done = self._process(commands, 0)
        while done < count:
            self._make_room()
            done = self._process(commands, done)

    def _process(self, commands: NDArray[Any], first: int) -> int:
        if JIT:
            return rulebook.process(self._market, commands, first, NO_MARK, 0)  # type: ignore[no-any-return]
        with _quiet():
            return int(rulebook.process(self._market, commands, first, NO_MARK, 0))

    def set_mark(self, mark_ticks: int, time_ns: int, fires: bool = True) -> Events:
        """`move_mark`; returns its events (a copy), and forgets all."""
        self.move_mark(mark_ticks, time_ns, fires)
        return raw_copy(self.drain_events())

    def move_mark(self, mark_ticks: int, time_ns: int, fires: bool = True) -> Events:
        """New mark price: moves the price band, fires orders that watch the mark (`fires`), calls crossed accounts.

        Returns the events of this (a view, good until they are drained)."""
        first = self.events_held
        with _quiet():
            self._make_room()
            if fires:
                rulebook.process(self._market, NO_COMMANDS, 0, mark_ticks, time_ns)
            else:
                rulebook.move_mark_only(self._market, mark_ticks)
            while not liquidation_index.call_crossed(self._market, time_ns):
                self._market = grow_events(self._market, 1)
        return self.events_since(first)

    @property
    def events_held(self) -> int:
        """Events since they were drained."""
        return self._state.item(_EVENTS)

    def events_since(self, first: int) -> Events:
        """Those from number `first` on since they were drained; a view, good until the drain after the next."""
        held = self.events_held
        return self._market.events[first:held] if held > first else NO_EVENTS

    def append_events(self, events: Events) -> None:
        """Facts that are not the exchange's own, in their place among those that are."""
        held = self.events_held
        if len(self._market.events) - held < len(events):
            self._market = grow_events(self._market, len(events))
        raw = np.dtype(f"V{EVENT.itemsize}")
        self._market.events[held : held + len(events)].view(raw)[:] = events.view(raw)
        self._state[_EVENTS] = held + len(events)

    def drain_events(self) -> Events:
        """All events held; they lie in a buffer that is written again after the next drain."""
        events = self.events_since(0)
        if len(events):
            full, spare = self._market.events, self._spare
            if len(spare) < len(full):
                spare = np.empty(len(full), EVENT)
            self._spare = full
            self._market = self._market._replace(events=spare)
            self._state[_EVENTS] = 0
        return events

    def seed_positions(self, rows: Rows, signed_lots: Rows, entry_ticks: Rows) -> None:
        """Book positions without a trade: the state of the world when the clock starts."""
        self._opened_lots = max(self._opened_lots, int(np.abs(signed_lots).max(initial=0)))
        with _quiet():
            settlement.seed_positions(self._market, rows, signed_lots, entry_ticks)

    def seed_position(self, row: int, signed_lots: int, entry_ticks: int) -> None:
        """`seed_positions` for one account."""
        self.seed_positions(np.array([row]), np.array([signed_lots]), np.array([entry_ticks]))

    def set_brackets(self, rate_ppm: Sequence[int], deduction: Sequence[int], initial_ppm: Sequence[int]) -> None:
        """Other margins from now on; caps stay.  Liquidation prices are those of before until accounts are relinked."""
        self.rules = replace(
            self.rules,
            bracket_rate_ppm=tuple(rate_ppm),
            bracket_deduction=tuple(deduction),
            bracket_initial_ppm=tuple(initial_ppm),
        )
        self._market.brackets[:] = self.rules.as_arrays()[1]

    def relink(self, rows: Rows) -> None:
        """Recompute liquidation prices of these accounts; those in stage OK enter the index."""
        with _quiet():
            liquidation_index.relink_rows(self._market, np.ascontiguousarray(rows, np.int64))

    @property
    def best_bid_ticks(self) -> int:
        """Highest resting bid, 0 if none."""
        return self._state.item(_BID)

    @property
    def best_ask_ticks(self) -> int:
        """Lowest resting ask, 0 if none."""
        price = self._state.item(_ASK)
        return price if price < self.rules.ladder_size else 0

    @property
    def last_ticks(self) -> int:
        """Price of the last fill, 0 before the first."""
        return self._state.item(_LAST)

    @property
    def mark_ticks(self) -> int:
        """Mark price in force, 0 before the first."""
        return self._state.item(_MARK)

    @property
    def band_ticks(self) -> tuple[int, int]:
        """Lowest and highest price that limit orders may have: of the price band, or of the ladder."""
        state, top = self._market.state, self.rules.ladder_size - 1
        if self.rules.price_band_ppm == 0 or self.mark_ticks == 0:
            return 1, top
        return max(1, int(state["band_low"][0])), min(top, int(state["band_high"][0]))

    def quote(self) -> tuple[int, int, int, int, int, int]:
        """Best bid and ask, lots resting at each, last and mark price; 0 for what there is not."""
        words = self._state.tolist()
        bid, ask = words[_BID], words[_ASK]
        bid_lots = self._level_lots.item(bid) if bid else 0
        if ask >= self.rules.ladder_size:
            return bid, 0, bid_lots, 0, words[_LAST], words[_MARK]
        return bid, ask, bid_lots, self._level_lots.item(ask), words[_LAST], words[_MARK]

    def level_lots(self, side: int, price_ticks: int) -> int:
        """Resting lots of `side` at one price."""
        is_bid = 0 < price_ticks <= self.best_bid_ticks
        if is_bid != (side == Side.BUY):
            return 0
        return int(self._market.levels["lots"][price_ticks])

    def depth_within(self, side: int, low_ticks: int, high_ticks: int) -> int:
        """Resting lots of `side` at prices in [low, high]."""
        return int(depth.depth(self._market, int(side), low_ticks, high_ticks))

    def depths(self, lows_ticks: Rows, highs_ticks: Rows) -> tuple[list[int], list[int]]:
        """Bid lots at or above each of `lows_ticks`, ask lots at or below each of `highs_ticks`."""
        bids, asks = np.zeros((2, len(lows_ticks)), np.int64)
        depth.depths(self._market, lows_ticks, highs_ticks, bids, asks)
        return bids.tolist(), asks.tolist()

    def impact_ticks(self, side: int, notional: float) -> float:
        """Average price an aggressor on `side` pays; 0 if the book is thinner.

        `notional` is measured in that of one lot at one tick: ticks times lots, or lots over ticks if inverse.
        """
        return float(depth.impact_ticks(self._market, int(side), float(notional)))

    def profile(self, edges_ticks: NDArray[np.int64]) -> tuple[Rows, Rows, Rows, Rows]:
        """Per price bin: bid lots, ask lots, long lots and short lots waiting at their liquidation price."""
        bins = len(edges_ticks) - 1
        bids, asks, longs, shorts = (np.zeros(bins, np.int64) for _ in range(4))
        with _quiet():
            depth.profile(self._market, edges_ticks, bids, asks, longs, shorts)
        if self.rules.warning_ppm != PPM or self.rules.call_ppm != PPM:
            self._profile_liquidations(edges_ticks, longs, shorts)
        return bids, asks, longs, shorts

    def _profile_liquidations(self, edges_ticks: NDArray[np.int64], longs: Rows, shorts: Rows) -> None:
        """Lots by liquidation price, where the index holds warnings or early calls: by a look at every account."""
        rows = self.accounts.rows
        ticks = rows["liquidation_ticks"]
        inside = np.flatnonzero((ticks >= max(1, edges_ticks[0])) & (ticks < edges_ticks[-1]))
        places = np.searchsorted(edges_ticks, ticks[inside], side="right") - 1
        position = rows["position_lots"][inside]
        for lots, sign in ((longs, 1), (shorts, -1)):
            own = position * sign > 0
            lots[:] = 0
            np.add.at(lots, places[own], np.abs(position[own]))

    def orders_of(self, row: int) -> NDArray[Any]:
        """Live orders of one account, newest first, as LIVE_ORDER rows."""
        slots = []
        slot = int(self.accounts.rows["first_order"][row])
        while slot:
            slots.append(slot)
            slot = int(self._market.links["account_next"][slot])
        live = np.zeros(len(slots), LIVE_ORDER)
        for name in LIVE_ORDER.names or ():
            pool = self._market.links if name == "trigger_ticks" else self._market.orders
            live[name] = pool[name][slots]
        live["trigger_ticks"][live["queue"] < 0] = 0
        return live

    def book_levels(self, side: int, count: int) -> list[tuple[int, int, int]]:
        """Best `count` levels of a side as (price, lots, number of orders)."""
        prices = np.flatnonzero(self._market.levels["head"])
        best_bid = self.best_bid_ticks
        chosen = prices[prices <= best_bid][::-1] if side == Side.BUY else prices[prices > best_bid]
        lots = self._market.levels["lots"]
        return [(price, int(lots[price]), len(self.queue(side, price))) for price in chosen[:count].tolist()]

    def queue(self, side: int, price_ticks: int) -> list[tuple[int, int, int]]:
        """Orders at one price in priority order, as (order id, account, lots)."""
        queue: list[tuple[int, int, int]] = []
        if self.level_lots(side, price_ticks) == 0:
            return queue
        slot = int(self._market.levels["head"][price_ticks])
        while slot:
            order = self._market.orders[slot]
            queue.append((int(order["order_id"]), int(order["account"]), int(order["quantity_lots"])))
            slot = int(order["next"])
        return queue

    @property
    def live_orders(self) -> int:
        """Orders resting or waiting."""
        return self._state.item(_LIVE)

    def net_deposits(self) -> int:
        """Sum of collateral less cost over every row: changes only with deposits, never with trading."""
        rows = self.accounts.rows
        return exact_sum(rows["collateral"]) - exact_sum(rows["cost"])

    @property
    def most_lots(self) -> int:
        """What no account's position is beyond, also with all that rests on its side filled (eq. 23a)."""
        return max(self.rules.max_position_lots, self._opened_lots)

    def check_invariants(self) -> None:
        """Raise AssertionError where the market breaks a law it must keep (docs/design.md)."""
        rows = self.accounts.rows
        assert exact_sum(rows["position_lots"]) == 0, "every long lot has a short lot"
        bid, ask = self.best_bid_ticks, self.best_ask_ticks
        assert not (bid and ask) or bid < ask, f"the book is crossed: {bid} >= {ask}"
        live = self._market.orders[live_slots(self._market)]
        resting = live[live["queue"] < 0]
        counted = resting[(resting["flags"] & Flag.REDUCE_ONLY) == 0]
        for side, column in ((Side.BUY, "open_buy_lots"), (Side.SELL, "open_sell_lots")):
            of_side = counted[counted["side"] == side]
            lots = np.zeros(len(rows), np.int64)
            np.add.at(lots, of_side["account"], of_side["quantity_lots"])
            assert (lots == rows[column]).all(), f"{column} is the sum of an account's resting orders"
        levels = np.zeros(len(self._market.levels), np.int64)
        np.add.at(levels, resting["price_ticks"], resting["quantity_lots"])
        assert (levels == self._market.levels["lots"]).all(), "a level holds what its orders hold"
        most, traders = self.most_lots, rows[SYSTEM_ROWS:]
        held, buys, sells = (traders[name] for name in ("position_lots", "open_buy_lots", "open_sell_lots"))
        assert (np.maximum(held, 0) + buys <= most).all(), "no position may grow beyond the limit"
        assert (np.maximum(-held, 0) + sells <= most).all(), "no position may grow beyond the limit"
        assert rows["collateral"][INSURANCE_ROW] >= 0 or rows["position_lots"][INSURANCE_ROW] != 0, (
            "an insurance fund without a position owes nothing"
        )

    def _make_room(self) -> None:
        state = self._state
        if state.item(_FREE) == 0:
            self._market = grow_orders(self._market)
        needed = 6 * state.item(_LIVE) + 64
        if len(self._market.events) - state.item(_EVENTS) < needed:
            self._market = grow_events(self._market, needed)

    @property
    def market(self) -> MarketArrays:
        """The kernels' own bundle (for participants' kernels and benchmarks)."""
        return self._market
