"""Small markets for tests: plain rules, and both implementations by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from marginquake.sim.core.accounts import AccountTable
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.venue.exchange import Exchange, ExchangeRules
from tests.oracles.naive_exchange import NaiveExchange
from tests.support.ladder import Ladder, traders

IMPLEMENTATIONS: dict[str, Any] = {"naive": NaiveExchange, "kernel": Exchange}

PLAIN = ExchangeRules(
    lot_value=LotValue(1),
    ladder_size=300,
    maker_fee_ppm=0,
    taker_fee_ppm=0,
    liquidation_fee_ppm=0,
    bracket_cap=(10**12,),
    bracket_rate_ppm=(5_000,),
    bracket_deduction=(0,),
    bracket_initial_ppm=(10_000,),
    max_position_lots=1_000_000,
)
"""No fees, one bracket of 0.5 %, no band: what remains is matching."""


OpenMarket: TypeAlias = Callable[..., Ladder]
"""The fixture `open_market`: accounts, if any, and changes to the rules -> the market."""


def ladder(implementation: str, accounts: AccountTable | None = None, **changes: Any) -> Ladder:
    """A fresh market of well-funded traders under PLAIN rules with some changed."""
    rules = replace(PLAIN, **changes)
    table = traders(rules.lot_value) if accounts is None else accounts
    return Ladder(IMPLEMENTATIONS[implementation](rules, table))
