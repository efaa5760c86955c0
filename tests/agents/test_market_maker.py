"""Facts about market makers: published numbers, skew, withdrawal, and quotes that never cross."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents.market_maker import MarketMaker, avellaneda_stoikov_quotes, glft_offsets, glft_terms, withdrawal
from marginquake.agents.toolbox import quote_kernels
from marginquake.sim.core.records import OrderKind, Side
from tests.support.one_participant import DEPTH_1PCT, PRICE, STEP_NS, Booth, seat_of
from tests.support.paths import RUN_OVER, VENUE_VECTORS
from tests.support.whole_market import OpenModel


def vectors(kind: str) -> list[dict[str, Any]]:
    return [vector for vector in json.loads(VENUE_VECTORS.read_text()) if vector["kind"] == kind]


def quotes(commands: NDArray[Any], side: Side) -> NDArray[Any]:
    return commands[(commands["kind"] == OrderKind.LIMIT) & (commands["side"] == side)]


def first_quotes(booth: Booth, **view: Any) -> NDArray[Any]:
    """All makers quote at their first decision."""
    return booth.decide(**view)


def all_requote(booth: Booth, steps: int = 80, **view: Any) -> NDArray[Any]:
    return np.concatenate([booth.decide(**view) for _ in range(steps)])


@pytest.mark.parametrize("vector", vectors("glft_quotes"), ids=lambda v: v["id"])
def test_glft_offsets_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    given, expected = vector["inputs"], vector["expected"]
    model = (given["volatility"], given["arrival_rate"], given["order_decay"], given["risk_aversion"])
    base, skew = glft_terms(*model)
    bids, asks = glft_offsets(*model, np.array(given["inventories"]))
    tolerance = vector["tolerance"]
    assert base == pytest.approx(expected["base"], abs=tolerance)
    assert skew == pytest.approx(expected["skew"], abs=tolerance)
    assert bids == pytest.approx(expected["bid_offsets"], abs=tolerance)
    assert asks == pytest.approx(expected["ask_offsets"], abs=tolerance)


@pytest.mark.parametrize("vector", vectors("avellaneda_stoikov_quotes"), ids=lambda v: v["id"])
def test_avellaneda_stoikov_quotes_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    given, expected = vector["inputs"], vector["expected"]
    reservation, spread = avellaneda_stoikov_quotes(
        given["mid"],
        given["inventory"],
        given["risk_aversion"],
        given["volatility"],
        given["horizon"],
        given["order_decay"],
    )
    assert reservation == pytest.approx(expected["reservation_price"], abs=vector["tolerance"])
    assert spread == pytest.approx(expected["total_spread"], abs=vector["tolerance"])


def test_vectors_were_found() -> None:
    assert vectors("glft_quotes")
    assert vectors("avellaneda_stoikov_quotes")


def test_withdrawal_follows_the_measured_law() -> None:
    assert withdrawal(0.0) == 1.0
    assert withdrawal(20.0) == withdrawal(-20.0) == pytest.approx(np.exp(-1.28))
    assert withdrawal(50.0, strength=0.0) == 1.0


def test_quoted_depth_within_one_percent_is_as_configured() -> None:
    commands = first_quotes(seat_of("market_maker"), bid=0, ask=0)
    for side in (Side.BUY, Side.SELL):
        own = quotes(commands, side)
        near = own[np.abs(own["price_ticks"] / PRICE - 1) <= 0.01]
        assert near["quantity_lots"].sum() * 100.0 == pytest.approx(0.88 * DEPTH_1PCT, rel=0.02)
        assert len(np.unique(near["price_ticks"])) > 50


def test_a_shy_makers_quotes_never_cross_the_best_opposite_price() -> None:
    booth = seat_of("market_maker", crosses_stale=False)
    for index_ticks in (PRICE, PRICE + 300, PRICE - 300):
        commands = all_requote(booth, index_ticks=float(index_ticks))
        assert (quotes(commands, Side.BUY)["price_ticks"] < PRICE + 2).all()
        assert (quotes(commands, Side.SELL)["price_ticks"] > PRICE - 2).all()


def test_new_quotes_follow_the_index_past_stale_ones() -> None:
    booth = seat_of("market_maker")
    for index_ticks, side, sign in ((PRICE + 300, Side.BUY, 1), (PRICE - 300, Side.SELL, -1)):
        own = quotes(booth.decide(index_ticks=float(index_ticks)), side)
        assert abs(int((sign * own["price_ticks"]).max()) * sign - index_ticks) < 20


def test_own_bids_stay_below_own_asks_in_an_empty_book() -> None:
    commands = first_quotes(seat_of("market_maker", accounts=1), bid=0, ask=0)
    assert quotes(commands, Side.BUY)["price_ticks"].max() < quotes(commands, Side.SELL)["price_ticks"].min()


def test_a_long_maker_quotes_lower_and_bids_less() -> None:
    flat, long = (seat_of("market_maker", accounts=1, depth_d1=0.13) for _ in range(2))
    long.give(0, round(0.40 * DEPTH_1PCT / 100))
    book = {"bid": 0, "ask": 0}
    calm, skewed = first_quotes(flat, **book), first_quotes(long, **book)
    for side in (Side.BUY, Side.SELL):
        best = max if side == Side.BUY else min
        assert best(quotes(skewed, side)["price_ticks"]) < best(quotes(calm, side)["price_ticks"])
    assert quotes(skewed, Side.BUY)["quantity_lots"].sum() < 0.3 * quotes(calm, Side.BUY)["quantity_lots"].sum()
    assert quotes(skewed, Side.SELL)["quantity_lots"].sum() == pytest.approx(
        quotes(calm, Side.SELL)["quantity_lots"].sum(), rel=0.01
    )


def test_at_its_limit_a_maker_does_not_bid() -> None:
    booth = seat_of("market_maker", accounts=1)
    booth.give(0, round(0.44 * DEPTH_1PCT / 100) + 1)
    commands = first_quotes(booth, bid=0, ask=0)
    assert len(quotes(commands, Side.BUY)) == 0
    assert len(quotes(commands, Side.SELL)) > 0


def test_inventory_is_hedged_on_spot_fractions_and_all() -> None:
    booth = seat_of("market_maker", accounts=1)
    booth.give(0, 3)
    all_requote(booth, steps=400)
    assert booth.spot.lots.sum() == pytest.approx(-3.0, abs=0.05)


@pytest.mark.parametrize("decision_s", [0.1, 1.0, 4.0])
def test_the_hedge_has_its_rate_whatever_the_decision_interval(decision_s: float) -> None:
    booth = seat_of("market_maker", accounts=64, decision_interval=f"{decision_s}s")
    for index in range(64):
        booth.give(index, 50)
    booth.decide()
    for _ in range(round(8.0 / decision_s)):
        booth.decide()
    left = 1.0 + booth.spot.lots.sum() / (64 * 50)
    assert left == pytest.approx(np.exp(-0.2 * 8.0), abs=0.05)


def test_a_move_of_a_second_makes_the_timid_pull_first_and_never_to_nothing() -> None:
    """A jump of 9 local standard deviations passes the thresholds of two makers of eight (7 and 8.75)."""
    booth = seat_of("market_maker")
    all_requote(booth, steps=50, bid=0, ask=0)
    jump = PRICE * float(np.exp(9.0 * 0.6 / np.sqrt(365 * 86400)))
    booth.decide(bid=0, ask=0, index_ticks=jump)
    maker = booth.participant
    assert isinstance(maker, MarketMaker)
    now_ns = booth.step * STEP_NS
    assert (maker.pulled_until_ns > now_ns).tolist() == [True, True] + [False] * 6


def test_a_pulled_maker_keeps_a_residual_and_comes_back_with_its_half_life() -> None:
    second = 1_000_000_000
    strength = getattr(quote_kernels.strength, "py_func", quote_kernels.strength)
    assert strength(0, 10 * second, 0.4, 60 * second) == 0.4
    assert strength(10 * second, 10 * second, 0.4, 60 * second) == pytest.approx(0.4)
    assert strength(70 * second, 10 * second, 0.4, 60 * second) == pytest.approx(0.7)
    assert strength(10_000 * second, 10 * second, 0.4, 60 * second) == pytest.approx(1.0)


def test_size_shrinks_when_the_last_five_minutes_moved_far() -> None:
    """A slow slide of 2 % in five minutes: 11 five-minute standard deviations, no single second of note."""
    booth = seat_of("market_maker", accounts=1, requote_rate=10.0, depth_d1=0.13)
    before = quotes(first_quotes(booth, bid=0, ask=0), Side.BUY)["quantity_lots"].sum()
    last = np.empty(0)
    for step in range(3000):
        commands = booth.decide(bid=0, ask=0, index_ticks=PRICE * (1 - 0.02 * step / 3000))
        last = quotes(commands, Side.BUY) if len(quotes(commands, Side.BUY)) else last
    assert 0.3 < last["quantity_lots"].sum() / before < 0.7


def test_a_one_sided_book_does_not_drag_fair_value_away() -> None:
    booth = seat_of("market_maker", accounts=1)
    all_requote(booth, steps=600, bid=PRICE - 3000, ask=0)
    commands = all_requote(booth, steps=100, bid=0, ask=0)
    asks = quotes(commands, Side.SELL)["price_ticks"]
    assert abs(asks.min() / PRICE - 1) < 2e-4


def maker_of(booth: Booth) -> MarketMaker:
    assert isinstance(booth.participant, MarketMaker)
    return booth.participant


def pulled(booth: Booth) -> list[bool]:
    return [bool(until > (booth.step - 1) * STEP_NS) for until in maker_of(booth).pulled_until_ns]


def test_by_default_neither_inventory_nor_losses_make_a_maker_pull() -> None:
    booth = seat_of("market_maker", accounts=2)
    booth.give(0, round(0.43 * DEPTH_1PCT / 100), entry_ticks=2 * PRICE)
    all_requote(booth, steps=30)
    assert pulled(booth) == [False, False]


def test_a_maker_that_holds_too_much_pulls_within_a_second() -> None:
    booth = seat_of("market_maker", accounts=3, pull_inventory=0.8)
    booth.give(0, round(0.34 * DEPTH_1PCT / 100))
    booth.give(1, -round(0.36 * DEPTH_1PCT / 100))
    all_requote(booth, steps=11)
    assert pulled(booth) == [False, True, False]


def test_a_maker_that_has_lost_too_much_pulls_and_starts_with_a_clean_slate() -> None:
    """Long 0.4 D1: 1 % down is a loss of 0.004 D1, twice what is allowed."""
    booth = seat_of("market_maker", accounts=2, pull_loss_d1=0.002, pull_time=("1s", "1s"))
    booth.give(0, round(0.4 * DEPTH_1PCT / 100))
    all_requote(booth, steps=20)
    assert pulled(booth) == [False, False]
    all_requote(booth, steps=11, mark_ticks=PRICE - 1000)
    assert maker_of(booth).pulled_until_ns[0] > 0
    assert maker_of(booth).pulled_until_ns[1] < 0
    first = int(maker_of(booth).pulled_until_ns[0])
    all_requote(booth, steps=200, mark_ticks=PRICE - 1000)
    assert maker_of(booth).pulled_until_ns[0] == first, "what is lost is lost"
    all_requote(booth, steps=11, mark_ticks=PRICE - 1600)
    assert maker_of(booth).pulled_until_ns[0] > first


def test_what_the_spot_hedge_earns_counts() -> None:
    booth = seat_of("market_maker", accounts=1, pull_loss_d1=0.002)
    booth.give(0, round(0.4 * DEPTH_1PCT / 100))
    all_requote(booth, steps=11)
    booth.spot.earned[booth.participant.rows[0]] = 0.004 * DEPTH_1PCT
    all_requote(booth, steps=30, mark_ticks=PRICE - 1000)
    assert pulled(booth) == [False]


@pytest.mark.model
def test_a_maker_who_is_run_over_loses_pulls_and_comes_back_with_its_half_life(open_model: OpenModel) -> None:
    """Arbitrageurs sell into stale bids while the index falls 3 % in 2 s; the maker's losses make it pull."""
    model = open_model(RUN_OVER, "populations.maker.pull_loss_d1=0.0005")
    maker = next(agent for agent in model.agents if isinstance(agent, MarketMaker))
    venue = model.sessions[0].venue
    lot_value, offered, pulled_until_s = [], [], []
    for _ in range(model.steps_total):
        model.step()
        if model.now_ns % 1_000_000_000 == 0 and model.now_ns >= 0:
            equity = float(maker.accounts.equity(venue.exchange.mark_ticks)[0]) * 1e-6
            lot_value.append(equity + float(venue.spot.profit(maker.rows)[0]))
            offered.append(int(venue.accounts.rows["open_sell_lots"][maker.rows[0]]))
            pulled_until_s.append(float(maker.pulled_until_ns[0]) * 1e-9)
    assert pulled_until_s[4] < 0
    assert lot_value[4] - lot_value[8] > 0.0005 * 1e6
    back_s = pulled_until_s[-1]
    assert 5 < back_s < 50, "it does come back: what is lost is lost"
    usual = np.mean(offered[:5])
    assert offered[int(back_s) - 1] / usual == pytest.approx(0.4, abs=0.05)
    assert offered[round(back_s) + 15] / usual == pytest.approx(0.7, abs=0.06)
