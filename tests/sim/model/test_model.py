"""The whole model on small markets: determinism, conservation, and what switching one thing off does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.records import Cause, EventKind, packed
from marginquake.sim.runs.directory import RunData
from tests.support.paths import TINY
from tests.support.whole_market import OpenModel, digest_elsewhere, simulate

FORCED = (Cause.LIQUIDATION, Cause.TAKEOVER)


@pytest.fixture(scope="module")
def tiny() -> RunData:
    return simulate(check=True)


def test_a_fall_calls_accounts_and_forced_orders_trade(tiny: RunData) -> None:
    assert tiny.summary["margin_calls"] > 0
    assert tiny.summary["forced_notional"] > 0
    fills = tiny.events["main"][tiny.events["main"]["kind"] == EventKind.FILL]
    assert np.isin(fills["cause"], FORCED).any(), "forced orders trade in the same book"


def test_every_invariant_holds_after_every_step_in_a_harder_fall() -> None:
    simulate("index.shocks=[{at: 2s, log_return: -6%, over: 4s}]", "venue.insurance.initial=1000", check=True)


def test_the_same_seed_gives_the_same_digest_and_another_seed_another(tiny: RunData) -> None:
    assert simulate().summary["event_digest"] == tiny.summary["event_digest"]
    assert simulate(seed=2).summary["event_digest"] != tiny.summary["event_digest"]


def test_seed_zero_is_a_seed() -> None:
    assert simulate("duration=1s", seed=0).summary["seed"] == 0


@pytest.mark.parametrize("environment", [{}, {"NUMBA_DISABLE_JIT": "1"}], ids=["another process", "JIT off"])
def test_the_digest_is_the_same_elsewhere(environment: dict[str, str]) -> None:
    short = ("duration=8s", "warmup=1s")
    here = simulate(*short).summary["event_digest"]
    assert digest_elsewhere(environment, *short) == here


def test_without_liquidation_positions_stay_open_and_nothing_else_changes_before_the_first_call(tiny: RunData) -> None:
    off = simulate("liquidation.enabled=false")
    assert off.summary["liquidations"] == 0
    assert off.summary["forced_notional"] == 0
    on_events, off_events = tiny.events["main"], off.events["main"]
    first_call = on_events["time_ns"][on_events["kind"] == EventKind.MARGIN_CALL].min()
    before_on = on_events[on_events["time_ns"] < first_call]
    before_off = off_events[off_events["time_ns"] < first_call]
    assert packed(before_on) == packed(before_off), "twins share every draw until the first forced order"


def test_with_leverage_one_nobody_is_liquidated() -> None:
    run = simulate("populations.crowd.leverage=1", "index.shocks=[{at: 5s, log_return: -8%, over: 5s}]")
    assert run.summary["liquidations"] == 0


def test_a_sliced_liquidation_sells_in_more_orders_than_a_full_one() -> None:
    sliced = simulate(
        "liquidation.procedure=sliced", "liquidation.slice_min_notional=0", "liquidation.slice_cooldown=1s"
    )
    assert sliced.summary["liquidations"] > 0
    events = sliced.events["main"]
    forced = events[(events["kind"] == EventKind.FILL) & (events["cause"] == Cause.LIQUIDATION)]
    orders_by_account: dict[int, set[int]] = {}
    for account, order in zip(forced["account"].tolist(), forced["order_id"].tolist(), strict=True):
        orders_by_account.setdefault(account, set()).add(order)
    assert max(map(len, orders_by_account.values())) > 1


def test_an_exhausted_fund_leads_to_adl_and_nobody_without_a_position_loses() -> None:
    run = simulate(
        "venue.insurance.initial=0",
        "venue.fees.liquidation=0",
        "index.shocks=[{at: 2s, log_return: -9%, over: 2s}]",
        check=True,
    )
    assert run.summary["adl_notional"] > 0
    accounts = run.accounts
    idle = (np.array(accounts["position_start"]) == 0) & (np.array(accounts["fees_paid"]) == 0)
    idle[:SYSTEM_ROWS] = False
    traded = set(run.events["main"]["account"].tolist()) | set(run.events["main"]["maker_account"].tolist())
    idle &= ~np.isin(np.arange(len(idle)), list(traded))
    assert (np.array(accounts["equity_end"])[idle] >= np.array(accounts["equity_start"])[idle] - 1e-9).all()


def test_the_insurance_fund_never_ends_a_scan_below_zero_while_it_holds_nothing(
    open_model: OpenModel,
) -> None:
    model = open_model(TINY, "venue.insurance.initial=2000")
    rows = model.sessions[0].venue.accounts.rows
    for _ in range(model.steps_total):
        model.step()
        if rows["position_lots"][INSURANCE_ROW] == 0:
            assert rows["collateral"][INSURANCE_ROW] >= 0


def test_two_markets_in_one_model_do_what_each_does_alone(tmp_path: Path) -> None:
    text = TINY.read_text()
    both = tmp_path / "both.yaml"
    second = "".join(
        f"  {name}_b: {{type: {kind}, market: b{extra}}}\n"
        for name, kind, extra in (
            ("makers", "market_maker", ", accounts: 3"),
            ("flow", "background", ""),
            ("arbs", "arbitrageur", ""),
        )
    )
    both.write_text(text.replace("populations:\n", "markets: {main: {}, b: {}}\npopulations:\n") + second)
    alone, together = simulate("duration=5s"), simulate("duration=5s", path=both)
    assert packed(together.events["main"]) == packed(alone.events["main"])
    assert len(together.events["b"]) > 0
    assert "b.margin_calls" in together.summary
    columns: dict[str, Any] = dict(together.series)
    assert set(columns["market"]) == {"main", "b"}
