"""Facts about cash-and-carry holders: when they close, when they rebuild, and that spot follows."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents.hedger import Hedger
from marginquake.sim.core.records import Flag, OrderKind, Side
from marginquake.sim.runs.directory import RunData
from tests.support.one_participant import PRICE, Booth, seat_of
from tests.support.paths import HEDGED_CROWD
from tests.support.whole_market import OpenModel, run_to_end

POSITION = 10_000
LOW = {"bid": PRICE - 402, "ask": PRICE - 398}
HIGH = {"bid": PRICE + 398, "ask": PRICE + 402}


def holders(side: int = -1, **settings: Any) -> Booth:
    """Two hedgers who have begun with `POSITION` lots each, spot against it."""
    booth = seat_of("hedger", accounts=2, **settings)
    for index in range(2):
        booth.give(index, side * POSITION)
        booth.spot.lots[booth.participant.rows[index]] = -side * POSITION
    assert len(booth.decide()) == 0
    return booth


def said(booth: Booth, steps: int, **view: Any) -> NDArray[Any]:
    return np.concatenate([booth.decide(**view) for _ in range(steps)])


def test_by_default_they_wait() -> None:
    assert len(said(holders(), 100, **LOW)) == 0


def test_below_the_index_they_buy_back_at_prices_that_still_pay() -> None:
    orders = said(holders(exit_discount=0.001), 100, **LOW)
    assert len(orders) > 10
    assert (orders["kind"] == OrderKind.IOC).all()
    assert (orders["side"] == Side.BUY).all()
    assert (orders["flags"] == Flag.REDUCE_ONLY).all()
    assert (orders["price_ticks"] == PRICE - 100).all()


def test_a_discount_that_does_not_pay_is_left_alone() -> None:
    assert len(said(holders(exit_discount=0.004), 100, **LOW)) == 0
    assert len(said(holders(exit_discount=0.001), 100, bid=0, ask=0)) == 0


@pytest.mark.parametrize("wake_rate", [0.5, 5.0, 50.0])
def test_they_close_at_the_rate_asked_for_however_often_they_look(wake_rate: float) -> None:
    """40 bp below, 30 beyond what is left alone: 3 x 0.2 % of the position a second (discount at the ask: 39.8 bp)."""
    booth = holders(exit_discount=0.001, exit_rate=0.002, largest_rate=1.0, wake_rate=wake_rate)
    orders = said(booth, 1000, **LOW)
    assert orders["quantity_lots"].sum() == pytest.approx(2 * POSITION * 0.002 * 2.98 * 100, rel=0.25)


def test_there_is_a_largest_rate() -> None:
    booth = holders(exit_discount=0.001, exit_rate=1.0, largest_rate=0.01, wake_rate=50.0)
    orders = said(booth, 200, **LOW)
    assert orders["quantity_lots"].sum() == pytest.approx(2 * POSITION * 0.01 * 20, rel=0.15)


def test_whoever_is_long_the_perpetual_sells_it_above_the_index() -> None:
    booth = holders(side=1, exit_discount=0.001)
    assert len(said(booth, 50, **LOW)) == 0
    orders = said(booth, 100, **HIGH)
    assert len(orders) > 10
    assert (orders["side"] == Side.SELL).all()
    assert (orders["price_ticks"] == PRICE + 100).all()


def test_they_rebuild_where_the_perpetual_is_rich_and_never_beyond_what_they_began_with() -> None:
    booth = holders(entry_premium=0.001, largest_rate=1.0, entry_rate=0.1, exit_discount=0.001)
    assert len(said(booth, 50, **HIGH)) == 0, "they hold all they began with"
    booth.give(0, 4000)
    sold = 0
    for _ in range(400):
        orders = booth.decide(**HIGH)
        assert (orders["side"] == Side.SELL).all()
        assert (orders["flags"] == Flag.NONE).all()
        assert (orders["account"] == booth.participant.rows[0]).all()
        for lots in orders["quantity_lots"].tolist():
            booth.give(0, -lots)
            sold += lots
    assert sold == 4000
    assert len(said(booth, 50, **HIGH)) == 0


def test_they_do_not_close_twice_what_a_slow_order_is_already_closing() -> None:
    booth = seat_of("hedger", accounts=1, exit_discount=0.001, exit_rate=10, largest_rate=100, wake_rate=100)
    booth.give(0, -POSITION)
    participant = booth.participant
    assert isinstance(participant, Hedger)
    participant._under_way_ns = 1_000_000_000
    orders = said(booth, 10, **LOW)
    assert orders["quantity_lots"].tolist() == [POSITION]


def test_spot_follows_the_perpetual_at_once() -> None:
    booth = holders(exit_discount=0.001)
    booth.tell(booth.give(0, 700))
    booth.decide()
    assert booth.spot.lots[booth.participant.rows].tolist() == [POSITION - 700, POSITION]


def simulate(open_model: OpenModel, *overrides: str) -> tuple[RunData, NDArray[np.float64]]:
    """The run, and each hedger's perpetual plus spot at its end, lots."""
    model = open_model(HEDGED_CROWD, *overrides)
    run = run_to_end(model)
    venue = model.sessions[0].venue
    hedger = next(agent for agent in model.agents if isinstance(agent, Hedger))
    delta = venue.spot.position_lots(hedger.rows) + hedger.accounts.position_lots
    held = np.abs(hedger.accounts.position_lots)
    return run, delta / held


@pytest.mark.model
def test_open_interest_falls_the_discount_shrinks_and_nobody_is_left_unhedged(
    open_model: OpenModel,
) -> None:
    patient, _ = simulate(open_model)
    settings = ("exit_discount=10bps", "exit_rate=0.2", "largest_rate=0.2")
    taking, delta = simulate(open_model, *(f"populations.hedgers.{setting}" for setting in settings))

    def after(run: RunData, name: str) -> NDArray[np.float64]:
        return np.asarray(run.series[name])[np.asarray(run.series["time_s"]) > 20]

    def discount(run: RunData) -> float:
        return float(np.nanmean(1 - after(run, "mid") / after(run, "index")))

    def open_lots(run: RunData) -> float:
        return float(after(run, "open_interest")[-1] / after(run, "mark")[-1])

    assert open_lots(taking) < 0.995 * open_lots(patient)
    assert discount(taking) < 0.8 * discount(patient)
    assert np.abs(delta).max() < 0.02, "what filled in the very last step is hedged in the next"
