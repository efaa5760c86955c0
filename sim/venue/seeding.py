"""The state of the world at t = 0: positions that accounts already hold, sized for a stated fuel ratio.

Fuel ratio Lambda (docs/model.md, eq. 29): notional that liquidates within 5 % of the mark, per 1 %, over D1, the
depth within 1 % of mid, mean of bids and asks, at the end of the warm-up.
"""

import logging
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core import opening_checks
from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.fuel import FAR, NEAR, fuel_ratio
from marginquake.sim.core.integers.casts import exact_sum, money, whole
from marginquake.sim.core.integers.limits import MOST_OPEN_MONEY, TooLarge
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.core.records import MarginMode
from marginquake.sim.market.context import SeedPositions
from marginquake.sim.venue.ledger_bounds import check_all_money, open_interest_money
from marginquake.sim.venue.venue import Venue

LOG = logging.getLogger(__name__)
ROUNDS = 6
SCALE_WAY_OUT = "ask for a smaller fuel_ratio, seed more accounts, or raise contract.money_unit"


@final
@dataclass(frozen=True)
class Seed:
    """One population's positions at t = 0."""

    rows: Rows
    positions: SeedPositions

    @property
    def sizing_ticks(self) -> Rows:
        """Entry prices that sizes go by."""
        return self.positions.entry_ticks if self.positions.sizing_ticks is None else self.positions.sizing_ticks


@final
@dataclass(frozen=True)
class Fuel:
    """What would be forced if the mark moved: quote notional within 1 % and 5 %, of longs below and shorts above."""

    long_1pct: float
    long_5pct: float
    short_1pct: float
    short_5pct: float

    def ratio_5pct(self, depth_1pct: float) -> float:
        """Lambda: the heavier side's fuel per 1 % within 5 %, over D1."""
        return fuel_ratio(max(self.long_5pct, self.short_5pct), FAR, depth_1pct)

    def ratio_1pct(self, depth_1pct: float) -> float:
        """The heavier side's fuel within 1 %, over D1."""
        return fuel_ratio(max(self.long_1pct, self.short_1pct), NEAR, depth_1pct)


def measure_fuel(venue: Venue) -> Fuel:
    """Read the fuel off the true liquidation-price index."""
    mark = venue.exchange.mark_ticks
    shares = (-FAR, -NEAR, 0.0, NEAR, FAR)
    edges = np.array([round(mark * (1.0 + share)) for share in shares], np.int64)
    edges[2] = mark
    _, _, longs, shorts = venue.exchange.profile(edges)
    per_lot = venue.contract.notional_per_lot(mark)
    return Fuel(
        long_1pct=float(longs[1]) * per_lot,
        long_5pct=float(longs[0] + longs[1]) * per_lot,
        short_1pct=float(shorts[2]) * per_lot,
        short_5pct=float(shorts[2] + shorts[3]) * per_lot,
    )


def seed_market(venue: Venue, seeds: list[Seed], depth_1pct: float) -> float:
    """Book all seeds, the scalable ones times a factor: the one given (`position_scale`), or the one that meets the
    fuel ratio, or 1.  Returns it."""
    takers = [seed for seed in seeds if not seed.positions.takes_other_side]
    factor = venue.config.position_scale or 1.0
    sizes = [_Sizes(venue, seed) for seed in takers]
    _book(venue, sizes, factor)
    target = venue.config.fuel_ratio
    if target is not None and any(seed.positions.scalable for seed in takers):
        for _ in range(ROUNDS):
            measured = measure_fuel(venue).ratio_5pct(depth_1pct)
            if measured <= 0.0:
                break
            factor *= target / measured
            for seed in takers:
                _drop(venue, seed.rows)
            _book(venue, sizes, factor)
        reached = measure_fuel(venue).ratio_5pct(depth_1pct)
        if abs(reached - target) > 0.05 * target:
            LOG.warning(
                "%s: fuel ratio %.3g asked, %.3g reached: too few accounts near the mark", venue.name, target, reached
            )
    if any(seed.positions.sizing_ticks is not None for seed in takers):
        _move_entries(venue, takers)
    _book_other_side(venue, seeds)
    venue.net_deposits = venue.exchange.net_deposits()
    check_all_money(venue.net_deposits)
    return factor


def leave_out(venue: Venue, seeds: list[Seed]) -> dict[int, str]:
    """Accounts of a book that cannot be at the mark as it is now: they get neither position nor money.

    Returns the reason by row.  Raises ScenarioError where the book says so (`on_impossible: refuse`), or none is left.
    """
    table = venue.accounts.rows
    reasons: dict[int, str] = {}
    for seed in seeds:
        book = seed.positions.book
        if book is None:
            continue
        isolated = bool(table["mode"][seed.rows[0]] == MarginMode.ISOLATED)
        mark, entry = venue.exchange.mark_ticks, seed.positions.entry_ticks
        now = opening_checks.ruled_out(
            book, venue.contract, venue.brackets, isolated, seed.positions.signed_lots, entry, mark
        )
        # What was told when the scenario was read stands, also where the warm-up has moved the mark the row's way.
        found = dict(sorted({**now, **book.known}.items()))
        if not found:
            continue
        if book.refuses or len(found) == len(book):
            raise ScenarioError(opening_checks.problems(book, found))
        fresh = {row: why for row, why in found.items() if row not in book.known}
        if fresh:
            LOG.warning("%s: %s", book.file, opening_checks.sentence(book, fresh))
        index = np.array(list(found))
        seed.positions.signed_lots[index] = 0
        table["collateral"][seed.rows[index]] = 0
        reasons.update(zip(seed.rows[index].tolist(), found.values(), strict=True))
    return reasons


def _move_entries(venue: Venue, seeds: list[Seed]) -> None:
    """Positions that have been sized move from their sizing to their entry prices: the same accounts and lots."""
    table = venue.accounts.rows
    for seed in seeds:
        lots = table["position_lots"][_block(seed.rows)].copy()
        held = lots != 0
        _drop(venue, seed.rows)
        entry = np.ascontiguousarray(seed.positions.entry_ticks[held])
        venue.exchange.seed_positions(seed.rows[held], lots[held], entry)


@final
class _Sizes:
    """What stays the same of one population while sizes are solved for."""

    def __init__(self, venue: Venue, seed: Seed) -> None:
        self.positions = seed.positions
        self.block = _block(seed.rows)
        self.deposits = venue.accounts.rows["collateral"][self.block].copy()
        self.held = np.flatnonzero(seed.positions.signed_lots)
        lots = seed.positions.signed_lots[self.held]
        self.lots, self.side = np.abs(lots), np.sign(lots)
        # What a book states has been held against the venue's brackets already, and is not cut.
        self.largest = np.abs(lots) if seed.positions.book is not None else _largest_lots(venue, seed)[self.held]
        self.rows = seed.rows[self.held]
        self.sizing_ticks = seed.sizing_ticks[self.held]


def _book(venue: Venue, sizes: list[_Sizes], factor: float) -> None:
    table = venue.accounts.rows
    for of in sizes:
        scale = factor if of.positions.scalable else 1.0
        # an account without a position keeps its deposit in proportion: its leverage is what the scenario says
        with np.errstate(over="ignore"):
            deposits, lots = of.deposits * scale, of.lots * scale
        table["collateral"][of.block] = money(deposits, _scaled(venue, factor), SCALE_WAY_OUT)
        size = np.minimum(np.maximum(1, np.rint(lots)), of.largest)
        allowed = size >= 1
        rows, scaled = of.rows[allowed], whole(of.side * size, _scaled(venue, factor))[allowed]
        venue.exchange.seed_positions(rows, scaled, of.sizing_ticks[allowed])
        _drop(venue, rows[_too_close(venue, rows, of.positions.minimum_distance)])


def _scaled(venue: Venue, factor: float) -> str:
    """What made sizes what they are, for a message."""
    return f"{venue.name}: positions at the start and their deposits, times {factor:.3g} for the fuel ratio"


def _block(rows: Rows) -> slice:
    """A population's rows are one block."""
    return slice(int(rows[0]), int(rows[-1]) + 1)


def _largest_lots(venue: Venue, seed: Seed) -> NDArray[np.float64]:
    """What the venue lets each account hold at its leverage and entry: the cap of the last bracket that allows it."""
    own = venue.accounts.rows["initial_margin_ppm"][_block(seed.rows)]
    allowed = np.searchsorted(np.array(venue.brackets.initial_ppm), own, side="right")
    caps = np.concatenate(([0], venue.brackets.cap))[allowed]
    lot_value = venue.contract.lot_value
    per_lot = np.maximum(lot_value.notional(1, seed.sizing_ticks), lot_value.notional(1, venue.exchange.mark_ticks))
    largest: NDArray[np.float64] = np.floor(caps / np.maximum(per_lot, 1))
    return largest


def _too_close(venue: Venue, rows: Rows, minimum_distance: float) -> NDArray[np.bool_]:
    """True for accounts whose liquidation price is nearer to the mark than they were promised."""
    table, mark = venue.accounts.rows, venue.exchange.mark_ticks
    ticks = table["liquidation_ticks"][rows]
    away = np.sign(table["position_lots"][rows]) * (mark - ticks)
    close: NDArray[np.bool_] = (ticks > 0) & (away < minimum_distance * mark)
    return close


def _drop(venue: Venue, rows: Rows) -> None:
    """These accounts hold nothing."""
    if len(rows) == 0:
        return
    table = venue.accounts.rows
    whole = len(rows) == int(rows[-1]) - int(rows[0]) + 1
    for name in ("position_lots", "cost", "isolated_margin"):
        table[name][_block(rows) if whole else rows] = 0
    venue.exchange.relink(rows)


def _book_other_side(venue: Venue, seeds: list[Seed]) -> None:
    """Whoever takes the other side receives minus everybody's sum, with collateral that carries it unlevered."""
    open_lots = exact_sum(venue.accounts.rows["position_lots"])
    others = [seed for seed in seeds if seed.positions.takes_other_side]
    if open_lots == 0:
        return
    if not others:
        raise ValueError(
            f"{venue.name}: seeded positions leave {open_lots} lots without another side; "
            "add a population of type hedger"
        )
    _check_open_interest(venue, abs(open_lots))
    rows = np.concatenate([seed.rows for seed in others])
    share, rest = divmod(abs(open_lots), len(rows))
    lots = np.full(len(rows), share, np.int64)
    lots[:rest] += 1
    lots *= -np.sign(open_lots)
    entry = np.concatenate([seed.positions.entry_ticks for seed in others])
    table = venue.accounts.rows
    notional = venue.contract.lot_value.notional(lots, entry)
    table["collateral"][rows] = np.maximum(table["collateral"][rows], notional)
    venue.exchange.seed_positions(rows, lots, entry)
    hedged = np.concatenate([np.full(len(seed.rows), seed.positions.hedged_on_spot) for seed in others])
    venue.spot.seed(rows[hedged], -lots[hedged].astype(np.float64))


def _check_open_interest(venue: Venue, lots: int) -> None:
    """Raises TooLarge where positions at the start are more than a market may hold."""
    worth = open_interest_money(venue.contract.lot_value, lots, venue.exchange.mark_ticks)
    if worth > MOST_OPEN_MONEY:
        raise TooLarge(
            f"{venue.name}: positions at the start come to {worth:.6g} money units on one side, more than "
            f"{MOST_OPEN_MONEY:.6g} (2^58); {SCALE_WAY_OUT}"
        )
