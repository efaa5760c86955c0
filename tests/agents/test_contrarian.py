"""Facts about contrarians: what they want after a move, when they let go, and what stops them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents.contrarian import Contrarian
from marginquake.sim.core.records import OrderKind, Side
from tests.support.one_participant import DEPTH_1PCT, PRICE, Booth, seat_of
from tests.support.whole_market import OpenModel, run_to_end

QUICK: dict[str, Any] = {
    "accounts": 4,
    "from_move": "1%",
    "full_move": "4%",
    "window": "20s",
    "reaction": "2s",
    "hold": "30s",
    "unwind_time": "40s",
    "wake_rate": 2.0,
}
CAPITAL_LOTS = 1.8 * DEPTH_1PCT / 100.0 / 4


def at(price: float) -> dict[str, Any]:
    ticks = round(price)
    return {"bid": ticks - 2, "ask": ticks + 2, "mark_ticks": ticks, "index_ticks": float(ticks)}


def fill(booth: Booth, seconds: float, price: float, everything: bool = True) -> NDArray[Any]:
    """The market stands at a price; every order (or only those at market) fills there."""
    said = []
    for _ in range(round(10 * seconds)):
        commands = booth.decide(**at(price))
        said.append(commands)
        for order in commands[commands["kind"] != OrderKind.CANCEL_ALL]:
            if everything or order["kind"] == OrderKind.MARKET:
                index = int(order["account"] - booth.participant.rows[0])
                booth.give(index, int(order["side"]) * int(order["quantity_lots"]), round(price))
    return np.concatenate(said)


def shares(booth: Booth) -> NDArray[np.float64]:
    return booth.participant.accounts.position_lots / CAPITAL_LOTS


@pytest.mark.parametrize(("move", "share"), [(0.0, 0.0), (-0.008, 0.0), (-0.025, 0.5), (-0.06, 1.0), (0.025, -0.5)])
def test_the_target_is_linear_in_the_move_and_ends_at_the_capital(move: float, share: float) -> None:
    booth = seat_of("contrarian", **QUICK)
    fill(booth, 5, PRICE)
    fill(booth, 15, PRICE * np.exp(move))
    assert shares(booth) == pytest.approx(np.full(4, share), abs=0.02)


def test_if_so_told_they_buy_falls_only() -> None:
    booth = seat_of("contrarian", **QUICK | {"symmetric": False})
    fill(booth, 5, PRICE)
    assert len(fill(booth, 15, PRICE * 1.03)) == 0
    fill(booth, 15, PRICE * 0.99)
    assert (shares(booth) > 0).all()


def test_each_account_is_as_late_as_its_reaction() -> None:
    spread = {"distribution": "uniform", "minimum": "1s", "maximum": "10s"}
    booth = seat_of("contrarian", **QUICK | {"accounts": 20, "reaction": spread, "wake_rate": 10.0})
    participant = booth.participant
    assert isinstance(participant, Contrarian)
    fill(booth, 12, PRICE)
    first_s = np.full(20, np.inf)
    for step in range(150):
        for order in booth.decide(**at(PRICE * 0.96)):
            index = int(order["account"] - participant.rows[0])
            first_s[index] = min(first_s[index], step / 10)
    assert (first_s >= participant.reaction_s - 1.1).all(), "a price is remembered once a second"
    assert (first_s <= participant.reaction_s + 2.5).all()


def test_they_hold_and_then_unwind_evenly() -> None:
    booth = seat_of("contrarian", **QUICK)
    fill(booth, 5, PRICE)
    fill(booth, 45, PRICE * np.exp(-0.06))
    assert shares(booth) == pytest.approx(np.ones(4), abs=0.01), "held 30 s since the move left the window at 22 s"
    fill(booth, 29, PRICE * np.exp(-0.06))
    assert 0.3 < shares(booth).mean() < 0.7
    fill(booth, 40, PRICE * np.exp(-0.06))
    assert (booth.participant.accounts.position_lots == 0).all()
    assert len(fill(booth, 20, PRICE * np.exp(-0.06))) == 0, "asleep again"


def test_a_rally_makes_them_take_profit_before_they_go_short() -> None:
    booth = seat_of("contrarian", **QUICK)
    fill(booth, 5, PRICE)
    fill(booth, 25, PRICE * np.exp(-0.04))
    fill(booth, 10, PRICE * np.exp(-0.015))
    assert 0.3 < shares(booth).mean() < 0.7


def test_nobody_ever_holds_more_than_its_capital_whatever_fills() -> None:
    booth = seat_of("contrarian", **QUICK)
    fill(booth, 5, PRICE)
    for step in range(20):
        fill(booth, 3, PRICE * np.exp(-0.03 * step), everything=step % 2 == 0)
        assert (np.abs(shares(booth)) <= 1.0).all()


def test_at_long_decisions_no_order_is_taken_back_in_the_decision_that_sends_it() -> None:
    booth = seat_of("contrarian", **QUICK | {"decision_interval": "5s", "wake_rate": 1.0, "passive_share": 1.0})
    for step in range(80):
        booth.step = 50 * step
        said = booth.decide(**at(PRICE * (1.0 if step < 5 else 0.975)))
        resting = set(said["account"][said["kind"] == OrderKind.LIMIT].tolist())
        assert not resting & set(said["account"][said["kind"] == OrderKind.CANCEL_ALL].tolist())
    assert any((said["kind"] == OrderKind.LIMIT).any() for said in booth.said)


def test_part_rests_below_the_market_and_part_trades_at_once_bounded() -> None:
    booth = seat_of("contrarian", **QUICK | {"passive_share": 0.75, "passive_offset": "10bps", "market_bound": "20bps"})
    fill(booth, 5, PRICE)
    said = np.concatenate([booth.decide(**at(PRICE * 0.95)) for _ in range(60)])
    price = round(PRICE * 0.95)
    resting, taking = said[said["kind"] == OrderKind.LIMIT], said[said["kind"] == OrderKind.MARKET]
    assert (resting["side"] == Side.BUY).all()
    assert (resting["price_ticks"] == int(price * 0.999)).all()
    assert (taking["price_ticks"] == round(price * 1.002)).all()
    assert resting["quantity_lots"].sum() == pytest.approx(3 * taking["quantity_lots"].sum(), rel=0.01)


def test_whoever_has_lost_too_much_adds_no_more_but_may_reduce() -> None:
    """One account loses 15 % of its capital after buying with half of it; 10 % is the most that may be lost."""
    booth = seat_of("contrarian", **QUICK)
    fill(booth, 5, PRICE)
    fill(booth, 10, PRICE * np.exp(-0.025))
    lost = 0.15 * CAPITAL_LOTS * PRICE * booth.table.lot_value.at_one_tick
    booth.table.rows["collateral"][booth.participant.rows[0]] -= round(lost)
    fill(booth, 10, PRICE * np.exp(-0.06))
    assert shares(booth)[0] == pytest.approx(0.5, abs=0.01)
    assert shares(booth)[1:] == pytest.approx(np.ones(3), abs=0.01)
    fill(booth, 120, PRICE * np.exp(-0.06))
    assert shares(booth) == pytest.approx(np.zeros(4), abs=0.01)


def test_the_ramp_must_rise() -> None:
    with pytest.raises(ValueError, match="full_move"):
        seat_of("contrarian", from_move="4%", full_move="1%")


MARKET = """
name: fall
question: Do contrarians soften a fall?
seed: 2
duration: 60s
warmup: 20s
depth_1pct: 1M
fuel_ratio: 2
index:
  fundamental: {type: gbm, volatility: 20%}
  shocks: [{at: 5s, log_return: -2%, over: 10s}]
populations:
  makers: {type: market_maker, accounts: 3}
  flow: {type: background}
  arbs: {type: arbitrageur}
  longs: {type: retail, accounts: 200, stop_share: 0, leverage: {distribution: uniform, minimum: 25, maximum: 100}}
  hedgers: {type: hedger, accounts: 2}
  contrarians: {type: contrarian, from_move: 0.5%, full_move: 2%, reaction: 2s, wake_rate: 0.5, capital_d1: CAPITAL}
"""


@pytest.mark.model
def test_with_enough_capital_they_soften_a_fall(open_model: OpenModel, tmp_path: Path) -> None:
    falls = []
    for capital in ("1e-9", "3"):
        path = tmp_path / "fall.yaml"
        path.write_text(MARKET.replace("CAPITAL", capital))
        model = open_model(path)
        falls.append(run_to_end(model).summary["max_drawdown_fraction"])
        contrarian = next(agent for agent in model.agents if isinstance(agent, Contrarian))
        assert (np.abs(contrarian.accounts.position_lots) <= contrarian.capital_lots).all()
    assert falls[1] < 0.95 * falls[0]
