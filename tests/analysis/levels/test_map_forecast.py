"""Forecast against realised: what became of every lot that the mark reached, to the lot."""

from typing import Any

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import frames_of
from marginquake.analysis.levels import map_forecasts, snapshot_times
from marginquake.analysis.levels.came_true import WAYS
from marginquake.sim.core.records import EVENT, Cause, EventKind
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.frames.positions import TICK, held_market
from tests.support.paths import TINY

HELD = ("margin_added", "waiting", "other")
BUYER = 90


def event(second: float, kind: EventKind, account: int, price: float = 0, lots: int = 0, **columns: Any) -> Any:
    row = np.zeros(1, EVENT)
    row["kind"], row["time_ns"], row["account"] = kind, round(second * 1e9), account
    row["price_ticks"], row["quantity_lots"], row["mark_ticks"] = round(price / TICK), lots, round(96 / TICK)
    row["maker_account"] = BUYER
    for name, value in columns.items():
        row[name] = value
    return row


def sale(second: float, account: int, price: float, lots: int, cause: Cause) -> Any:
    return event(second, EventKind.FILL, account, price, lots, side=-1, cause=cause)


def fallen(*events: Any, **more: Any) -> MarketFrames:
    """Longs of 10 lots each at 98 (accounts 3 to 7), 20 at 90 (8), and their shorts (9); the mark falls to 96."""
    path = {"time_s": np.arange(5.0), "mark": np.array([100.0, 100.0, 97.0, 96.0, 96.5])}
    return held_market(
        lots=[10, 10, 10, 10, 10, 20, -70],
        entry=[100] * 7,
        liquidation=[98] * 5 + [90, 120],
        leverage=[50] * 7,
        series=path,
        events=np.concatenate(events),
        **more,
    )


EVENTS = (
    sale(2.0, 3, 97.5, 4, Cause.LIQUIDATION),
    sale(2.1, 4, 97.0, 10, Cause.STOP),
    event(2.2, EventKind.TAKEOVER, 3, 97.0, 6, maker_account=0),
    sale(2.3, 5, 96.5, 3, Cause.VOLUNTARY),
    event(2.4, EventKind.FILL, BUYER, 96.6, 2, side=1, maker_account=5),
    event(2.5, EventKind.DEPOSIT, 5),
    event(2.6, EventKind.MARGIN_CALL, 6),
    event(2.7, EventKind.ADL, 9, 97.0, 1, maker_account=7),
    sale(2.8, 44, 96.0, 5, Cause.LIQUIDATION),
)
SPAN = [(1.5, 4.0)]


def test_every_lot_that_was_due_ends_one_way() -> None:
    (forecast,) = map_forecasts(fallen(*EVENTS), SPAN)
    assert (forecast.snapshot_s, forecast.mark_low, forecast.mark_high) == (0.0, 96.0, 100.0)
    (hit,) = [each for each in forecast.outcomes if each.cluster is not None and each.due > 0]
    assert hit.side == 1
    assert hit.accounts == 5
    assert (hit.mass, hit.due) == pytest.approx((50 * 98, 50 * 98))
    lots = {name: getattr(hit, name) / 98 for name in WAYS + HELD}
    assert lots == pytest.approx(
        {
            "sold": 4, "taken_over": 6, "deleveraged": 1, "stopped": 10, "closed": 5,
            "margin_added": 5, "waiting": 10, "other": 9,
        }
    )  # fmt: skip
    assert (hit.level_price, hit.fill_price) == pytest.approx((98, 97.5))
    assert hit.slippage == pytest.approx(0.5 / 98)
    assert hit.forced == pytest.approx(11 * 98)
    assert (hit.hit_share, forecast.total("due")) == pytest.approx((1.0, hit.due))
    assert forecast.realised == pytest.approx(4 * 97.5 + 5 * 96)
    assert forecast.unforeseen == pytest.approx(5 * 96)
    assert forecast.called_before == forecast.fund_traded == 0


def test_what_is_opened_later_and_closed_again_is_not_counted() -> None:
    bought = event(1.6, EventKind.FILL, 3, 99, 7, side=1, cause=Cause.VOLUNTARY)
    (forecast,) = map_forecasts(fallen(bought, sale(2.0, 3, 97.5, 17, Cause.LIQUIDATION)), SPAN)
    assert forecast.total("sold") == pytest.approx(10 * 98)
    assert forecast.total("due") == pytest.approx(50 * 98)


def added(later: dict[str, Any]) -> float:
    """Lots that were spared by margin, of 50 due: 10 of account 3 are sold, the others are on a second snapshot."""
    sold = sale(2.0, 3, 97.5, 10, Cause.LIQUIDATION)
    (forecast,) = map_forecasts(fallen(sold, equity=30.0, times=(0.0, 4.0), later={4.0: later}), SPAN)
    assert forecast.total("margin_added") + forecast.total("other") == pytest.approx(40 * 98)
    return forecast.total("margin_added") / 98


def test_more_behind_the_same_position_on_the_next_snapshot_is_margin_added() -> None:
    assert added({"equity": [30, 60, 30, 30, 30, 30, 30]}) == pytest.approx(10)


def test_what_a_position_gained_is_no_margin() -> None:
    gains = np.array([10, 10, 10, 10, 10, 20, -70]) * (96.5 - 100)
    assert added({"equity": 30 + gains, "mark": 96.5}) == 0


def test_funding_is_no_margin_added() -> None:
    received = np.array([10, 10, 10, 10, 10, 20, -70]) * 0.05
    further = [97.95] * 5 + [89.95, 119.95]
    assert added({"equity": 30 + received, "liquidation_price": further}) == 0
    received[1] += 30
    assert added({"equity": 30 + received, "liquidation_price": further}) == pytest.approx(10)


def test_a_level_that_the_venue_moved_is_no_margin_added() -> None:
    assert added({"liquidation_price": [97] * 5 + [89, 121]}) == 0


def test_a_position_that_was_changed_is_not_the_same() -> None:
    assert added({"equity": [30, 60, 30, 30, 30, 30, 30], "entry_price": [100, 99, 100, 100, 100, 100, 100]}) == 0
    assert added({"equity": [30, 60, 30, 30, 30, 30, 30], "position_lots": [10, 11, 10, 10, 10, 20, -70]}) == 0


def test_one_side_alone() -> None:
    bought = event(2.4, EventKind.FILL, 9, 96.6, 2, side=1, cause=Cause.LIQUIDATION)
    (both,) = map_forecasts(fallen(*EVENTS, bought), SPAN)
    (longs,) = map_forecasts(fallen(*EVENTS, bought), SPAN, side=1)
    (shorts,) = map_forecasts(fallen(*EVENTS, bought), SPAN, side=-1)
    for one, side in ((longs, 1), (shorts, -1)):
        own = [each for each in both.outcomes if each.side == side]
        assert [(each.side, each.cluster, each.mass) for each in one.outcomes] == [
            (each.side, each.cluster, each.mass) for each in own
        ]
    assert longs.realised == pytest.approx(4 * 97.5 + 5 * 96)
    assert shorts.realised == shorts.unforeseen == pytest.approx(2 * 96.6)


def test_who_was_called_before_the_snapshot_is_counted_apart() -> None:
    market = fallen(sale(2.0, 3, 97.5, 10, Cause.LIQUIDATION), stage=[2, 0, 0, 0, 0, 0, 0])
    (forecast,) = map_forecasts(market, SPAN)
    assert forecast.called_before == forecast.realised == pytest.approx(975)
    assert forecast.total("due") == pytest.approx(40 * 98)


def test_spans_before_the_first_snapshot_and_runs_without_any_have_none() -> None:
    assert map_forecasts(fallen(*EVENTS, times=(2.0,)), SPAN) == ()
    assert map_forecasts(fallen(*EVENTS, times=(1.0,)), []) == ()


@pytest.mark.model
@pytest.mark.parametrize("level", ["fills", "liquidations"])
def test_in_a_run_the_parts_sum_to_what_was_due(level: str) -> None:
    fall = "index.shocks=[{at: 3s, log_return: -4%, over: 8s}]"
    habits = [
        "populations.crowd.top_up_share=0.3",
        "populations.crowd.stop_share=0.3",
        "populations.crowd.accounts=300",
    ]
    overrides = ["fuel_ratio=2", fall, *habits, f"record.events={level}", "record.positions_every=4s"]
    loaded = load_scenario(TINY, AGENT_TYPES, overrides)
    market = frames_of(running.simulate(loaded, 1), loaded).first
    assert len(snapshot_times(market)) == 6
    found = map_forecasts(market)
    assert found
    for forecast in found:
        for outcome in forecast.outcomes:
            assert sum(getattr(outcome, name) for name in WAYS + HELD) == pytest.approx(outcome.due)
            assert min(getattr(outcome, name) for name in WAYS + HELD) >= -1e-6 * max(outcome.due, 1)
            assert outcome.due <= outcome.mass * (1 + 1e-12)
        assert forecast.whole == (level == "fills")
    largest = max(found, key=lambda each: each.realised)
    assert largest.total("sold") > 0
    assert largest.unforeseen < 0.5 * largest.realised, "who is sold was on the map"
    parts = ("stopped", "closed")
    assert all(largest.total(name) == 0 for name in parts) == (level == "liquidations")
