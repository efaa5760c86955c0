"""Facts about stops and take-profits of retail accounts: where they are, and that they go together."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.sim.core.records import EventKind, Flag, OrderKind, Side, Stage
from tests.support.one_participant import PRICE, Booth, seat_of

COUNT = 400
ROUND = {"stop_share": 1, "take_profit_share": 1, "round_share": 1}


def crowd(liquidation: float = 0.2, lots: int = 5, entry: int = PRICE, **settings: Any) -> tuple[Booth, NDArray[Any]]:
    """Everybody gets a position, odd ones short; returns what they say to that."""
    booth = seat_of("retail", **{"accounts": COUNT, "entry_time": "1000h", "exit_time": "1000h"} | settings)
    fills = []
    for index in range(booth.participant.config.accounts):
        side = -1 if index % 2 else 1
        away = round(entry * (1 - side * liquidation)) if liquidation else 0
        fills.append(booth.give(index, side * lots, entry_ticks=entry, liquidation_ticks=away))
    return booth, booth.tell(*fills)


def split(said: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return said[said["kind"] == OrderKind.STOP], said[said["kind"] == OrderKind.TAKE_PROFIT]


def test_stop_offset_is_measured_from_the_entry() -> None:
    _, said = crowd(stop_share=1, stop_offset=0.03, entry=PRICE - 500)
    longs = said["side"] == Side.SELL
    assert (said["trigger_ticks"][longs] == np.ceil((PRICE - 500) * 0.97)).all()
    assert (said["trigger_ticks"][~longs] == np.floor((PRICE - 500) * 1.03)).all()


def test_a_stop_whose_place_has_been_passed_is_measured_from_the_price() -> None:
    _, said = crowd(stop_share=1, stop_offset=0.03, entry=round(PRICE * 1.05), lots=5)
    longs = said["side"] == Side.SELL
    assert (said["trigger_ticks"][longs] == PRICE * 0.97).all()
    assert (said["trigger_ticks"][~longs] > PRICE * 1.08).all()


def test_no_stop_is_beyond_liquidation() -> None:
    _, said = crowd(liquidation=0.01, stop_share=1, stop_offset=0.03)
    assert len(said) == COUNT
    longs = said["side"] == Side.SELL
    assert (said["trigger_ticks"][longs] == PRICE * 0.99 + 1).all()
    assert (said["trigger_ticks"][~longs] == PRICE * 1.01 - 1).all()


def test_an_offset_stop_needs_no_liquidation_price() -> None:
    assert len(crowd(liquidation=0, stop_share=1, stop_offset=0.03)[1]) == COUNT
    assert len(crowd(liquidation=0, stop_share=1)[1]) == 0


OFFSETS = {"distribution": "lognormal", "median": 0.03, "sigma": 0.7, "maximum": 0.15}


def test_round_stops_are_one_to_three_ticks_beyond_round_prices_and_take_profits_at_them() -> None:
    _, said = crowd(stop_offset=OFFSETS, take_profit_offset=OFFSETS, **ROUND)
    stops, targets = split(said)
    assert len(stops) == len(targets) == COUNT
    longs = stops["side"] == Side.SELL
    beyond = np.where(longs, -stops["trigger_ticks"] % 100, stops["trigger_ticks"] % 100)
    assert set(beyond.tolist()) == {1, 2, 3}
    assert (targets["trigger_ticks"] % 100 == 0).all()
    for orders, ahead in ((stops, -1), (targets, 1)):
        side_of_position = -orders["side"].astype(int)
        assert (side_of_position * ahead * (orders["trigger_ticks"] - PRICE) > 0).all()
        assert (orders["flags"] & Flag.REDUCE_ONLY).all()
        assert (orders["quantity_lots"] == 5).all()
    coarse = targets["trigger_ticks"] % 1000 == 0
    assert 0.6 < coarse.mean() < 1, "most are far enough away for the coarse grid, the nearest are not"
    near = np.abs(targets["trigger_ticks"] - PRICE) < 500
    assert not coarse[near].any()


def test_without_round_share_nothing_is_at_round_prices() -> None:
    _, said = crowd(stop_offset=OFFSETS, take_profit_offset=OFFSETS, **ROUND | {"round_share": 0})
    stops, targets = split(said)
    assert (targets["trigger_ticks"] % 100 == 0).mean() < 0.1
    assert (stops["trigger_ticks"] % 100 == 0).mean() < 0.1


def test_round_share_is_the_share_of_accounts_at_round_prices() -> None:
    _, said = crowd(take_profit_offset=OFFSETS, stop_share=0, take_profit_share=1, round_share=0.3)
    assert (said["trigger_ticks"] % 100 == 0).mean() == pytest.approx(0.3, abs=0.08)


def test_a_round_stop_beyond_liquidation_moves_just_before_it() -> None:
    _, said = crowd(liquidation=0.0995, stop_share=1, stop_offset=0.099, round_share=1)
    longs = said["side"] == Side.SELL
    assert (said["trigger_ticks"][longs] == round(PRICE * 0.9005) + 1).all()
    assert (said["trigger_ticks"][~longs] == round(PRICE * 1.0995) - 1).all()


def both_of(booth: Booth, said: NDArray[Any]) -> tuple[Any, Any]:
    row = booth.participant.rows[0]
    stops, targets = split(said)
    return stops[stops["account"] == row][0], targets[targets["account"] == row][0]


@pytest.mark.parametrize("first", [0, 1], ids=["stop", "take-profit"])
def test_when_one_goes_off_the_other_is_cancelled(first: int) -> None:
    booth, said = crowd(**ROUND)
    pair = both_of(booth, said)
    row = int(booth.participant.rows[0])
    fired = {"kind": EventKind.TRIGGERED, "account": row, "order_id": pair[first]["order_id"]}
    answer = booth.tell(fired)
    assert [(c["kind"], c["order_id"]) for c in answer] == [(OrderKind.CANCEL, pair[1 - first]["order_id"])]


def test_a_closed_position_loses_both() -> None:
    booth, said = crowd(**ROUND)
    answer = booth.tell(booth.give(0, -5))
    assert (answer["kind"] == OrderKind.CANCEL).all()
    assert sorted(answer["order_id"]) == sorted(order["order_id"] for order in both_of(booth, said))


def test_what_a_stop_leaves_open_is_protected_anew() -> None:
    booth, said = crowd(**ROUND)
    stop, _ = both_of(booth, said)
    fired = {"kind": EventKind.TRIGGERED, "account": int(booth.participant.rows[0]), "order_id": stop["order_id"]}
    answer = booth.tell(fired, booth.give(0, -3, liquidation_ticks=round(PRICE * 0.8)))
    stops, targets = split(answer)
    assert len(answer) == 3
    assert stops["quantity_lots"].tolist() == targets["quantity_lots"].tolist() == [2]


def test_a_stop_that_found_nobody_to_trade_with_is_placed_anew() -> None:
    booth, said = crowd(stop_share=1)
    row = int(booth.participant.rows[0])
    stop = said[said["account"] == row][0]
    fired, expired = (
        {"kind": kind, "account": row, "order_id": stop["order_id"]}
        for kind in (EventKind.TRIGGERED, EventKind.EXPIRED)
    )
    answer = booth.tell(fired, expired)
    assert [(order["kind"], order["account"], order["quantity_lots"]) for order in answer] == [(OrderKind.STOP, row, 5)]


def test_a_position_that_survives_its_liquidation_is_protected_anew() -> None:
    booth, said = crowd(stop_share=1)
    row = int(booth.participant.rows[0])
    stop = said[said["account"] == row][0]
    booth.table.rows["stage"][row] = Stage.LIQUIDATING
    cancelled = {"kind": EventKind.CANCELLED, "account": row, "order_id": stop["order_id"]}
    assert len(booth.tell({"kind": EventKind.LIQUIDATION_STARTED, "account": row}, cancelled, booth.give(0, -2))) == 0
    booth.table.rows["stage"][row] = Stage.OK
    booth.table.rows["liquidation_ticks"][row] = round(PRICE * 0.8)
    answer = booth.tell({"kind": EventKind.LIQUIDATION_ENDED, "account": row})
    assert [(order["kind"], order["quantity_lots"]) for order in answer] == [(OrderKind.STOP, 3)]


def test_a_cancelled_stop_takes_no_take_profit_with_it() -> None:
    booth, said = crowd(**ROUND)
    stop, _ = both_of(booth, said)
    row = int(booth.participant.rows[0])
    assert len(booth.tell({"kind": EventKind.CANCELLED, "account": row, "order_id": stop["order_id"]})) == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"stop_beyond_ticks": (3, 1)}, "must rise from 0"),
        ({"round_grid": (0.001, 0.01)}, "must fall from the coarsest"),
        ({"round_grid": ()}, "round_grid"),
        ({"stop_offset": 0}, "greater than 0"),
    ],
    ids=str,
)
def test_impossible_levels_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seat_of("retail", **setting)
