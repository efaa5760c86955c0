"""Entry prices of positions that are open when the clock starts: dispersed, at round prices, or jittered.

Model: docs/model.md, eq. 32.  `level_jitter` is the control of the clustering experiment: other draws, sizes and
deposits stay as they are, so that two scenarios differ in where liquidation prices lie and in nothing else.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from marginquake.agents.retail.brackets import Brackets
from marginquake.agents.retail.config import RetailConfig, quantile
from marginquake.sim.core.accounts import AccountView
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext, SeedPositions

PPM = 1_000_000
ATTEMPTS = 24
"""Draws of an entry that would be too close to liquidation, before the account gives up."""


@final
class SeededEntries:
    """Who starts with a position, on which side, and where it was entered."""

    def __init__(
        self, config: RetailConfig, context: ParticipantContext, accounts: AccountView, brackets: Brackets
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._brackets = brackets
        self._contract = context.contract
        self._book = context.book
        self._grid_ticks = config.entry_grid * context.initial_price_ticks
        self._draws = context.stream.child("seed")
        self._jitter = context.stream.child("jitter")

    def draw(self, affordable_lots: Ints, price: float) -> SeedPositions:
        """Positions of all accounts, none within `minimum_distance` of liquidation; sized before they are jittered.

        An entry that would be too close is drawn again from `entry_offset`; if the whole distribution is too close
        (125x bought above the price), the account stays flat.  Grid and jitter never change who is flat.
        """
        if self._book is not None:
            return self._stated(self._book, affordable_lots, price)
        config = self._config
        count = len(affordable_lots)
        opened = self._draws.uniform(0, count) < config.initial_open_fraction
        side = np.where(self._draws.uniform(1, count) < config.long_share, 1, -1)
        lots = np.where(opened & (self._accounts.position_lots == 0), affordable_lots, 0)
        worst = self._worst_offset(lots, price, side)
        offset = self._offsets(lots > 0, worst)
        lots[offset > worst] = 0
        held = lots > 0
        offset[~held | ~np.isfinite(offset)] = 0.0
        if self._grid_ticks > 0:
            offset[held] = self._snapped(offset[held], worst[held], price, side[held])
        entry = sizing = self._entry_ticks(price, side, offset)
        if config.level_jitter != 0:
            entry = self._entry_ticks(price, side, self._jittered(offset, worst, held))
        return SeedPositions(
            side * lots,
            entry,
            scalable=config.scalable,
            minimum_distance=config.minimum_distance,
            sizing_ticks=None if entry is sizing else sizing,
        )

    def _stated(self, book: OpeningBook, affordable_lots: Ints, price: float) -> SeedPositions:
        """Positions of an account book: every row that does not say `notional: 0` holds one.

        What a row lacks is drawn as for anybody else; `minimum_distance` holds for drawn entries alone.  Where the row
        does not decide its size, it is what the account can afford.
        """
        config, contract = self._config, self._contract
        drawn = np.where(self._draws.uniform(1, len(book)) < config.long_share, 1, -1)
        side = np.where(book.side != 0, book.side, drawn)
        decided = ~np.isnan(book.notional)

        def sized(entry_ticks: Ints) -> Ints:
            return np.where(decided, book.lots(contract, entry_ticks, price), affordable_lots)

        here = self._entry_ticks(price, side, np.zeros(len(book)))
        lots = sized(here)
        worst = self._worst_offset(lots, price, side)
        offset = self._offsets((lots > 0) & np.isnan(book.entry_price), worst)
        held = np.isfinite(offset)
        offset[~held] = 0.0
        if self._grid_ticks > 0:
            offset[held] = self._snapped(offset[held], worst[held], price, side[held])
        if config.level_jitter != 0:
            offset = self._jittered(offset, worst, held)
        entry = book.entries(contract, self._entry_ticks(price, side, offset))
        return SeedPositions(side * sized(entry), entry, book=book)

    def _offsets(self, wanted: NDArray[np.bool_], worst: Floats) -> Floats:
        """Offsets drawn from `entry_offset`, again where they are too close to liquidation; infinite where nothing is
        wanted."""
        offset = np.full(len(wanted), np.inf)
        for attempt in range(ATTEMPTS):
            again = wanted & (offset > worst)
            if not again.any():
                break
            draw = quantile(self._config.entry_offset, self._draws.uniform(2 + attempt, len(wanted)))
            offset[again] = draw[again]
        return offset

    def _entry_ticks(self, price: float, side: Ints, offset: Floats) -> Ints:
        entry = np.rint(price * (1.0 + side * offset)).astype(np.int64)
        return np.clip(entry, 1, self._contract.max_price_ticks - 1)

    def _snapped(self, offset: Floats, worst: Floats, price: float, side: Ints) -> Floats:
        """Offsets of the nearest grid prices, or where that is too close, of the nearest one that is not."""
        grid, limit = self._grid_ticks, price * (1.0 + side * worst)
        level = np.rint(price * (1.0 + side * offset) / grid)
        safest = np.where(side > 0, np.floor(limit / grid), np.ceil(limit / grid))
        level = np.where(side * (level * grid - limit) > 0, safest, level)
        # A level between two ticks is taken at the safer of them.
        ticks = side * np.floor(side * level * grid + 1e-6)
        snapped: Floats = side * (ticks / price - 1.0)
        return snapped

    def _jittered(self, offset: Floats, worst: Floats, held: NDArray[np.bool_]) -> Floats:
        """Offsets with a jitter that is drawn again where it leads too close, in the end turned away from there."""
        moved = offset.copy()
        waiting = held.copy()
        for attempt in range(ATTEMPTS):
            draw = quantile(self._config.level_jitter, self._jitter.uniform(attempt, len(offset)))
            good = waiting & (offset + draw <= worst)
            moved[good] = (offset + draw)[good]
            waiting &= ~good
            if not waiting.any():
                return moved
        moved[waiting] = (offset - np.abs(draw))[waiting]
        return moved

    def _worst_offset(self, lots: Ints, price: float, side: Ints) -> Floats:
        """The largest entry offset at which liquidation is still `minimum_distance` away.

        A long with margin i of its entry e is called at M = (e (1 - i) - c/q)/(1 - m) (isolated; docs/model.md,
        liquidation price); shorts mirrored.  Cross margin has the whole collateral behind it instead of i e q, and
        isolated margin cannot be more than that either.
        """
        if self._contract.inverse:
            return self._worst_inverse_offset(lots, price, side)
        unit = self._contract.notional_per_lot(price)
        held = np.maximum(lots, 1)
        rate, deduction = self._brackets.maintenance(held * np.float64(unit))
        relief = deduction / held / unit * price
        safe = price * (1.0 - side * self._config.minimum_distance) * (1.0 - side * rate) + side * relief
        collateral = self._accounts.collateral * self._contract.money_amount
        entry = safe + side * collateral / held / unit * price
        worst: Floats = side * (entry / price - 1.0)
        if self._config.margin_mode == "isolated":
            margin = side * (self._accounts.initial_margin_ppm / PPM)
            entry = np.where(margin < 1.0, safe / np.maximum(1.0 - margin, 1e-9), np.inf)
            worst = np.minimum(worst, side * (entry / price - 1.0))
        return worst

    def _worst_inverse_offset(self, lots: Ints, price: float, side: Ints) -> Floats:
        """`_worst_offset` of an inverse contract, where the notional n(P) of a position is proportional to 1/P.

        It is called at M where B + s (n(e) - n(M)) = m n(M) - c; B is the collateral, isolated at most i n(e).
        """
        held = np.maximum(lots, 1)
        rate, deduction = self._brackets.maintenance(self._contract.notional(held, price))
        at_call = self._contract.notional(held, price * (1.0 - side * self._config.minimum_distance))
        safe = at_call * (1.0 + side * rate) - side * deduction
        at_entry = safe - side * (self._accounts.collateral * self._contract.money_amount)
        if self._config.margin_mode == "isolated":
            margin = 1.0 + side * (self._accounts.initial_margin_ppm / PPM)
            isolated = np.where(margin > 0.0, safe / np.maximum(margin, 1e-9), np.inf)
            at_entry = np.where(side > 0, np.maximum(at_entry, isolated), np.minimum(at_entry, isolated))
        # A long that nothing calls has no entry that is too high; a short's offset is less than 1 in any case.
        unbounded = np.full(len(lots), np.inf)
        entry = np.divide(self._contract.notional(held, 1.0), at_entry, out=unbounded, where=at_entry > 0.0)
        worst: Floats = side * (entry / price - 1.0)
        return worst
