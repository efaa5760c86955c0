"""Snapshots of positions: what the account table says at those times, bounded, and without effect on the run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import frames_of, load_run
from marginquake.sim.model.model import MarketModel
from marginquake.sim.recording import snapshots
from marginquake.sim.runs.directory import RunData
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.faults.seals import seal_run
from tests.support.paths import TINY

EVERY = "record.positions_every=4s"
pytestmark = pytest.mark.model


def frames(*overrides: str) -> MarketFrames:
    loaded = load_scenario(TINY, AGENT_TYPES, overrides)
    return frames_of(running.simulate(loaded, 1), loaded).first


def at(positions: dict[str, Any], time_s: float) -> dict[str, Any]:
    return {name: column[positions["time_s"] == time_s] for name, column in positions.items()}


def test_a_snapshot_is_the_account_table_of_that_moment() -> None:
    model = MarketModel(load_scenario(TINY, AGENT_TYPES, [EVERY, "fuel_ratio=3"]), AGENT_TYPES)
    room = model.sessions[0]
    contract, seen = room.venue.contract, {}
    for _ in range(model.steps_total):
        model.step()
        if model.now_ns >= 0 and model.now_ns % 4_000_000_000 == 0:
            seen[model.now_ns / 1e9] = (room.venue.accounts.rows.copy(), room.venue.exchange.mark_ticks)
    data = model.finish()
    positions = {name: np.asarray(column) for name, column in data.positions.items()}
    assert np.unique(positions["time_s"]).tolist() == sorted(seen) == [0, 4, 8, 12, 16, 20]
    names = np.asarray(data.accounts["population"])
    for time_s, (rows, mark) in seen.items():
        kept = at(positions, time_s)
        held = np.flatnonzero(rows["position_lots"])
        np.testing.assert_array_equal(kept["account"], held)
        for name in ("position_lots", "stage"):
            np.testing.assert_array_equal(kept[name], rows[name][held])
        np.testing.assert_array_equal(kept["population"], names[held])
        liquidation = rows["liquidation_ticks"][held] * float(contract.tick_size)
        np.testing.assert_allclose(np.nan_to_num(kept["liquidation_price"]), liquidation)
        assert (kept["mark"] == mark * float(contract.tick_size)).all()
        assert kept["position_lots"].sum() == 0, "every long lot has a short lot"
        for row, lots, entry, equity, notional in zip(
            held, kept["position_lots"], kept["entry_price"], kept["equity"], kept["notional"], strict=True
        ):
            account = rows[row]
            backing = account["isolated_margin"] if account["mode"] else account["collateral"]
            quantity = lots * float(contract.lot_size)
            profit = quantity * (mark * float(contract.tick_size) - entry)
            assert equity == pytest.approx(contract.to_amount(backing) + profit, rel=1e-9, abs=1e-3)
            assert notional == pytest.approx(abs(quantity) * mark * float(contract.tick_size))


def test_who_is_called_has_no_more_equity_than_maintenance() -> None:
    positions = frames(EVERY, "fuel_ratio=3", "liquidation.enabled=false").positions
    called = positions["stage"] >= 2
    assert called.any()
    np.testing.assert_array_equal(called, positions["equity"] <= positions["maintenance"])


def test_only_the_start_where_no_period_is_given_and_nothing_without_events() -> None:
    assert np.unique(frames("record.positions_every=null").positions["time_s"]).tolist() == [0.0]
    assert frames(EVERY, "record.events=none").positions == {}


def test_a_run_without_warm_up_has_its_start_too() -> None:
    positions = frames(EVERY, "warmup=0s").positions
    assert np.unique(positions["time_s"]).tolist() == [0, 4, 8, 12, 16, 20]


def test_snapshots_change_nothing_of_the_run() -> None:
    often, never = (
        running.simulate(load_scenario(TINY, AGENT_TYPES, [override]), 1).summary
        for override in ("record.positions_every=100ms", "record.positions_every=null")
    )
    assert often == never


def test_too_many_rows_halve_the_snapshots_and_keep_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = frames("record.positions_every=1s").positions
    monkeypatch.setattr(snapshots, "MOST_ROWS", len(whole["time_s"]) // 4)
    thin = frames("record.positions_every=1s").positions
    assert len(thin["time_s"]) <= len(whole["time_s"]) // 4
    times = np.unique(thin["time_s"])
    assert times.tolist() == list(range(0, 21, int(times[1])))
    for time_s in times:
        for name, column in at(thin, time_s).items():
            np.testing.assert_array_equal(column, at(whole, time_s)[name])
    monkeypatch.setattr(snapshots, "MOST_ROWS", 1)
    assert np.unique(frames(EVERY).positions["time_s"]).tolist() == [0.0]


def test_a_run_directory_holds_them_and_old_ones_are_read_without(tmp_path: Path) -> None:
    loaded = load_scenario(TINY, AGENT_TYPES, [EVERY])
    path = running.run(loaded, out=tmp_path, figures=False).path
    from_disk, in_memory = load_run(path).first.positions, frames(EVERY).positions
    assert list(from_disk) == list(in_memory)
    for name, column in from_disk.items():
        np.testing.assert_array_equal(column, in_memory[name])
    (path / "positions.parquet").unlink()
    seal_run(path)
    assert load_run(path).first.positions == {}


def test_frames_of_a_run_without_positions_have_none() -> None:
    loaded = load_scenario(TINY, AGENT_TYPES, [EVERY])
    data: RunData = replace(running.simulate(loaded, 1), positions={})
    assert frames_of(data, loaded).first.positions == {}
