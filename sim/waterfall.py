"""Bankruptcy: the insurance fund takes positions over, and when it cannot, winners are deleveraged (ADL).

Only settlement and this module write the ledger.  Every amount is an exact integer; nothing is created: positions keep
summing to zero and sum(collateral) - sum(cost) does not change.  Equation numbers are those of docs/model.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.accounts import INSURANCE_ROW, ROUNDING_ROW, SYSTEM_ROWS, AccountTable, Rows
from sim.adl_rankings import ADL_RANKINGS, RankingInputs
from sim.kernels import takeover
from sim.margin import BracketSchedule, backing_equity, backing_money
from sim.records import EVENT, Cause, EventKind, MarginMode, Stage

PPM = 1_000_000
Floats = NDArray[np.float64]


def binance_adl_score(unrealised_pnl: float, wallet_balance: float, margin_ratio: float) -> float:
    """max(0, unrealised) / max(1, wallet) * margin ratio (eq. 17); amounts in quote units; Binance USD-M, grade B.

    `margin_ratio` is the venue's: maintenance / (wallet + unrealised), 0 where that denominator is not positive.
    """
    return max(0.0, unrealised_pnl) / max(1.0, wallet_balance) * margin_ratio


def allocate_adl(quantity_lots: int, candidate_lots: Sequence[int], scores: Sequence[float]) -> list[int]:
    """Lots closed at each candidate: the highest score closes first and whole, ties in the order given (eq. 18).

    The sum is `quantity_lots`, or all that the candidates have.
    """
    closed = [0] * len(candidate_lots)
    left = quantity_lots
    for place in sorted(range(len(candidate_lots)), key=lambda i: -scores[i]):
        closed[place] = min(left, candidate_lots[place])
        left -= closed[place]
        if left == 0:
            break
    return closed


def insurance_draw(position: float, entry_price: float, collateral: float, fill_price: float) -> float:
    """What the insurance fund pays when a position closes at `fill_price`: the equity below zero (dYdX, grade A).

    `position` is signed, in base units; amounts and prices in quote units.
    """
    return max(0.0, -(collateral + position * (fill_price - entry_price)))


@final
@dataclass(frozen=True)
class Deleveraging:
    """Outcome of closing a bankrupt account against a counterparty, quote units."""

    price: float
    counterparty_pnl: float
    bankrupt_equity: float


def deleverage_at_bankruptcy(
    position: float, entry_price: float, collateral: float, counterparty_position: float, counterparty_entry: float
) -> Deleveraging:
    """Both sides close at the bankrupt account's bankruptcy price (eq. 8, 19); the counterparty is opposite.

    `position` and `counterparty_position` are signed; as much as both have is closed.  Binance, BitMEX, dYdX, grade A.
    """
    price = entry_price - collateral / position
    quantity = min(abs(position), abs(counterparty_position))
    side = 1.0 if counterparty_position > 0 else -1.0
    profit = side * quantity * (price - counterparty_entry)
    return Deleveraging(price, profit, collateral + position * (price - entry_price))


@final
@dataclass(frozen=True)
class Outcome:
    """What one bankruptcy did: its events in order, and the traders' rows whose positions changed (to be relinked)."""

    events: NDArray[Any]
    rows: Rows


@final
class Waterfall:
    """The last steps of a bankruptcy: takeover by the insurance fund, then ADL at the bankruptcy price.

    `set_mark` begins a scan; candidates are ranked once per scan and side, when first needed, and what the ranked
    accounts still hold is read live.  The resting orders and the `stage` of an account are the venue's business.
    `price_band_ppm` > 0 keeps ADL within that distance of the mark (as Bybit does); 0 is the plain rule.
    """

    def __init__(
        self,
        accounts: AccountTable,
        brackets: BracketSchedule,
        *,
        money_per_quote: float,
        ranking: str = "binance",
        price_band_ppm: int = 0,
    ) -> None:
        self._accounts = accounts
        self._rows = accounts.rows
        self._value = accounts.money_per_tick_lot
        self._brackets = brackets
        self._money_per_quote = money_per_quote
        self._ranking = ADL_RANKINGS[ranking]
        self._band_ppm = price_band_ppm
        self._mark_ticks = 0
        self._ranked: dict[int, _Queue] = {}

    @property
    def fund_equity(self) -> int:
        """Collateral of the insurance fund plus the unrealised profit of what it took over, money, at the mark."""
        return self._equity(INSURANCE_ROW)

    def set_mark(self, mark_ticks: int) -> None:
        """Begin a scan at this mark: rankings are made afresh."""
        self._mark_ticks = mark_ticks
        self._ranked.clear()

    def take_over(self, rows: Rows, time_ns: int) -> Outcome:
        """Close accounts at their bankruptcy prices, in order: the fund takes each over if it can bear it, else ADL.

        Eq. 19.  The fund can bear one while its equity at the mark stays at or above zero.  The account's backing
        becomes exactly 0; an isolated account keeps the rest of its collateral.  A TAKEOVER event, or ADL and
        INSURANCE events.
        """
        rows = rows[(rows >= SYSTEM_ROWS) & (self._rows["position_lots"][rows] != 0)]
        first = 0
        events: list[NDArray[Any]] = []
        changed: list[Rows] = []
        buffer = np.zeros(takeover.EVENTS_PER_ROW * len(rows), EVENT)
        while first < len(rows):
            written = np.zeros(1, np.int64)
            done = takeover.absorb(self._rows, self._value, self._mark_ticks, rows, first, time_ns, buffer, written)
            events.append(buffer[: written[0]].copy())
            changed.append(rows[first:done])
            if done < len(rows):
                outcome = self._deleverage(int(rows[done]), time_ns)
                events.append(outcome.events)
                changed.append(outcome.rows)
            first = done + 1
        if not events:
            return Outcome(np.zeros(0, EVENT), np.zeros(0, np.int64))
        return Outcome(np.concatenate(events), np.concatenate(changed))

    def deleverage_fund(self, time_ns: int) -> Outcome:
        """ADL of all that the fund holds, at its own bankruptcy price, when its equity at the mark is below zero."""
        if self.fund_equity >= 0 or self._rows["position_lots"][INSURANCE_ROW] == 0:
            return Outcome(np.zeros(0, EVENT), np.zeros(0, np.int64))
        return self._deleverage(INSURANCE_ROW, time_ns)

    def _deleverage(self, bankrupt: int, time_ns: int) -> Outcome:
        """Close `bankrupt` whole against ranked opposite accounts; splitting its money leaves a residue of rounding."""
        position = int(self._rows["position_lots"][bankrupt])
        side = 1 if position > 0 else -1
        money = self._within_band(position, int(self._rows["cost"][bankrupt]) - self._backing(bankrupt))
        left = abs(position)
        paid = 0
        changed = [bankrupt]
        events: list[NDArray[Any]] = []
        self._transfer(bankrupt, -position, -money)
        while left > 0:
            row, held = self._next_counterparty(-side, bankrupt)
            lots = min(left, held)
            share = _share(money, lots, abs(position))
            profit = self._transfer(row, side * lots, share)
            left -= lots
            paid += share
            changed.append(row)
            event = self._event(EventKind.ADL, Cause.ADL, time_ns, row, bankrupt)
            event["side"] = side
            event["quantity_lots"] = lots
            event["price_ticks"] = self._nearest_ticks(position, money)
            event["money"] = profit
            events.append(event)
            events.extend(self._cover_deficit(row, Cause.ADL, time_ns))
        self._rows["collateral"][ROUNDING_ROW] -= money - paid
        events.extend(self._cover_deficit(bankrupt, Cause.ADL, time_ns))
        traders = [row for row in dict.fromkeys(changed) if row >= SYSTEM_ROWS]
        return Outcome(np.concatenate(events), np.array(traders, np.int64))

    def _next_counterparty(self, sign: int, bankrupt: int) -> tuple[int, int]:
        """The highest-ranked account with a position of this sign, and its lots; the fund itself comes last."""
        queue = self._ranked.get(sign)
        for fresh in (False, True):
            if queue is None or fresh:
                queue = self._ranked[sign] = self._rank(sign)
            while queue.place < len(queue.rows):
                row = queue.rows[queue.place]
                held = sign * int(self._rows["position_lots"][row])
                if held > 0:
                    return row, held
                queue.place += 1
        held = sign * int(self._rows["position_lots"][INSURANCE_ROW])
        assert bankrupt != INSURANCE_ROW, "every long lot has a short lot"
        assert held > 0, "every long lot has a short lot"
        return INSURANCE_ROW, held

    def _rank(self, sign: int) -> "_Queue":
        position = self._rows["position_lots"][SYSTEM_ROWS : self._accounts.count]
        candidates = np.flatnonzero(position * sign > 0) + SYSTEM_ROWS
        inputs = RankingInputs(
            self._rows[candidates], self._mark_ticks, self._value, self._money_per_quote, self._brackets
        )
        order = np.argsort(-self._ranking(inputs), kind="stable")
        return _Queue(candidates[order].tolist())

    def _transfer(self, row: int, lots: int, cost: int) -> int:
        """Settle a transfer of signed `lots` that cost `cost` (signed money) as a fill would be, without fees (eq. 20).

        Returns the realised profit.  Closing an isolated position releases its margin in proportion.
        """
        account = self._rows[row : row + 1]
        position, held_cost = int(account["position_lots"][0]), int(account["cost"][0])
        if position * lots >= 0:
            account["position_lots"] = position + lots
            account["cost"] = held_cost + cost
            return 0
        closed = min(abs(lots), abs(position))
        released = _share(held_cost, closed, abs(position))
        used = _share(cost, closed, abs(lots))
        realised = -(released + used)
        account["collateral"] += realised
        account["position_lots"] = position + lots
        account["cost"] = held_cost - released + cost - used
        if account["mode"][0] == MarginMode.ISOLATED:
            margin = int(account["isolated_margin"][0])
            freed = margin if closed == abs(position) else margin * closed // abs(position)
            account["isolated_margin"] = margin - freed + min(0, freed + realised)
        return realised

    def _cover_deficit(self, row: int, cause: Cause, time_ns: int) -> list[NDArray[Any]]:
        """A closed account below zero is lifted as far as the fund's collateral goes: an INSURANCE event."""
        account = self._rows[row : row + 1]
        if row < SYSTEM_ROWS or account["position_lots"][0] != 0:
            return []
        deficit = max(0, -int(account["collateral"][0]))
        if account["mode"][0] == MarginMode.ISOLATED:
            margin = int(account["isolated_margin"][0])
            if account["stage"][0] > Stage.WARNED and margin < 0:
                deficit = -margin
            account["isolated_margin"] = 0
        if deficit == 0:
            return []
        paid = min(deficit, max(0, int(self._rows["collateral"][INSURANCE_ROW])))
        self._rows["collateral"][INSURANCE_ROW] -= paid
        account["collateral"] += paid
        event = self._event(EventKind.INSURANCE, cause, time_ns, row, INSURANCE_ROW)
        event["money"] = paid
        return [event]

    def _within_band(self, position: int, money: int) -> int:
        """The money of closing `position` at bankruptcy, moved so that its price stays within the band of the mark."""
        if self._band_ppm == 0:
            return money
        reach = self._mark_ticks * self._band_ppm // PPM
        ends = [position * (self._mark_ticks + step) * self._value for step in (-reach, reach)]
        return min(max(money, min(ends)), max(ends))

    def _equity(self, row: int) -> int:
        account = self._rows[row : row + 1]
        return int(backing_equity(account, self._mark_ticks, self._value)[0])

    def _backing(self, row: int) -> int:
        return int(backing_money(self._rows[row : row + 1])[0])

    def _nearest_ticks(self, position: int, money: int) -> int:
        per_tick = abs(position) * self._value
        ticks = (2 * (money if position > 0 else -money) + per_tick) // (2 * per_tick)
        return min(max(ticks, -(2**31)), 2**31 - 1)

    def _event(self, kind: EventKind, cause: Cause, time_ns: int, account: int, other: int) -> NDArray[Any]:
        event = np.zeros(1, EVENT)
        event["time_ns"] = time_ns
        event["account"] = account
        event["maker_account"] = other
        event["mark_ticks"] = self._mark_ticks
        event["kind"] = kind
        event["cause"] = cause
        return event


@final
class _Queue:
    """Ranked candidates of one side and how far ADL has got."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows
        self.place = 0


def _share(amount: int, part: int, whole: int) -> int:
    """`amount * part / whole`, toward zero; all of it when part == whole."""
    share = abs(amount) * part // whole
    return share if amount >= 0 else -share
