"""Bankruptcy: the insurance fund takes positions over; what it cannot bear is deleveraged (ADL) or socialised.

Only settlement and this module write the ledger.  Every amount is an exact integer; nothing is created: positions keep
summing to zero and sum(collateral) - sum(cost) does not change.  Equation numbers are those of docs/model.md.
"""

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, AccountTable, Rows
from marginquake.sim.core.margin import BracketSchedule, backing_equity, backing_money
from marginquake.sim.core.records import EVENT, Cause, EventKind
from marginquake.sim.core.typing import Floats
from marginquake.sim.kernels import takeover
from marginquake.sim.rules.adl_allocation import ADL_ALLOCATIONS, Candidates, haircuts
from marginquake.sim.rules.adl_ranking import ADL_RANKINGS, RankingInputs
from marginquake.sim.rules.adl_trigger import ADL_TRIGGERS
from marginquake.sim.scenario.config import VenueConfig

PPM = 1_000_000
NO_LIMIT = 2**62
FIRST_LOOK = 32
"""Ranked accounts that are looked at first."""
NO_EVENTS = np.empty(0, EVENT)
NO_ROWS = np.empty(0, np.int64)


class Draws(Protocol):
    """The part of `sim.market.streams.Stream` that a ranking needs."""

    def uniform(self, counter: int, size: int, first: int = 0) -> Floats:
        """`size` uniforms in (0, 1)."""
        ...


@final
@dataclass(frozen=True)
class Bankruptcies:
    """What bankruptcies did: events in order, the traders' rows that changed (to be relinked), and which of the rows
    asked for the fund took over."""

    events: NDArray[Any]
    rows: Rows
    absorbed: Rows


@final
class Waterfall:
    """The last steps of a bankruptcy: takeover by the insurance fund, then ADL or a socialised loss.

    `set_mark` begins a scan; candidates are ranked once per scan and side, when first needed, and what they still hold
    is read live.  The resting orders and the `stage` of an account are the venue's business.  `draws`: for rankings
    that draw lots.
    """

    def __init__(
        self,
        accounts: AccountTable,
        brackets: BracketSchedule,
        *,
        money_per_quote: float,
        rules: VenueConfig | None = None,
        draws: Draws | None = None,
    ) -> None:
        rules = VenueConfig() if rules is None else rules
        self._accounts = accounts
        self._rows = accounts.rows
        self._lot_value = accounts.lot_value
        self.brackets = brackets
        self._money_per_quote = money_per_quote
        self._ranking = ADL_RANKINGS.make(rules.adl.ranking)
        self._allocation = ADL_ALLOCATIONS.make(rules.adl.allocation)
        self._trigger = ADL_TRIGGERS.make(rules.adl)
        self._at_previous_mark = rules.adl.price == "previous_mark"
        self._band_ppm = round((rules.adl.price_band or 0.0) * PPM)
        self._socialised = rules.insurance.shortfall == "socialised"
        most = rules.insurance.max_loss_per_scan
        self._most_loss = NO_LIMIT if most is None else round(most * money_per_quote)
        self._draws = draws
        self._time_ns = 0
        self._mark_ticks = 0
        self._previous_ticks = 0
        self._limits = np.array([0, self._most_loss], np.int64)
        self._ranked: dict[int, _Ranked] = {}
        self.socialised_money = 0
        """Unrealised profit that winners have lost so far to socialised losses, money."""

    @property
    def fund_equity(self) -> int:
        """Collateral of the insurance fund plus the unrealised profit of what it took over, money, at the mark."""
        return int(backing_equity(self._rows[INSURANCE_ROW : INSURANCE_ROW + 1], self._mark_ticks, self._lot_value)[0])

    @property
    def allowance(self) -> int:
        """What the fund may still lose in this scan, money."""
        return int(self._limits[takeover.ALLOWANCE])

    def reserve(self, money: int) -> None:
        """Orders of this scan may cost the fund so much: the allowance is smaller by it."""
        self._limits[takeover.ALLOWANCE] -= money

    def set_mark(self, mark_ticks: int, time_ns: int = 0, previous_ticks: int = 0) -> None:
        """Begin a scan at this mark: accounts are ranked again.  `previous_ticks`: the mark before it, 0 if none."""
        self._time_ns = time_ns
        self._mark_ticks = mark_ticks
        self._previous_ticks = previous_ticks or mark_ticks
        self._ranked.clear()
        self._trigger.observe(time_ns, self.fund_equity)
        self._limits[takeover.LEAST_EQUITY] = self._trigger.least_equity()
        self._limits[takeover.ALLOWANCE] = self._most_loss

    def take_over(self, rows: Rows, time_ns: int) -> Bankruptcies:
        """Close accounts at their bankruptcy prices, in order: the fund takes each over if it can bear it, else ADL.

        Eq. 19.  The fund can bear one while its equity at the mark stays at or above what the trigger of ADL leaves it
        and it loses no more in a scan than it may.  The account's backing becomes exactly 0; an isolated account keeps
        the rest of its collateral.  A TAKEOVER event, or ADL and INSURANCE events.  Where losses are socialised,
        winners first pay what the fund lacks for all of `rows` (SOCIALISED events); ADL is then the last resort.
        """
        rows = rows[(rows >= SYSTEM_ROWS) & (self._rows["position_lots"][rows] != 0)]
        rows = np.array(list(dict.fromkeys(rows.tolist())), np.int64)
        first = 0
        paid = not self._socialised
        events: list[NDArray[Any]] = []
        changed: list[Rows] = []
        absorbed: list[Rows] = []
        buffer = np.zeros(takeover.EVENTS_PER_ROW * len(rows), EVENT)
        while first < len(rows):
            written = np.zeros(1, np.int64)
            done = takeover.absorb(
                self._rows, *self._lot_value, self._mark_ticks, rows, first, self._limits, time_ns, buffer, written
            )
            events.append(buffer[: written[0]].copy())
            absorbed.append(rows[first:done])
            changed.append(rows[first:done])
            first = done
            if first == len(rows):
                break
            if not paid:
                equity = backing_equity(self._rows[rows[first:]], self._mark_ticks, self._lot_value)
                # The better ones first: then the fund is never lower than at the end.
                rows[first:] = rows[first:][np.argsort(-equity, kind="stable")]
                outcome = self._socialise(self._lacking(equity), time_ns)
                paid = True
            else:
                self._trigger.refused()
                self._limits[takeover.LEAST_EQUITY] = self._trigger.least_equity()
                outcome = self._deleverage(int(rows[first]), time_ns)
                first += 1
            events.append(outcome.events)
            changed.append(outcome.rows)
        if not events:
            return Bankruptcies(NO_EVENTS, NO_ROWS, NO_ROWS)
        return Bankruptcies(np.concatenate(events), np.concatenate(changed), np.concatenate(absorbed))

    def deleverage_fund(self, time_ns: int) -> Bankruptcies:
        """When the fund's equity at the mark is below zero: winners pay what is missing, where losses are socialised;
        otherwise, or if that is not enough, ADL of all that the fund holds at its own bankruptcy price."""
        outcome = Bankruptcies(NO_EVENTS, NO_ROWS, NO_ROWS)
        if self.fund_equity >= 0 or self._rows["position_lots"][INSURANCE_ROW] == 0:
            return outcome
        if self._socialised:
            outcome = self._socialise(-self.fund_equity, time_ns)
            if self.fund_equity >= 0:
                return outcome
        last = self._deleverage(INSURANCE_ROW, time_ns)
        return Bankruptcies(
            np.concatenate([outcome.events, last.events]), np.concatenate([outcome.rows, last.rows]), NO_ROWS
        )

    def _lacking(self, equity: NDArray[np.int64]) -> int:
        """Money that the fund lacks to take over accounts of this equity at the mark, by either of its limits."""
        least = int(self._limits[takeover.LEAST_EQUITY])
        loss = -int(np.minimum(equity, 0).sum())
        return max(0, least - self.fund_equity - int(equity.sum()), loss - self.allowance)

    def _socialise(self, shortfall: int, time_ns: int) -> Bankruptcies:
        """All winners give up the same share of their unrealised profit, for the fund (eq. 125): SOCIALISED events."""
        rows = SYSTEM_ROWS + np.flatnonzero(self._rows["position_lots"][SYSTEM_ROWS : self._accounts.count])
        holders = self._rows[rows]
        profit = backing_equity(holders, self._mark_ticks, self._lot_value) - backing_money(holders)
        rows, profit = rows[profit > 0], profit[profit > 0]
        amounts = haircuts(shortfall, profit)
        rows, amounts = rows[amounts > 0], amounts[amounts > 0]
        given = int(takeover.haircut(self._rows, rows, amounts))
        self.socialised_money += given
        self._limits[takeover.ALLOWANCE] = min(NO_LIMIT, self.allowance + given)
        events = np.zeros(len(rows), EVENT)
        events["time_ns"] = time_ns
        events["account"] = rows
        events["maker_account"] = INSURANCE_ROW
        events["mark_ticks"] = self._mark_ticks
        events["money"] = amounts
        events["kind"] = EventKind.SOCIALISED
        events["cause"] = Cause.ADL
        return Bankruptcies(events, rows, NO_ROWS)

    def _deleverage(self, bankrupt: int, time_ns: int) -> Bankruptcies:
        """Close `bankrupt` whole against opposite accounts, ranked and allotted as the venue does; splitting its money
        leaves a residue of rounding."""
        position = int(self._rows["position_lots"][bankrupt])
        money = self._closing_money(bankrupt, position)
        rows, lots = self._counterparties(bankrupt, -1 if position > 0 else 1, abs(position))
        events = np.zeros(2 * len(rows) + 1, EVENT)
        ticks = self._lot_value.nearest_ticks(position, money)
        relief = self._relief(position, money, int(lots[-1])) if INSURANCE_ROW in rows[-1:] else 0
        count = takeover.deleverage(
            self._rows, self._mark_ticks, bankrupt, money, relief, ticks, rows, lots, self._limits, time_ns, events
        )
        changed = np.concatenate([np.array([bankrupt]), rows])
        return Bankruptcies(events[:count], changed[changed >= SYSTEM_ROWS], NO_ROWS)

    def _relief(self, position: int, money: int, lots: int) -> int:
        """Money that the fund, where it closes `lots` of a bankrupt position as the last counterparty, lacks to close
        them for its share of `money`: it never closes below zero, and what it cannot bear stays the account's debt."""
        part = abs(money) * lots // abs(position) * (1 if money > 0 else -1)
        gain = (1 if position > 0 else -1) * lots * self._lot_value.value_of_lot(self._mark_ticks) - part
        return max(0, min(self.fund_equity, 0) - (self.fund_equity + gain))

    def _counterparties(self, bankrupt: int, sign: int, quantity: int) -> tuple[Rows, NDArray[np.int64]]:
        """Who closes how many lots; all of them hold a position of this sign.  The fund itself comes last."""
        ranked = self._ranked.get(sign)
        if ranked is None:
            ranked = self._ranked[sign] = self._rank(sign)
        # Within a scan nobody's position grows: who was no candidate when they were ranked is none now.
        seen = ranked.top(self._rows, sign, quantity) if self._allocation.from_the_top else slice(None)
        held = np.maximum(sign * self._rows["position_lots"][ranked.rows[seen]], 0)
        lots = self._allocation.divide(quantity, Candidates(held, ranked.scores[seen], ranked.winners[seen]))
        closing = lots > 0
        rows, lots = ranked.rows[seen][closing], lots[closing]
        left = quantity - int(lots.sum())
        if left > 0:
            held_by_fund = sign * int(self._rows["position_lots"][INSURANCE_ROW])
            assert bankrupt != INSURANCE_ROW, "every long lot has a short lot"
            assert held_by_fund >= left, "every long lot has a short lot"
            rows, lots = np.append(rows, INSURANCE_ROW), np.append(lots, left)
        return rows, lots

    def _rank(self, sign: int) -> "_Ranked":
        position = self._rows["position_lots"][SYSTEM_ROWS : self._accounts.count]
        candidates = np.flatnonzero(position * sign > 0) + SYSTEM_ROWS
        draw = 0.5 if self._draws is None else float(self._draws.uniform(self._time_ns, 1, (sign + 1) // 2)[0])
        inputs = RankingInputs(
            self._rows[candidates], self._mark_ticks, self._lot_value, self._money_per_quote, self.brackets, draw
        )
        scores = self._ranking.scores(inputs)
        order = np.argsort(-scores, kind="stable")
        return _Ranked(candidates[order], scores[order], inputs.unrealised[order] > 0.0)

    def _closing_money(self, bankrupt: int, position: int) -> int:
        """Signed money at which a bankrupt position closes: its value at the bankruptcy price, or at the previous mark;
        no further from the mark than the band.  The fund never closes below zero."""
        account = self._rows[bankrupt : bankrupt + 1]
        at_bankruptcy = int(account["cost"][0]) - int(backing_money(account)[0])
        money = (
            position * self._lot_value.value_of_lot(self._previous_ticks) if self._at_previous_mark else at_bankruptcy
        )
        if self._band_ppm:
            reach = self._mark_ticks * self._band_ppm // PPM
            prices = (max(1, self._mark_ticks - reach), self._mark_ticks + reach)
            ends = [position * self._lot_value.value_of_lot(price) for price in prices]
            money = min(max(money, min(ends)), max(ends))
        return max(money, at_bankruptcy) if bankrupt == INSURANCE_ROW else money


@final
class _Ranked:
    """Candidates of one side, best first, as they were ranked in this scan."""

    def __init__(self, rows: Rows, scores: Floats, winners: NDArray[np.bool_]) -> None:
        self.rows = rows
        self.scores = scores
        self.winners = winners
        self._place = 0

    def top(self, accounts: NDArray[Any], sign: int, quantity: int) -> slice:
        """Where the best of those that still hold something are, as many as hold `quantity` between them: of a long
        queue only its head is looked at."""
        size = FIRST_LOOK
        while True:
            rows = self.rows[self._place : self._place + size]
            held = np.maximum(sign * accounts["position_lots"][rows], 0)
            gone = int(np.argmax(held > 0)) if held.any() else len(rows)
            self._place += gone
            end = self._place + len(rows) - gone
            if held.sum() >= quantity or end >= len(self.rows):
                return slice(self._place, end)
            size *= 2
