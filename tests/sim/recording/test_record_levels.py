"""`record.events`: what each level keeps, and that whoever needs more says so."""

from pathlib import Path

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.facts import measure
from marginquake.analysis.facts.observed import Observed
from marginquake.analysis.figures.draw import plot_run
from marginquake.analysis.frames.market import EVENT_LEVELS
from marginquake.analysis.frames.run_frames import frames_of, load_run
from marginquake.analysis.report.run_report import write_report
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.runs.directory import RunData, RunDirectoryError
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.scenario.schema import scenario_schema
from marginquake.sim.studies import run as running
from tests.support.paths import TINY

QUOTES = (EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.MODIFIED, EventKind.EXPIRED, EventKind.REJECTED)
FORCED = (Cause.LIQUIDATION, Cause.TAKEOVER)


def scenario(level: str) -> Scenario:
    return load_scenario(TINY, AGENT_TYPES, [f"record.events={level}"])


@pytest.fixture(scope="module")
def runs() -> dict[str, RunData]:
    return {level: running.simulate(scenario(level), 1) for level in EVENT_LEVELS}


def test_each_level_keeps_its_kinds_and_nothing_else(runs: dict[str, RunData]) -> None:
    everything = runs["all"].events["main"]
    is_quote = np.isin(everything["kind"], QUOTES)
    is_fill = everything["kind"] == EventKind.FILL
    is_forced = np.isin(everything["cause"], FORCED)
    assert (is_fill & is_forced).any()
    wanted = {
        "none": np.zeros(len(everything), bool),
        "liquidations": ~is_quote & (~is_fill | is_forced),
        "fills": ~is_quote,
        "all": np.ones(len(everything), bool),
    }
    for level, chosen in wanted.items():
        np.testing.assert_array_equal(runs[level].events["main"], everything[chosen])


def test_the_level_changes_nothing_but_what_is_kept(runs: dict[str, RunData]) -> None:
    for level in EVENT_LEVELS:
        assert runs[level].summary == runs["all"].summary
        for name, column in runs["all"].series.items():
            np.testing.assert_array_equal(runs[level].series[name], column)


def test_levels_are_those_of_the_schema() -> None:
    record = scenario_schema(AGENT_TYPES)["$defs"]["RecordConfig"]["properties"]["events"]
    assert "liquidations" in str(record)
    assert scenario("fills").record.events == load_scenario(TINY, AGENT_TYPES, ["record=null"]).record.events


def test_fills_are_all_or_none_and_forced_ones_come_with_liquidations(runs: dict[str, RunData]) -> None:
    markets = {level: frames_of(runs[level], scenario(level)).first for level in EVENT_LEVELS}
    forced = len(markets["all"].forced_fills)
    assert 0 < forced < len(markets["all"].fills)
    assert {level: len(market.forced_fills) for level, market in markets.items()} == {
        "none": 0, "liquidations": forced, "fills": forced, "all": forced,
    }  # fmt: skip
    assert len(markets["liquidations"].fills) == 0, "forced fills are not all fills"
    assert len(markets["fills"].fills) == len(markets["all"].fills)
    assert markets["liquidations"].not_recorded("liquidations") == ""
    assert markets["liquidations"].not_recorded("fills") == (
        "not recorded (record.events: liquidations); run with record.events: fills"
    )


def observed(level: str, runs: dict[str, RunData]) -> Observed:
    frames = frames_of(runs[level], scenario(level))
    return Observed(frames, frames.first, 30.0)


def test_facts_say_which_level_they_need(runs: dict[str, RunData]) -> None:
    needy = observed("liquidations", runs)
    with pytest.raises(Unmeasurable, match=r"run with record\.events: fills"):
        _ = needy.fills
    assert len(needy.liquidated[0]) > 0
    blind = observed("none", runs)
    with pytest.raises(Unmeasurable, match=r"run with record\.events: liquidations"):
        _ = blind.liquidated
    assert measure(frames_of(runs["none"], scenario("none"))) is not None


@pytest.mark.parametrize("level", ["none", "liquidations"])
def test_every_figure_and_the_report_are_drawn_at_every_level(tmp_path: Path, level: str) -> None:
    path = running.run(scenario(level), out=tmp_path, figures=False).path
    assert load_run(path).first.events_kept == level
    assert plot_run(path)
    said = "Forced fills: not recorded (record.events: none)" in write_report(path).read_text()
    assert said == (level == "none")
    with pytest.raises(RunDirectoryError, match=r"run with record\.events: fills"):
        plot_run(path, "round_prices")


def test_the_old_name_of_a_level_is_refused_with_the_new_one() -> None:
    with pytest.raises(ValueError, match=r"record\.events: .*'trades' is called 'fills' now"):
        scenario("trades")
