"""Facts about auto-deleveraging and socialised losses: who pays, how much, and that nothing else changes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import backing_equity, backing_money
from marginquake.sim.core.records import EventKind, Side
from marginquake.sim.rules.adl_allocation import ADL_ALLOCATIONS, Candidates, haircuts
from marginquake.sim.rules.adl_ranking import ADL_RANKINGS, LAST, RankingInputs, bitmex_adl_score, hyperliquid_adl_score
from marginquake.sim.rules.adl_trigger import ADL_TRIGGERS
from tests.oracles.takeover import NaiveDeleveraging
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

MARK = 56_000


def scores(ranking: str, traders: list[Trader], mark: int = MARK, draw: float = 0.5) -> list[float]:
    rows = market(traders).rows[SYSTEM_ROWS:]
    return (
        ADL_RANKINGS.rule(ranking).scores(RankingInputs(rows, mark, CONTRACT.lot_value, 1e6, BRACKETS, draw)).tolist()
    )  # type: ignore[no-any-return]


def order(ranking: str, traders: list[Trader], mark: int = MARK) -> list[int]:
    return np.argsort(-np.array(scores(ranking, traders, mark)), kind="stable").tolist()  # type: ignore[no-any-return]


# one lot is 0.001 coin: a short of 1000 lots from 60,000 has won 4,000 at 56,000
WINNER, BIGGER, LOSER = Trader(-1000, 5000.0), Trader(-2000, 5000.0), Trader(-1000, 9000.0, entry=50_000)


def test_bitmex_ranks_by_return_times_effective_leverage() -> None:
    ranked = scores("bitmex", [WINNER, BIGGER, LOSER])
    assert ranked[0] == pytest.approx(bitmex_adl_score(-56_000, -60_000, -65_000))
    assert ranked[0] == pytest.approx(4000 / 60_000 * 56_000 / 9000)
    assert ranked[2] == pytest.approx(-6000 / 50_000 / (56_000 / 3000))
    assert order("bitmex", [LOSER, WINNER, BIGGER]) == [2, 1, 0]


def test_a_loser_with_little_leverage_comes_after_one_with_much_at_bitmex() -> None:
    assert order("bitmex", [Trader(-1000, 50_000.0, entry=50_000), LOSER]) == [1, 0]


def test_hyperliquid_turns_its_printed_formula_around_for_shorts() -> None:
    """Literally applied, mark / entry would rank the short that loses most first."""
    won, lost = Trader(-1000, 20_000.0, entry=70_000), Trader(-1000, 48_000.0, entry=42_000)
    equity = [34_000.0, 34_000.0]
    assert scores("hyperliquid", [won, lost]) == pytest.approx(
        [hyperliquid_adl_score(Side.SELL, MARK, e, 56_000, v) for e, v in zip((70_000, 42_000), equity, strict=True)]
    )
    assert order("hyperliquid", [lost, won]) == [1, 0]
    assert order("hyperliquid", [Trader(1000, 15_000.0, entry=60_000), Trader(1000, 5000.0, entry=50_000)]) == [1, 0]


@pytest.mark.parametrize("ranking", ["bitmex", "hyperliquid", "leverage"])
def test_an_account_without_equity_of_its_own_comes_last(ranking: str) -> None:
    assert scores(ranking, [Trader(-1000, 900.0, entry=55_000), LOSER])[0] == LAST


def test_dydx_begins_anywhere_and_goes_around() -> None:
    traders = [WINNER] * 5
    assert [np.argmax(scores("random", traders, draw=u)) for u in (0.0, 0.39, 0.41, 0.999)] == [0, 1, 2, 4]
    assert np.argsort(-np.array(scores("random", traders, draw=0.7))).tolist() == [3, 4, 0, 1, 2]


def test_the_random_start_is_that_of_seed_and_time() -> None:
    def first(time_ns: int) -> int:
        book = market(
            [Trader(10, 0.0), *[Trader(-10, 100.0)] * 50, Trader(490, 1e6)], MARK, venue=rules(ranking="random")
        )
        book.waterfall.set_mark(MARK, time_ns)
        return int(book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0).events["account"][0])

    starts = [first(time_ns) for time_ns in range(20)]
    assert starts == [first(time_ns) for time_ns in range(20)]
    assert len(set(starts)) > 10


def test_leverage_ranks_winners_by_notional_over_equity() -> None:
    assert scores("leverage", [WINNER, BIGGER]) == pytest.approx([56_000 / 9000, 112_000 / 13_000])
    assert scores("leverage", [LOSER])[0] < 0


def test_profit_ranks_by_money_won() -> None:
    assert scores("profit", [WINNER, BIGGER, LOSER]) == pytest.approx([4000, 8000, -6000])


CANDIDATES = st.lists(
    st.tuples(st.integers(0, 3000), st.floats(-3, 50).map(lambda score: round(score, 3)), st.booleans()),
    min_size=1,
    max_size=12,
)


def candidates(drawn: list[tuple[int, float, bool]]) -> Candidates:
    ranked = sorted(drawn, key=lambda each: -each[1])
    return Candidates(*(np.array(column) for column in zip(*ranked, strict=True)))


@settings(max_examples=300, deadline=None)
@given(drawn=CANDIDATES, share=st.floats(0, 1), allocation=st.sampled_from(sorted(ADL_ALLOCATIONS)))
def test_an_allocation_closes_exactly_what_is_asked_and_nobody_more_than_he_has(
    drawn: list[tuple[int, float, bool]], share: float, allocation: str
) -> None:
    given_to = candidates(drawn)
    quantity = round(share * int(given_to.lots.sum()))
    closed = ADL_ALLOCATIONS.rule(allocation).divide(quantity, given_to)
    assert closed.sum() == quantity
    assert (closed >= 0).all()
    assert (closed <= given_to.lots).all()


@given(drawn=CANDIDATES, share=st.floats(0, 1))
def test_pro_rata_takes_the_same_share_of_every_winner_before_any_loser(
    drawn: list[tuple[int, float, bool]], share: float
) -> None:
    given_to = candidates(drawn)
    quantity = round(share * int(given_to.lots.sum()))
    closed = ADL_ALLOCATIONS.rule("pro_rata").divide(quantity, given_to)
    won = int(given_to.lots[given_to.winners].sum())
    exact = min(1.0, quantity / won) if won else 0.0
    assert (np.abs(closed - exact * given_to.lots)[given_to.winners] <= 1).all()
    if quantity <= won:
        assert closed[~given_to.winners].sum() == 0


@settings(max_examples=300, deadline=None)
@given(drawn=CANDIDATES, share=st.floats(0, 1))
def test_water_filling_leaves_everybody_who_gave_at_one_level(
    drawn: list[tuple[int, float, bool]], share: float
) -> None:
    given_to = candidates(drawn)
    rich = int(given_to.lots[given_to.scores > 0].sum())
    closed = ADL_ALLOCATIONS.rule("water_filling").divide(round(share * rich), given_to)
    held = np.maximum(given_to.lots, 1)
    spread = given_to.scores / held * (len(drawn) + 1)  # what rounding to whole lots may leave
    level_after = given_to.scores * (given_to.lots - closed) / held
    gave = closed > len(drawn) + 1
    kept = (given_to.scores > 0) & (given_to.lots > 0)
    if gave.any():
        assert (level_after[gave] + spread[gave] >= (level_after - spread)[kept].max()).all()


@given(shortfall=st.integers(0, 10**15), profits=st.lists(st.integers(1, 10**14), min_size=1, max_size=20))
def test_haircuts_are_exact_proportional_and_never_more_than_the_profit(shortfall: int, profits: list[int]) -> None:
    cut = haircuts(shortfall, np.array(profits))
    assert cut.sum() == min(shortfall, sum(profits))
    assert all(0 <= c <= p for c, p in zip(cut.tolist(), profits, strict=True))
    share = min(1.0, shortfall / sum(profits))
    assert (np.abs(cut - np.array(profits) * share) <= 1 + 1e-9 * np.array(profits)).all()


def test_pro_rata_and_water_filling_share_what_the_queue_takes_of_one() -> None:
    shorts = [Trader(-1000, 5000.0), Trader(-1000, 6000.0), Trader(-1000, 7000.0)]

    def after(**adl: Any) -> list[int]:
        book = market([Trader(900, 2700.0), Trader(2100, 1e6), *shorts], MARK, venue=rules(ranking="leverage", **adl))
        book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
        book.check()
        return [-book.lots(place) for place in (2, 3, 4)]

    assert after() == [100, 1000, 1000]
    assert after(allocation="pro_rata") == [700, 700, 700]
    level = after(allocation="water_filling")
    equity = np.array([9000, 10_000, 11_000])
    assert np.ptp(np.array(level) / equity) < 1e-4
    assert sum(level) == 2100


def test_at_the_previous_mark_winners_lose_less_and_the_bankrupt_account_keeps_what_is_left() -> None:
    book = market(
        [Trader(1000, 3000.0), Trader(-1000, 5000.0)], 56_000, venue=rules(price="previous_mark"), previous=57_500
    )
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert outcome.events["price_ticks"].tolist() == [57_500]
    assert outcome.events["money"].tolist() == [CONTRACT.to_money(2500)]
    assert book.collateral(0) == CONTRACT.to_money(3000 - 2500)


def test_a_fund_is_never_closed_below_zero_whatever_the_price() -> None:
    for adl in ({"price": "previous_mark"}, {"band": 0.001}):
        book = market([Trader(-1000)], 58_000, fund=1000.0, fund_lots=1000, venue=rules(**adl), previous=57_000)
        book.waterfall.deleverage_fund(0)
        book.check()
        assert book.rows["collateral"][INSURANCE_ROW] == 0


def test_beyond_its_loss_of_one_scan_the_fund_takes_nothing_more() -> None:
    longs = [Trader(1000, 3000.0), Trader(1000, 3000.0)]
    venue = rules(insurance={"max_loss_per_scan": 1500})
    book = market([*longs, Trader(-2000, 1e5)], MARK, fund=1e6, venue=venue)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS, SYSTEM_ROWS + 1]), 0)
    book.check()
    assert outcome.events["kind"].tolist() == [EventKind.TAKEOVER, EventKind.ADL]
    assert outcome.absorbed.tolist() == [SYSTEM_ROWS]
    assert book.waterfall.allowance == CONTRACT.to_money(500)
    book.waterfall.set_mark(MARK, 1)
    assert book.waterfall.allowance == CONTRACT.to_money(1500)


def test_a_socialised_loss_is_the_same_share_of_every_unrealised_profit() -> None:
    venue = rules(insurance={"shortfall": "socialised"})
    shorts = [Trader(-1000, 5000.0), Trader(-500, 5000.0, entry=58_000), LOSER, Trader(0, 777.0)]
    book = market([Trader(2000, 4000.0), Trader(500, 1e6), *shorts], MARK, fund=1000.0, venue=venue)
    before = book.rows.copy()
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    kinds = outcome.events["kind"]
    assert kinds.tolist() == [EventKind.SOCIALISED] * 2 + [EventKind.TAKEOVER]
    # equity of the long -4000, the fund has 1000: 3000 of the 5000 won
    assert outcome.events["money"][:2].tolist() == [CONTRACT.to_money(2400), CONTRACT.to_money(600)]
    assert book.waterfall.fund_equity == 0
    assert book.rows["position_lots"][INSURANCE_ROW] == 2000
    for place in (1, 4, 5):
        row = SYSTEM_ROWS + place
        assert book.rows[row] == before[row]
    assert book.waterfall.socialised_money == CONTRACT.to_money(3000)


def test_where_all_profits_together_are_not_enough_adl_is_the_last_resort() -> None:
    venue = rules(insurance={"shortfall": "socialised"})
    book = market([Trader(1000, 1000.0), Trader(-1000, 9000.0, entry=56_500)], MARK, venue=venue)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    assert outcome.events["kind"].tolist() == [EventKind.SOCIALISED, EventKind.ADL]
    assert (book.lots(0), book.lots(1)) == (0, 0)


def test_a_fund_below_zero_is_lifted_by_winners_where_losses_are_socialised() -> None:
    venue = rules(insurance={"shortfall": "socialised"})
    book = market([Trader(-1000, 5000.0)], 58_000, fund=1500.0, fund_lots=1000, venue=venue)
    outcome = book.waterfall.deleverage_fund(0)
    book.check()
    assert outcome.events["kind"].tolist() == [EventKind.SOCIALISED]
    assert outcome.events["money"].tolist() == [CONTRACT.to_money(500)]
    assert book.waterfall.fund_equity == 0
    assert book.rows["position_lots"][INSURANCE_ROW] == 1000


def test_adl_begins_when_the_fund_has_lost_its_share_of_the_high_and_ends_when_it_has_recovered() -> None:
    hour = 3600 * 10**9
    trigger = ADL_TRIGGERS.rule("fund_drawdown")
    trigger.observe(0, 1000)
    assert trigger.least_equity() == 700
    trigger.observe(hour, 720)
    assert trigger.least_equity() == 700
    trigger.observe(2 * hour, 690)
    assert trigger.least_equity() == 750
    trigger.observe(3 * hour, 740)
    assert trigger.least_equity() == 750
    trigger.observe(4 * hour, 760)
    assert trigger.least_equity() == 700
    trigger.refused()
    assert trigger.least_equity() == 750
    trigger.observe(8 * hour + 1, 600)  # the high of 1000 is over: now it is 760
    assert trigger.least_equity() == 532


def test_while_adl_is_on_the_fund_takes_nothing_over() -> None:
    venue = rules(trigger="fund_drawdown", drawdown=0.1, resume=0.1)
    book = market([Trader(1000, 3000.0), Trader(1000, 3900.0), Trader(-2000, 1e5)], MARK, fund=5000.0, venue=venue)
    outcome = book.waterfall.take_over(np.array([SYSTEM_ROWS, SYSTEM_ROWS + 1]), 0)
    book.check()
    assert outcome.events["kind"].tolist() == [EventKind.ADL, EventKind.TAKEOVER]
    assert book.waterfall.fund_equity == CONTRACT.to_money(4900)


@settings(max_examples=150, deadline=None)
@given(
    traders=st.lists(TRADER, min_size=2, max_size=7),
    mark=st.integers(45_000, 75_000),
    previous=st.integers(45_000, 75_000),
    fund=st.integers(0, 9000),
    ranking=st.sampled_from(sorted(ADL_RANKINGS)),
    allocation=st.sampled_from(sorted(ADL_ALLOCATIONS)),
    price=st.sampled_from(["bankruptcy", "previous_mark"]),
    trigger=st.sampled_from(sorted(ADL_TRIGGERS)),
    shortfall=st.sampled_from(["adl", "socialised"]),
    most=st.sampled_from([None, 0.0, 1500.0]),
    calls=st.lists(st.integers(0, 8), min_size=1, max_size=8),
    contract=CONTRACTS,
)
def test_by_any_rules_adl_closes_the_residual_and_who_has_no_position_loses_nothing(
    traders: list[Trader], mark: int, previous: int, fund: int, ranking: str, allocation: str, price: str,
    trigger: str, shortfall: str, most: float | None, calls: list[int], contract: ContractSpec,
) -> None:  # fmt: skip
    for trader in traders:
        if trader.lots == 0:
            trader.isolated = None if trader.isolated is None else 0.0
    rest = -sum(trader.lots for trader in traders)
    venue = rules(
        None,
        {"shortfall": shortfall, "max_loss_per_scan": most},
        ranking=ranking, allocation=allocation, price=price, trigger=trigger,
    )  # fmt: skip
    book = market([*traders, Trader(rest, 50_000.0)], mark, float(fund), 0, venue, previous, contract)
    rows = np.array([SYSTEM_ROWS + call for call in calls if call <= len(traders)], np.int64)
    before = book.rows.copy()
    outcome = book.waterfall.take_over(rows, 0)
    book.check()
    assert (book.rows["position_lots"][rows] == 0).all(), "whoever is taken over has no position left"
    if most is not None:
        assert book.waterfall.allowance >= 0
    events = outcome.events
    for bankrupt in set(rows.tolist()):
        adl = events[(events["kind"] == EventKind.ADL) & (events["maker_account"] == bankrupt)]
        if len(adl):
            lots, sides = int(adl["quantity_lots"].sum()), set(adl["side"].tolist())
            held = before["position_lots"][bankrupt]
            closed = events[(events["kind"] == EventKind.ADL) & (events["account"] == bankrupt)]
            assert lots == abs(held) - int(closed["quantity_lots"].sum()), "ADL closes exactly the residual"
            assert sides == {np.sign(held)}
    flat = before["position_lots"] == 0
    flat[:SYSTEM_ROWS] = False
    assert (book.rows["collateral"][flat] == before["collateral"][flat]).all()
    holders = ~flat
    holders[:SYSTEM_ROWS] = False
    touched = set(events["account"].tolist()) | set(events["maker_account"].tolist())
    for row in np.flatnonzero(holders).tolist():
        if row not in touched:
            assert book.rows[row] == before[row], "who is not named has lost nothing"


@settings(max_examples=150, deadline=None)
@given(
    traders=st.lists(TRADER.filter(lambda t: t.lots != 0), min_size=2, max_size=7),
    mark=st.integers(45_000, 75_000),
    previous=st.integers(45_000, 75_000),
    allocation=st.sampled_from(sorted(ADL_ALLOCATIONS)),
    price=st.sampled_from(["bankruptcy", "previous_mark"]),
    contract=CONTRACTS,
)
def test_adl_is_what_the_naive_twin_says(
    traders: list[Trader], mark: int, previous: int, allocation: str, price: str, contract: ContractSpec
) -> None:
    rest = -sum(trader.lots for trader in traders)
    venue = rules(allocation=allocation, price=price)
    book = market([*traders, Trader(rest, 50_000.0)], mark, -1e9, 0, venue, previous, contract)
    bankrupt = SYSTEM_ROWS
    before = book.rows.copy()
    outcome = book.waterfall.take_over(np.array([bankrupt]), 0)
    adl = outcome.events[outcome.events["kind"] == EventKind.ADL]
    position = int(before["position_lots"][bankrupt])
    account = before[bankrupt : bankrupt + 1]
    money = int(account["cost"][0]) - int(backing_money(account)[0])
    if price == "previous_mark":
        money = position * contract.lot_value.value_of_lot(previous)
    against = list(zip(adl["account"].tolist(), adl["quantity_lots"].tolist(), strict=True))
    twin = NaiveDeleveraging(before, bankrupt, money, against)
    for row, expected in enumerate(twin.accounts):
        assert {name: int(book.rows[name][row]) for name in expected} == expected
    assert adl["money"].tolist() == twin.profits
    lifted = outcome.events[outcome.events["kind"] == EventKind.INSURANCE]
    assert list(zip(lifted["account"].tolist(), lifted["money"].tolist(), strict=True)) == twin.paid


def test_socialised_winners_keep_what_is_theirs_beyond_the_profit() -> None:
    """A haircut of all profits leaves an account with its deposit: as if it had never traded."""
    venue = rules(insurance={"shortfall": "socialised"})
    book: Market = market([Trader(1000, 0.0), Trader(-1000, 500.0)], MARK, venue=venue)
    book.waterfall.take_over(np.array([SYSTEM_ROWS]), 0)
    book.check()
    row = book.rows[SYSTEM_ROWS + 1 : SYSTEM_ROWS + 2]
    assert backing_equity(row, MARK, CONTRACT.lot_value)[0] == CONTRACT.to_money(500)
    assert ENTRY * 1000 * VALUE + row["cost"][0] == CONTRACT.to_money(4000)
