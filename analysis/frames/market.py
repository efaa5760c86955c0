"""One market of a run as columns: series, events, maps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints

EVENT_COLUMNS = (
    "time_ns", "order_id", "quantity_lots", "money", "account", "maker_account", "price_ticks", "mark_ticks", "kind",
    "side", "cause",
)  # fmt: skip
"""Columns of `EVENT` that analysis uses."""


DRAWN_KINDS = (
    EventKind.FILL, EventKind.MARGIN_CALL, EventKind.CALL_CURED, EventKind.LIQUIDATION_STARTED, EventKind.TAKEOVER,
    EventKind.INSURANCE, EventKind.ADL, EventKind.SOCIALISED, EventKind.DEPOSIT,
)  # fmt: skip
"""Kinds of event that analysis uses; quotes and cancels stay on disk."""


EVENT_LEVELS = ("none", "liquidations", "fills", "all")
"""Values of `record.events`; each keeps what the ones before it keep, and more."""


Columns = dict[str, NDArray[Any]]
"""One table: column name -> array, all of one length."""
SECOND_NS = 1_000_000_000


@final
@dataclass(frozen=True)
class Fills:
    """Every match of two orders, in time order.

    `time_s` from the end of the warm-up; `price` and `notional` in quote units; `side`, `cause` and `order_id` of the
    aggressor; `account` is the aggressor's row and `maker_account` the resting side's.
    """

    time_s: Floats
    price: Floats
    notional: Floats
    side: Ints
    cause: Ints
    account: Ints
    maker_account: Ints
    order_id: Ints

    @property
    def forced(self) -> Bools:
        """True where the aggressor was a liquidation order or the insurance fund unwinding."""
        return np.asarray((self.cause == Cause.LIQUIDATION) | (self.cause == Cause.TAKEOVER), np.bool_)

    def select(self, mask: Bools) -> "Fills":
        """The fills where `mask` is true."""
        return Fills(**{name: getattr(self, name)[mask] for name in self.__dataclass_fields__})

    def __len__(self) -> int:
        return len(self.time_s)


@final
@dataclass(frozen=True)
class MarginCalls:
    """Margin calls, in time order: `side` is +1 where a long was called; `notional` at the mark, quote units."""

    time_s: Floats
    mark: Floats
    notional: Floats
    side: Ints
    account: Ints

    def select(self, chosen: slice) -> "MarginCalls":
        """The calls in a slice."""
        return MarginCalls(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


@final
@dataclass(frozen=True)
class LiquidationMap:
    """Sampled maps of one market: T times, B price bins; every array (T, B) holds quote notional per bin.

    `long_notional`/`short_notional`: forced notional waiting, by liquidation price.  `bid_depth`/`ask_depth`: resting
    orders, by price.  `price_edges` (B + 1) in quote units.
    """

    time_s: Floats
    price_edges: Floats
    long_notional: Floats
    short_notional: Floats
    bid_depth: Floats
    ask_depth: Floats

    @property
    def price_centers(self) -> Floats:
        """Middle of every price bin."""
        return 0.5 * (self.price_edges[1:] + self.price_edges[:-1])

    @property
    def bin_width(self) -> float:
        """Median width of a price bin, quote units."""
        return float(np.median(np.diff(self.price_edges)))


@final
@dataclass(frozen=True)
class FaultSpan:
    """A fault of a venue's rules by its `type`, and when: seconds from the end of the warm-up."""

    type: str
    start_s: float
    end_s: float


@final
@dataclass(frozen=True)
class IndexFeedback:
    """How the index listens to hedging on spot (docs/model.md, eq. 15a).

    A net purchase of `one_percent_depth` quote units moves the index 1 % up, before decay; that part of it in
    `weights` decays with each of the times in `decay_s`.
    """

    one_percent_depth: float
    decay_s: tuple[float, ...]
    weights: tuple[float, ...]


@final
@dataclass(frozen=True)
class PublishedBracket:
    """One bracket of the venue's margin table as published: positions up to `notional_cap` (quote units)."""

    notional_cap: float
    max_leverage: float
    maintenance: float


@final
@dataclass(frozen=True)
class MarketFrames:
    """Everything one run recorded of one market.  `series` includes the warm-up (`time_s` < 0)."""

    name: str
    contract: ContractSpec
    series: Columns
    accounts: Columns
    map: LiquidationMap | None
    read_events: Callable[[], Columns]
    """The events of the kinds in `DRAWN_KINDS`, columns `EVENT_COLUMNS`: from disk or from memory."""
    start_ns: int
    """Clock of the events at the end of the warm-up."""
    read_populations: Callable[[], Columns] = dict
    """One row a population and time, of this market; no columns where a run did not record it."""
    events_kept: str = "all"
    """`record.events` of the run, one of `EVENT_LEVELS`."""
    read_audit: Callable[[], Columns] = dict
    """One row for every change of an account's stage, columns of `sim.core.records.AUDIT`; none where it was not
    kept."""
    faults: tuple[FaultSpan, ...] = ()
    """Faults of the venue that the scenario declares, in its order."""
    mark_period_s: float = 1.0
    """Seconds between two marks."""
    funding_interval_s: float = 28_800.0
    """Seconds between two payments of funding."""
    brackets: tuple[PublishedBracket, ...] = ()
    """The venue's margin table, smallest positions first; `max_leverage` of the venue applied."""
    read_positions: Callable[[], Columns] = dict
    """One row an account with a position and snapshot, of this market; no columns where a run did not record them."""
    index_feedback: IndexFeedback | None = None
    """How far hedging on spot moves the index; None where it does not, or where the run does not say."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Its numbers in `summary.json`, by key: those of a further market stand there as `<market>.<key>`."""

    @cached_property
    def run(self) -> Columns:
        """`series` from the end of the warm-up on."""
        after = self.series["time_s"] >= 0
        return {name: column[after] for name, column in self.series.items()} if after.any() else self.series

    def total(self, flow: str) -> float:
        """Sum of a flow of the series from t = 0 on, as the summary counts it; the row of t = 0 is of before."""
        return float(np.nansum(self.series[flow][self.series["time_s"] > 0]))

    @cached_property
    def pauses(self) -> tuple[FaultSpan, ...]:
        """Stretches of the series in which the circuit breaker had paused matching."""
        if "paused_s" not in self.series:
            return ()
        time_s = self.series["time_s"]
        inside = np.concatenate(([False], self.series["paused_s"] > 0, [False]))
        starts, ends = np.flatnonzero(inside[1:] & ~inside[:-1]), np.flatnonzero(~inside[1:] & inside[:-1])
        return tuple(
            FaultSpan("paused", float(time_s[max(first - 1, 0)]), float(time_s[after - 1]))
            for first, after in zip(starts.tolist(), ends.tolist(), strict=True)
        )

    @cached_property
    def account_ids(self) -> dict[int, str]:
        """What a user's file calls the accounts that it stated, by row; empty in runs without one."""
        if "id" not in self.accounts:
            return {}
        rows, ids = self.accounts["row"].tolist(), self.accounts["id"].astype(str).tolist()
        return {int(row): name for row, name in zip(rows, ids, strict=True) if name}

    def account_name(self, row: int) -> str:
        """How texts call an account: its row, and the user's own id beside it where there is one."""
        own = self.account_ids.get(row)
        return f"account {row}" if own is None else f"account {row} ({own})"

    @cached_property
    def events(self) -> Columns:
        """Events of the kinds in `DRAWN_KINDS`, plus the column `time_s` (0 = end of the warm-up)."""
        events = self.read_events()
        events["time_s"] = (events["time_ns"] - self.start_ns) / SECOND_NS
        return events

    @cached_property
    def audit(self) -> Columns:
        """The audit log (docs/events.md) and `time_s`; no columns at all where the run did not keep it."""
        audit = self.read_audit()
        return audit | {"time_s": (audit["time_ns"] - self.start_ns) / SECOND_NS} if audit else {}

    @cached_property
    def positions(self) -> Columns:
        """Who held what at some times (runs/README.md, positions.parquet), account within time.

        No columns at all where the run did not record it: runs with `record.events: none`, and those of before.
        """
        return self.read_positions()

    def not_recorded(self, level: str) -> str:
        """Says that events of this level were not kept and how to have them; empty if they were."""
        if EVENT_LEVELS.index(self.events_kept) >= EVENT_LEVELS.index(level):
            return ""
        return f"not recorded (record.events: {self.events_kept}); run with record.events: {level}"

    @cached_property
    def fills(self) -> Fills:
        """All fills, the warm-up included; none where the run did not keep them (`not_recorded`)."""
        known = self._known_fills
        return known.select(np.full(len(known), not self.not_recorded("fills")))

    @cached_property
    def forced_fills(self) -> Fills:
        """Fills of liquidation orders and of the fund unwinding, the warm-up included; none if they were not kept."""
        return self._known_fills.select(self._known_fills.forced)

    @cached_property
    def _known_fills(self) -> Fills:
        rows = self._of_kind(EventKind.FILL)
        return Fills(
            time_s=rows["time_s"],
            price=rows["price_ticks"] * self.contract.to_price(1.0),
            notional=self._notional(rows["price_ticks"], rows["quantity_lots"]),
            side=rows["side"].astype(np.int64),
            cause=rows["cause"].astype(np.int64),
            account=rows["account"].astype(np.int64),
            maker_account=rows["maker_account"].astype(np.int64),
            order_id=rows["order_id"],
        )

    @cached_property
    def populations(self) -> dict[str, Columns]:
        """What each population held, sampled like the series, warm-up included; empty where it was not recorded."""
        table = self.read_populations()
        return _split(table, "population") if table else {}

    @cached_property
    def margin_calls(self) -> MarginCalls:
        """All margin calls, the warm-up included."""
        rows = self._of_kind(EventKind.MARGIN_CALL)
        return MarginCalls(
            time_s=rows["time_s"],
            mark=rows["mark_ticks"] * self.contract.to_price(1.0),
            notional=self._notional(rows["mark_ticks"], rows["quantity_lots"]),
            side=rows["side"].astype(np.int64),
            account=rows["account"].astype(np.int64),
        )

    def handed_over(self, kind: EventKind) -> tuple[Floats, Floats]:
        """Times (s) and notional of the takeovers or of the ADL, at the mark of their moment; quote units (eq. 19)."""
        rows = self._of_kind(kind)
        return rows["time_s"], self._notional(rows["mark_ticks"], rows["quantity_lots"])

    def _of_kind(self, kind: EventKind) -> Columns:
        chosen = self.events["kind"] == kind
        return {name: column[chosen] for name, column in self.events.items()}

    def _notional(self, price_ticks: NDArray[Any], lots: NDArray[Any]) -> Floats:
        return np.asarray(self.contract.notional(lots, price_ticks.astype(np.float64)), np.float64)


def market_summary(summary: Mapping[str, Any], market: str | None) -> Mapping[str, Any]:
    """The part of a summary that is about one market: the first for None, whose keys have no market before them."""
    if market is None or market == summary.get("market"):
        return {key: value for key, value in summary.items() if "." not in key}
    prefix = f"{market}."
    return {key[len(prefix) :]: value for key, value in summary.items() if key.startswith(prefix)}


def _split(table: Columns, key: str) -> dict[str, Columns]:
    """One table for each word of the column `key`, in order of first appearance."""
    words = table[key].astype(str)
    others = {name: column for name, column in table.items() if name != key}
    seen = list(dict.fromkeys(words.tolist()))
    if len(seen) == 1:
        return {seen[0]: others}
    tables: dict[str, Columns] = {}
    for word in seen:
        chosen = words == word
        tables[word] = {name: column[chosen] for name, column in others.items()}
    return tables
