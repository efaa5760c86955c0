"""Random markets and streams: by hypothesis (short, they shrink) and by a seeded generator (long, they wander).

Prices lie in a small window, so that orders meet; every kind of command occurs, and bad ones, and old ids.  Bracket
caps and rates are multiples of 1000, so that deductions are exact and requirements continuous, as at real venues.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, AccountTable
from marginquake.sim.core.records import Cause, Flag, MarginMode, OrderKind, Side
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.venue.exchange import ExchangeRules

Step: TypeAlias = tuple[str, dict[str, int]]
"""("command", fields), ("mark", {ticks}), ("engine", {row}): the engine closes that account if it is called, or
("seize", {row}): the engine takes a called account in hand, and does not yet touch its orders."""

THOROUGH = int(os.environ.get("MARGINQUAKE_THOROUGH", "1"))
"""How many times as many examples and seeds, and as long streams, as usual."""
MODERATE = settings(
    max_examples=60 * THOROUGH,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
LADDER = 64
CENTRE = 32
RESTING = (OrderKind.LIMIT, OrderKind.LIMIT, OrderKind.LIMIT, OrderKind.POST_ONLY)
TAKING = (OrderKind.MARKET, OrderKind.MARKET, OrderKind.IOC, OrderKind.FOK)
WAITING = (OrderKind.STOP, OrderKind.TAKE_PROFIT)
NAMING = (OrderKind.CANCEL, OrderKind.CANCEL, OrderKind.MODIFY, OrderKind.MODIFY)
TRIGGERS = ((10**6, 10**6), (10**6, 10**6), (1_250_000, 10**6), (2_000_000, 1_100_000), (1_100_000, 1_100_000))
"""Of maintenance, what warns and what calls: without warnings, with them, and both before the liquidation price."""
SENSELESS = ({"quantity_lots": 0}, {"quantity_lots": 31}, {"price_ticks": LADDER}, {"price_ticks": -1})
LEVERAGE_PPM = (0, 8_000, 20_000, 20_000, 50_000, 200_000, 1_000_000)


@dataclass(frozen=True)
class Account:
    """One trader at the start; `position` lots were entered at `entry_ticks`."""

    collateral: int
    initial_margin_ppm: int
    mode: int
    position: int = 0
    entry_ticks: int = CENTRE


@dataclass(frozen=True)
class Case:
    """A market at rest and what then happens to it."""

    rules: ExchangeRules
    insurance: int
    accounts: tuple[Account, ...]
    steps: tuple[Step, ...]

    def open(self, implementation: Callable[..., Any], **options: Any) -> Any:
        """An exchange of its own with the positions seeded; they sum to zero."""
        table = AccountTable(SYSTEM_ROWS + len(self.accounts), self.rules.lot_value)
        rows = table.claim(0, len(self.accounts))
        table.rows["collateral"][INSURANCE_ROW] = self.insurance
        for name in ("collateral", "initial_margin_ppm", "mode"):
            table.rows[name][rows] = [getattr(account, name) for account in self.accounts]
        exchange = implementation(self.rules, table, **options)
        for row, account in zip(rows.tolist(), self.accounts, strict=True):
            if account.position:
                exchange.seed_position(row, account.position, account.entry_ticks)
        return exchange


def worth_at(scale: int, inverse: bool, price_ticks: int) -> LotValue:
    """A contract whose lot is worth about `scale * price_ticks` money at that price; of either type."""
    return LotValue(scale * price_ticks * price_ticks + 7, inverse=True) if inverse else LotValue(scale)


def brackets(value: int, sizes: list[int], rates: list[int]) -> dict[str, tuple[int, ...]]:
    """Bracket columns: `sizes` in 1000 * value, `rates` in 1/1000, both rising; deductions make them continuous."""
    caps = [size * 1_000 * value for size in sizes]
    deductions = [0]
    for cap, low, high in zip(caps[:-1], rates[:-1], rates[1:], strict=True):
        deductions.append(deductions[-1] + cap * (high - low) // 1_000)
    return {
        "bracket_cap": tuple(caps),
        "bracket_rate_ppm": tuple(rate * 1_000 for rate in rates),
        "bracket_deduction": tuple(deductions),
        "bracket_initial_ppm": tuple(rate * 2_000 for rate in rates),
    }


# -- by hypothesis -----------------------------------------------------------------------------------------------------


@st.composite
def rules(draw: st.DrawFn, value: int) -> ExchangeRules:
    """A venue: linear or inverse, fees or rebates, one to three brackets, either self-trade rule, band or none."""
    count = draw(st.integers(1, 3))
    sizes = sorted(draw(st.lists(st.integers(1, 8), min_size=count, max_size=count, unique=True)))
    rates = sorted(draw(st.lists(st.sampled_from([4, 5, 10, 25, 100]), min_size=count, max_size=count, unique=True)))
    return ExchangeRules(
        lot_value=worth_at(value, draw(st.booleans()), CENTRE),
        ladder_size=LADDER,
        maker_fee_ppm=draw(st.sampled_from([0, 200, -5_000, 10_000])),
        taker_fee_ppm=draw(st.sampled_from([0, 500, 30_000])),
        liquidation_fee_ppm=draw(st.sampled_from([0, 12_500, 100_000])),
        max_position_lots=draw(st.sampled_from([10**6, 30])),
        self_trade_cancels_taker=draw(st.booleans()),
        price_band_ppm=draw(st.sampled_from([0, 0, 100_000, 300_000])),
        **dict(zip(("warning_ppm", "call_ppm"), draw(st.sampled_from(TRIGGERS)), strict=True)),
        **brackets(value, sizes, rates),
    )


@st.composite
def account_tables(draw: st.DrawFn, value: int) -> tuple[Account, ...]:
    """Three to five traders, cross or isolated, rich or nearly broke; seeded positions sum to zero."""
    count = draw(st.integers(3, 5))
    positions = draw(st.lists(st.integers(-25, 25), min_size=count - 1, max_size=count - 1))
    return tuple(
        Account(
            collateral=value * draw(st.sampled_from([20_000, 20_000, 20_000, 1_000, 300, 100, 0])),
            initial_margin_ppm=draw(st.sampled_from(LEVERAGE_PPM)),
            mode=int(draw(st.sampled_from(list(MarginMode)))),
            position=position,
            entry_ticks=draw(st.integers(CENTRE - 3, CENTRE + 3)),
        )
        for position in [*positions, -sum(positions)]
    )


@st.composite
def commands(draw: st.DrawFn, number: int, owners: dict[int, int], traders: int) -> dict[str, int]:
    """The command with id `number + 1`; `owners` knows who sent the earlier ones that may rest."""
    kind = draw(st.sampled_from(RESTING + RESTING + TAKING + WAITING + NAMING + (OrderKind.CANCEL_ALL,)))
    account = draw(st.integers(SYSTEM_ROWS, SYSTEM_ROWS + traders - 1))
    price = draw(st.integers(CENTRE - 4, CENTRE + 4))
    lots = draw(st.integers(1, 12))
    fields = {"arrival_ns": number, "kind": int(kind), "account": account, "order_id": number + 1}
    if kind in (OrderKind.CANCEL, OrderKind.MODIFY):
        fields["order_id"] = draw(st.sampled_from([*owners, *owners, -1, 0, number + 9]))
        if draw(st.integers(0, 9)):
            fields["account"] = owners.get(fields["order_id"], account)
    if kind == OrderKind.MODIFY:
        fields |= {"price_ticks": price, "quantity_lots": lots}
    elif kind not in (OrderKind.CANCEL, OrderKind.CANCEL_ALL):
        unbounded = kind not in RESTING + TAKING[2:] and draw(st.booleans())
        fields |= {"side": draw(st.sampled_from([1, -1])), "quantity_lots": lots}
        fields["price_ticks"] = 0 if unbounded else price
        fields["flags"] = draw(st.sampled_from([0, 0, 0, int(Flag.REDUCE_ONLY)]))
        fields["cause"] = int(draw(st.sampled_from([Cause.VOLUNTARY] * 6 + list(Cause))))
        if draw(st.integers(0, 24)) == 0:
            fields |= {"account": INSURANCE_ROW, "cause": int(Cause.TAKEOVER)}
    if kind in WAITING:
        fields["trigger_ticks"] = draw(st.integers(CENTRE - 5, CENTRE + 5))
        fields["flags"] |= draw(st.sampled_from([0, int(Flag.TRIGGER_ON_MARK)]))
    if draw(st.integers(0, 29)) == 0:
        fields |= draw(st.sampled_from(SENSELESS))
    return fields


VALUES = (1, 3, 10, 1_000)
"""Money of a lot and tick."""


@st.composite
def cases(draw: st.DrawFn, min_steps: int = 4, max_steps: int = 80, values: tuple[int, ...] = VALUES) -> Case:
    """A whole market with a stream of commands, marks and work of the engine."""
    value = draw(st.sampled_from(values))
    venue = draw(rules(value))
    accounts = draw(account_tables(value))
    steps: list[Step] = []
    owners: dict[int, int] = {}
    for number in range(draw(st.integers(min_steps, max_steps))):
        what = draw(st.integers(0, 9))
        if what == 0:
            steps.append(("mark", {"ticks": draw(st.integers(CENTRE - 8, CENTRE + 8))}))
        elif what == 1:
            doing = draw(st.sampled_from(["engine", "engine", "seize"]))
            steps.append((doing, {"row": draw(st.integers(SYSTEM_ROWS, SYSTEM_ROWS + len(accounts) - 1))}))
        else:
            fields = draw(commands(number, owners, len(accounts)))
            if fields["order_id"] == number + 1 and fields["kind"] in RESTING + WAITING:
                owners[number + 1] = fields["account"]
            steps.append(("command", fields))
    insurance = value * draw(st.sampled_from([10**6, 40, 0]))
    return Case(venue, insurance, accounts, tuple(steps))


# -- by a seeded generator ---------------------------------------------------------------------------------------------


def long_case(seed: int, count: int, traders: int = 24, ladder_size: int = 200, inverse: bool = False) -> Case:
    """`count` steps around a price that wanders over the ladder, so that stops, calls and bankruptcies happen."""
    rng = np.random.default_rng(seed)
    value = 10
    centre = ladder_size / 2
    accounts = tuple(
        Account(
            collateral=value * int(rng.choice([10**6, 20_000, 3_000, 600])),
            initial_margin_ppm=int(rng.choice([8_000, 20_000, 50_000, 200_000])),
            mode=int(rng.integers(2)),
        )
        for _ in range(traders)
    )
    venue = ExchangeRules(
        lot_value=worth_at(value, inverse, ladder_size // 2),
        ladder_size=ladder_size,
        maker_fee_ppm=-100,
        taker_fee_ppm=500,
        liquidation_fee_ppm=12_500,
        max_position_lots=150,
        self_trade_cancels_taker=bool(seed % 2),
        price_band_ppm=100_000,
        warning_ppm=1_250_000 if seed % 3 else 10**6,
        **brackets(value, [4, 20, 100], [5, 10, 50]),
    )
    steps: list[Step] = []
    owners: dict[int, int] = {}
    for number in range(count):
        centre = float(np.clip(centre + 0.35 * rng.standard_normal(), 20, ladder_size - 20))
        what = rng.random()
        if what < 0.05:
            steps.append(("mark", {"ticks": round(centre)}))
        elif what < 0.12:
            doing = "engine" if rng.random() < 0.7 else "seize"
            steps.append((doing, {"row": int(rng.integers(SYSTEM_ROWS, SYSTEM_ROWS + traders))}))
        else:
            fields = _random_command(rng, number, round(centre), owners, traders)
            if fields["order_id"] == number + 1:
                owners[number + 1] = fields["account"]
            steps.append(("command", fields))
    return Case(venue, value * 2_000, accounts, tuple(steps))


def _random_command(
    rng: np.random.Generator, number: int, centre: int, owners: dict[int, int], traders: int
) -> dict[str, int]:
    kinds = RESTING * 3 + TAKING + WAITING + NAMING + NAMING + (OrderKind.CANCEL_ALL,)
    kind = kinds[int(rng.integers(len(kinds)))]
    side = Side.BUY if rng.random() < 0.5 else Side.SELL
    lots = int(min(rng.pareto(1.2) * 5 + 1, 500))
    account = int(rng.integers(SYSTEM_ROWS, SYSTEM_ROWS + traders))
    fields = {"arrival_ns": number, "kind": int(kind), "account": account, "order_id": number + 1}
    if kind in (OrderKind.CANCEL, OrderKind.MODIFY):
        fields["order_id"] = max(1, number - int(rng.exponential(200)))
        if rng.random() < 0.95:
            fields["account"] = owners.get(fields["order_id"], account)
    if kind in (OrderKind.LIMIT, OrderKind.POST_ONLY, OrderKind.MODIFY):
        fields["price_ticks"] = centre - int(side) * int(rng.integers(-2, 9))
    elif kind in (OrderKind.IOC, OrderKind.FOK) or rng.random() < 0.3:
        fields["price_ticks"] = centre + int(side) * int(rng.integers(-2, 9))
    if kind in WAITING:
        falls = (kind == OrderKind.STOP) == (side == Side.SELL)
        fields["trigger_ticks"] = centre + (-1 if falls else 1) * int(rng.integers(-2, 15))
        fields["flags"] = int(Flag.TRIGGER_ON_MARK) * int(rng.integers(2))
        fields["cause"] = int(Cause.STOP)
    if kind not in (OrderKind.CANCEL, OrderKind.CANCEL_ALL):
        fields["quantity_lots"] = lots
        if kind != OrderKind.MODIFY:
            fields["side"] = int(side)
            fields["flags"] = fields.get("flags", 0) | int(Flag.REDUCE_ONLY) * int(rng.random() < 0.2)
            if rng.random() < 0.02:
                fields |= {"account": INSURANCE_ROW, "cause": int(Cause.TAKEOVER)}
    return fields
