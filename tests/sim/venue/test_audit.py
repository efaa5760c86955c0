"""Facts about the audit log: every change of stage has its row, and the row says all that decided it and who paid."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.run_frames import frames_of, load_run
from marginquake.sim.core.records import AUDIT, AuditCause, EventKind, Stage
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.paths import TINY
from tests.support.still_market import OpenStillMarket, fall

HARD = ("index.shocks=[{at: 2s, log_return: -6%, over: 4s}]", "venue.insurance.initial=1000")


def index(*shocks: dict[str, Any]) -> dict[str, Any]:
    return {"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": list(shocks)}


def story(audit: NDArray[Any], row: int) -> list[tuple[str, str, str]]:
    """(from, to, cause) of one account, in order."""
    return [
        (Stage(int(each["from_stage"])).name, Stage(int(each["to_stage"])).name, AuditCause(int(each["cause"])).name)
        for each in audit[audit["account"] == row]
    ]


@pytest.fixture(scope="module")
def hard() -> Any:
    return running.simulate(load_scenario(TINY, AGENT_TYPES, HARD), 1, check_invariants=True)


def test_a_life_from_warning_to_closing(still_market: OpenStillMarket) -> None:
    call = {"warning": 0.8, "window": "5s"}
    market = still_market(index=index(fall(0.0465, over="20s")), venue={"call": call}, duration="40s")
    row = int(market.crowd[0])
    data = market.finish()
    audit = data.audit["main"]
    assert story(audit, row) == [
        ("OK", "WARNED", "MARK"),
        ("WARNED", "CALLED", "MARK"),
        ("CALLED", "LIQUIDATING", "DUE"),
        ("LIQUIDATING", "OK", "CLOSED"),
    ]
    own = audit[audit["account"] == row]
    events = data.events["main"]
    mine = events[events["account"] == row]
    fills = mine[mine["kind"] == EventKind.FILL]
    called, started, ended = own[1:]
    assert own["dwell_ns"].tolist() == [-1, *np.diff(own["time_ns"]).tolist()]
    assert own["wait_ns"].tolist() == [-1, 0, 5_000_000_000, ended["time_ns"] - called["time_ns"]]
    assert called["trigger_ticks"] == mine["price_ticks"][mine["kind"] == EventKind.MARGIN_CALL][0]
    assert called["equity"] == mine["money"][mine["kind"] == EventKind.MARGIN_CALL][0]
    assert called["mark_ticks"] == round(called["index_ticks"])
    assert called["equity"] <= called["maintenance"] == called["notional"] * 5 // 1000
    assert called["margin_fraction"] == pytest.approx(called["equity"] / called["notional"])
    assert started["trigger_ticks"] == called["trigger_ticks"]
    assert ended["filled_lots"] == fills["quantity_lots"].sum() == started["position_lots"]
    assert ended["filled_tick_lots"] == (fills["quantity_lots"] * fills["price_ticks"]).sum()
    assert ended["fee"] == fills["money"].sum()
    value = market.table_value
    slippage = started["position_lots"] * started["mark_ticks"] * value - ended["filled_tick_lots"] * value
    assert ended["margin_paid"] == slippage + ended["fee"]
    assert (ended["position_lots"], ended["fund_paid"], ended["unpaid"]) == (0, 0, 0)


def test_a_cure_says_how(still_market: OpenStillMarket) -> None:
    crowd = {"margin_mode": "cross"}
    market = still_market(index=index(fall(0.0485)), venue={"call": {"window": "20s"}}, crowd=crowd)
    market.until(5)
    called = market.crowd[market.table["stage"][market.crowd] == Stage.CALLED]
    first, second, third = (called[k : k + 1] for k in range(3))
    lots = np.abs(market.table["position_lots"])
    desk = market.room.participants[1].orders
    desk.deposit(first, market.table["collateral"][first] // 10)
    desk.market(second, -1, lots[second] // 2)
    desk.market(third, -1, lots[third])
    audit = market.finish().audit["main"]
    causes = [story(audit, int(rows[0]))[1][2] for rows in (first, second, third)]
    assert causes == ["TOPPED_UP", "REDUCED", "FLAT"]


def test_every_change_of_stage_has_its_row(hard: Any) -> None:
    audit, events = hard.audit["main"], hard.events["main"]
    for kind, to_stage in (
        (EventKind.MARGIN_CALL, Stage.CALLED),
        (EventKind.LIQUIDATION_STARTED, Stage.LIQUIDATING),
    ):
        rows = audit[audit["to_stage"] == to_stage]
        assert sorted(rows["account"].tolist()) == sorted(events["account"][events["kind"] == kind].tolist())
    for account in np.unique(audit["account"]):
        own = audit[audit["account"] == account]
        assert own["from_stage"][0] == Stage.OK
        assert (own["from_stage"][1:] == own["to_stage"][:-1]).all(), "rows of an account are a chain"


def test_who_paid_adds_up_to_the_events(hard: Any) -> None:
    audit, events = hard.audit["main"], hard.events["main"]
    ended = audit[(audit["from_stage"] >= Stage.LIQUIDATING) & (audit["to_stage"] < Stage.LIQUIDATING)]
    assert (audit["from_stage"] == Stage.TAKEN_OVER).any()
    assert (ended["deleveraged_lots"] > 0).any(), "a fund of 1000 does not bear this fall"
    of_kind = {kind: events[events["kind"] == kind] for kind in EventKind}
    accounts = ended["account"]
    adl = of_kind[EventKind.ADL]
    adl = adl[np.isin(adl["maker_account"], accounts)]
    assert ended["deleveraged_lots"].sum() == adl["quantity_lots"].sum()
    assert ended["winners_profit"].sum() == adl["money"].sum()
    takeovers = of_kind[EventKind.TAKEOVER]
    assert ended["taken_over_lots"].sum() == takeovers["quantity_lots"].sum()
    insured = of_kind[EventKind.INSURANCE]
    insured = insured["money"][np.isin(insured["account"], accounts)].sum()
    assert ended["fund_paid"].sum() == insured - np.minimum(0, takeovers["money"]).sum()
    started = audit[audit["to_stage"] == Stage.LIQUIDATING]
    started = np.abs(started["position_lots"][np.isin(started["account"], accounts)]).sum()
    closed = sum(ended[name].sum() for name in ("filled_lots", "taken_over_lots", "deleveraged_lots"))
    left = np.abs(ended["position_lots"]).sum()
    assert started == closed + left


def test_the_log_on_disk_is_the_log_in_memory(tmp_path: Path, hard: Any) -> None:
    loaded = load_scenario(TINY, AGENT_TYPES, HARD)
    result = running.run(loaded, seed=1, out=tmp_path, figures=False)
    on_disk, in_memory = load_run(result.path).first.audit, frames_of(hard, loaded).first.audit
    assert list(on_disk) == [*(AUDIT.names or ()), "time_s"] == list(in_memory)
    for name in on_disk:
        assert np.array_equal(on_disk[name], in_memory[name]), name


def test_a_run_without_events_keeps_no_audit_log() -> None:
    loaded = load_scenario(TINY, AGENT_TYPES, (*HARD, "record.events=none"))
    data = running.simulate(loaded, 1)
    assert data.audit == {}
    assert frames_of(data, loaded).first.audit == {}


def test_a_resumed_run_has_the_same_audit_log(tmp_path: Path, hard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_scenario(TINY, AGENT_TYPES, HARD)

    def stop(progress: running.RunProgress) -> None:
        if progress.simulated_s > 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(running, "PROGRESS_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        running.run(loaded, seed=1, out=tmp_path, figures=False, checkpoint_every="2s", progress=stop)
    (partial,) = tmp_path.glob("*.partial")
    resumed = load_run(running.resume(partial).path).first.audit
    for name in AUDIT.names or ():
        assert np.array_equal(resumed[name], hard.audit["main"][name]), name
