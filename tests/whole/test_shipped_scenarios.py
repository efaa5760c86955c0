"""What the shipped scenarios promise, in reduced form: fewer seeds, shorter runs.  In full: `make validate`."""

import statistics
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies.runs import OFF, Job, Kept, simulate
from benchmarks.studies.shipped import LEVERAGE_ONE
from benchmarks.studies.stress import innocents_lost, largest_move
from marginquake.agents import AGENT_TYPES
from marginquake.sim.scenario.loader import load_scenario
from tests.support.paths import SCENARIOS

SHIPPED = sorted(SCENARIOS.glob("*.yaml"))
SEEDS = (1, 2, 3)
UNTIL_THE_FALL = "duration=5min"

pytestmark = pytest.mark.model


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_loads_and_begins_with_its_question(path: Path) -> None:
    scenario = load_scenario(path, AGENT_TYPES)
    assert scenario.question.endswith("?")
    first_line = path.read_text().splitlines()[0]
    assert first_line.lower() == f"# question: {scenario.question}".lower()


@pytest.fixture(scope="module")
def squeezes() -> dict[tuple[int, bool], Kept]:
    """long_squeeze until the end of the outside fall, with and without forced orders."""
    return {
        (seed, on): simulate(Job("long_squeeze.yaml", (UNTIL_THE_FALL, *(() if on else (OFF,))), seed))
        for seed in SEEDS
        for on in (True, False)
    }


@pytest.mark.slow
def test_long_squeeze_calls_many_sells_much_and_falls_deeper_than_its_twin(
    squeezes: dict[tuple[int, bool], Kept],
) -> None:
    for seed in SEEDS:
        on, off = squeezes[seed, True], squeezes[seed, False]
        assert on["margin_calls"] >= 100
        assert on["forced_fill_fraction_of_open_interest"] >= 0.05
        assert on["max_drawdown_fraction"] > off["max_drawdown_fraction"]
        assert off["forced_notional"] == 0


@pytest.mark.slow
def test_the_outside_falls_at_most_half_as_far_as_the_squeezed_market(
    squeezes: dict[tuple[int, bool], Kept],
) -> None:
    falls = [squeezes[seed, True]["max_drawdown_fraction"] for seed in SEEDS]
    outside = [squeezes[seed, True]["fundamental_drawdown_fraction"] for seed in SEEDS]
    assert statistics.median(outside) <= 0.5 * statistics.median(falls)


@pytest.mark.slow
def test_the_stated_fuel_ratio_is_met_and_cascades_differ_by_seed(squeezes: dict[tuple[int, bool], Kept]) -> None:
    for seed in SEEDS:
        assert squeezes[seed, True]["fuel_ratio_within_5pct"] == pytest.approx(1.5, rel=0.02)
    assert len({squeezes[seed, True]["margin_calls"] for seed in SEEDS}) > 1


@pytest.mark.slow
def test_long_squeeze_with_leverage_one_liquidates_nobody() -> None:
    summary = simulate(Job("long_squeeze.yaml", (UNTIL_THE_FALL, *LEVERAGE_ONE), 1))
    assert summary["liquidations"] == 0


@pytest.mark.slow
def test_calm_market_is_calm() -> None:
    summary = simulate(Job("calm_market.yaml", ("duration=5min",), 1))
    assert summary["accounts_called_fraction"] < 0.01
    assert 1 <= summary["median_spread_ticks"] <= 5
    assert summary["median_basis_bps"] < 5
    assert summary["max_drawdown_fraction"] < 0.02


@pytest.mark.slow
def test_the_crash_starts_with_the_depth_of_its_data() -> None:
    summary = simulate(Job("crash_2024_08_05.yaml", ("duration=10s",), 1))
    assert summary["depth_1pct"] == pytest.approx(111e6, rel=0.15)


@pytest.mark.slow
def test_dispersed_control_has_the_same_lots_and_deposits_at_other_levels() -> None:
    """The same accounts hold the same positions as in long_squeeze; only liquidation prices differ."""
    clustered, dispersed = (
        simulate(Job(name, ("duration=1s", "warmup=30s", "step=500ms"), 1, keep="populations"))["accounts"]
        for name in ("long_squeeze.yaml", "dispersed_control.yaml")
    )
    for column in ("position_start", "deposit", "leverage"):
        assert (np.asarray(clustered[column]) == np.asarray(dispersed[column])).all()
    held = np.asarray(clustered["position_start"]) != 0
    crowd = held & (np.asarray(clustered["population"]).astype(str) == "longs")
    before, after = (np.asarray(table["liquidation_price_start"])[crowd] for table in (clustered, dispersed))
    assert (before != after).mean() > 0.95
    assert len(np.unique(np.round(after, -1))) > 2 * len(np.unique(np.round(before, -1)))


@pytest.mark.slow
def test_adl_stress_reaches_adl_and_nobody_without_a_position_loses() -> None:
    kept = simulate(Job("adl_stress.yaml", ("duration=4min",), 2, keep="populations"))
    assert kept["adl_notional"] > 0
    assert innocents_lost(kept) == 0.0


@pytest.mark.slow
def test_short_squeeze_rises_further_than_without_forced_orders() -> None:
    on, off = (simulate(Job("short_squeeze.yaml", ("duration=7min", *over), 1, "populations")) for over in ((), (OFF,)))
    assert on["liquidations"] >= 100
    assert largest_move(on, 1) > 1.1 * largest_move(off, 1)


@pytest.mark.slow
def test_everyday_market_is_calm_and_liquid() -> None:
    kept = simulate(Job("everyday_market.yaml", ("duration=20min",), 3))
    assert 1 <= kept["median_spread_ticks"] <= 10
    assert kept["median_basis_bps"] < 10
    assert kept["max_drawdown_fraction"] < 0.03
    assert kept["forced_fill_fraction_of_open_interest"] < 0.01
