"""Money against what 64 bits hold: each amount that enters a market, and all of them together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, final

from pydantic import BaseModel

from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.integers.limits import MOST_LOTS, MOST_MARKET_MONEY, MOST_MONEY
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.problems import Problem
from marginquake.sim.scenario.bounds.numbers import Number, numbers_of
from marginquake.sim.scenario.checks import needs_other_side, problem_at
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.scenario.distributions.base import Distribution
from marginquake.sim.scenario.yaml_tree import Node, Path_

IN_D1: Final = "_d1"
"""End of the names of sizes in units of D1."""


MOST_TIMES: Final = 1e6
"""Who writes more than so many times what fits did not mean it: no unit of money helps."""


@final
@dataclass(frozen=True, slots=True)
class Member:
    """A population of a market as it was read; `tree`: as written."""

    name: str
    participant_class: Any
    config: Any
    tree: Node
    book: OpeningBook | None = None

    @property
    def count(self) -> int:
        """How many accounts it has; 0 where its file could not be read."""
        accounts = self.config.accounts
        return accounts if isinstance(accounts, int) else 0 if self.book is None else len(self.book)


def check_amounts(market: MarketConfig, tree: Node, members: Sequence[Member]) -> Iterator[Problem]:
    """Problems with one market whose contract is right.  `tree`: the market as written."""
    contract = spec_of(market)
    found = [
        *_check_each(market, tree, contract),
        *(each for member in members for each in _check_each(member.config, member.tree, contract)),
    ]
    yield from found
    yield from _check_sizes_in_d1(market, tree, contract, members)
    yield from _check_leverage(market, tree, contract)
    if not found:
        yield from _check_deposits(contract, members)


def check_all_money(market: MarketConfig, tree: Node, members: Sequence[Member]) -> Iterator[Problem]:
    """Deposits of all accounts, what scales them, and the insurance fund, together."""
    contract = spec_of(market)
    shares: Mapping[str, float] = {member.name: _deposits(member, market) for member in members}
    total = market.venue.insurance.initial + sum(shares.values())
    most = contract.to_amount(MOST_MARKET_MONEY)
    if total <= most:
        return
    message = (
        f"all money of {market.name} comes to {total:.3g} (deposits times accounts, and the insurance fund), more "
        f"than {most:.3g} (2^61 money units of {contract.amount_unit:g}); {way_out(contract, total / most)}"
    )
    largest = max(members, key=lambda member: shares[member.name], default=None)
    if largest is None or shares[largest.name] < market.venue.insurance.initial:
        yield problem_at(tree, ("venue", "insurance", "initial"), message, f"{market.venue.insurance.initial:g}")
    else:
        yield problem_at(largest.tree, ("deposit",), message)


def spec_of(market: MarketConfig) -> ContractSpec:
    """The integer contract of a market.  Raises ValueError where there is none."""
    contract = market.contract
    ticks = Decimal(str(contract.initial_price)) * Decimal(str(contract.max_price_multiple))
    top = int(ticks / Decimal(str(contract.tick_size)))
    return ContractSpec.from_fields(market.name, contract.model_dump(), top, contract.max_position_lots)


def way_out(contract: ContractSpec, times: float) -> str:
    """How to make room for so many times what fits: a larger unit of money, with all that hangs on it."""
    if times > MOST_TIMES:
        return "write less"
    exponent = math.ceil(math.log10(float(contract.money_unit)) + math.log10(max(times, 1.0)))
    larger = f"raise contract.money_unit to 1e{exponent:+03d} or more"
    if not contract.inverse and Decimal(10) ** exponent > contract.tick_size * contract.lot_size * contract.multiplier:
        larger += ", and lot_size or tick_size with it (one tick times one lot is a whole number of money units)"
    return f"{larger}, or write less"


def _check_each(block: BaseModel, tree: Node, contract: ContractSpec) -> Iterator[Problem]:
    """Each amount by itself: no more than all money that a market may hold."""
    most = contract.to_amount(MOST_MARKET_MONEY)
    for number in numbers_of(block):
        if number.unit == "amount" and abs(number.value) > most:
            yield problem_at(tree, number.path, _too_much(number.value, contract), f"{number.value:g}")


def _too_much(amount: float, contract: ContractSpec) -> str:
    most = contract.to_amount(MOST_MARKET_MONEY)
    return (
        f"is more than all money of a market may be, {most:.3g} (2^61 money units of {contract.amount_unit:g}); "
        f"{way_out(contract, abs(amount) / most)}"
    )


def _check_sizes_in_d1(
    market: MarketConfig, tree: Node, contract: ContractSpec, members: Sequence[Member]
) -> Iterator[Problem]:
    """Sizes that follow from D1 as lots, at the price at the start."""
    unit_lots = market.depth_1pct / contract.notional_per_lot(contract.to_ticks(market.contract.initial_price))
    if unit_lots > MOST_LOTS:
        yield problem_at(tree, ("depth_1pct",), _too_many_lots(unit_lots), f"{market.depth_1pct:g}")
        return
    blocks: list[tuple[BaseModel, Node]] = [(market, tree), *((each.config, each.tree) for each in members)]
    for block, node in blocks:
        for number in numbers_of(block):
            lots = abs(number.value) * unit_lots
            if _is_in_d1(number) and lots > MOST_LOTS:
                yield problem_at(node, number.path, f"of D1 {_too_many_lots(lots)}", f"{number.value:g}")


def _is_in_d1(number: Number) -> bool:
    return number.field.endswith(IN_D1)


def _too_many_lots(lots: float) -> str:
    return f"comes to {lots:.3g} lots, more than {MOST_LOTS:.3g} (2^40); raise the contract's lot, or write less"


def _check_leverage(market: MarketConfig, tree: Node, contract: ContractSpec) -> Iterator[Problem]:
    """Initial margin of the largest position fits: leverage is not too small for that."""
    least = contract.least_leverage
    paths: list[tuple[Path_, float]] = [
        (("venue", "brackets", position, "max_leverage"), bracket.max_leverage)
        for position, bracket in enumerate(market.venue.brackets)
    ]
    if market.venue.max_leverage is not None:
        paths.append((("venue", "max_leverage"), market.venue.max_leverage))
    for path, leverage in paths:
        if leverage < least:
            message = f"must be {least:.3g} or more: the initial margin of the largest position must fit in 64 bits"
            yield problem_at(tree, path, message, f"{leverage:g}")


def _check_deposits(contract: ContractSpec, members: Sequence[Member]) -> Iterator[Problem]:
    """What is certain of each account's deposit; draws beyond it are refused when accounts are opened."""
    most = contract.to_amount(MOST_MONEY)
    for member in members:
        deposit = getattr(member.config, "deposit", None)
        least = deposit.support()[0] if isinstance(deposit, Distribution) else deposit
        if least is not None and least > most:
            message = (
                f"is more than one account may hold, {most:.3g} (2^60 money units of {contract.amount_unit:g}); "
                f"{way_out(contract, least / most)}"
            )
            yield problem_at(member.tree, ("deposit",), message, f"{least:g}")


def _deposits(member: Member, market: MarketConfig) -> float:
    """Money that a population brings at the start, as far as it is certain: a mean, where there is one."""
    config = member.config
    deposit = getattr(config, "deposit", 0.0)
    each = _mean(deposit) if isinstance(deposit, Distribution) else float(deposit)
    scaled = needs_other_side(member.participant_class, config) and getattr(config, "scalable", True)
    scale = max(1.0, market.position_scale or 1.0) if scaled and member.book is None else 1.0
    if member.book is None:
        return member.count * each * scale
    stated = member.book.collateral
    known = stated == stated
    return float(stated[known].sum()) + each * int((~known).sum())


def _mean(deposit: Distribution) -> float:
    """Its mean; where that does not exist or cannot be had, its least value."""
    try:
        mean = deposit.mean()
    except OverflowError:
        mean = math.inf
    return mean if math.isfinite(mean) else deposit.support()[0]
