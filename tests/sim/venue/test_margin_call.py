"""Facts about a margin call as a process: warned, called, given time, cured or closed (docs/model.md, eq. 7b)."""

from typing import Any

import numpy as np
import pytest

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import EventKind, Stage
from tests.support.exchanges import OpenMarket
from tests.support.ladder import Ladder, account_fact, row_of, told, traders
from tests.support.still_market import OpenStillMarket, fall, kinds
from tests.support.whole_market import digest_elsewhere, simulate

STILL = {"volatility": 0}


def index(*shocks: dict[str, Any]) -> dict[str, Any]:
    return {"fundamental": STILL, "feedback": {"enabled": False}, "shocks": list(shocks)}


def rise(share: float, at: str, over: str = "1s") -> dict[str, Any]:
    return {"at": at, "log_return": float(np.log1p(share)), "over": over}


# -- the mark and the index of triggers --------------------------------------------------------------------------------


@pytest.fixture
def warning_market(open_market: OpenMarket) -> Ladder:
    """A is long 10 from 200 with 510 behind it; the venue warns at a margin ratio of 0.2."""
    table = traders()
    table.rows["collateral"][row_of("A")] = 510
    market = open_market(table, warning_ppm=5_000_000)
    market.place(" | 200 | B10")
    market.market_buy("A", 10)
    return market


def test_an_account_is_warned_before_it_is_called(warning_market: Ladder) -> None:
    market = warning_market
    # equity 510 + 10 (M - 200) meets five times 0.5 % of 10 M first at M = 152, once that at 149
    assert told(market.mark(153)) == []
    events = market.mark(152)
    assert told(events) == ["A warning 10@152"]
    assert events["money"].tolist() == [30]
    assert account_fact(market.exchange, row_of("A"), "stage") == Stage.WARNED
    assert account_fact(market.exchange, row_of("A"), "liquidation_ticks") == 149
    assert told(market.mark(150)) == []
    assert told(market.mark(149)) == ["A margin_call 10@149"]
    assert account_fact(market.exchange, row_of("A"), "stage") == Stage.CALLED


def test_a_price_that_jumps_over_both_warns_and_calls(warning_market: Ladder) -> None:
    assert told(warning_market.mark(140)) == ["A warning 10@152", "A margin_call 10@149"]


def test_a_warned_account_trades(warning_market: Ladder) -> None:
    market = warning_market
    market.mark(152)
    market.place("C10 | 152 |")
    assert told(market.market_sell("A", 4)) == ["A sells 4@152 to C"]


def test_the_liquidation_price_is_not_that_of_the_warning(warning_market: Ladder) -> None:
    assert account_fact(warning_market.exchange, row_of("A"), "liquidation_ticks") == 149


# -- the engine's scan -------------------------------------------------------------------------------------------------


def test_by_default_a_called_account_is_closed_at_the_next_scan(still_market: OpenStillMarket) -> None:
    market = still_market(index=index(fall(0.047)))
    market.until(10)
    assert market.stages()[Stage.OK] == len(market.crowd)
    events = market.finish().events["main"]
    told_of = list(kinds(events, int(market.crowd[0])))
    assert told_of == ["margin_call", "liquidation_started", "fill", "liquidation_ended"]


def test_stages_come_in_their_order(still_market: OpenStillMarket) -> None:
    call = {"warning": 0.8, "window": "5s"}
    market = still_market(index=index(fall(0.0465, over="20s")), venue={"call": call}, duration="40s")
    events = market.finish().events["main"]
    seen = [list(kinds(events, int(row))) for row in market.crowd]
    wanted = ["warning", "margin_call", "liquidation_started", "fill", "liquidation_ended"]
    assert all(each == wanted for each in seen)
    times = {
        kind: events["time_ns"][(events["kind"] == kind) & (events["account"] == market.crowd[0])][0]
        for kind in (EventKind.WARNING, EventKind.MARGIN_CALL, EventKind.LIQUIDATION_STARTED)
    }
    assert times[EventKind.WARNING] < times[EventKind.MARGIN_CALL]
    assert times[EventKind.LIQUIDATION_STARTED] - times[EventKind.MARGIN_CALL] == 5_000_000_000


def test_within_the_window_a_recovered_account_is_free(still_market: OpenStillMarket) -> None:
    shocks = fall(0.0465), rise(0.01, at="6s")
    market = still_market(index=index(*shocks), venue={"call": {"window": "10s"}})
    assert market.until(5).stages()[Stage.CALLED] == len(market.crowd)
    assert market.until(9).stages()[Stage.OK] == len(market.crowd)
    events = market.finish().events["main"]
    assert list(kinds(events, int(market.crowd[0]))) == ["margin_call", "call_cured"]


def test_a_warning_is_lifted_with_hysteresis(still_market: OpenStillMarket) -> None:
    # equity 5 % - loss; a margin ratio of 0.5 is a loss of 4.02 %, 0.5 * 0.9 one of 3.91 %
    shocks = fall(0.041), rise(0.0015, at="6s"), rise(0.001, at="10s")
    call = {"warning": 0.5, "hysteresis": 0.1}
    market = still_market(index=index(*shocks), venue={"call": call})
    assert market.until(5).stages()[Stage.WARNED] == len(market.crowd)
    mark = market.room.venue.exchange.mark_ticks
    assert market.until(9).stages()[Stage.WARNED] == len(market.crowd), "below the warning, but not far enough"
    assert market.room.venue.exchange.mark_ticks > mark
    assert market.until(13).stages()[Stage.OK] == len(market.crowd)
    events = market.finish().events["main"]
    assert list(kinds(events, int(market.crowd[0]))) == ["warning", "warning_lifted"]


def test_grace_spares_a_dip_that_is_shorter(still_market: OpenStillMarket) -> None:
    shocks = fall(0.0465), rise(0.01, at="6s")
    started = {}
    for grace in ("2s", "20s"):
        market = still_market(index=index(*shocks), venue={"call": {"grace": grace}})
        started[grace] = market.finish().summary["liquidations"]
    assert started == {"2s": len(market.crowd), "20s": 0}


def test_below_level_one_the_forced_sale_waits_for_the_liquidation_price(still_market: OpenStillMarket) -> None:
    # a margin ratio of 0.5 at a loss of 4.02 %, of 1 at one of 4.52 %
    shocks = fall(0.042), fall(0.006, at="10s")
    market = still_market(index=index(*shocks), venue={"call": {"level": 0.5}})
    assert market.until(9).stages()[Stage.CALLED] == len(market.crowd)
    events = market.finish().events["main"]
    assert list(kinds(events, int(market.crowd[0])))[:2] == ["margin_call", "liquidation_started"]
    first = events["time_ns"][events["kind"] == EventKind.LIQUIDATION_STARTED].min()
    assert first > 10_000_000_000


def test_a_closed_warned_account_is_ordinary_again(still_market: OpenStillMarket) -> None:
    market = still_market(index=index(fall(0.042)), venue={"call": {"warning": 0.5}})
    market.until(5)
    row = int(market.crowd[0])
    assert market.table["stage"][row] == Stage.WARNED
    market.room.participants[1].orders.market(market.crowd[:1], -1, int(market.table["position_lots"][row]))
    market.until(8)
    assert market.table["position_lots"][row] == 0
    assert market.table["stage"][row] == Stage.OK


def test_nobody_is_past_a_trigger_after_a_scan_but_who_waits(still_market: OpenStillMarket) -> None:
    """`check_scan` looks after each scan; here it is seen to look: an account hidden from the engine is found."""
    capacity = {"liquidation": {"capacity": 3}}
    market = still_market(index=index(fall(0.047)), venue={"call": {"warning": 0.8}}, **capacity)
    market.until(3)
    assert market.stages()[Stage.CALLED] > 0, "a capacity of 3 leaves a queue"
    market.until(4)
    calls = market.room.margin_calls
    calls.check_scan(3)
    row = int(np.flatnonzero(market.table["stage"] == Stage.CALLED)[0])
    with pytest.raises(AssertionError, match="capacity"):
        calls.check_scan(10**6)
    market.table["stage"][row] = Stage.WARNED
    with pytest.raises(AssertionError, match="past a trigger"):
        calls.check_scan(3)
    assert row >= SYSTEM_ROWS


def test_an_account_whose_order_the_funds_limit_cut_to_nothing_takes_capacity_too(
    still_market: OpenStillMarket,
) -> None:
    """Found by the fleet, seed 1214: `check_scan` took a busy engine for an idle one."""
    market = still_market(
        index=index(fall(0.075)),
        venue={"insurance": {"max_loss_per_scan": 0}, "price_band": None},
        liquidation={"capacity": 3, "procedure": "fillable", "takeover": False},
    )
    for second in range(1, 12):
        market.until(second)
    stages = market.stages()
    assert stages[Stage.LIQUIDATING] >= 3
    assert stages[Stage.CALLED] > 0


@pytest.mark.parametrize("change", [{}, {"warning": 0.8, "window": "2s", "grace": "1s"}])
def test_the_process_keeps_every_invariant(still_market: OpenStillMarket, change: dict[str, Any]) -> None:
    """In a market that moves both ways through all stages."""
    fundamental = {"fundamental": {"volatility": 30}, "feedback": {"enabled": False}}
    crowd = {"leverage": {"distribution": "uniform", "minimum": 20, "maximum": 100}, "long_share": 0.5}
    market = still_market(index=fundamental, venue={"call": change}, crowd=crowd, duration="60s")
    data = market.finish()
    assert data.summary["margin_calls"] > 10


FAULTS = (
    {"type": "engine_outage"},
    {"type": "throttle", "capacity": 1},
    {"type": "frozen_oracle"},
    {"type": "stale_mark"},
    {"type": "wrong_tier", "factor": 2},
    {"type": "engine_delay", "latency": "3s"},
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault["type"]))
def test_the_process_keeps_every_invariant_through_a_fault(
    still_market: OpenStillMarket, fault: dict[str, Any]
) -> None:
    """With accounts that answer, too: some add margin, some cut, and the engine comes back to what has piled up."""
    market = still_market(
        index={"fundamental": {"volatility": 25}, "feedback": {"enabled": False}},
        venue={"call": {"warning": 0.8, "window": "2s", "grace": "1s"}},
        crowd={
            "leverage": {"distribution": "uniform", "minimum": 20, "maximum": 100},
            "long_share": 0.5,
            "cure": {"responsive_share": 0.5, "half_life": "5s", "reduce_share": 0.5},
        },
        duration="60s",
        faults=[{"at": "10s", "for": "10s"} | fault],
    )
    data = market.finish()
    assert data.summary["margin_calls"] > data.summary["liquidations"] > 0


PROCESS = (
    "duration=8s",
    "warmup=1s",
    "venue.call={warning: 0.7, level: 0.9, window: 1s, grace: 1s}",
    "populations.crowd.cure={responsive_share: 0.5, half_life: 1s, reduce_share: 0.5}",
    "index.shocks=[{at: 1s, log_return: -2%, over: 3s}]",
)
"""A short run of the tiny market with warnings, window, grace, and answers to them."""


def test_events_of_the_process_are_the_same_with_jit_on_and_off() -> None:
    data = simulate(*PROCESS)
    kinds = set(data.events["main"]["kind"].tolist())
    assert {EventKind.WARNING, EventKind.WARNING_LIFTED, EventKind.MARGIN_CALL} <= kinds
    assert digest_elsewhere({"NUMBA_DISABLE_JIT": "1"}, *PROCESS) == data.summary["event_digest"]
