"""scenarios/venues_compared/: the same market under every preset, and nothing but rules differs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.design import Sweep, load_comparison
from marginquake.sim.studies.run import load_scenario, simulate
from tests.support.paths import SCENARIOS

FOLDER = SCENARIOS / "venues_compared"
PRESETS = sorted(path.stem for path in (FOLDER.parent / "venues").glob("*.yaml"))
COMPARISONS = ("as_allowed", "same_positions")
RULES = ("contract", "venue", "liquidation")

each_comparison = pytest.mark.parametrize("name", COMPARISONS)


def loaded(comparison: Sweep, *more: str) -> dict[str, Scenario]:
    return {str(p.values["policy"]): load_scenario(p.scenario, (*p.overrides, *more)) for p in comparison.points}


@each_comparison
def test_every_preset_is_compared_on_twenty_seeds(name: str) -> None:
    comparison = load_comparison(FOLDER / f"{name}.yaml")
    assert sorted(str(point.values["policy"]) for point in comparison.points) == PRESETS
    assert comparison.seeds == tuple(range(1, 21))


@each_comparison
def test_alternatives_differ_in_their_rules_and_in_nothing_else(name: str) -> None:
    def rest(scenario: Scenario) -> dict[str, Any]:
        return {key: value for key, value in scenario.resolved().items() if key not in (*RULES, "name")}

    first, *others = (rest(scenario) for scenario in loaded(load_comparison(FOLDER / f"{name}.yaml")).values())
    assert all(other == first for other in others)


@each_comparison
def test_funds_and_grids_are_alike(name: str) -> None:
    for scenario in loaded(load_comparison(FOLDER / f"{name}.yaml")).values():
        market = scenario.markets[0]
        assert market.venue.insurance.initial == 500_000
        assert market.fuel_ratio is None
        assert market.contract.tick_size == 1
        assert market.contract.initial_price == 100_000


@pytest.mark.parametrize("preset", PRESETS)
def test_a_market_is_the_preset_but_for_its_grid(preset: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(f"extends: {FOLDER.parent / 'venues' / preset}.yaml\nduration: 10s\n")
    rules, ours = load_scenario(plain).markets[0], load_scenario(FOLDER / f"{preset}.yaml").markets[0]
    assert ours.liquidation == rules.liquidation
    assert ours.venue.model_copy(update={"insurance": rules.venue.insurance}) == rules.venue
    assert ours.contract.type == rules.contract.type


@pytest.mark.model
@pytest.mark.slow
def test_the_same_crowd_holds_the_same_notional_at_every_venue() -> None:
    short = ("duration=1s", "warmup=20s", "step=500ms")
    held, deposits = {}, {}
    for name, scenario in loaded(load_comparison(FOLDER / "same_positions.yaml"), *short).items():
        run = simulate(scenario, seed=1)
        crowd = np.asarray(run.accounts["population"]).astype(str) == "longs"
        held[name] = run.summary["open_interest_start"]
        deposits[name] = np.asarray(run.accounts["deposit"], float)[crowd]
    usual = held["binance_usdm"]
    assert all(value == pytest.approx(usual, rel=0.01) for value in held.values()), held
    assert all(np.allclose(own, deposits["binance_usdm"], rtol=1e-3) for own in deposits.values())
