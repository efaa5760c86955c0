"""Facts about money that retail accounts bring from outside, and about what the venue takes from them at once."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.records import EventKind, MarginMode, Stage
from marginquake.sim.model.model import MarketModel
from tests.support.one_participant import PRICE, Booth, seat_of
from tests.support.paths import TINY
from tests.support.whole_market import OpenModel, simulate

LOT_NOTIONAL = 100.0


def deposits(booth: Booth) -> dict[int, float]:
    """Money brought since the last call, quote units, by number of the account."""
    brought: dict[int, float] = {}
    for rows, money in booth.orders.drain_deposits():
        for row, amount in zip(rows.tolist(), money.tolist(), strict=True):
            index = row - int(booth.participant.rows[0])
            brought[index] = brought.get(index, 0.0) + amount * 1e-6
    return brought


def pay(booth: Booth, index: int, amount: float) -> None:
    booth.table.rows["collateral"][booth.participant.rows[index]] += round(amount * 1e6)


# ---- buffers --------------------------------------------------------------------------------------------------------

BUFFERED: dict[str, Any] = {"accounts": 10, "deposit": 1000, "leverage": 10, "buffer": 0.35, "stop_share": 0}


def test_a_new_position_gets_its_buffer_once() -> None:
    booth = seat_of("retail", **BUFFERED)
    opening = booth.give(0, 50)
    booth.tell(opening)
    assert deposits(booth) == {0: pytest.approx(0.35 * 50 * LOT_NOTIONAL / 10)}
    booth.tell(opening)
    assert deposits(booth) == {}


def test_a_buffer_that_is_still_there_is_put_behind_the_next_position_and_never_staked() -> None:
    booth = seat_of("retail", **BUFFERED | {"accounts": 1}, entry_time="1s")
    booth.tell(booth.give(0, 50))
    pay(booth, 0, deposits(booth)[0])
    booth.tell(booth.give(0, -50))
    entry = np.concatenate([booth.decide() for _ in range(40)])
    assert (entry["quantity_lots"] == int(0.95 * 1000 * 10 / LOT_NOTIONAL)).all()
    booth.tell(booth.give(0, 95))
    kept = 0.35 * 50 * LOT_NOTIONAL / 10
    assert deposits(booth) == {0: pytest.approx(0.35 * 95 * LOT_NOTIONAL / 10 - kept)}
    ((rows, money),) = booth.orders.drain_margins()
    assert rows.tolist() == [booth.participant.rows[0]]
    assert money[0] * 1e-6 == pytest.approx(kept)


def test_a_liquidation_takes_the_buffer() -> None:
    booth = seat_of("retail", **BUFFERED)
    row = int(booth.participant.rows[0])
    booth.tell(booth.give(0, 50))
    deposits(booth)
    ended = {"kind": EventKind.LIQUIDATION_ENDED, "account": row}
    booth.tell({"kind": EventKind.LIQUIDATION_STARTED, "account": row}, booth.give(0, -50), ended)
    booth.tell(booth.give(0, 50))
    assert deposits(booth) == {0: pytest.approx(0.35 * 500)}


def test_a_position_that_survives_its_liquidation_keeps_its_buffer() -> None:
    booth = seat_of("retail", **BUFFERED)
    row = int(booth.participant.rows[0])
    booth.tell(booth.give(0, 50))
    deposits(booth)
    booth.tell({"kind": EventKind.LIQUIDATION_STARTED, "account": row}, booth.give(0, -20))
    booth.tell({"kind": EventKind.LIQUIDATION_ENDED, "account": row})
    booth.tell(booth.give(0, -30))
    booth.tell(booth.give(0, 50))
    assert deposits(booth) == {}, "what the first position left is enough for the second"


def test_positions_from_the_start_get_their_buffer_at_the_first_decision() -> None:
    booth = seat_of("retail", **BUFFERED | {"buffer": {"distribution": "lognormal", "median": 0.35, "sigma": 0.5}})
    for index in range(10):
        booth.give(index, 50)
    booth.decide()
    brought = deposits(booth)
    assert sorted(brought) == list(range(10))
    assert len(set(brought.values())) == 10
    assert 0.2 < np.median(list(brought.values())) / 500 < 0.6


# ---- top-ups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cooldown", "times"), [(0, 1), ("10s", 4)])
def test_top_ups_come_once_a_position_or_once_a_cooldown(cooldown: Any, times: int) -> None:
    booth = seat_of(
        "retail", accounts=1, leverage=20, top_up_share=1, top_up_watch="1s", top_up_cooldown=cooldown,
        stop_share=0, entry_time="1000h", exit_time="1000h",
    )  # fmt: skip
    booth.give(0, 5, liquidation_ticks=PRICE - 4000)
    for _ in range(350):
        booth.decide(mark_ticks=PRICE - 3500)
    assert len(booth.orders.drain_deposits()) == times


def test_a_cooldown_outlives_the_position() -> None:
    booth = seat_of(
        "retail", accounts=1, leverage=20, top_up_share=1, top_up_watch="1s", top_up_cooldown="1h",
        stop_share=0, entry_time="1000h", exit_time="1000h",
    )  # fmt: skip
    for _ in range(2):
        booth.tell(booth.give(0, 5, liquidation_ticks=PRICE - 4000))
        for _ in range(50):
            booth.decide(mark_ticks=PRICE - 3500)
        booth.tell(booth.give(0, -5))
    assert len(booth.orders.drain_deposits()) == 1


# ---- fresh starts ---------------------------------------------------------------------------------------------------


def comeback(share: float, left: float) -> tuple[dict[int, float], NDArray[Any]]:
    """Deposits and entries of 100 accounts that come back with `left` of 1000 after a liquidation."""
    booth = seat_of(
        "retail", accounts=100, deposit=1000, leverage=10, entry_time="1s", reentry_time="1s", redeposit_share=share
    )
    rows = booth.participant.rows
    booth.participant._begin(booth.view(), booth.orders)
    booth.table.rows["collateral"][rows] = round(left * 1e6)
    booth.tell(*({"kind": EventKind.LIQUIDATION_STARTED, "account": int(row)} for row in rows))
    said = np.concatenate([booth.decide() for _ in range(150)])
    return deposits(booth), said


def test_the_ruined_come_back_with_their_first_deposit_and_trade_on_it() -> None:
    brought, said = comeback(share=1, left=50)
    assert sorted(brought) == list(range(100))
    assert list(brought.values()) == [950.0] * 100
    _, first = np.unique(said["account"], return_index=True)
    assert (said["quantity_lots"][first] == 95).all()


def test_redeposit_share_is_the_share_that_does_so() -> None:
    assert len(comeback(share=0.4, left=50)[0]) == pytest.approx(40, abs=15)
    assert comeback(share=0, left=50)[0] == {}


def test_whoever_still_has_a_fifth_brings_nothing() -> None:
    brought, said = comeback(share=1, left=250)
    assert brought == {}
    assert (said["quantity_lots"] == 23).all()


def test_without_a_liquidation_nobody_brings_a_fresh_deposit() -> None:
    booth = seat_of("retail", accounts=100, deposit=1000, leverage=10, entry_time="1s", redeposit_share=1)
    booth.participant._begin(booth.view(), booth.orders)
    booth.table.rows["collateral"][booth.participant.rows] = 50 * 10**6
    assert len(np.concatenate([booth.decide() for _ in range(50)])) > 0
    assert deposits(booth) == {}


# ---- what the venue does --------------------------------------------------------------------------------------------


@pytest.fixture
def opened(open_model: OpenModel) -> tuple[MarketModel, Rows]:
    """A market just opened, and the rows of its crowd."""
    model = open_model(TINY, "warmup=1s")
    while model.now_ns < 0:
        model.step()
    return model, next(d.participant.rows for d in model.sessions[0].participants if d.participant.name == "crowd")


def test_leverage_is_set_only_for_accounts_that_are_flat_and_have_no_orders(opened: tuple[MarketModel, Rows]) -> None:
    model, rows = opened
    venue = model.sessions[0].venue
    table = venue.accounts.rows
    flat = rows[table["position_lots"][rows] == 0]
    held = rows[table["position_lots"][rows] != 0]
    resting, idle = flat[:1], flat[1:]
    orders = next(d.orders for d in model.sessions[0].participants if d.participant.name == "crowd")
    orders.limit(resting, 1, 90_000, 1)
    venue.arrivals.add(orders.drain(model.now_ns, 0))
    venue.trade(model.now_ns)
    before = table["initial_margin_ppm"].copy()
    orders.set_leverage(rows, np.full(len(rows), 7.0))
    for said, leverage in orders.drain_leverages():
        venue.set_leverage(said, leverage)
    assert len(idle) > 3
    assert (table["initial_margin_ppm"][idle] == np.ceil(1e6 / 7)).all()
    assert len(held) > 3
    assert (table["initial_margin_ppm"][held] == before[held]).all(), "positions keep theirs"
    assert (table["initial_margin_ppm"][resting] == before[resting]).all()
    venue.set_leverage(idle, np.full(len(idle), 1e6))
    assert (table["initial_margin_ppm"][idle] == 8000).all(), "125x is the venue's maximum"


def test_nobody_sets_the_leverage_or_margin_of_another(opened: tuple[MarketModel, Rows]) -> None:
    model, rows = opened
    orders = next(d.orders for d in model.sessions[0].participants if d.participant.name == "crowd")
    with pytest.raises(PermissionError):
        orders.set_leverage(rows[:1] - 1, np.ones(1))
    with pytest.raises(PermissionError):
        orders.add_margin(rows[:1] - 1, np.ones(1, np.int64))
    assert not orders.moves_money
    orders.set_leverage(rows[:1], np.ones(1))
    assert orders.moves_money, "the model must hear it although no order was sent"


def test_added_margin_moves_liquidation_away_and_is_no_more_than_what_is_free(opened: tuple[MarketModel, Rows]) -> None:
    model, rows = opened
    venue = model.sessions[0].venue
    table = venue.accounts.rows
    held = rows[table["position_lots"][rows] > 0][:3]
    before = table[held].copy()
    free = before["collateral"] - before["isolated_margin"]
    assert (free > 10**6).all()
    venue.add_margin(held, np.array([10**6, 10**15, 10**15]))
    after = table[held]
    assert (after["isolated_margin"] - before["isolated_margin"]).tolist() == [10**6, *free[1:].tolist()]
    assert (after["collateral"] == before["collateral"]).all()
    assert (after["liquidation_ticks"][1:] < before["liquidation_ticks"][1:]).all()
    venue.check_invariants()


def test_margin_is_not_added_for_the_flat_for_cross_accounts_and_in_liquidation(
    opened: tuple[MarketModel, Rows],
) -> None:
    model, rows = opened
    venue = model.sessions[0].venue
    table = venue.accounts.rows
    held = rows[table["position_lots"][rows] > 0][:2]
    flat = rows[table["position_lots"][rows] == 0][:1]
    asked = np.concatenate([held, flat])
    table["stage"][held[0]] = Stage.LIQUIDATING
    table["mode"][held[1]] = MarginMode.CROSS
    before = table["isolated_margin"][asked].copy()
    venue.add_margin(asked, np.full(3, 10**6))
    assert (table["isolated_margin"][asked] == before).all()


# ---- everything at once ---------------------------------------------------------------------------------------------

EVERYTHING = """{
  trend_sensitivity: 0.5, trend_time: 30s, excitation: 0.4, excitation_time: 20s, disposition: 1.5,
  stop_offset: {distribution: lognormal, median: 3%, sigma: 0.7, maximum: 20%}, round_share: 0.5,
  take_profit_share: 0.5, take_profit_offset: 0.2%, prevention: {}, prevention_period: 1s,
  top_up_share: 0.3, top_up_watch: 1s, top_up_cooldown: 5s, buffer: 0.1, redeposit_share: 1, reentry_time: 1s,
  leverage_response: 1, humility: 0.5, entry_grid: 0.5%, level_jitter: 0.1%, entry_time: 20s, exit_time: 20s,
  MODE
}"""


@pytest.mark.model
@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_with_everything_on_every_invariant_holds_and_the_run_repeats(mode: str) -> None:
    crowd = EVERYTHING.replace("MODE", f"margin_mode: {mode}").replace("\n", " ")
    overrides = ("warmup=2s", "populations.crowd=" + crowd[:-1] + ", type: retail, accounts: 150, leverage: 60}")
    digests = []
    for _ in range(2):
        run = simulate(*overrides, check=not digests)
        digests.append(run.summary["event_digest"])
    assert digests[0] == digests[1]
    assert run.summary["liquidations"] > 0
    kinds = run.events["main"]["kind"]
    assert (kinds == EventKind.TRIGGERED).any()
    assert (kinds == EventKind.DEPOSIT).any()
