"""Funding of one market: the book is sampled during an interval; at its end longs pay shorts, or the reverse."""

import math
from typing import final

import numpy as np

from marginquake.sim.assets.oracle import Oracle
from marginquake.sim.core.accounts import ROUNDING_ROW
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.integers.limits import TooLarge
from marginquake.sim.core.records import EVENT, EventKind, MarginMode, Side
from marginquake.sim.rules.funding import FUNDING_RULES, FundingConfig, FundingInputs, MarginTerms
from marginquake.sim.venue.exchange import Exchange

PPB = 1_000_000_000


@final
class Funding:
    """Samples on the venue's `sample_period`, pays on its `interval`, from t = 0 on; the rate is the rule's."""

    def __init__(
        self, config: FundingConfig, terms: MarginTerms, contract: ContractSpec, exchange: Exchange, oracle: Oracle
    ) -> None:
        self._config = config
        self._contract = contract
        self._exchange = exchange
        self._oracle = oracle
        self._rule = FUNDING_RULES.make(config, terms)
        self._paid_ns = 0

    @property
    def rate(self) -> float:
        """The rate that traders see and fair prices are made of: the last payment's, unless the rule says otherwise."""
        return self._rule.accruing if self._config.enabled else 0.0

    @property
    def next_rate(self) -> float:
        """What the payment would be if the interval ended now, a fraction of notional; 0 without funding."""
        return self._rule.rate() if self._config.enabled else 0.0

    def time_left_fraction(self, now_ns: int) -> float:
        """Time to the next payment as a fraction of the interval; 0 where it is due now, 1 just after it."""
        interval = self._config.interval
        into_ns = now_ns % interval
        if into_ns == 0 and now_ns > self._paid_ns:
            return 0.0
        return 1.0 - into_ns / interval

    def advance(self, now_ns: int) -> None:
        """Sample the premium and pay, where it is time for it."""
        config = self._config
        if not config.enabled or now_ns < 0:
            return
        if now_ns % config.sample_period == 0:
            self._sample(now_ns)
        if now_ns > 0 and now_ns % config.interval == 0:
            self._pay(self._rule.settle(), now_ns)
            self._paid_ns = now_ns

    def _sample(self, now_ns: int) -> None:
        config, exchange = self._config, self._exchange
        notional = config.impact_notional / self._contract.notional_per_lot(1.0)
        bid = exchange.impact_ticks(Side.SELL, notional) or math.nan
        ask = exchange.impact_ticks(Side.BUY, notional) or math.nan
        # a sample at the end of an interval belongs to the one that ends
        left = self.time_left_fraction(now_ns) if now_ns % config.interval else 0.0
        self._rule.sample(FundingInputs(bid, ask, self._oracle.index_ticks, left))

    def _pay(self, rate: float, now_ns: int) -> None:
        """Each position pays rate * notional; the residue of rounding goes to the rounding row (eq. 12)."""
        exchange = self._exchange
        rows = exchange.accounts.rows
        mark = round(self._oracle.index_ticks) if self._rule.on_oracle_price else exchange.mark_ticks
        if not abs(rate) <= 1.0:
            raise TooLarge(f"{self._contract.name}: a funding rate of {rate:g} is more than the whole notional")
        ppb = round(rate * PPB)
        held = np.flatnonzero(rows["position_lots"][: exchange.accounts.count])
        notional = rows["position_lots"][held] * abs(self._contract.lot_value.value_of_lot(mark))
        payment = notional // PPB * ppb + notional % PPB * ppb // PPB
        rows["collateral"][held] -= payment
        isolated = rows["mode"][held] == MarginMode.ISOLATED
        rows["isolated_margin"][held[isolated]] -= payment[isolated]
        rows["collateral"][ROUNDING_ROW] += int(payment.sum())
        exchange.relink(held)
        event = np.zeros(1, EVENT)
        event["kind"] = EventKind.FUNDING
        event["time_ns"] = now_ns
        event["account"] = -1
        event["maker_account"] = -1
        event["mark_ticks"] = exchange.mark_ticks
        event["price_ticks"] = mark
        event["money"] = int(np.abs(payment).sum()) // 2
        event["quantity_lots"] = ppb
        exchange.append_events(event)
