"""Facts about faults of a venue's rules: when they last, what they do, and what is left when they are over."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.run_frames import frames_of
from marginquake.sim.core.records import EventKind, Stage
from marginquake.sim.rules.faults import FAULTS, EngineDelay, EngineOutage, FaultSchedule, InForce, Throttle, WrongTier
from marginquake.sim.scenario.loader import load_scenario
from tests.support.still_market import REGISTRY, StillMarket, fall
from tests.support.strategies import THOROUGH

S = 1_000_000_000
STILL = {"fundamental": {"volatility": 0}, "feedback": {"enabled": False}}


def fault(kind: str, at: str = "2s", **rest: Any) -> dict[str, Any]:
    return {"type": kind, "at": at, "for": "20s"} | rest


def times(events: Any, kind: EventKind) -> Any:
    return events["time_ns"][events["kind"] == kind] / S


# -- the board ---------------------------------------------------------------------------------------------------------


def outage(at: int, length: int) -> EngineOutage:
    return EngineOutage.model_validate({"at": at, "for": length})


def test_a_fault_lasts_from_its_beginning_to_just_before_its_end() -> None:
    board = FaultSchedule([outage(10, 5)])
    assert [board.at(now).engine_scans for now in (9, 10, 14, 15, 16)] == [True, False, False, True, True]


def test_faults_at_the_same_time_add_up() -> None:
    board = FaultSchedule([
        Throttle.model_validate({"at": 0, "for": 9, "capacity": 7}),
        Throttle.model_validate({"at": 2, "for": 9, "capacity": 3}),
        EngineDelay.model_validate({"at": 2, "for": 9, "latency": 5}),
        EngineDelay.model_validate({"at": 2, "for": 9, "latency": 6}),
        WrongTier.model_validate({"at": 2, "for": 9, "factor": 2}),
        WrongTier.model_validate({"at": 2, "for": 9, "factor": 3}),
    ])  # fmt: skip
    assert board.at(1) == InForce(capacity=7)
    assert board.at(2) == InForce(capacity=3, latency_ns=11, maintenance_factor=6)
    assert board.at(20) == InForce()


@given(
    faults=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=6),
    clock=st.lists(st.integers(0, 60), min_size=1, max_size=30).map(sorted),
)
def test_the_board_is_what_a_look_at_all_faults_says(faults: list[tuple[int, int]], clock: list[int]) -> None:
    board = FaultSchedule([outage(at, length) for at, length in faults])
    for now in clock:
        assert board.at(now).engine_scans == (not any(at <= now < at + length for at, length in faults))


def test_every_kind_changes_something() -> None:
    more = {"throttle": {"capacity": 1}, "engine_delay": {"latency": 1}, "wrong_tier": {"factor": 2}}
    for kind, fault_type in FAULTS.items():
        made = fault_type.model_validate({"at": 0, "for": 1} | more.get(kind, {}))
        assert made.change(InForce()) != InForce()


def test_a_scenario_with_faults_is_read_back_as_it_was(tmp_path: Path) -> None:
    faults = [fault("engine_outage"), fault("wrong_tier", factor=1.5), fault("engine_delay", latency="3s")]
    market = StillMarket(tmp_path, index=STILL, faults=faults)
    copy = tmp_path / "copy.yaml"
    copy.write_text(market.model.setup.resolved_yaml())
    assert load_scenario(copy, REGISTRY) == market.model.setup
    spans = frames_of(market.finish(), market.model.setup).first.faults
    assert [(span.type, span.start_s, span.end_s) for span in spans] == [
        ("engine_outage", 2.0, 22.0),
        ("wrong_tier", 2.0, 22.0),
        ("engine_delay", 2.0, 22.0),
    ]


# -- what they do ------------------------------------------------------------------------------------------------------


def run(folder: Path, *faults: dict[str, Any], share: float = 0.047, **changes: Any) -> tuple[Any, StillMarket]:
    market = StillMarket(folder, index=STILL | {"shocks": [fall(share, at="3s")]}, faults=list(faults), **changes)
    return market.finish(), market


def test_in_an_outage_nobody_is_closed_and_afterwards_the_backlog_clears(tmp_path: Path) -> None:
    data, market = run(tmp_path, fault("engine_outage"), liquidation={"capacity": 10}, duration="60s")
    events = data.events["main"]
    assert len(times(events, EventKind.MARGIN_CALL)) == len(market.crowd)
    assert times(events, EventKind.MARGIN_CALL).max() < 5
    started = np.unique(times(events, EventKind.LIQUIDATION_STARTED), return_counts=True)
    # 40 accounts, 10 a scan of 1 s; the account whose order is done counts as handled until it is released
    assert started[0].min() == 22
    assert started[1].max() == 10
    assert started[0].max() <= 22 + 2 * len(market.crowd) / 10
    assert (market.table["stage"][market.crowd] == Stage.OK).all()


def test_throttled_the_engine_handles_no_more_than_it_may(tmp_path: Path) -> None:
    data, market = run(tmp_path, fault("throttle", capacity=3), duration="60s")
    started, count = np.unique(times(data.events["main"], EventKind.LIQUIDATION_STARTED), return_counts=True)
    assert count[started < 22].max() == 3
    assert (market.table["stage"][market.crowd] == Stage.OK).all()


def test_delayed_orders_arrive_later(tmp_path: Path) -> None:
    waits = []
    for faults in ([], [fault("engine_delay", latency="5s")]):
        data, _ = run(tmp_path, *faults)
        events = data.events["main"]
        forced = events[(events["kind"] == EventKind.FILL) & (events["cause"] == 2)]
        waits.append(forced["time_ns"].min() / S - times(events, EventKind.LIQUIDATION_STARTED).min())
    assert waits == pytest.approx([0.02, 5.02])


@pytest.mark.parametrize("kind", ["frozen_oracle", "stale_mark"])
def test_a_mark_that_stands_still_calls_nobody_until_it_moves_again(tmp_path: Path, kind: str) -> None:
    data, market = run(tmp_path, fault(kind))
    series = data.series
    frozen = (series["time_s"] > 2) & (series["time_s"] < 22)
    assert len(set(series["mark"][frozen])) == 1
    assert series["index"][frozen].min() < 96_000
    calls = times(data.events["main"], EventKind.MARGIN_CALL)
    assert len(calls) == len(market.crowd)
    assert calls.min() >= 22


def test_a_wrong_tier_calls_too_early_and_is_forgotten_when_it_is_mended(tmp_path: Path) -> None:
    right, _ = run(tmp_path, share=0.042)
    assert right.summary["margin_calls"] == 0
    wrong, market = run(tmp_path, fault("wrong_tier", factor=2), share=0.042)
    assert wrong.summary["margin_calls"] == len(market.crowd)
    venue = market.room.venue
    assert venue.brackets == venue.margins.base


def test_with_rates_too_low_accounts_are_called_too_late(tmp_path: Path) -> None:
    data, market = run(tmp_path, fault("wrong_tier", factor=0.1))
    calls = times(data.events["main"], EventKind.MARGIN_CALL)
    assert len(calls) == len(market.crowd)
    assert calls.min() >= 22


# -- feedback off, averaged over seeds ---------------------------------------------------------------------------------


def bad_debt(folder: Path, seed: int, faults: list[dict[str, Any]]) -> float:
    market = StillMarket(
        folder,
        seed=seed,
        check=False,
        index={"fundamental": {"volatility": 15}, "feedback": {"enabled": False}},
        faults=faults,
        duration="100s",
        step="500ms",
        crowd={"leverage": {"distribution": "uniform", "minimum": 30, "maximum": 100}, "long_share": 0.5},
    )
    data = market.finish()
    return float(data.summary["bad_debt"])


def test_bad_debt_rises_with_the_length_of_an_outage(tmp_path: Path) -> None:
    lengths = ("0s", "10s", "30s", "80s")
    means = []
    for length in lengths:
        faults = [] if length == "0s" else [{"type": "engine_outage", "at": "5s", "for": length}]
        means.append(np.mean([bad_debt(tmp_path, seed, faults) for seed in range(12 * THOROUGH)]))
    assert means == sorted(means)
    assert means[-1] > 1.5 * max(means[0], 1.0)


def test_bad_debt_rises_with_the_delay_of_the_engines_orders(tmp_path: Path) -> None:
    means = []
    for latency in (None, "4s", "16s"):
        faults = [] if latency is None else [{"type": "engine_delay", "at": "0s", "for": "100s", "latency": latency}]
        means.append(np.mean([bad_debt(tmp_path, seed, faults) for seed in range(12 * THOROUGH)]))
    assert means == sorted(means)
    assert means[-1] > means[0]


def test_faults_are_registered_for_editors_and_loader() -> None:
    from marginquake.sim.scenario.schema import scenario_schema

    definitions = scenario_schema(AGENT_TYPES)["$defs"]
    for fault_type in FAULTS.values():
        assert {"at", "for", "type"} <= definitions[fault_type.__name__]["properties"].keys()
