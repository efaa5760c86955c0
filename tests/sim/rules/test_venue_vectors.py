"""Published numbers of real venues, reproduced by public functions.

One test a vector, dispatched on `kind`, never on `id`.  A kind that nothing here knows is skipped as `not covered`; a
file without a single covered vector is a failure.  MARGINQUAKE_VENUE_VECTORS names another file of the same form.
"""

import importlib.util
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import pytest

from marginquake.agents.market_maker import avellaneda_stoikov_quotes, fitted_withdrawal, glft_offsets, glft_terms
from marginquake.sim.core import barriers
from marginquake.sim.core.records import Side
from marginquake.sim.market.streams import Stream
from marginquake.sim.rules.formulas import (
    bybit,
    dydx,
    hyperliquid,
    liquidation_price,
    prices,
    smaller_venues,
    waterfall,
)
from marginquake.sim.rules.formulas.liquidation_price import NotionalBracket, notional_brackets
from tests.oracles.avellaneda_stoikov import simulate_maker
from tests.support.paths import VENUE_VECTORS

FILE = Path(os.environ.get("MARGINQUAKE_VENUE_VECTORS") or VENUE_VECTORS)
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
SIDES = {"long": Side.BUY, "short": Side.SELL}

Inputs = dict[str, Any]


def brackets_of(given: list[dict[str, float]] | str) -> list[NotionalBracket]:
    """Brackets written out, or the name of a vector (here or in our own file) that writes them out."""
    if isinstance(given, str):
        library = json.loads(VENUE_VECTORS.read_text(encoding="utf-8")) + VECTORS
        given = next(v["inputs"]["brackets"] for v in reversed(library) if v["id"] == given)
    return notional_brackets(
        [b["floor"] for b in given], [b["cap"] for b in given], [b["maintenance_rate"] for b in given]
    )


def with_side(inputs: Inputs) -> Inputs:
    return inputs | {"side": SIDES[inputs["side"]]}


def binance_liquidation_price(inputs: Inputs) -> float:
    return liquidation_price.liquidation_price(**with_side(inputs))


def bracket_deductions(inputs: Inputs) -> list[float]:
    return [bracket.deduction for bracket in brackets_of(inputs["brackets"])]


def bracketed_liquidation_price(inputs: Inputs) -> dict[str, float]:
    price, bracket = liquidation_price.bracketed_liquidation_price(
        SIDES[inputs["side"]],
        inputs["quantity"],
        inputs["entry_price"],
        inputs["isolated_margin"],
        brackets_of(inputs["brackets"]),
    )
    return {"liquidation_price": price, "bracket": bracket}


def median_mark_price(inputs: Inputs) -> float:
    return prices.median_mark_price(
        inputs["index"],
        inputs["last_funding_rate"],
        inputs["hours_to_funding"] / inputs["funding_interval_hours"],
        inputs["average_basis"],
        inputs["last"],
    )


def fair_price_mark(inputs: Inputs) -> float:
    left = inputs["hours_to_funding"] / inputs["funding_interval_hours"]
    return prices.fair_price(inputs["index"], inputs["funding_rate"], left)


def deleverage_at_bankruptcy(inputs: Inputs) -> dict[str, float]:
    bankrupt, other = inputs["bankrupt"], inputs["counterparty"]
    done = waterfall.deleverage_at_bankruptcy(
        bankrupt["position"], bankrupt["entry_price"], bankrupt["collateral"], other["position"], other["entry_price"]
    )
    return {
        "price": done.price,
        "counterparty_pnl": done.counterparty_pnl,
        "bankrupt_equity": done.bankrupt_equity,
    }


def ranked_adl(inputs: Inputs) -> dict[str, Any]:
    candidates = inputs["candidates"]
    closed = waterfall.allocate_adl(
        inputs["quantity"], [c["quantity"] for c in candidates], [c["rank"] for c in candidates]
    )
    by_account = {str(c["account"]): lots for c, lots in zip(candidates, closed, strict=True) if lots > 0}
    return {"closed": by_account, "price": inputs["bankruptcy_price"]}


def hyperliquid_maintenance_margin(inputs: Inputs) -> float:
    tiers = inputs["tiers"]
    brackets = hyperliquid.maintenance_brackets([t["floor"] for t in tiers], [t["max_leverage"] for t in tiers])
    return liquidation_price.maintenance_margin(inputs["notional"], brackets)


def bitmex_takeover_insurance_delta(inputs: Inputs) -> list[float]:
    taken = SIDES[inputs["side"]], inputs["quantity"], inputs["bankruptcy_price"]
    return [smaller_venues.takeover_insurance_delta(*taken, fill) for fill in inputs["fill_prices"]]


def deribit_margin_rates(inputs: Inputs) -> dict[str, float]:
    initial, maintenance = smaller_venues.margin_rates(inputs["asset"], inputs["position_size"])
    return {"initial_rate": initial, "maintenance_rate": maintenance}


def first_passage_table(inputs: Inputs) -> list[list[float]]:
    """A row a position, a column a horizon; longs without drift unless the vector says otherwise."""

    def row(position: dict[str, Any]) -> list[float]:
        side = SIDES[position.get("side", inputs.get("side", "long"))]
        fresh = barriers.fresh_distance(side, position["leverage"], position["maintenance_rate"])
        away = barriers.log_distance(side, fresh)
        market = inputs["annual_volatility"], inputs.get("annual_drift", 0.0)
        return [
            barriers.first_passage_probability(side, away, market[0], hours * 3600.0, market[1])
            for hours in inputs["horizons_hours"]
        ]

    return [row(position) for position in inputs["positions"]]


def glft_quotes(inputs: Inputs) -> dict[str, Any]:
    market = (inputs["volatility"], inputs["arrival_rate"], inputs["order_decay"], inputs["risk_aversion"])
    base, skew = glft_terms(*market)
    bids, asks = glft_offsets(*market, np.array(inputs["inventories"], float))
    return {"skew": skew, "base": base, "bid_offsets": bids.tolist(), "ask_offsets": asks.tolist()}


def avellaneda_stoikov(inputs: Inputs) -> dict[str, float]:
    reservation, spread = avellaneda_stoikov_quotes(
        inputs["mid"],
        inputs["inventory"],
        inputs["risk_aversion"],
        inputs["volatility"],
        inputs["horizon"],
        inputs["order_decay"],
    )
    return {"total_spread": spread, "reservation_price": reservation}


def avellaneda_stoikov_table(inputs: Inputs) -> dict[str, Any]:
    """Simulated: each value comes with its Monte Carlo standard error."""

    def row(strategy: Literal["inventory", "symmetric"]) -> dict[str, Simulated]:
        done = simulate_maker(strategy, **inputs, stream=Stream(1, "avellaneda_stoikov"))
        root = math.sqrt(len(done.profit))
        deviation, final = done.profit.std(ddof=1), done.inventory.std(ddof=1)
        return {
            "mean_profit": Simulated(done.profit.mean(), deviation / root),
            "sd_profit": Simulated(deviation, deviation / root / math.sqrt(2)),
            "sd_final_inventory": Simulated(final, final / root / math.sqrt(2)),
        }

    return {"inventory": row("inventory"), "symmetric": row("symmetric")}


@final
@dataclass(frozen=True)
class Simulated:
    """A value with its standard error; the tolerance of its vector is relative, on top of three standard errors."""

    value: float
    error: float


KINDS: dict[str, Callable[[Inputs], Any]] = {
    "binance_liquidation_price": binance_liquidation_price,
    "bracket_deductions": bracket_deductions,
    "bracketed_liquidation_price": bracketed_liquidation_price,
    "binance_adl_score": lambda inputs: waterfall.binance_adl_score(**inputs),
    "median_mark_price": median_mark_price,
    "clamped_funding_rate": lambda inputs: prices.clamped_funding_rate(**inputs),
    "fair_price_mark": fair_price_mark,
    "deleverage_at_bankruptcy": deleverage_at_bankruptcy,
    "insurance_draw": lambda inputs: waterfall.insurance_draw(**inputs),
    "ranked_adl": ranked_adl,
    "fee_inclusive_liquidation_price": lambda inputs: smaller_venues.fee_inclusive_liquidation_price(
        **with_side(inputs)
    ),
    "bybit_linear_isolated_liquidation_price": lambda inputs: bybit.linear_liquidation_price(**with_side(inputs)),
    "bybit_inverse_cross_bankruptcy_price": lambda inputs: bybit.inverse_cross_bankruptcy_price(**with_side(inputs)),
    "bybit_inverse_cross_liquidation_price": lambda inputs: bybit.inverse_cross_liquidation_price(**with_side(inputs)),
    "bybit_inverse_isolated_bankruptcy_price": lambda inputs: bybit.inverse_isolated_bankruptcy_price(
        **with_side(inputs)
    ),
    "bybit_inverse_isolated_liquidation_price": lambda inputs: bybit.inverse_isolated_liquidation_price(
        **with_side(inputs)
    ),
    "inverse_isolated_liquidation_price": lambda inputs: smaller_venues.inverse_liquidation_price(**with_side(inputs)),
    "dydx_liquidation_price": lambda inputs: dydx.liquidation_price(**inputs),
    "dydx_fillable_price": lambda inputs: dydx.fillable_price(**inputs),
    "dydx_bankruptcy_quote": lambda inputs: dydx.bankruptcy_quote(**inputs),
    "dydx_funding_cap_8h": lambda inputs: dydx.funding_cap_8h(**inputs),
    "dydx_open_interest_initial_fraction": lambda inputs: dydx.open_interest_initial_fraction(**inputs),
    "hyperliquid_isolated_liquidation_price": lambda inputs: hyperliquid.isolated_liquidation_price(
        **with_side(inputs)
    ),
    "hyperliquid_maintenance_margin": hyperliquid_maintenance_margin,
    "hyperliquid_backstop_price": lambda inputs: hyperliquid.backstop_price(**with_side(inputs)),
    "hyperliquid_funding_payment": lambda inputs: hyperliquid.funding_payment(**inputs),
    "bitmex_takeover_insurance_delta": bitmex_takeover_insurance_delta,
    "deribit_margin_rates": deribit_margin_rates,
    "first_passage_probability": first_passage_table,
    "discrete_monitoring_shift_bps": lambda inputs: (
        1e4 * barriers.monitoring_shift(inputs["annual_volatility"], inputs["period_seconds"])
    ),
    "glft_quotes": glft_quotes,
    "avellaneda_stoikov_quotes": avellaneda_stoikov,
    "avellaneda_stoikov_table": avellaneda_stoikov_table,
    "withdrawal_fit": lambda inputs: fitted_withdrawal(np.array(inputs["z"], float), np.array(inputs["collapse"])),
}
"""What computes each kind: inputs -> a value shaped like `expected`.  Cascades go through the real book and engine:
tests/support/cascade_vectors.py has its own KINDS, of the same form."""

if importlib.util.find_spec("tests.support.cascade_vectors") is not None:
    from tests.support import cascade_vectors

    KINDS.update(cascade_vectors.KINDS)

COVERED = [vector for vector in VECTORS if vector["kind"] in KINDS]


def assert_close(found: Any, expected: Any, tolerance: float, where: str) -> None:
    if isinstance(expected, dict):
        assert set(found) == set(expected), f"{where}: {found} has other parts than {expected}"
        for name, part in expected.items():
            assert_close(found[name], part, tolerance, f"{where}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), f"{where}: {found} has another length than {expected}"
        for place, (one, part) in enumerate(zip(found, expected, strict=True)):
            assert_close(one, part, tolerance, f"{where}[{place}]")
    elif isinstance(found, Simulated):
        reach = tolerance * abs(expected) + 3 * found.error
        assert abs(found.value - expected) <= reach, f"{where}: {found}, expected {expected} within {reach}"
    else:
        assert abs(found - expected) <= tolerance, f"{where}: {found}, expected {expected} within {tolerance}"


def test_some_vectors_are_covered() -> None:
    missing = sorted({vector["kind"] for vector in VECTORS} - set(KINDS))
    print(f"{FILE.name}: {len(COVERED)} of {len(VECTORS)} vectors covered; not covered: {', '.join(missing) or 'none'}")
    assert COVERED, f"{FILE}: not one of {len(VECTORS)} vectors is of a kind that we cover"


NOT_COVERED = {
    "aave_bad_debt_price", "aave_health_factor", "aave_liquidation", "aave_liquidation_price",
    "aave_toxic_health_factor", "comet_absorb", "comet_liquidation_price",
    "maker_continuous_price", "maker_first_step_at_or_below", "maker_first_step_below_cusp", "maker_linear_price",
    "maker_stairstep_price", "maker_top",
}  # fmt: skip
"""Lending protocols: Aave, Compound (Comet), Maker."""


def test_of_our_own_vectors_only_lending_is_not_covered() -> None:
    kinds = {vector["kind"] for vector in json.loads(VENUE_VECTORS.read_text(encoding="utf-8"))}
    assert kinds - set(KINDS) == NOT_COVERED


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['kind']}:{vector['id']}")
def test_venue_vector(vector: dict[str, Any]) -> None:
    compute = KINDS.get(vector["kind"])
    if compute is None:
        pytest.skip(f"not covered: {vector['kind']}")
    assert_close(compute(vector["inputs"]), vector["expected"], vector["tolerance"], vector["id"])
