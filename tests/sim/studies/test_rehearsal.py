"""A rehearsal measures what the run measures, and no run is changed by being measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from marginquake.sim.studies.rehearsal import rehearse
from marginquake.sim.studies.run import load_scenario, run, simulate
from tests.support.paths import TINY, UNLIKELY_SCENARIOS
from tests.support.unlikely import MEASURED, expected, overrides_of, unmet_and_surplus

USUAL = UNLIKELY_SCENARIOS / "bases" / "usual.yaml"


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_a_rehearsal_says_what_the_run_says(path: Path, tmp_path: Path) -> None:
    scenario = load_scenario(path, overrides_of(path))
    rehearsed = [str(warning) for warning in rehearse(scenario).warnings]
    assert unmet_and_surplus(expected(path, "measured"), rehearsed) == ([], []), rehearsed
    result = run(scenario, out=tmp_path, figures=False)
    assert list(result.warnings) == [*map(str, scenario.warnings), *rehearsed]


def test_a_scenario_that_goes_on_is_rehearsed_for_a_quarter_of_an_hour() -> None:
    path = UNLIKELY_SCENARIOS / "measured_fuel_halves.yaml"
    short, long = (rehearse(load_scenario(path, [f"duration={length}"])) for length in ("15min", "2h"))
    assert [str(each) for each in short.warnings] == [str(each) for each in long.warnings] != []


def test_what_is_too_large_is_not_rehearsed() -> None:
    scenario = load_scenario("million_accounts")
    found = rehearse(scenario)
    assert found.warnings == ()
    assert found.not_done is not None
    assert found.not_done.startswith("not rehearsed: 1,000,035 accounts times 9,600 steps")


def test_a_crowd_that_is_sold_out_later_than_a_minute_is_no_warning() -> None:
    shock = "index.shocks=[{at: %s, log_return: -14%%, over: 30s}]"
    soon, late = (load_scenario(USUAL, ["duration=3min", shock % at]) for at in ("5s", "70s"))
    assert [each.name for each in rehearse(soon).warnings] == ["liquidated_at_once"]
    assert rehearse(late).warnings == ()
    assert simulate(late, 1).summary["liquidations"] > 0


def test_fuel_that_a_shock_burns_is_no_warning() -> None:
    burnt = load_scenario("long_squeeze", ["populations.longs.accounts=800"])
    assert rehearse(burnt).warnings == ()


def test_what_is_meant_is_not_measured() -> None:
    scenario = load_scenario(UNLIKELY_SCENARIOS / "measured_depth.yaml")
    assert rehearse(scenario).warnings != ()
    assert rehearse(replace(scenario, meant=("depth_far_off",))).warnings == ()


def test_time_at_the_ladders_end_is_on_the_summary() -> None:
    assert simulate(load_scenario(TINY), 1).summary["seconds_at_ladder_end"] == 0
    narrow = load_scenario(UNLIKELY_SCENARIOS / "measured_at_the_ladder_end.yaml")
    data = simulate(narrow, 1)
    pinned = (data.series["mark"] >= 100_049) | (data.series["index"] >= 100_049) | (data.series["last"] >= 100_049)
    assert data.summary["seconds_at_ladder_end"] == pinned[data.series["time_s"] > 0].sum() > 0
