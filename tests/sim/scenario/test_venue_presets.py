"""The presets of scenarios/venues/: rules of real venues as data, every number with its source and grade."""

import re
from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.core.records import Side
from marginquake.sim.rules.formulas import dydx, hyperliquid, liquidation_price, smaller_venues
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.first_passage import Question, triggers
from marginquake.sim.studies.run import load_scenario, simulate
from tests.support.paths import DOCS, SCENARIOS

FOLDER = SCENARIOS / "venues"
FILES = sorted(FOLDER.glob("*.yaml"))
NAMES = [path.stem for path in FILES]
SQUEEZE = FOLDER.parent / "long_squeeze.yaml"
HOUR, MINUTE, SECOND = 3600 * 10**9, 60 * 10**9, 10**9

each_preset = pytest.mark.parametrize("path", FILES, ids=NAMES)

GRADED = re.compile(r"#\s*\[(A|B|C|D|R\+|R|R-)\] \S.{3,}$")
"""What stands beside a number: `# [A] liquidations page`."""

NUMBERS: dict[str, dict[str, Any]] = {
    "binance_usdm": {
        "contract.type": "linear", "contract.tick_size": 0.1, "contract.lot_size": 0.001,
        "venue.mark.rule": "median_of_three", "venue.mark.period": SECOND, "venue.mark.basis_window": 30 * SECOND,
        "venue.funding.interval": 8 * HOUR, "venue.funding.clamp": 0.0005, "venue.funding.interest": 0.0001,
        "venue.fees.liquidation": 0.0125, "venue.price_band": 0.05, "venue.adl.ranking": "binance",
        "venue.call.warning": 0.8,
    },
    "bitmex_xbtusd": {
        "contract.type": "inverse", "contract.tick_size": 0.5, "contract.contract_value": 100.0,
        "venue.mark.rule": "fair_price", "venue.funding.rule": "bitmex", "venue.funding.interval": 8 * HOUR,
        "venue.fees.maker": -0.00025, "venue.fees.taker": 0.00075, "venue.adl.ranking": "bitmex",
        "liquidation.procedure": "tier_reduction",
    },
    "bybit_inverse": {
        "contract.type": "inverse", "contract.contract_value": 100.0, "venue.mark.basis_window": 5 * MINUTE,
        "venue.fees.taker": 0.00055, "venue.adl.trigger": "fund_drawdown", "liquidation.procedure": "tier_reduction",
    },
    "bybit_linear": {
        "contract.type": "linear", "liquidation.procedure": "tier_reduction",
        "venue.mark.basis_window": 5 * MINUTE, "venue.fees.liquidation": 0.0,
        "venue.funding.cap": 0.00375, "venue.adl.ranking": "bitmex", "venue.adl.price_band": 0.05,
        "venue.adl.trigger": "fund_drawdown", "venue.adl.drawdown": 1.0, "venue.adl.window": 8 * HOUR,
    },
    "deribit_futures": {
        "contract.type": "inverse", "contract.contract_value": 100.0, "venue.mark.rule": "index_plus_basis",
        "venue.mark.basis_limit": 0.005, "venue.mark.basis_time_scale": 30 * SECOND, "venue.fees.liquidation": 0.0075,
        "venue.insurance.shortfall": "socialised", "liquidation.procedure": "incremental",
        "liquidation.incremental.slice_notional": 100.0, "liquidation.incremental.rounds_per_second": 25.0,
    },
    "dydx_v4": {
        "contract.type": "linear", "venue.mark.rule": "index", "venue.funding.interval": HOUR,
        "venue.funding.rule": "dydx",
        "venue.funding.impact_notional": 10_000.0, "venue.funding.sample_period": MINUTE,
        "liquidation.procedure": "fillable", "liquidation.fillable.spread_to_maintenance": 1.5,
        "liquidation.fillable.fraction": 0.1, "liquidation.fillable.most_notional": 100_000.0,
        "venue.fees.liquidation": 0.015, "venue.adl.ranking": "random", "venue.insurance.max_loss_per_scan": 1e6,
    },
    "hyperliquid": {
        "contract.type": "linear", "venue.mark.rule": "hyperliquid", "venue.mark.period": 3 * SECOND,
        "venue.oracle.period": 3 * SECOND, "venue.funding.interval": HOUR, "venue.funding.rule": "hyperliquid",
        "venue.funding.cap": 0.04, "venue.funding.impact_notional": 20_000.0,
        "liquidation.procedure": "sliced", "liquidation.backstop_fraction": 0.6667,
        "liquidation.slice_fraction": 0.2, "liquidation.slice_cooldown": 30 * SECOND,
        "liquidation.slice_cooldown_orders": "whole",
        "liquidation.slice_min_notional": 100_000.0, "venue.adl.ranking": "hyperliquid",
        "venue.adl.price": "previous_mark",
    },
}  # fmt: skip
"""Durations in nanoseconds, fractions, quote units."""

FIRST_AND_LAST_BRACKET: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "binance_usdm": ((50e3, 125, 0.004), (1.8e9, 1, 0.5)),
    "bitmex_xbtusd": ((20e6, 100, 0.005), (200e6, 11.11, 0.09)),
    "bybit_inverse": ((15e6, 100, 0.005), (150e6, 18.18, 0.05)),
    "bybit_linear": ((2e6, 100, 0.005), (1e9, 10, 0.05)),
    "deribit_futures": ((1e6, 48.78, 0.0105), (320e6, 7.69, 0.13)),
    "dydx_v4": ((1e9, 20, 0.03), (1e9, 20, 0.03)),
    "hyperliquid": ((150e6, 40, 0.0125), (1e9, 20, 0.025)),
}


def with_rules_of(name: str, tmp_path: Path) -> Scenario:
    """A short squeeze under the rules of one preset."""
    scenario = tmp_path / "squeeze.yaml"
    scenario.write_text(f"extends: [{SQUEEZE}, {FOLDER / name}.yaml]\nduration: 20s\nwarmup: 10s\nstep: 500ms\n")
    return load_scenario(scenario)


def market_of(name: str, tmp_path: Path) -> MarketConfig:
    return with_rules_of(name, tmp_path).markets[0]


def brackets_of(market: MarketConfig) -> list[liquidation_price.NotionalBracket]:
    table = market.venue.brackets
    caps = [b.notional_cap for b in table]
    return liquidation_price.notional_brackets([0.0, *caps[:-1]], caps, [b.maintenance for b in table])


def test_every_preset_is_in_the_tables() -> None:
    assert sorted(NUMBERS) == sorted(FIRST_AND_LAST_BRACKET) == NAMES


@each_preset
def test_every_number_has_a_grade_and_a_source_beside_it(path: Path) -> None:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        said = line.split("#")[0]
        if said.startswith("extends:") or not said.strip() or said.rstrip().endswith(":"):
            continue
        assert GRADED.search(line), f"{path.name}:{number}: no '# [grade] source' beside: {said.strip()}"


@each_preset
def test_a_preset_holds_rules_and_nothing_else(path: Path) -> None:
    top = [line.split(":")[0] for line in path.read_text().splitlines() if line[:1].isalpha()]
    assert set(top) <= {"extends", "contract", "venue", "liquidation"}
    assert "    initial:" not in path.read_text(), "the size of the fund is the scenario's"


@each_preset
def test_the_readme_lists_a_preset(path: Path) -> None:
    assert f"| `{path.name}` |" in (FOLDER / "README.md").read_text()


@each_preset
def test_the_document_has_a_section_of_a_preset(path: Path) -> None:
    assert f"## `{path.stem}`" in (DOCS / "venues.md").read_text()


@each_preset
def test_a_preset_gives_its_numbers_to_a_scenario(path: Path, tmp_path: Path) -> None:
    resolved = market_of(path.stem, tmp_path)
    for field, expected in NUMBERS[path.stem].items():
        found: Any = resolved
        for part in field.split("."):
            found = getattr(found, part)
        found = getattr(found, "rule", found)
        assert found == (pytest.approx(expected) if isinstance(expected, float) else expected), field
    table = [(b.notional_cap, b.max_leverage, b.maintenance) for b in resolved.venue.brackets]
    assert (table[0], table[-1]) == FIRST_AND_LAST_BRACKET[path.stem]


@each_preset
def test_a_scenario_takes_a_preset_and_changes_a_rule_of_it(path: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "changed.yaml"
    scenario.write_text(f"extends: {path}\nduration: 10s\nvenue: {{fees: {{taker: 4bps}}}}\n")
    changed = load_scenario(scenario).markets[0]
    plain = market_of(path.stem, tmp_path)
    assert changed.venue.fees.taker == 0.0004
    assert changed.venue.fees.maker == plain.venue.fees.maker
    assert changed.venue.brackets == plain.venue.brackets


@each_preset
@pytest.mark.model
def test_a_market_runs_under_the_rules_of_a_preset(path: Path, tmp_path: Path) -> None:
    summary = simulate(with_rules_of(path.stem, tmp_path), seed=1).summary
    assert summary["events"] > 1000


def test_the_usual_brackets_are_binances(tmp_path: Path) -> None:
    assert market_of("binance_usdm", tmp_path).venue.brackets == MarketConfig(name="main").venue.brackets


def test_hyperliquids_maintenance_is_half_of_the_initial_margin(tmp_path: Path) -> None:
    for bracket in market_of("hyperliquid", tmp_path).venue.brackets:
        assert bracket.maintenance == pytest.approx(hyperliquid.maintenance_rate(bracket.max_leverage))


def test_dydx_numbers_follow_from_its_fractions(tmp_path: Path) -> None:
    venue = market_of("dydx_v4", tmp_path).venue
    initial, maintenance = 1 / venue.brackets[0].max_leverage, venue.brackets[0].maintenance
    assert venue.funding.cap == pytest.approx(dydx.funding_cap_8h(initial, maintenance) / 8)
    assert venue.funding.impact_notional == pytest.approx(500 / initial)


def test_deribits_requirements_are_exact_at_its_caps(tmp_path: Path) -> None:
    market = market_of("deribit_futures", tmp_path)
    price = market.contract.initial_price
    for bracket in market.venue.brackets[:-1]:
        initial, maintenance = smaller_venues.margin_rates("BTC", bracket.notional_cap / price)
        required = liquidation_price.maintenance_margin(bracket.notional_cap, brackets_of(market))
        assert required == pytest.approx(maintenance * bracket.notional_cap)
        assert 1 / bracket.max_leverage == pytest.approx(initial, rel=1e-3)


def test_bitmex_maintenance_is_half_a_per_cent_more_of_the_whole_with_each_risk_limit(tmp_path: Path) -> None:
    market = market_of("bitmex_xbtusd", tmp_path)
    for step, bracket in enumerate(market.venue.brackets[:-1]):
        required = liquidation_price.maintenance_margin(bracket.notional_cap, brackets_of(market))
        assert required == pytest.approx(0.005 * (step + 1) * bracket.notional_cap)
        assert 1 / bracket.max_leverage == pytest.approx(0.005 * (step + 2), rel=1e-3)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
@each_preset
def test_a_market_calls_an_account_where_the_venues_formula_says(path: Path, side: Side, tmp_path: Path) -> None:
    """Isolated, in the first bracket; the tick is the last at or past the price of the formula."""
    market = market_of(path.stem, tmp_path)
    first, price, notional = market.venue.brackets[0], market.contract.initial_price, 20_000.0
    asked = Question(
        market=market, side=side, leverages=(20.0, 5.0), horizons=(MINUTE,), notional=notional, volatility=0.6,
        drift=0.0, monitor_period=SECOND, paths=1, seed=1,
    )  # fmt: skip
    for trigger in triggers(asked):
        margin_put_up, quantity = notional / trigger.leverage, notional / price
        if market.contract.type == "inverse":
            said = smaller_venues.inverse_liquidation_price(
                side, notional, price, margin_put_up / price, first.maintenance
            )
        elif path.stem == "hyperliquid":
            said = hyperliquid.isolated_liquidation_price(side, quantity, price, margin_put_up, first.max_leverage)
        elif path.stem == "dydx_v4":
            said = dydx.liquidation_price(margin_put_up, side * quantity, price, first.maintenance)
        else:
            said = liquidation_price.liquidation_price(side, quantity, price, margin_put_up, first.maintenance, 0.0)
        beyond = side * (said - trigger.liquidation_price)
        rounding = 0.5 if market.contract.type == "inverse" else 1e-3  # what a lot is worth is a whole number of units
        assert -rounding <= beyond < market.contract.tick_size + rounding, (said, trigger)
