"""Facts about policies that are one rule in several spellings: known by the resolved scenario, before anything runs."""

from pathlib import Path

import pytest

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.studies.design import compare_arguments, load_comparison
from marginquake.sim.studies.sweep import plan_sweep
from tests.support.command_line import marginquake
from tests.support.paths import SCENARIOS, TINY


def twins(scenario: Path, *alternatives: str) -> list[tuple[str, str]]:
    """Policies that are the rule of an earlier one."""
    plan = plan_sweep(compare_arguments([str(scenario), *alternatives], (), 2))
    return [(str(point.values["policy"]), str(before.values["policy"])) for point, before in plan.twins()]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("venue.price_band=1%", "venue.price_band=0.01"),
        ("venue.price_band=1%", "venue.price_band=100bps"),
        ("liquidation.monitor_period=60s", "liquidation.monitor_period=1min"),
        ("venue.insurance.initial=1M", "venue.insurance.initial=1000000"),
        ("populations.crowd.leverage=20", "populations.crowd.leverage=20.0"),
        ("depth_1pct=2M ; fuel_ratio=2", "fuel_ratio=2.0 ; depth_1pct=2e6"),
        ("depth_1pct=2M", "depth_1pct=2M ; seed=4"),
    ],
)
def test_two_spellings_of_one_rule_are_one_rule(one: str, other: str) -> None:
    assert twins(TINY, one, other) == [(other, one)]


@pytest.mark.parametrize(
    "default", ["venue.price_band=10%", "liquidation.procedure=full", "warmup=10000ms", "venue.circuit_breaker=null"]
)
def test_a_policy_that_writes_out_what_the_baseline_has_is_the_baseline(default: str) -> None:
    assert twins(TINY, default) == [(default, "tiny")]


def test_tier_reduction_on_bybit_is_bybits_own_rule(tmp_path: Path) -> None:
    file = tmp_path / "bybit.yaml"
    file.write_text(f"extends: [{SCENARIOS / 'long_squeeze.yaml'}, venues/bybit_linear.yaml]\n")
    same = "liquidation.procedure=tier_reduction"
    assert twins(file, same, "liquidation.procedure=full") == [(same, "bybit")]


def test_policies_of_the_shipped_files_are_all_different() -> None:
    for file in sorted((SCENARIOS / "policies").glob("*.yaml")):
        assert plan_sweep(load_comparison(file)).twins() == []


def test_null_is_said_on_the_command_line_and_in_files(tmp_path: Path) -> None:
    off = "venue.price_band=null"
    plan = plan_sweep(compare_arguments([str(TINY), off, "venue.price_band=10%"], (), 2))
    assert "price_band: null" in plan.texts[1]
    assert [str(point.values["policy"]) for point, _ in plan.twins()] == ["venue.price_band=10%"]
    file = tmp_path / "policy.yaml"
    file.write_text(f"scenario: {TINY}\nalternatives:\n  - {{name: a}}\n  - {{name: b, set: [{off}]}}\n")
    assert "price_band: null" in plan_sweep(load_comparison(file)).texts[1]


def test_a_name_given_twice_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"compare: value depth_1pct=2M: named twice"):
        compare_arguments([str(TINY), "depth_1pct=2M", "depth_1pct=2M"], (), 2)
    done = marginquake("compare", TINY, "depth_1pct=2M", "depth_1pct=2M", "--out", tmp_path)
    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
