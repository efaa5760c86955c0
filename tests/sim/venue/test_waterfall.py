"""Facts about bankruptcy: takeover, insurance and ADL conserve lots and money exactly, and close who they should."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from marginquake.sim.core.accounts import FEES_ROW, INSURANCE_ROW, ROUNDING_ROW, SYSTEM_ROWS
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import backing_equity, backing_money
from marginquake.sim.core.records import Cause, EventKind, Side
from marginquake.sim.rules.adl_ranking import ADL_RANKINGS, RankingInputs
from marginquake.sim.rules.formulas.waterfall import allocate_adl, binance_adl_score
from marginquake.sim.venue.waterfall import Bankruptcies
from tests.oracles.takeover import NaiveTakeover
from tests.support.bankruptcies import (
    BRACKETS,
    CONTRACT,
    CONTRACTS,
    ENTRY,
    TRADER,
    VALUE,
    Market,
    Trader,
    market,
    rules,
)


def test_a_bankrupt_account_passes_to_the_fund_at_its_bankruptcy_price() -> None:
    book = market([Trader(1000, 3000.0), Trader(-1000)], mark=56_000, fund=5000.0)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 7)
    book.check()
    assert (book.lots(0), book.collateral(0)) == (0, 0)
    assert book.rows["position_lots"][INSURANCE_ROW] == 1000
    assert book.rows["cost"][INSURANCE_ROW] == 1000 * 57_000 * VALUE
    assert book.waterfall.fund_equity == CONTRACT.to_money(4000)
    (event,) = outcome.events
    assert (event["kind"], event["cause"], event["side"]) == (EventKind.TAKEOVER, Cause.TAKEOVER, Side.BUY)
    assert (event["account"], event["maker_account"], event["time_ns"]) == (SYSTEM_ROWS, INSURANCE_ROW, 7)
    assert (event["quantity_lots"], event["price_ticks"], event["mark_ticks"]) == (1000, 57_000, 56_000)
    assert event["money"] == CONTRACT.to_money(-1000)
    assert outcome.rows.tolist() == [SYSTEM_ROWS]


def test_an_isolated_account_loses_its_isolated_margin_and_no_more() -> None:
    book = market([Trader(1000, 9000.0, isolated=3000.0), Trader(-1000)], mark=56_000, fund=5000.0)
    book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert book.collateral(0) == CONTRACT.to_money(6000)


def test_a_short_is_taken_over_above_the_mark() -> None:
    book = market([Trader(-1000, 3000.0), Trader(1000)], mark=64_000, fund=5000.0)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert (outcome.events["price_ticks"][0], outcome.events["side"][0]) == (63_000, Side.SELL)
    assert book.waterfall.fund_equity == CONTRACT.to_money(4000)


def test_the_fund_nets_what_it_takes_over_with_what_it_holds() -> None:
    book = market([Trader(-600, 600.0), Trader(-400)], mark=60_500, fund=5000.0, fund_lots=1000)
    book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert book.rows["position_lots"][INSURANCE_ROW] == 400
    assert book.rows["cost"][INSURANCE_ROW] == 400 * ENTRY * VALUE
    assert book.rows["collateral"][INSURANCE_ROW] == CONTRACT.to_money(5000 + 600)


def test_a_fund_that_cannot_bear_it_deleverages_the_best_winner() -> None:
    shorts = [Trader(-1000, 50_000.0), Trader(-1000, 5000.0), Trader(-1000, 20_000.0, entry=55_000)]
    book = market([Trader(1000, 3000.0), Trader(2000, 1e6), *shorts], mark=56_000, fund=999.0)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 3)
    book.check()
    assert [book.lots(place) for place in range(5)] == [0, 2000, -1000, 0, -1000]
    assert book.collateral(0) == 0
    assert book.collateral(3) == CONTRACT.to_money(5000 + 3000)
    (event,) = outcome.events
    assert (event["kind"], event["cause"], event["side"]) == (EventKind.ADL, Cause.ADL, Side.BUY)
    assert (event["account"], event["maker_account"]) == (SYSTEM_ROWS + 3, SYSTEM_ROWS)
    assert (event["quantity_lots"], event["price_ticks"]) == (1000, 57_000)
    assert event["money"] == CONTRACT.to_money(3000)
    assert sorted(outcome.rows.tolist()) == [SYSTEM_ROWS, SYSTEM_ROWS + 3]
    assert book.waterfall.fund_equity == CONTRACT.to_money(999)


def test_losers_are_deleveraged_only_after_all_winners() -> None:
    shorts = [Trader(-500, 90_000.0, entry=50_000), Trader(-500, 1e6), Trader(-500, 90_000.0, entry=55_000)]
    book = market([Trader(1100, 3300.0), Trader(400, 1e6), *shorts], mark=56_000)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert outcome.events["account"].tolist() == [SYSTEM_ROWS + 3, SYSTEM_ROWS + 4, SYSTEM_ROWS + 2]
    assert outcome.events["quantity_lots"].tolist() == [500, 500, 100]


def test_the_split_of_an_odd_amount_leaves_its_residue_to_the_rounding_account() -> None:
    shorts = [Trader(-1, 1000.0), Trader(-1, 1000.0), Trader(-1, 1000.0)]
    book = market([Trader(3, 9.0, extra_cost=1), *shorts], mark=50_000)
    book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert [book.lots(place) for place in range(4)] == [0, 0, 0, 0]
    assert book.rows["collateral"][ROUNDING_ROW] == -1
    assert book.rows["collateral"][FEES_ROW] == 0


def test_deleveraging_follows_what_ranked_accounts_still_hold() -> None:
    longs = [Trader(500, 1500.0), Trader(500, 1500.0), Trader(500, 1e6)]
    book = market([*longs, Trader(-700, 5000.0), Trader(-800, 50_000.0)], mark=56_000)
    book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    assert (book.lots(3), book.lots(4)) == (-200, -800)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS + 1]), 0)
    book.check()
    assert (book.lots(3), book.lots(4)) == (0, -500)
    assert outcome.events["quantity_lots"].tolist() == [200, 300]


def test_a_closed_counterparty_below_zero_is_lifted_by_the_fund() -> None:
    poor = Trader(-1000, 300.0, entry=56_000)
    book = market([Trader(1000, 3000.0), poor], mark=56_000, fund=400.0)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert outcome.events["kind"].tolist() == [EventKind.ADL, EventKind.INSURANCE]
    assert outcome.events["money"].tolist() == [CONTRACT.to_money(-1000), CONTRACT.to_money(400)]
    assert book.collateral(1) == CONTRACT.to_money(300 - 1000 + 400)
    assert book.rows["collateral"][INSURANCE_ROW] == 0


def test_deleveraging_an_isolated_winner_releases_its_margin_in_proportion() -> None:
    winner = Trader(-2000, 9000.0, isolated=4001.0)
    book = market([Trader(1000, 3000.0), Trader(1000, 1e6), winner], mark=56_000)
    book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    row = book.rows[SYSTEM_ROWS + 2]
    assert (row["position_lots"], row["isolated_margin"]) == (-1000, CONTRACT.to_money(2000.5))
    assert row["collateral"] == CONTRACT.to_money(9000 + 3000)


def test_within_a_price_band_nobody_is_closed_far_from_the_mark() -> None:
    book = market([Trader(1000, 600.0), Trader(-1000, 50_000.0)], mark=54_000, venue=rules(band=0.05))
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert outcome.events["price_ticks"][0] == 56_700
    assert outcome.events["kind"].tolist() == [EventKind.ADL, EventKind.INSURANCE]
    assert book.collateral(0) == CONTRACT.to_money(600 - 3300)


def test_a_fund_below_zero_is_deleveraged_at_its_own_bankruptcy_price() -> None:
    book = market([Trader(-600), Trader(-400)], mark=58_000, fund=1000.0, fund_lots=1000)
    outcome = book.waterfall.deleverage_fund(0)
    book.check()
    assert (book.lots(0), book.lots(1)) == (0, 0)
    assert book.rows["position_lots"][INSURANCE_ROW] == 0
    assert book.rows["collateral"][INSURANCE_ROW] == 0
    assert set(outcome.events["price_ticks"].tolist()) == {59_000}
    assert set(outcome.events["maker_account"].tolist()) == {INSURANCE_ROW}
    assert sorted(outcome.rows.tolist()) == [SYSTEM_ROWS, SYSTEM_ROWS + 1]


def test_a_solvent_or_flat_fund_is_left_alone() -> None:
    solvent = market([Trader(-1000)], mark=59_500, fund=1000.0, fund_lots=1000)
    assert len(solvent.waterfall.deleverage_fund(0).events) == 0
    flat = market([Trader(-1), Trader(1)], fund=-5.0)
    assert len(flat.waterfall.deleverage_fund(0).events) == 0


def test_a_flat_account_is_not_taken_over() -> None:
    book = market([Trader(0), Trader(0)])
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    assert len(outcome.events) == 0
    assert len(outcome.rows) == 0


@settings(max_examples=150, deadline=None)
@given(
    traders=st.lists(TRADER, min_size=2, max_size=9),
    mark=st.integers(45_000, 75_000),
    fund=st.integers(-2000, 40_000),
    fund_lots=st.integers(-800, 800),
    band=st.sampled_from([None, 0.05]),
    calls=st.lists(st.integers(0, 9), max_size=12),
    contract=CONTRACTS,
)
def test_lots_and_money_are_conserved_whatever_goes_bankrupt(
    traders: list[Trader],
    mark: int,
    fund: int,
    fund_lots: int,
    band: float | None,
    calls: list[int],
    contract: ContractSpec,
) -> None:
    for trader in traders:
        if trader.lots == 0:
            trader.isolated = None if trader.isolated is None else 0.0
    rest = -sum(trader.lots for trader in traders) - fund_lots
    book = market([*traders, Trader(rest, 50_000.0)], mark, float(fund), fund_lots, rules(band), contract=contract)
    book.check()
    for call in calls:
        row = SYSTEM_ROWS + call
        before = book.rows.copy()
        outcome = take_over_or_fund(book, row)
        book.check()
        assert_outcome_is_the_change(before, book.rows, outcome)
        if row < book.table.count and band is None and before["position_lots"][row] != 0:
            assert book.rows["position_lots"][row] == 0
            kept = before["collateral"][row] - backing_money(before[row : row + 1])[0]
            assert book.rows["collateral"][row] >= kept


def take_over_or_fund(book: Market, row: int) -> Bankruptcies:
    if row < book.table.count:
        return book.waterfall.take_over(np.array([row]), 0)
    return book.waterfall.deleverage_fund(0)


def assert_outcome_is_the_change(before: NDArray[Any], after: NDArray[Any], outcome: Bankruptcies) -> None:
    changed = np.flatnonzero(before["position_lots"] != after["position_lots"])
    assert sorted(outcome.rows.tolist()) == [row for row in changed.tolist() if row >= SYSTEM_ROWS]
    for event in outcome.events[outcome.events["kind"] == EventKind.ADL]:
        moved = event["quantity_lots"] * event["side"]
        row = event["account"]
        assert after["position_lots"][row] == before["position_lots"][row] + moved


@given(
    quantity=st.integers(0, 100),
    candidates=st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 1.0, 2.0])), max_size=8),
)
def test_allocation_is_exact_greedy_and_stable(quantity: int, candidates: list[tuple[int, float]]) -> None:
    lots = [n for n, _ in candidates]
    scores = [s for _, s in candidates]
    closed = allocate_adl(quantity, lots, scores)
    assert sum(closed) == min(quantity, sum(lots))
    ranked = sorted(range(len(lots)), key=lambda i: (-scores[i], i))
    partial = [i for i in ranked if closed[i] < lots[i]]
    if partial:
        assert all(closed[i] == 0 for i in ranked[ranked.index(partial[0]) + 1 :])


def test_the_ranking_is_the_venues_score_for_winners() -> None:
    book = market([Trader(1000, 3000.0, entry=50_000), Trader(1000, 8000.0), Trader(-2000)], mark=56_000)
    rows = book.rows[SYSTEM_ROWS : SYSTEM_ROWS + 2]
    scores = ADL_RANKINGS.rule("binance").scores(RankingInputs(rows, 56_000, CONTRACT.lot_value, 1e6, BRACKETS))
    equity = backing_equity(rows, 56_000, CONTRACT.lot_value) / 1e6
    maintenance = 56_000 * 0.005 - 50
    assert equity.tolist() == [9000.0, 4000.0]
    assert scores[0] == pytest.approx(binance_adl_score(6000.0, 3000.0, maintenance / 9000.0))
    assert scores[1] == pytest.approx(-0.5)


@settings(max_examples=150, deadline=None)
@given(
    traders=st.lists(TRADER, min_size=2, max_size=9),
    mark=st.integers(45_000, 75_000),
    fund=st.integers(-2000, 40_000),
    fund_lots=st.integers(-800, 800),
    calls=st.lists(st.integers(0, 9), max_size=12),
    contract=CONTRACTS,
)
def test_many_at_once_is_one_after_the_other(
    traders: list[Trader], mark: int, fund: int, fund_lots: int, calls: list[int], contract: ContractSpec
) -> None:
    for trader in traders:
        if trader.lots == 0:
            trader.isolated = None if trader.isolated is None else 0.0
    rest = -sum(trader.lots for trader in traders) - fund_lots
    everyone = [*traders, Trader(rest, 50_000.0)]
    together, apart = (market(everyone, mark, float(fund), fund_lots, contract=contract) for _ in range(2))
    rows = np.array([SYSTEM_ROWS + call % (len(traders) + 1) for call in calls], np.int64)
    at_once = together.waterfall.take_over(rows, 0)
    single = [apart.waterfall.take_over(rows[n : n + 1], 0).events for n in range(len(rows))]
    assert together.rows.tolist() == apart.rows.tolist()
    assert at_once.events.tolist() == [event for events in single for event in events.tolist()]


@settings(max_examples=150, deadline=None)
@given(
    trader=TRADER.filter(lambda trader: trader.lots != 0),
    mark=st.integers(45_000, 75_000),
    fund_lots=st.integers(-8000, 8000),
    fund_entry=st.integers(50_000, 70_000),
    contract=CONTRACTS,
)
def test_a_takeover_is_what_the_naive_twin_says(
    trader: Trader, mark: int, fund_lots: int, fund_entry: int, contract: ContractSpec
) -> None:
    other = Trader(-trader.lots - fund_lots, 50_000.0)
    book = market([trader, other], mark, 1e7, fund_lots, contract=contract)
    fund_cost = fund_lots * contract.lot_value.value_of_lot(fund_entry)
    book.rows["cost"][SYSTEM_ROWS + 1] += book.rows["cost"][INSURANCE_ROW] - fund_cost
    book.rows["cost"][INSURANCE_ROW] = fund_cost
    twin = NaiveTakeover(book.rows[[INSURANCE_ROW, SYSTEM_ROWS]], contract.lot_value, mark)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    assert twin.fund == {name: int(book.rows[name][INSURANCE_ROW]) for name in twin.fund}
    assert twin.bankrupt == {name: int(book.rows[name][SYSTEM_ROWS]) for name in twin.bankrupt}
    taken = outcome.events[0]
    assert (taken["money"], taken["quantity_lots"], taken["side"]) == (
        twin.equity,
        abs(trader.lots),
        np.sign(trader.lots),
    )
    assert abs(taken["price_ticks"] - twin.price_ticks) <= 0.5
    assert outcome.events["money"][1:].tolist() == ([twin.paid] if twin.paid else [])


def test_winners_pay_what_the_fund_may_not_lose_in_one_scan() -> None:
    """The fund has enough, but its limit of a scan is 100 of a loss of 1000 (eq. 125, 127)."""
    venue = rules(insurance={"shortfall": "socialised", "max_loss_per_scan": 100})
    book = market([Trader(1000, 3000.0), Trader(-1000)], mark=56_000, fund=5000.0, venue=venue)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert book.waterfall.socialised_money == CONTRACT.to_money(900)
    assert [EventKind(kind).name for kind in outcome.events["kind"]] == ["SOCIALISED", "TAKEOVER"]


def test_after_a_socialised_loss_the_better_accounts_are_taken_over_first() -> None:
    """So the fund is never lower than at the end."""
    venue = rules(insurance={"shortfall": "socialised"})
    book = market([Trader(500, 0.0), Trader(500, 1900.0), Trader(-1000)], mark=56_000, fund=10.0, venue=venue)
    worst, better = SYSTEM_ROWS, SYSTEM_ROWS + 1
    outcome = book.waterfall.take_over(np.array([worst, better]), 0)
    book.check()
    taken = outcome.events[outcome.events["kind"] == EventKind.TAKEOVER]
    assert taken["account"].tolist() == [better, worst]


def test_the_fund_is_no_counterparty_beyond_its_own_zero() -> None:
    """It holds the other side of the only bankrupt account, and could close there only at a loss that it cannot bear:
    the account keeps the debt (eq. 19)."""
    book = market([Trader(1000, 1000.0)], mark=56_000, fund=3000.0, fund_lots=-1000)
    book.rows["cost"][INSURANCE_ROW] = -1000 * 57_000 * VALUE
    book.deposits = book.net()
    book.waterfall.set_mark(62_000, 0, 62_000)
    assert book.waterfall.fund_equity == CONTRACT.to_money(-2000)
    book.waterfall.set_mark(60_000, 0, 60_000)
    assert book.waterfall.fund_equity == 0
    book.rows["collateral"][SYSTEM_ROWS] = CONTRACT.to_money(-500)
    book.deposits = book.net()
    book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert book.lots(0) == 0
    assert book.rows["collateral"][INSURANCE_ROW] >= 0
