"""The engine's side of liquidation: what it may ask of the venue, and what it may do.

Implements the protocol `sim.rules.liquidation.LiquidationDesk`; the engine itself is a participant.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, Rows
from marginquake.sim.core.margin import backing_equity, bankruptcy_ticks, position_notional
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.venue.margin_calls import MarginCalls
from marginquake.sim.venue.venue import Venue


@final
class LiquidationDesk:
    """Answers at the mark of the present scan; what it does to an account's stage goes through `MarginCalls`."""

    def __init__(self, venue: Venue, calls: MarginCalls) -> None:
        self._venue = venue
        self._calls = calls
        self._table = venue.accounts.rows
        self._positions = self._table["position_lots"]
        fund = np.array([INSURANCE_ROW])
        self._fund_orders = OrderEntry(venue.accounts, fund, venue.spot, venue.ids, Cause.TAKEOVER)
        view = venue.accounts.rows.view()
        view.flags.writeable = False
        self._view = view

    # -- what it may ask -----------------------------------------------------------------------------------------------

    @property
    def rows_view(self) -> NDArray[Any]:
        """Read-only ACCOUNT rows of the whole market."""
        return self._view

    @property
    def mark_ticks(self) -> int:
        """Current mark."""
        return self._venue.exchange.mark_ticks

    @property
    def capacity(self) -> int:
        """Accounts that the engine may handle in this scan."""
        return self._calls.capacity

    def in_liquidation(self) -> Rows:
        """Rows in stage LIQUIDATING whose last forced order has been processed, oldest first."""
        return self._calls.in_liquidation()

    def equity(self, rows: Rows) -> NDArray[np.int64]:
        """Backing plus unrealised profit at the mark, money."""
        return self._calls.equity(rows)

    def equity_at(self, rows: Rows, price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Equity at a price for each account, money."""
        return backing_equity(self._table.take(rows), price_ticks, self._venue.contract.lot_value)

    def maintenance(self, rows: Rows) -> NDArray[np.int64]:
        """Maintenance margin at the mark, money."""
        return self._calls.maintenance(rows)

    def margin_excess(self, rows: Rows) -> NDArray[np.int64]:
        """Equity minus maintenance margin at the mark, money."""
        return self._calls.margin_excess(rows)

    def notional(self, rows: Rows) -> NDArray[np.int64]:
        """Value of the position at the mark, money."""
        return position_notional(self._table.take(rows), self.mark_ticks, self._venue.contract.lot_value)

    def lower_tier_lots(self, rows: Rows) -> NDArray[np.int64]:
        """Lots that fit the bracket below each account's own, at the mark; 0 in the lowest bracket."""
        brackets, notional = self._venue.brackets, self.notional(rows)
        tier = brackets.bracket_of(notional)
        cap = np.array((0, *brackets.cap), object)[tier]
        lots = np.abs(self._table["position_lots"][rows]).astype(object)
        fitting: NDArray[np.int64] = (lots * cap // np.maximum(notional, 1)).astype(np.int64)
        return fitting

    def bankruptcy_ticks(self, rows: Rows) -> NDArray[np.int64]:
        """Last tick at which each account's equity is not negative."""
        return bankruptcy_ticks(self._table.take(rows), self._venue.contract.lot_value)

    def within_band(self, side: NDArray[np.int64], price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """These limit prices, no further from the mark than the venue's price band lets orders of that side trade."""
        low, high = self._venue.exchange.band_ticks
        return np.where(side > 0, np.minimum(price_ticks, high), np.maximum(price_ticks, low))

    @property
    def loss_allowance(self) -> int | None:
        """What the fund may still lose in this scan, money; None where there is no limit."""
        limited = self._venue.config.venue.insurance.max_loss_per_scan is not None
        return self._venue.waterfall.allowance if limited else None

    @property
    def fund_position_lots(self) -> int:
        """Signed position that the insurance fund holds from takeovers."""
        return int(self._positions.item(INSURANCE_ROW))

    # -- what it may do ------------------------------------------------------------------------------------------------

    @property
    def fund_orders(self) -> OrderEntry:
        """Order entry on the insurance row, cause TAKEOVER."""
        return self._fund_orders

    def take_in_hand(self, rows: Rows) -> None:
        """The engine decides on these accounts in this scan, whether it sends an order or not: its capacity pays."""
        self._calls.take_in_hand(rows)

    def reserve_loss(self, money: int) -> None:
        """Orders sent in this scan may cost the fund so much."""
        self._venue.waterfall.reserve(money)

    def review_calls(self) -> Rows:
        """Release the called accounts that are cured; returns those whose forced sale may begin, the worst first."""
        return self._calls.review_calls()

    def start(self, rows: Rows) -> None:
        """Liquidation begins: the accounts may no longer trade."""
        self._calls.start(rows)

    def release(self, rows: Rows) -> None:
        """Closed or compliant again: free to trade, and watched."""
        self._calls.release(rows)

    def take_over(self, rows: Rows) -> Rows:
        """The waterfall: the fund takes each position at its bankruptcy price, or ADL closes it.

        Returns whom the fund took.
        """
        venue, calls = self._venue, self._calls
        equity = calls.equity(rows)
        calls.give_up(rows)
        outcome = venue.waterfall.take_over(rows, calls.now_ns)
        calls.audit.settle_takeover(outcome.events)
        calls.settle_waterfall(outcome)
        unseen = np.maximum(0, -equity - self._debt_left(rows, outcome.events))
        venue.bad_debt += venue.contract.to_amount(int(unseen.sum()))
        calls.release(rows)
        return outcome.absorbed

    def _debt_left(self, rows: Rows, events: NDArray[Any]) -> NDArray[np.int64]:
        """What the waterfall left these accounts owing: counted where the fund pays it, or at the end of the run."""
        insured = events[events["kind"] == EventKind.INSURANCE]
        paid = np.zeros(len(rows), np.int64)
        if len(insured):
            order = np.argsort(rows)
            place = order[np.searchsorted(rows, insured["account"], sorter=order).clip(max=len(rows) - 1)]
            own = rows[place] == insured["account"]
            np.add.at(paid, place[own], insured["money"][own])
        accounts = self._table.take(rows)
        owed = np.where(accounts["position_lots"] == 0, np.maximum(0, -accounts["collateral"]), 0)
        left: NDArray[np.int64] = paid + owed
        return left
