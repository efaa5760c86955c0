"""Liquidation procedures (`liquidation.procedure`): how an account is closed by force (docs/model.md, eq. 128-131)."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.fields import SECOND, Amount, Block, Duration, Fraction, Idle
from marginquake.sim.core.typing import Bools
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock


class LiquidationConfig(RuleBlock):
    """The liquidation engine: when it looks, how much it can do, what it sends, whatever its procedure."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            (
                "procedure",
                "monitor_period",
                "capacity",
                "latency",
                "order_bound",
                "takeover",
                "slice_min_notional",
                "backstop_fraction",
                "unwind_bound",
                "unwind_time",
            ),
            lambda own, market: not own.enabled,
            "enabled is false: nobody is sold out",
        ),
        Idle(
            ("unwind_bound", "unwind_time", "backstop_fraction"),
            lambda own, market: own.enabled and not own.takeover,
            "takeover is false: the fund takes nothing over",
        ),
    )
    enabled: bool = True
    procedure: str = "full"
    monitor_period: Duration = Field(1 * SECOND, gt=0)
    capacity: int = Field(50, gt=0, description="Accounts handled in one scan")
    latency: Duration = Field(20_000_000, ge=0)
    order_bound: Literal["bankruptcy", "none"] | Fraction = Field(
        "bankruptcy",
        description="Worst price of a liquidation order: bankruptcy, none, or fraction from mark (fillable: its own)",
    )
    takeover: bool = Field(True, description="Unfilled remainders go to the insurance fund at bankruptcy price")
    slice_min_notional: Amount = Field(
        100_000.0, ge=0, description="Smaller positions are closed whole; the fund's own orders are at least so large"
    )
    backstop_fraction: Fraction | None = Field(
        None, gt=0, lt=1, description="Equity below this share of maintenance margin goes to the fund at once"
    )
    unwind_bound: Fraction = Field(0.01, gt=0, description="Price bound of the fund's own orders, from the mark")
    unwind_time: Duration = Field(30 * SECOND, ge=0, description="The fund sells what it took over this time scale")


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
    def capacity(self) -> int:
        """Accounts that the engine may handle in this scan."""
        ...

    def review_calls(self) -> Rows:
        """Release called accounts that are cured; returns those whose forced sale may begin, the worst first."""
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

    def take_in_hand(self, rows: Rows) -> None:
        """The engine decides on these accounts in this scan, whether it sends an order or not: its capacity pays."""
        ...

    def reserve_loss(self, money: int) -> None:
        """Orders sent in this scan may cost the fund so much: it is not available to takeovers any more."""
        ...

    def bankruptcy_ticks(self, rows: Rows) -> NDArray[np.int64]:
        """Price at which equity is 0, rounded to the solvent side; 0 where there is none."""
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


Lots = NDArray[np.int64]
Ticks = NDArray[np.int64]


@final
class Standing:
    """Accounts in liquidation, as they stand at this scan; every column is aligned with `rows`.

    `lots_before`: lots held when the last forced order was sent; -1 before the first.
    """

    def __init__(
        self, desk: LiquidationDesk, rows: Rows, lots_before: Lots, contract: ContractSpec, now_ns: int
    ) -> None:
        self._desk = desk
        self.rows = rows
        self.now_ns = now_ns
        self.lots_before = lots_before
        self.contract = contract
        position = desk.rows_view["position_lots"][rows]
        self.side: NDArray[np.int64] = -np.sign(position)
        """Side that closes the position."""
        self.lots: Lots = np.abs(position)
        self.mark_ticks = desk.mark_ticks

    @property
    def notional(self) -> NDArray[np.float64]:
        """Position at the mark, quote units."""
        notional: NDArray[np.float64] = self.lots.astype(np.float64) * self.contract.notional_per_lot(self.mark_ticks)
        return notional

    @property
    def equity(self) -> NDArray[np.int64]:
        """Equity at the mark, money."""
        return self._desk.equity(self.rows)

    @property
    def maintenance(self) -> NDArray[np.int64]:
        """Maintenance margin at the mark, money."""
        return self._desk.maintenance(self.rows)

    @property
    def maintenance_fraction(self) -> NDArray[np.float64]:
        """Maintenance margin over notional at the mark."""
        return self.maintenance / np.maximum(self._desk.notional(self.rows), 1)

    @property
    def lower_tier_lots(self) -> Lots:
        """Lots that fit the bracket below each account's own at the mark; 0 in the lowest."""
        return self._desk.lower_tier_lots(self.rows)

    @property
    def bankrupt(self) -> Bools:
        """True where the mark is beyond the bankruptcy price: no order inside that bound can fill near the mark."""
        bankruptcy = self._desk.bankruptcy_ticks(self.rows)
        beyond: Bools = (bankruptcy > 0) & (self.side * (bankruptcy - self.mark_ticks) < 0)
        return beyond

    def lots_for(self, notional: float) -> float:
        """Lots (fractional) worth this many quote units at the mark."""
        return self.contract.lots_for(notional, self.mark_ticks)


class Procedure(Rule, ABC):
    """How accounts in liquidation are closed: what is sent next, and when an account is given up to the waterfall.

    Between two orders of one account lies one scan at least; an account that is compliant or flat by then is released
    before the procedure is asked.
    """

    config_type: ClassVar[type[LiquidationConfig]] = LiquidationConfig
    cooldown_ns = 0
    """Wait between the orders of one account."""
    fill_or_kill = False
    """Orders trade whole or not at all; otherwise what they find at once."""
    limit_at_bankruptcy = False
    """What the fund takes over it offers at once at the bankruptcy price, before it unwinds the rest."""

    def __init__(self, rules: LiquidationConfig) -> None:
        self.rules = rules

    @abstractmethod
    def order_lots(self, held: Standing) -> Lots:
        """Size of the next order of each account, at most `held.lots`; 0: none."""

    @abstractmethod
    def gives_up(self, held: Standing) -> Bools:
        """True where the waterfall takes what is left; asked after an account's first scan."""

    def bound_ticks(self, held: Standing, bound: Ticks) -> Ticks:
        """Worst price of each order; `bound` is what `liquidation.order_bound` says (0: none)."""
        return bound


@final
@dataclass(frozen=True)
class Limits:
    """Least and most of a position that one order may sell, and the share of it in between."""

    fraction: float
    least_notional: float
    most_notional: float | None = None

    def of(self, held: Standing) -> Lots:
        """`fraction` of each position, rounded up, within the limits; never more than there is."""
        part = np.ceil(held.lots * self.fraction).astype(np.int64)
        part = np.maximum(part, math.ceil(held.lots_for(self.least_notional)))
        if self.most_notional is not None:
            part = np.minimum(part, math.floor(held.lots_for(self.most_notional)))
        order: Lots = np.clip(part, 1, held.lots)
        return order


class FillableConfig(Block):
    """How large orders are and how far their price goes: dYdX v4, mainnet genesis (A)."""

    bankruptcy_adjustment: float = Field(1.0, gt=0, description="How fast the price widens as equity falls")
    spread_to_maintenance: float = Field(1.5, gt=0, description="Largest penalty over maintenance margin")
    fraction: Fraction = Field(0.1, gt=0, le=1, description="Share of the position in one order")
    least_notional: Amount = Field(1000.0, ge=0, description="An order sells at least so much, or what there is")
    most_notional: Amount = Field(100_000.0, gt=0, description="An order sells at most so much")


@final
class Fillable(Procedure):
    """One order a scan of `fillable.fraction` of the position, at least and at most so much notional, bound by the
    fillable price (eq. 129) instead of `order_bound`; negative equity goes to the waterfall.

    dYdX v4: at most 10 % of a position, at least $1,000, at most $100k a block (A, mainnet genesis).
    """

    class Config(LiquidationConfig):
        """The block of `fillable`."""

        fillable: FillableConfig = FillableConfig()

    rules: Config

    def __init__(self, rules: Config) -> None:
        super().__init__(rules)
        fillable = rules.fillable
        self._limits = Limits(fillable.fraction, fillable.least_notional, fillable.most_notional)

    def order_lots(self, held: Standing) -> Lots:
        """Within the limits of a block."""
        return self._limits.of(held)

    def gives_up(self, held: Standing) -> Bools:
        """Where equity is below zero: dYdX deleverages such accounts."""
        below: Bools = held.equity < 0
        return below

    def bound_ticks(self, held: Standing, bound: Ticks) -> Ticks:
        """(V - A r MM) / position, A = clamp(adjustment (1 - E / MM), 0, 1): see `sim.rules.formulas.dydx`.

        V / position is the mark, so the distance from it is the penalty over the notional.  Rounded toward the mark.
        """
        rules = self.rules.fillable
        missing = 1.0 - held.equity / np.maximum(held.maintenance, 1)
        adjustment = np.clip(rules.bankruptcy_adjustment * missing, 0.0, 1.0)
        distance = adjustment * rules.spread_to_maintenance * held.maintenance_fraction
        ticks = held.mark_ticks * (1.0 + held.side * distance)
        inward = np.where(held.side < 0, np.ceil(ticks - 1e-9), np.floor(ticks + 1e-9))
        return np.clip(inward, 1, held.contract.max_price_ticks - 1).astype(np.int64)


@final
class Full(Procedure):
    """Cancel all, one large immediate-or-cancel order; whatever it leaves is taken over (Binance FAQ, B)."""

    def order_lots(self, held: Standing) -> Lots:
        """All of it."""
        return held.lots

    def gives_up(self, held: Standing) -> Bools:
        """After one order."""
        return np.ones(len(held.rows), bool)


class IncrementalConfig(Block):
    """How large slices are and how often they come: Deribit, an early document (A)."""

    slice_notional: Amount = Field(100.0, gt=0, description="One slice: 10 contracts of $10")
    rounds_per_second: float = Field(25.0, gt=0, description="Slices of one account in a second")


@final
class Incremental(Procedure):
    """`incremental.slice_notional` as often as `incremental.rounds_per_second`, until maintenance < equity (eq. 130).

    Deribit: 10 contracts ($100), 25 rounds a second (A, an early document; slices have grown since, R).  The rounds
    between two scans are sent as one order.  Given up once the mark is beyond bankruptcy.
    """

    class Config(LiquidationConfig):
        """The block of `incremental`."""

        incremental: IncrementalConfig = IncrementalConfig()

    rules: Config

    def __init__(self, rules: Config) -> None:
        super().__init__(rules)
        each = rules.incremental
        self._notional = each.slice_notional * each.rounds_per_second * rules.monitor_period / SECOND

    def order_lots(self, held: Standing) -> Lots:
        """What the rounds of one scan come to."""
        order: Lots = np.clip(math.floor(held.lots_for(self._notional)), 1, held.lots)
        return order

    def gives_up(self, held: Standing) -> Bools:
        """Where no order within the bankruptcy price can fill near the mark."""
        return held.bankrupt


@final
class Sliced(Procedure):
    """`slice_fraction` of positions above `slice_min_notional`, smaller ones whole; then `slice_cooldown` (eq. 128).

    In its cooldown an account sends nothing, or with `slice_cooldown_orders: whole` all that is left, also where it was
    let go and called again.  Hyperliquid: 20 % above 100k, 30 s in which orders are for the entire position (its
    announcement, B).  `slice_least_notional` and `slice_most_notional` limit a slice as dYdX does.  Given up once the
    mark is beyond bankruptcy.
    """

    class Config(LiquidationConfig):
        """The block of `sliced`."""

        slice_fraction: Fraction = Field(0.2, gt=0, le=1)
        slice_cooldown: Duration = Field(30 * SECOND, ge=0)
        slice_cooldown_orders: Literal["none", "whole"] = Field(
            "none", description="What an account in its cooldown sends: nothing, or all of its position (Hyperliquid)"
        )
        slice_least_notional: Amount = Field(0.0, ge=0, description="A slice is at least so large")
        slice_most_notional: Amount | None = Field(None, gt=0, description="A slice is at most so large")

    rules: Config

    def __init__(self, rules: Config) -> None:
        super().__init__(rules)
        self._whole_ns = rules.slice_cooldown if rules.slice_cooldown_orders == "whole" else 0
        self.cooldown_ns = 0 if self._whole_ns else rules.slice_cooldown
        self._limits = Limits(rules.slice_fraction, rules.slice_least_notional, rules.slice_most_notional)
        self._cooling_until_ns: dict[int, int] = {}

    def order_lots(self, held: Standing) -> Lots:
        """A slice; a small position whole, and a large one whose cooldown asks for that."""
        sliced = held.notional > self.rules.slice_min_notional
        if self._whole_ns:
            sliced &= ~self._cooling(held)
            self._cooling_until_ns.update(dict.fromkeys(held.rows[sliced].tolist(), held.now_ns + self._whole_ns))
        return np.where(sliced, self._limits.of(held), held.lots)

    def gives_up(self, held: Standing) -> Bools:
        """Where no order within the bankruptcy price can fill near the mark."""
        return held.bankrupt

    def _cooling(self, held: Standing) -> Bools:
        """True for accounts that have sent a slice within the cooldown; forgets the others."""
        now_ns = held.now_ns
        self._cooling_until_ns = {row: until for row, until in self._cooling_until_ns.items() if until > now_ns}
        return np.array([row in self._cooling_until_ns for row in held.rows.tolist()], np.bool_)


@final
class TakeoverAtBankruptcy(Procedure):
    """Cancel all, take over, offer the position at the bankruptcy price (BitMEX, A; eq. 131).

    The account sends nothing; the fund, which now holds the position, places the limit order, keeps what it fills
    better, and unwinds the rest.
    """

    limit_at_bankruptcy = True

    def order_lots(self, held: Standing) -> Lots:
        """None."""
        return np.zeros(len(held.rows), np.int64)

    def gives_up(self, held: Standing) -> Bools:
        """At once: when its orders are gone."""
        return np.ones(len(held.rows), bool)


@final
class TierReduction(Procedure):
    """Fill-or-kill what exceeds the next lower bracket; in the lowest, or where that fails, takeover (eq. 128).

    BitMEX, Bybit (A).  A smaller bracket asks less maintenance of the rest, so an account may be released on the way.
    """

    fill_or_kill = True
    limit_at_bankruptcy = True

    def order_lots(self, held: Standing) -> Lots:
        """What is above the cap of the bracket below; nothing in the lowest."""
        lower = held.lower_tier_lots
        return np.where(lower > 0, held.lots - lower, 0)

    def gives_up(self, held: Standing) -> Bools:
        """In the lowest bracket, and where the last order was killed."""
        done: Bools = (held.lower_tier_lots == 0) | (held.lots >= held.lots_before)
        return done


PROCEDURES: Final[Registry[type[Procedure]]] = Registry(
    "procedure",
    Procedure,
    {
        "full": Full,
        "sliced": Sliced,
        "tier_reduction": TierReduction,
        "takeover_at_bankruptcy": TakeoverAtBankruptcy,
        "fillable": Fillable,
        "incremental": Incremental,
    },
    key="procedure",
    default="full",
)
"""By the name in `liquidation.procedure`."""
