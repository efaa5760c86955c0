"""Words that people write for fields that are called otherwise here: each with the field, or what to write instead."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from marginquake.sim.scenario.config import MarketConfig, ScenarioHead
from marginquake.sim.scenario.yaml_tree import Path_

POPULATION: Final = "populations.NAME."
"""A path that begins so is a field of any population; there the suggestion is the field alone."""

SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    # the contract
    "price": ("contract.initial_price",),
    "start_price": ("contract.initial_price",),
    "starting_price": ("contract.initial_price",),
    "spot_price": ("contract.initial_price",),
    "s0": ("contract.initial_price",),
    "tick": ("contract.tick_size",),
    "price_tick": ("contract.tick_size",),
    "price_increment": ("contract.tick_size",),
    "min_tick": ("contract.tick_size",),
    "lot": ("contract.lot_size",),
    "step_size": ("contract.lot_size",),
    "min_qty": ("contract.lot_size",),
    "quantity_step": ("contract.lot_size",),
    "contract_size": ("contract.multiplier", "contract.contract_value"),
    "contract_type": ("contract.type",),
    "max_price": ("contract.max_price_multiple",),
    "position_limit": ("contract.max_position_lots",),
    "max_position": ("contract.max_position_lots", POPULATION + "max_position_d1"),
    # the outside
    "sigma": ("index.fundamental.volatility",),
    "vol": ("index.fundamental.volatility",),
    "volatility": ("index.fundamental.volatility", POPULATION + "volatility"),
    "annual_volatility": ("index.fundamental.volatility",),
    "drift": ("index.fundamental.drift",),
    "mu": ("index.fundamental.drift",),
    "shock": ("index.shocks",),
    "shocks": ("index.shocks",),
    "crash": ("index.shocks",),
    "size": ("log_return",),
    "magnitude": ("log_return",),
    "return": ("log_return",),
    "move": ("log_return",),
    "start": ("at",),
    "start_time": ("at",),
    "time": ("at",),
    "length": ("over", "for"),
    "jump": ("index.fundamental.jumps",),
    "jumps": ("index.fundamental.jumps",),
    "replay": ("index.fundamental.file",),
    "csv": ("index.fundamental.file",),
    "path": ("file",),
    "filename": ("file",),
    "fundamental": ("index.fundamental",),
    "feedback": ("index.feedback",),
    # the venue
    "insurance_fund": ("venue.insurance",),
    "insurance": ("venue.insurance",),
    "fund": ("venue.insurance",),
    "insurance_fund_size": ("venue.insurance.initial",),
    "insurance_size": ("venue.insurance.initial",),
    "fees": ("venue.fees",),
    "fee": ("venue.fees",),
    "commission": ("venue.fees.taker",),
    "maker_fee": ("venue.fees.maker",),
    "taker_fee": ("venue.fees.taker",),
    "liquidation_fee": ("venue.fees.liquidation",),
    "clearance_fee": ("venue.fees.liquidation",),
    "funding": ("venue.funding",),
    "funding_rate": ("venue.funding",),
    "funding_interval": ("venue.funding.interval",),
    "interest_rate": ("venue.funding.interest",),
    "mark": ("venue.mark",),
    "mark_price": ("venue.mark",),
    "mark_rule": ("venue.mark.rule",),
    "oracle": ("venue.oracle",),
    "adl": ("venue.adl",),
    "auto_deleveraging": ("venue.adl",),
    "deleveraging": ("venue.adl",),
    "brackets": ("venue.brackets",),
    "tiers": ("venue.brackets",),
    "margin_tiers": ("venue.brackets",),
    "leverage_brackets": ("venue.brackets",),
    "risk_limits": ("venue.brackets",),
    "maintenance_margin": ("venue.brackets", "maintenance"),
    "maintenance_margin_rate": ("venue.brackets", "maintenance"),
    "mmr": ("venue.brackets", "maintenance"),
    "initial_margin": ("venue.brackets", "max_leverage"),
    "max_leverage": ("venue.max_leverage",),
    "leverage_cap": ("venue.max_leverage",),
    "leverage_limit": ("venue.max_leverage",),
    "margin_call": ("venue.call",),
    "call": ("venue.call",),
    "price_band": ("venue.price_band",),
    "price_limit": ("venue.price_band",),
    "circuit_breaker": ("venue.circuit_breaker",),
    "halt": ("venue.circuit_breaker",),
    # liquidation
    "liquidations": ("liquidation",),
    "liquidation_engine": ("liquidation",),
    "liquidation_procedure": ("liquidation.procedure",),
    "partial_liquidation": ("liquidation.procedure",),
    "scan_interval": ("liquidation.monitor_period",),
    "monitor_interval": ("liquidation.monitor_period",),
    # how long, how large, what is kept
    "depth": ("depth_1pct",),
    "d1": ("depth_1pct",),
    "market_depth": ("depth_1pct",),
    "liquidity": ("depth_1pct",),
    "fuel": ("fuel_ratio",),
    "lambda": ("fuel_ratio",),
    "dt": ("step",),
    "time_step": ("step",),
    "timestep": ("step",),
    "horizon": ("duration",),
    "t_end": ("duration",),
    "end": ("duration",),
    "run_time": ("duration",),
    "simulation_time": ("duration",),
    "burn_in": ("warmup",),
    "burnin": ("warmup",),
    "warm_up": ("warmup",),
    "random_seed": ("seed",),
    "rng_seed": ("seed",),
    "title": ("question",),
    "output": ("record",),
    "recording": ("record",),
    "extend": ("extends",),
    "include": ("extends",),
    "base": ("extends",),
    "inherits": ("extends",),
    "agents": ("populations",),
    "traders": ("populations",),
    "participants": ("populations",),
    "crowd": ("populations",),
    "exchange": ("venue",),
    "engine": ("liquidation",),
    # populations
    "n_agents": (POPULATION + "accounts",),
    "num_agents": (POPULATION + "accounts",),
    "number": (POPULATION + "accounts",),
    "count": (POPULATION + "accounts",),
    "n": (POPULATION + "accounts",),
    "n_accounts": (POPULATION + "accounts",),
    "num_accounts": (POPULATION + "accounts",),
    "population_size": (POPULATION + "accounts",),
    "kind": (POPULATION + "type",),
    "agent": (POPULATION + "type",),
    "class": (POPULATION + "type",),
    "capital": (POPULATION + "deposit",),
    "balance": (POPULATION + "deposit",),
    "initial_balance": (POPULATION + "deposit",),
    "collateral": (POPULATION + "deposit",),
    "equity": (POPULATION + "deposit",),
    "wealth": (POPULATION + "deposit",),
    "cash": (POPULATION + "deposit",),
    "wallet": (POPULATION + "deposit",),
    "margin": (POPULATION + "deposit",),
    "deposits": (POPULATION + "deposit",),
    "leverage": (POPULATION + "leverage",),
    "leverages": (POPULATION + "leverage",),
    "leverage_distribution": (POPULATION + "leverage",),
    "gearing": (POPULATION + "leverage",),
    "margin_type": (POPULATION + "margin_mode",),
    "isolated": (POPULATION + "margin_mode",),
    "cross": (POPULATION + "margin_mode",),
    "delay": (POPULATION + "latency",),
    "long_fraction": (POPULATION + "long_share",),
    "long_ratio": (POPULATION + "long_share",),
    "longs": (POPULATION + "long_share",),
    "short_share": (POPULATION + "long_share",),
    "stop_loss": (POPULATION + "stop_share",),
    "stops": (POPULATION + "stop_share",),
    "stop": (POPULATION + "stop_share",),
    "stop_loss_share": (POPULATION + "stop_share",),
    "stop_loss_distance": (POPULATION + "stop_distance",),
    "take_profit": (POPULATION + "take_profit_share",),
    "entry_price": (POPULATION + "entry_offset",),
    "holding_time": (POPULATION + "exit_time",),
    "quote_levels": (POPULATION + "levels",),
    "inventory_limit": (POPULATION + "inventory_limit_d1",),
}
"""By the word in small letters with underscores; several fields where it may mean several, the likeliest first."""

HINTS: Final[Mapping[str, str]] = {
    "symbol": "a market's name is the word under `markets`: markets: {BTCUSDT: {}}",
    "ticker": "a market's name is the word under `markets`: markets: {BTCUSDT: {}}",
    "instrument": "a market's name is the word under `markets`: markets: {BTCUSDT: {}}",
    "pair": "a market's name is the word under `markets`: markets: {BTCUSDT: {}}",
    "market_name": "a market's name is the word under `markets`: markets: {BTCUSDT: {}}",
    "market": "markets have names: markets: {BTCUSDT: {}}; a population says with `market` which it trades",
    "venues": "write `extends: venues/bybit_linear.yaml`; `marginquake list venues` shows what there is",
    "venue_preset": "write `extends: venues/bybit_linear.yaml`; `marginquake list venues` shows what there is",
    "seeds": "a scenario has one `seed`; several are for a sweep or `marginquake compare --seeds`",
    "set": "`set` belongs to sweeps and comparisons, and to the command line: --set path.to.field=value",
    "axes": "this is a sweep: marginquake sweep FILE",
    "alternatives": "this is a comparison: marginquake compare FILE",
    "stop_loss_orders": "a share of accounts places stops: populations.NAME.stop_share",
    "currency": "amounts are in quote currency, whatever that is",
    "steps": "write how long it runs, `duration`, and how long a step is, `step`",
    "n_steps": "write how long it runs, `duration`, and how long a step is, `step`",
}
"""What no one field is meant by."""


_TOP: Final = frozenset((*ScenarioHead.model_fields, *MarketConfig.model_fields, "populations", "markets", "extends"))


def meant_by(word: str, at: Path_, known: Sequence[str]) -> tuple[str | None, str | None]:
    """The field that is probably meant by an unknown one, or else a hint what to write; (None, None): nobody knows.

    `at`: path of the block in which it stands; `known`: the fields of that.  A field of that block is said as seen from
    there, any other with its whole path.
    """
    key = re.sub(r"[\s-]+", "_", word.strip().casefold())
    targets = SYNONYMS.get(key, ())
    for target in targets:
        within = _from(target, at)
        if within is not None and within.partition(".")[0] in known:
            return within, None
    in_a_population = at[:1] == ("populations",)
    for target in targets:
        if target.partition(".")[0] in _TOP and not (in_a_population and target.startswith(POPULATION)):
            return target, None
    return None, HINTS.get(key)


def _from(target: str, at: Path_) -> str | None:
    """A path as seen from the block at `at`: `venue.fees.maker` is `fees.maker` in `venue`.  None: it is elsewhere."""
    names = [str(part) for part in at]
    if names[:1] == ["markets"]:
        names = names[2:]
    if names[:1] == ["populations"] and len(names) == 2:
        return target.removeprefix(POPULATION) if target.startswith(POPULATION) else None
    if target.partition(".")[0] not in _TOP:
        return target
    prefix = "".join(f"{name}." for name in names)
    return target.removeprefix(prefix) if target.startswith(prefix) and target != prefix else None
