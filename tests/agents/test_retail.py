"""Facts about retail accounts: hazards, seeds, stops, margin."""

import numpy as np
import pytest

from marginquake.sim.core.records import EventKind, Flag, OrderKind, Side, Stage
from tests.support.one_participant import DEPTH_1PCT, PRICE, Booth, seat_of

LOT_NOTIONAL = 100.0


def stop_for(booth: Booth, **position: int) -> np.ndarray:
    return booth.tell(booth.give(0, **position))


def test_entries_are_sized_by_deposit_and_leverage_and_mostly_long() -> None:
    booth = seat_of("retail", accounts=4000, deposit=1000, leverage=10, entry_time="10s", latency="1ms")
    said = np.concatenate([booth.decide() for _ in range(20)])
    assert len(said) > 500
    assert (said["kind"] == OrderKind.MARKET).all()
    assert (said["quantity_lots"] == int(0.95 * 1000 * 10 / LOT_NOTIONAL)).all()
    assert 0.7 < (said["side"] == Side.BUY).mean() < 0.9


def test_entry_hazard_is_as_configured() -> None:
    booth = seat_of("retail", accounts=2000, leverage=10, entry_time="200s", exit_time="400s")
    said = np.concatenate([booth.decide() for _ in range(100)])
    assert len(said) == pytest.approx(2000 * 10 / 200, rel=0.3)


def test_no_entry_exceeds_the_venues_bracket_or_the_cap_in_units_of_d1() -> None:
    rich = seat_of("retail", accounts=500, deposit=1e7, leverage=125, entry_time="1s")
    assert rich.decide()["quantity_lots"].max() * LOT_NOTIONAL <= 50_000
    modest = seat_of("retail", accounts=500, deposit=1e7, leverage=5, entry_time="1s")
    assert modest.decide()["quantity_lots"].max() * LOT_NOTIONAL <= 0.05 * DEPTH_1PCT


def test_exits_close_the_position_reduce_only() -> None:
    booth = seat_of("retail", accounts=50, exit_time="1s", entry_time="1000s", stop_share=0)
    for index in range(50):
        booth.tell(booth.give(index, 7 if index % 2 else -7))
    said = np.concatenate([booth.decide() for _ in range(10)])
    assert len(said) > 25
    position = booth.participant.accounts.position_lots[said["account"] - booth.participant.rows[0]]
    assert (said["side"] == -np.sign(position)).all()
    assert (said["quantity_lots"] == 7).all()
    assert (said["flags"] == Flag.REDUCE_ONLY).all()


def test_accounts_in_liquidation_say_nothing() -> None:
    booth = seat_of("retail", accounts=50, exit_time="1s", entry_time="1s")
    booth.table.rows["stage"][booth.participant.rows] = Stage.LIQUIDATING
    assert len(np.concatenate([booth.decide() for _ in range(20)])) == 0


@pytest.mark.parametrize(("lots", "liquidation", "side"), [(5, PRICE - 1000, Side.SELL), (-5, PRICE + 1000, Side.BUY)])
def test_a_stop_stands_between_price_and_liquidation(lots: int, liquidation: int, side: Side) -> None:
    booth = seat_of("retail", accounts=10, stop_share=1)
    stops = stop_for(booth, lots=lots, liquidation_ticks=liquidation)
    assert len(stops) == 1
    stop = stops[0]
    assert stop["kind"] == OrderKind.STOP
    assert stop["side"] == side
    assert stop["quantity_lots"] == 5
    assert stop["flags"] & Flag.REDUCE_ONLY
    assert 0.5 <= (stop["trigger_ticks"] - PRICE) / (liquidation - PRICE) <= 0.8
    assert (stop["price_ticks"] - stop["trigger_ticks"]) * side > 0


def test_a_position_gets_one_stop_and_loses_it_when_it_closes() -> None:
    booth = seat_of("retail", accounts=10, stop_share=1)
    stop = stop_for(booth, lots=5, liquidation_ticks=PRICE - 1000)[0]
    row = int(booth.participant.rows[0])
    assert len(booth.tell({"kind": EventKind.FILL, "account": row})) == 0
    closing = booth.tell(booth.give(0, -5))
    assert [(c["kind"], c["order_id"]) for c in closing] == [(OrderKind.CANCEL, stop["order_id"])]


def test_a_stop_that_is_gone_is_placed_again_only_after_a_new_fill() -> None:
    booth = seat_of("retail", accounts=10, stop_share=1)
    stop = stop_for(booth, lots=5, liquidation_ticks=PRICE - 1000)[0]
    row = int(booth.participant.rows[0])
    assert len(booth.tell({"kind": EventKind.CANCELLED, "account": row, "order_id": stop["order_id"]})) == 0
    assert len(booth.tell(booth.give(0, 2, liquidation_ticks=PRICE - 1000))) == 1


def test_without_a_liquidation_price_there_is_no_stop() -> None:
    booth = seat_of("retail", accounts=10, stop_share=1)
    assert len(stop_for(booth, lots=5, liquidation_ticks=0)) == 0


def test_the_liquidated_rest_before_they_come_back() -> None:
    booth = seat_of("retail", accounts=20, entry_time="1s", exit_time="1s", reentry_time="4h")
    rows = booth.participant.rows
    booth.tell(*({"kind": EventKind.LIQUIDATION_STARTED, "account": int(row)} for row in rows[:10]))
    said = np.concatenate([booth.decide() for _ in range(40)])
    assert len(said) > 0
    assert not np.isin(said["account"], rows[:10]).any()


def test_the_warned_top_up_once() -> None:
    booth = seat_of("retail", accounts=10, top_up_share=1, stop_share=0, leverage=20, entry_time="1000h")
    booth.give(0, 5, liquidation_ticks=PRICE - 4000)
    booth.decide(mark_ticks=PRICE - 3000)
    assert booth.orders.drain_deposits() == []
    for _ in range(120):
        booth.decide(mark_ticks=PRICE - 3500)
    deposits = booth.orders.drain_deposits()
    assert len(deposits) == 1
    rows, money = deposits[0]
    assert rows.tolist() == [booth.participant.rows[0]]
    assert money[0] == pytest.approx(0.5 * 5 * LOT_NOTIONAL / 20 * 1e6)


@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_seeds_keep_their_distance_from_liquidation(mode: str) -> None:
    """Checked by the margin formula itself at the price `minimum_distance` away: nobody may be below maintenance."""
    booth = seat_of("retail", accounts=3000, margin_mode=mode, minimum_distance=0.004)
    seeds = booth.participant.seed_positions(booth.view(), DEPTH_1PCT)
    assert seeds is not None
    assert seeds.scalable
    held = seeds.signed_lots != 0
    assert 0.5 < held.mean() < 0.7
    lots, entry = seeds.signed_lots[held], seeds.entry_ticks[held]
    accounts = booth.participant.accounts
    value = 1e-3
    collateral = accounts.collateral[held] * 1e-6
    margin = accounts.initial_margin_ppm[held] / 1e6 * np.abs(lots) * entry * value
    backing = np.minimum(margin, collateral) if mode == "isolated" else collateral
    worst = PRICE * (1 - np.sign(lots) * 0.004)
    equity = backing + lots * (worst - entry) * value
    notional = np.abs(lots) * worst * value
    maintenance = np.where(notional <= 50e3, 0.004 * notional, 0.005 * notional - 50)
    assert (equity - maintenance > -0.001 * notional).all()
    assert (equity - maintenance).min() > -5.0
    longs = lots > 0
    assert entry[longs].max() <= PRICE * 1.02 + 1
    assert entry[~longs].min() >= PRICE * 0.98 - 1


def test_seeds_do_not_depend_on_the_number_of_accounts() -> None:
    few, many = seat_of("retail", accounts=100), seat_of("retail", accounts=400)
    small = few.participant.seed_positions(few.view(), DEPTH_1PCT)
    large = many.participant.seed_positions(many.view(), DEPTH_1PCT)
    assert small is not None
    assert large is not None
    assert (small.signed_lots == large.signed_lots[:100]).all()
    assert (small.entry_ticks == large.entry_ticks[:100]).all()


def test_seeded_accounts_place_their_stops_at_the_first_decision() -> None:
    booth = seat_of("retail", accounts=10, stop_share=1, entry_time="1000h", exit_time="1000h")
    booth.participant.seed_positions(booth.view(), DEPTH_1PCT)
    booth.give(3, 5, liquidation_ticks=PRICE - 1000)
    said = booth.decide()
    assert (said["kind"] == OrderKind.STOP).all()
    assert said["account"].tolist() == [booth.participant.rows[3]]
