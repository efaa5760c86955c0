"""Facts about one order book, each true of the kernel and of its naive twin."""

import numpy as np
import pytest

from marginquake.sim.core.accounts import FEES_ROW, INSURANCE_ROW
from marginquake.sim.core.records import Cause, EventKind, Flag, MarginMode, OrderKind, Reject, Side, Stage
from tests.support.compare_exchanges import set_stage
from tests.support.exchanges import OpenMarket
from tests.support.ladder import Ladder, account_fact, command, drawing, letter_of, row_of, told, traders

THREE_LEVELS = """
          | 103 | C5
          | 101 | A4 B3
    D2 E6 |  99 |
       F7 |  98 |
"""


def test_a_drawn_book_is_the_book(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    assert market.drawn() == drawing(THREE_LEVELS)
    exchange = market.exchange
    assert (exchange.best_bid_ticks, exchange.best_ask_ticks, exchange.last_ticks) == (99, 101, 0)
    assert exchange.book_levels(Side.SELL, 1) == [(101, 7, 2)]
    assert exchange.book_levels(Side.BUY, 9) == [(99, 8, 2), (98, 7, 1)]
    assert exchange.level_lots(Side.SELL, 101) == 7
    assert exchange.level_lots(Side.SELL, 102) == 0


# -- price-time priority -----------------------------------------------------------------------------------------------


def test_better_price_first_then_older_order(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    events = market.buy("G", 9, 103)
    assert told(events) == ["G buys 4@101 from A", "G buys 3@101 from B", "G buys 2@103 from C"]
    assert market.drawn() == drawing("""
              | 103 | C3
        D2 E6 |  99 |
           F7 |  98 |
    """)


def test_trades_happen_at_the_resting_price(market: Ladder) -> None:
    market.place(" | 101 | A4")
    assert told(market.buy("B", 1, 200)) == ["B buys 1@101 from A"]
    assert market.exchange.last_ticks == 101


def test_a_partly_filled_order_keeps_its_place(market: Ladder) -> None:
    market.place(" | 101 | A4 B3")
    market.buy("C", 1, 101)
    assert market.drawn() == drawing(" | 101 | A3 B3")
    market.buy("C", 3, 101)
    assert market.drawn() == drawing(" | 101 | B3")


def test_the_remainder_of_a_limit_order_rests_at_the_end_of_its_level(market: Ladder) -> None:
    market.place("""
           | 101 | A4
        B2 | 100 |
    """)
    events = market.buy("C", 6, 101)
    assert told(events) == ["C buys 4@101 from A", "C accepted 2@101"]
    assert market.drawn() == drawing("""
        C2 | 101 |
        B2 | 100 |
    """)
    market.buy("D", 1, 101)
    assert market.drawn()[0] == "C2 D1 | 101 | "


def test_the_book_is_never_left_crossed(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    market.sell("G", 20, 98)
    assert market.drawn() == drawing("""
        | 103 | C5
        | 101 | A4 B3
        |  98 | G5
    """)


def test_a_market_order_walks_the_book_and_its_remainder_expires(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    events = market.market_sell("G", 20)
    assert told(events) == [
        "G sells 2@99 to D",
        "G sells 6@99 to E",
        "G sells 7@98 to F",
        "G expired 5@0: NO_LIQUIDITY",
    ]
    assert market.exchange.best_bid_ticks == 0


def test_a_bounded_market_order_stops_at_its_bound(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    assert told(market.market_sell("G", 20, 99)) == [
        "G sells 2@99 to D",
        "G sells 6@99 to E",
        "G expired 12@99: NO_LIQUIDITY",
    ]


def test_an_ioc_order_never_rests(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    events = market.buy("G", 9, 101, kind=OrderKind.IOC)
    assert told(events)[-1] == "G expired 2@101: NO_LIQUIDITY"
    assert told(market.buy("G", 9, 50, kind=OrderKind.IOC)) == ["G expired 9@50: NO_LIQUIDITY"]
    assert market.exchange.best_ask_ticks == 103


def test_a_fok_order_fills_whole_or_not_at_all(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    assert told(market.buy("G", 8, 101, kind=OrderKind.FOK)) == ["G rejected 8@101: NOT_FILLABLE"]
    assert market.drawn() == drawing(THREE_LEVELS)
    assert len(market.buy("G", 8, 103, kind=OrderKind.FOK)) == 3


def test_a_fok_order_does_not_count_its_own_account(market: Ladder) -> None:
    market.place(" | 101 | A4 G4")
    assert told(market.buy("G", 5, 101, kind=OrderKind.FOK)) == ["G rejected 5@101: NOT_FILLABLE"]
    assert told(market.buy("G", 4, 101, kind=OrderKind.FOK)) == ["G buys 4@101 from A"]


def test_a_fok_order_counts_a_reduce_only_maker_up_to_its_position(market: Ladder) -> None:
    market.place(" | 101 | B3")
    market.buy("A", 3, 101)
    market.sell("A", 3, 102, flags=Flag.REDUCE_ONLY)
    market.place("C1 | 100 |")
    market.market_sell("A", 1)
    assert told(market.buy("D", 3, 102, kind=OrderKind.FOK)) == ["D rejected 3@102: NOT_FILLABLE"]
    assert told(market.buy("D", 2, 102, kind=OrderKind.FOK)) == ["D buys 2@102 from A"]


def test_a_fok_order_counts_stacked_reduce_only_orders_once(market: Ladder) -> None:
    market.place(" | 100 | B6")
    market.buy("A", 6, 100)
    market.sell("A", 6, 101, flags=Flag.REDUCE_ONLY)
    market.sell("A", 6, 101, flags=Flag.REDUCE_ONLY)
    market.place(" | 101 | C2")
    before = market.drawn()
    assert told(market.buy("D", 10, 101, kind=OrderKind.FOK)) == ["D rejected 10@101: NOT_FILLABLE"]
    assert told(market.buy("D", 9, 101, kind=OrderKind.FOK)) == ["D rejected 9@101: NOT_FILLABLE"]
    assert market.drawn() == before
    assert told(market.buy("D", 8, 101, kind=OrderKind.FOK)) == [
        "D buys 6@101 from A",
        "A cancelled 6@101: NOT_REDUCING",
        "D buys 2@101 from C",
    ]


def test_a_fok_order_counts_a_reduce_only_order_after_what_its_owner_sells_before_it(market: Ladder) -> None:
    market.place(" | 100 | B6")
    market.buy("A", 6, 100)
    market.sell("A", 4, 101)
    market.sell("A", 6, 102, flags=Flag.REDUCE_ONLY)
    assert told(market.buy("D", 7, 102, kind=OrderKind.FOK)) == ["D rejected 7@102: NOT_FILLABLE"]
    assert told(market.buy("D", 6, 102, kind=OrderKind.FOK)) == ["D buys 4@101 from A", "D buys 2@102 from A"]


def test_a_fok_order_to_sell_counts_stacked_reduce_only_bids_once(market: Ladder) -> None:
    market.place("B6 | 100 |")
    market.sell("A", 6, 100)
    market.buy("A", 5, 99, flags=Flag.REDUCE_ONLY)
    market.buy("A", 5, 98, flags=Flag.REDUCE_ONLY)
    assert told(market.sell("D", 7, 98, kind=OrderKind.FOK)) == ["D rejected 7@98: NOT_FILLABLE"]
    assert told(market.sell("D", 6, 98, kind=OrderKind.FOK)) == ["D sells 5@99 to A", "D sells 1@98 to A"]


def test_a_fok_order_counts_nothing_behind_an_own_order_that_would_end_it(open_market: OpenMarket) -> None:
    market = open_market(self_trade_cancels_taker=True)
    market.place(" | 101 | B4 A3 C5")
    before = market.drawn()
    assert told(market.buy("A", 9, 101, kind=OrderKind.FOK)) == ["A rejected 9@101: NOT_FILLABLE"]
    assert told(market.buy("A", 5, 101, kind=OrderKind.FOK)) == ["A rejected 5@101: NOT_FILLABLE"]
    assert market.drawn() == before
    assert told(market.buy("A", 4, 101, kind=OrderKind.FOK)) == ["A buys 4@101 from B"]


def test_a_fok_order_does_not_count_on_what_the_insurance_fund_may_withdraw(market: Ladder) -> None:
    exchange = market.exchange
    exchange.seed_position(INSURANCE_ROW, 5, 100)
    exchange.seed_position(row_of("B"), -5, 100)
    fund = {"order_id": 99, "side": Side.SELL, "quantity_lots": 5, "price_ticks": 101, "arrival_ns": 1}
    exchange.process(command(OrderKind.LIMIT, INSURANCE_ROW, cause=Cause.TAKEOVER, **fund))
    market.place(" | 102 | C5")
    assert told(market.buy("D", 6, 102, kind=OrderKind.FOK)) == ["D rejected 6@102: NOT_FILLABLE"]
    assert len(market.buy("D", 5, 102, kind=OrderKind.FOK)) == 1


def test_a_post_only_order_never_takes(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    assert told(market.buy("G", 1, 101, kind=OrderKind.POST_ONLY)) == ["G rejected 1@101: WOULD_CROSS"]
    assert told(market.buy("G", 1, 100, kind=OrderKind.POST_ONLY)) == ["G accepted 1@100"]


# -- cancel and modify -------------------------------------------------------------------------------------------------


def test_a_cancelled_order_never_fills(market: Ladder) -> None:
    ids = market.place(" | 101 | A4 B3 C2")
    assert told(market.cancel("B", ids["B"][0])) == ["B cancelled 3@101"]
    assert told(market.buy("D", 9, 101)) == ["D buys 4@101 from A", "D buys 2@101 from C", "D accepted 3@101"]


def test_an_order_is_cancelled_once_and_by_its_owner(market: Ladder) -> None:
    ids = market.place(" | 101 | A4")
    assert told(market.cancel("B", ids["A"][0])) == ["B rejected 0@0: NOT_OWNER"]
    market.cancel("A", ids["A"][0])
    assert told(market.cancel("A", ids["A"][0])) == ["A rejected 0@0: UNKNOWN_ORDER"]


def test_a_filled_order_is_unknown(market: Ladder) -> None:
    ids = market.place(" | 101 | A4")
    market.buy("B", 4, 101)
    assert told(market.cancel("A", ids["A"][0])) == ["A rejected 0@0: UNKNOWN_ORDER"]
    assert told(market.modify("A", ids["A"][0], 1, 101)) == ["A rejected 1@101: UNKNOWN_ORDER"]


@pytest.mark.parametrize("order_id", [0, -1, 77, 2**40])
def test_an_id_never_seen_is_unknown(market: Ladder, order_id: int) -> None:
    market.place(" | 101 | A4")
    assert told(market.cancel("A", order_id)) == ["A rejected 0@0: UNKNOWN_ORDER"]
    assert told(market.modify("A", order_id, 1, 101)) == ["A rejected 1@101: UNKNOWN_ORDER"]


def test_cancel_all_takes_the_newest_first_and_conditional_orders_too(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    market.sell("A", 1, 105)
    market.order("A", Side.SELL, 2, kind=OrderKind.STOP, trigger=90)
    assert told(market.cancel_all("A")) == ["A cancelled 2@0", "A cancelled 1@105", "A cancelled 4@101"]
    assert len(market.exchange.orders_of(row_of("A"))) == 0
    assert told(market.cancel_all("A")) == []


def test_a_smaller_quantity_keeps_priority(market: Ladder) -> None:
    ids = market.place(" | 101 | A4 B3")
    assert told(market.modify("A", ids["A"][0], 2, 101)) == ["A modified 2@101"]
    assert market.drawn() == drawing(" | 101 | A2 B3")


def test_a_larger_quantity_loses_priority(market: Ladder) -> None:
    ids = market.place(" | 101 | A4 B3")
    assert told(market.modify("A", ids["A"][0], 5, 101)) == ["A modified 5@101"]
    assert market.drawn() == drawing(" | 101 | B3 A5")


def test_another_price_loses_priority(market: Ladder) -> None:
    ids = market.place(" | 101 | A4 B3")
    market.modify("A", ids["A"][0], 4, 102)
    market.modify("A", ids["A"][0], 4, 101)
    assert market.drawn() == drawing(" | 101 | B3 A4")


def test_a_modified_order_may_trade_at_once(market: Ladder) -> None:
    ids = market.place(THREE_LEVELS)
    events = market.modify("A", ids["A"][0], 9, 99)
    assert told(events) == ["A modified 9@99", "A sells 2@99 to D", "A sells 6@99 to E"]
    assert market.drawn()[2] == " | 99 | A1"
    assert set(events["order_id"].tolist()) == set(ids["A"])


def test_a_post_only_order_is_not_modified_across_the_spread(market: Ladder) -> None:
    market.place(" | 105 | B2")
    market.buy("A", 3, 100, kind=OrderKind.POST_ONLY)
    order_id = market.next_id - 1
    for price in (105, 110):
        assert told(market.modify("A", order_id, 3, price)) == [f"A rejected 3@{price}: WOULD_CROSS"]
    assert market.drawn() == drawing("""
           | 105 | B2
        A3 | 100 |
    """)
    assert told(market.modify("A", order_id, 5, 104)) == ["A modified 5@104"]
    assert told(market.modify("A", order_id, 5, 105)) == ["A rejected 5@105: WOULD_CROSS"], "it stays post-only"
    assert told(market.modify("A", order_id, 2, 104)) == ["A modified 2@104"]
    assert told(market.modify("A", order_id, 2, 106)) == ["A rejected 2@106: WOULD_CROSS"]
    market.cancel_all("B")
    assert told(market.modify("A", order_id, 2, 106)) == ["A modified 2@106"]


def test_a_reduce_only_post_only_order_says_what_was_asked_when_it_may_not_move(market: Ladder) -> None:
    market.place(" | 100 | B2")
    market.buy("A", 2, 100)
    market.place("C1 | 99 |")
    market.sell("A", 2, 103, kind=OrderKind.POST_ONLY, flags=Flag.REDUCE_ONLY)
    assert told(market.modify("A", market.next_id - 1, 7, 99)) == ["A rejected 7@99: WOULD_CROSS"]


def test_the_insurance_fund_modifies_no_order_beyond_its_ruin(market: Ladder) -> None:
    exchange = market.exchange
    exchange.seed_position(INSURANCE_ROW, 5, 100)
    exchange.seed_position(row_of("B"), -5, 100)
    order = {"order_id": 99, "quantity_lots": 5, "arrival_ns": 1}
    exchange.process(
        command(OrderKind.LIMIT, INSURANCE_ROW, cause=Cause.TAKEOVER, side=Side.SELL, price_ticks=110, **order)
    )
    market.place("C9 | 90 |")
    (event,) = exchange.process(command(OrderKind.MODIFY, INSURANCE_ROW, price_ticks=90, **order))
    assert (event["kind"], event["reason"]) == (EventKind.REJECTED, Reject.PRICE_BAND)
    assert account_fact(exchange, INSURANCE_ROW, "position_lots") == 5


def test_only_the_owner_modifies_and_only_to_what_is_allowed(market: Ladder) -> None:
    first = market.place(" | 101 | A4")["A"][0]
    assert told(market.modify("B", first, 2, 101)) == ["B rejected 2@101: NOT_OWNER"]
    assert told(market.modify("A", first, 0, 101)) == ["A rejected 0@101: BAD_QUANTITY"]
    assert told(market.modify("A", first, 1_000_001, 101)) == ["A rejected 1000001@101: BAD_QUANTITY"]
    assert told(market.modify("A", first, 2, 0)) == ["A rejected 2@0: PRICE_OUT_OF_RANGE"]
    assert told(market.modify("A", first, 2, 300)) == ["A rejected 2@300: PRICE_OUT_OF_RANGE"]
    assert market.drawn() == drawing(" | 101 | A4")


def test_a_conditional_order_cannot_be_modified(market: Ladder) -> None:
    market.order("A", Side.SELL, 2, kind=OrderKind.STOP, trigger=90)
    assert told(market.modify("A", 1, 1, 90)) == ["A rejected 1@90: UNKNOWN_ORDER"]


# -- rejections --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lots", [0, -3, 1_000_001])
def test_a_senseless_quantity_is_rejected(market: Ladder, lots: int) -> None:
    assert told(market.buy("A", lots, 100)) == [f"A rejected {lots}@100: BAD_QUANTITY"]


@pytest.mark.parametrize("price", [0, -1, 300, 301])
@pytest.mark.parametrize("kind", [OrderKind.LIMIT, OrderKind.POST_ONLY, OrderKind.IOC, OrderKind.FOK])
def test_a_price_off_the_ladder_is_rejected(market: Ladder, kind: OrderKind, price: int) -> None:
    assert told(market.buy("A", 1, price, kind=kind)) == [f"A rejected 1@{price}: PRICE_OUT_OF_RANGE"]


def test_the_ends_of_the_ladder_are_prices(market: Ladder) -> None:
    market.buy("A", 1, 1)
    market.sell("A", 1, 299)
    assert market.drawn() == drawing("""
           | 299 | A1
        A1 |   1 |
    """)


@pytest.mark.parametrize("trigger", [0, 300])
def test_a_trigger_off_the_ladder_is_rejected(market: Ladder, trigger: int) -> None:
    events = market.order("A", Side.SELL, 1, kind=OrderKind.STOP, trigger=trigger)
    assert told(events) == ["A rejected 1@0: PRICE_OUT_OF_RANGE"]


@pytest.mark.parametrize("bound", [-1, 300])
def test_a_bound_off_the_ladder_is_rejected(market: Ladder, bound: int) -> None:
    assert told(market.market_buy("A", 1, bound)) == [f"A rejected 1@{bound}: PRICE_OUT_OF_RANGE"]
    events = market.order("A", Side.SELL, 1, bound, kind=OrderKind.STOP, trigger=90)
    assert told(events) == [f"A rejected 1@{bound}: PRICE_OUT_OF_RANGE"]


@pytest.mark.parametrize("stage", [Stage.LIQUIDATING, Stage.TAKEN_OVER])
def test_only_the_engine_trades_an_account_in_liquidation(open_market: OpenMarket, stage: Stage) -> None:
    table = traders()
    table.rows["stage"][row_of("A")] = stage
    market = open_market(table)
    assert told(market.buy("A", 1, 100)) == ["A rejected 1@100: IN_LIQUIDATION"]
    assert told(market.buy("A", 1, 100, cause=Cause.LIQUIDATION)) == ["A accepted 1@100"]
    assert told(market.buy("A", 1, 99, cause=Cause.TAKEOVER)) == ["A accepted 1@99"]


def test_a_stop_of_an_account_in_liquidation_comes_to_nothing(open_market: OpenMarket) -> None:
    market = open_market()
    market.place("B9 | 100 |")
    market.order("A", Side.SELL, 2, kind=OrderKind.STOP, trigger=100)
    set_stage(market.exchange, row_of("A"), Stage.LIQUIDATING)
    assert told(market.market_sell("C", 1)) == [
        "C sells 1@100 to B",
        "A triggered 2@100",
        "A rejected 2@0: IN_LIQUIDATION",
    ]


def test_forced_orders_need_no_margin_also_when_modified(open_market: OpenMarket) -> None:
    market = open_market(traders(deposit=0))
    market.mark(100)
    assert told(market.buy("A", 2, 90)) == ["A rejected 2@90: INSUFFICIENT_MARGIN"]
    assert told(market.buy("A", 2, 90, cause=Cause.LIQUIDATION)) == ["A accepted 2@90"]
    assert told(market.modify("A", 2, 3, 90)) == ["A modified 3@90"]


@pytest.mark.parametrize("stage", [Stage.LIQUIDATING, Stage.TAKEN_OVER])
def test_an_account_in_liquidation_changes_none_of_its_orders(open_market: OpenMarket, stage: Stage) -> None:
    market = open_market()
    market.place("A4 | 90 |")
    market.buy("A", 2, 91, cause=Cause.LIQUIDATION)
    set_stage(market.exchange, row_of("A"), stage)
    assert told(market.modify("B", 1, 0, 0)) == ["B rejected 0@0: NOT_OWNER"]
    assert told(market.modify("A", 1, 0, 0)) == ["A rejected 0@0: IN_LIQUIDATION"]
    assert told(market.modify("A", 1, 3, 90)) == ["A rejected 3@90: IN_LIQUIDATION"]
    assert told(market.modify("A", 2, 1, 91)) == ["A modified 1@91"]
    set_stage(market.exchange, row_of("A"), Stage.CALLED)
    assert told(market.modify("A", 1, 3, 90)) == ["A modified 3@90"]


def test_no_position_grows_beyond_the_limit(open_market: OpenMarket) -> None:
    market = open_market(max_position_lots=10)
    market.place(" | 101 | B8")
    market.market_buy("A", 6)
    assert told(market.buy("A", 5, 100)) == ["A rejected 5@100: POSITION_LIMIT"]
    assert told(market.buy("A", 3, 100)) == ["A accepted 3@100"]
    assert told(market.market_buy("A", 2)) == ["A rejected 2@0: POSITION_LIMIT"]
    assert told(market.market_buy("A", 1)) == ["A buys 1@101 from B"]
    assert told(market.buy("A", 1, 99)) == ["A rejected 1@99: POSITION_LIMIT"]
    # the other way a position makes no room: it may be closed before these fill
    assert told(market.sell("A", 10, 110)) == ["A accepted 10@110"]
    assert told(market.sell("A", 1, 111)) == ["A rejected 1@111: POSITION_LIMIT"]
    assert told(market.sell("A", 9, 112, flags=Flag.REDUCE_ONLY)) == ["A accepted 7@112"]


def test_a_limit_of_positions_also_binds_modified_and_triggered_orders(open_market: OpenMarket) -> None:
    market = open_market(max_position_lots=10)
    first = market.place("A8 | 100 |")["A"][0]
    assert told(market.modify("A", first, 11, 100)) == ["A rejected 11@100: BAD_QUANTITY"]
    assert told(market.modify("A", first, 10, 100)) == ["A modified 10@100"]
    assert told(market.modify("A", first, 9, 100)) == ["A modified 9@100"]
    market.sell("B", 3, 100)
    assert told(market.modify("A", first, 8, 99)) == ["A rejected 8@99: POSITION_LIMIT"]
    assert told(market.modify("A", first, 6, 99)) == ["A modified 6@99"]
    assert told(market.order("A", Side.BUY, 9, kind=OrderKind.STOP, trigger=110)) == ["A accepted 9@0"]
    market.place(" | 110 | C9")
    assert told(market.market_buy("D", 1)) == [
        "D buys 1@110 from C",
        "A triggered 9@110",
        "A rejected 9@0: POSITION_LIMIT",
    ]


@pytest.mark.parametrize("cause", [Cause.LIQUIDATION, Cause.TAKEOVER])
def test_forced_orders_that_would_enlarge_a_position_are_held_to_its_limit(
    open_market: OpenMarket, cause: Cause
) -> None:
    market = open_market(max_position_lots=10)
    market.buy("A", 10, 100)
    assert told(market.buy("A", 1, 100, cause=cause)) == ["A rejected 1@100: POSITION_LIMIT"]
    assert told(market.modify("A", 1, 9, 100)) == ["A modified 9@100"]


def test_a_position_on_the_other_side_makes_no_room(open_market: OpenMarket) -> None:
    """It may be closed before the resting orders fill, by reduce-only orders again and again (eq. 23a)."""
    market = open_market(max_position_lots=10)
    market.place(" | 100 | B10")
    market.buy("A", 10, 100)
    market.sell("A", 10, 110)
    assert told(market.sell("A", 10, 111)) == ["A rejected 10@111: POSITION_LIMIT"]
    market.place("B10 | 99 |")
    market.sell("A", 10, 99, flags=Flag.REDUCE_ONLY)
    assert market.position("A") == 0
    market.buy("D", 10, 110)
    assert market.position("A") == -10
    assert told(market.buy("A", 10, 90)) == ["A accepted 10@90"]
    assert told(market.buy("A", 1, 89)) == ["A rejected 1@89: POSITION_LIMIT"]


def test_the_position_limit_comes_before_margin(open_market: OpenMarket) -> None:
    table = traders(deposit=0)
    table.rows["initial_margin_ppm"][row_of("A")] = 1_000_000
    market = open_market(table, max_position_lots=10)
    market.buy("A", 10, 100)
    market.mark(100)
    assert told(market.buy("A", 1, 100)) == ["A rejected 1@100: POSITION_LIMIT"]
    assert told(market.modify("A", 1, 9, 100)) == ["A modified 9@100"]
    assert told(market.buy("A", 1, 100)) == ["A rejected 1@100: INSUFFICIENT_MARGIN"]


def test_orders_beyond_the_price_band_are_rejected(open_market: OpenMarket) -> None:
    market = open_market(price_band_ppm=100_000)
    market.buy("A", 1, 150)
    market.cancel_all("A")
    market.mark(100)
    assert told(market.buy("A", 1, 111)) == ["A rejected 1@111: PRICE_BAND"]
    assert told(market.sell("A", 1, 89)) == ["A rejected 1@89: PRICE_BAND"]
    assert told(market.buy("A", 1, 50)) == ["A accepted 1@50"]
    assert told(market.sell("B", 1, 110)) == ["B accepted 1@110"]
    assert told(market.modify("A", 4, 1, 111)) == ["A rejected 1@111: PRICE_BAND"]


def test_a_market_order_stops_at_the_band(open_market: OpenMarket) -> None:
    market = open_market(price_band_ppm=100_000)
    market.place("""
        | 111 | A1
        | 110 | A1
    """)
    market.mark(100)
    assert told(market.market_buy("B", 2)) == ["B buys 1@110 from A", "B expired 1@0: NO_LIQUIDITY"]
    assert told(market.market_buy("B", 2, 150)) == ["B expired 2@150: NO_LIQUIDITY"]


def test_margin_limits_what_an_account_may_open(open_market: OpenMarket) -> None:
    table = traders(deposit=1_000)
    table.rows["initial_margin_ppm"][row_of("A")] = 100_000
    market = open_market(table)
    market.mark(100)
    assert told(market.buy("A", 101, 100)) == ["A rejected 101@100: INSUFFICIENT_MARGIN"]
    assert told(market.buy("A", 60, 100)) == ["A accepted 60@100"]
    assert told(market.buy("A", 41, 99)) == ["A rejected 41@99: INSUFFICIENT_MARGIN"]
    assert told(market.buy("A", 40, 99)) == ["A accepted 40@99"]
    assert told(market.sell("A", 100, 101)) == ["A accepted 100@101"]
    assert told(market.modify("A", 2, 61, 100)) == ["A rejected 61@100: INSUFFICIENT_MARGIN"]
    assert told(market.modify("A", 2, 59, 100)) == ["A modified 59@100"]


def test_a_bracket_may_ask_for_more_margin_than_the_account(open_market: OpenMarket) -> None:
    table = traders(deposit=1_000)
    table.rows["initial_margin_ppm"][row_of("A")] = 10_000
    brackets = {
        "bracket_cap": (4_000, 10**12),
        "bracket_rate_ppm": (5_000, 50_000),
        "bracket_deduction": (0, 180),
        "bracket_initial_ppm": (10_000, 250_000),
    }
    market = open_market(table, **brackets)
    market.mark(100)
    assert told(market.buy("A", 41, 100)) == ["A rejected 41@100: INSUFFICIENT_MARGIN"]
    assert told(market.buy("A", 40, 100)) == ["A accepted 40@100"]


# -- self-trade prevention ---------------------------------------------------------------------------------------------


TWO_BRACKETS = {
    "bracket_cap": (4_000, 10**12),
    "bracket_rate_ppm": (5_000, 20_000),
    "bracket_deduction": (0, 60),
    "bracket_initial_ppm": (10_000, 40_000),
}


@pytest.mark.parametrize("parts", [(500,), (40, 460), (10, 20, 30, 440), (499, 1)])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_isolated_margin_is_that_of_the_bracket_of_the_whole_position(
    open_market: OpenMarket, side: Side, parts: tuple[int, ...]
) -> None:
    table = traders(deposit=10**6)
    table.rows["initial_margin_ppm"][row_of("A")] = 8_000
    table.rows["mode"][row_of("A")] = MarginMode.ISOLATED
    market = open_market(table, **TWO_BRACKETS)
    market.mark(100)
    market.order("B", Side(-side), 900, 100)
    for lots in parts:
        market.order("A", side, lots, 100)
    assert market.position("A") == side * 500
    assert account_fact(market.exchange, row_of("A"), "isolated_margin") == 50_000 * 4 // 100
    assert told(market.mark(100)) == [], "nobody is called at the mark at which he opened"


def test_isolated_margin_of_a_turned_position_is_that_of_what_was_opened(open_market: OpenMarket) -> None:
    table = traders(deposit=10**6)
    table.rows["initial_margin_ppm"][row_of("A")] = 8_000
    table.rows["mode"][row_of("A")] = MarginMode.ISOLATED
    market = open_market(table, **TWO_BRACKETS)
    market.mark(100)
    market.place("B900 | 100 |")
    market.sell("A", 30, 100)
    assert account_fact(market.exchange, row_of("A"), "isolated_margin") == 30
    market.cancel_all("B")
    market.place(" | 100 | B900")
    market.buy("A", 530, 100)
    assert account_fact(market.exchange, row_of("A"), "isolated_margin") == 2_000


def test_a_trader_meeting_itself_loses_the_resting_order(market: Ladder) -> None:
    market.place(" | 101 | A4 B3")
    events = market.buy("A", 5, 101)
    assert told(events) == ["A cancelled 4@101: SELF_TRADE", "A buys 3@101 from B", "A accepted 2@101"]


def test_or_the_incoming_one_if_the_venue_says_so(open_market: OpenMarket) -> None:
    market = open_market(self_trade_cancels_taker=True)
    market.place(" | 101 | B3 A4")
    assert told(market.buy("A", 5, 101)) == ["A buys 3@101 from B", "A expired 2@101: SELF_TRADE"]
    assert told(market.market_buy("A", 5)) == ["A expired 5@0: SELF_TRADE"]
    assert market.drawn() == drawing(" | 101 | A4")


# -- reduce-only -------------------------------------------------------------------------------------------------------


def test_a_reduce_only_order_needs_a_position_to_reduce(market: Ladder) -> None:
    market.place(" | 101 | B3")
    assert told(market.sell("A", 1, 100, flags=Flag.REDUCE_ONLY)) == ["A rejected 1@100: NOT_REDUCING"]
    market.buy("A", 3, 101)
    assert told(market.buy("A", 1, 100, flags=Flag.REDUCE_ONLY)) == ["A rejected 1@100: NOT_REDUCING"]
    assert told(market.sell("A", 9, 102, flags=Flag.REDUCE_ONLY)) == ["A accepted 3@102"]


def test_a_resting_reduce_only_order_shrinks_with_the_position(market: Ladder) -> None:
    market.place("""
           | 101 | B3
        C2 | 100 |
    """)
    market.buy("A", 3, 101)
    market.sell("A", 3, 102, flags=Flag.REDUCE_ONLY)
    market.market_sell("A", 2)
    events = market.buy("D", 3, 102)
    assert told(events) == ["D buys 1@102 from A", "A cancelled 2@102: NOT_REDUCING", "D accepted 2@102"]
    assert market.position("A") == 0


def test_a_modified_reduce_only_order_is_cut_to_the_position_again(market: Ladder) -> None:
    market.place("""
           | 101 | B3
        C9 | 100 |
    """)
    market.buy("A", 3, 101)
    market.sell("A", 3, 110, flags=Flag.REDUCE_ONLY)
    assert told(market.modify("A", 4, 9, 110)) == ["A modified 3@110"]
    market.market_sell("A", 1)
    assert told(market.modify("A", 4, 9, 100)) == ["A modified 2@100", "A sells 2@100 to C"]
    assert market.position("A") == 0


def test_a_reduce_only_order_of_a_flat_account_cannot_be_modified(market: Ladder) -> None:
    market.place("""
           | 101 | B3
        C9 | 100 |
    """)
    market.buy("A", 3, 101)
    market.sell("A", 3, 110, flags=Flag.REDUCE_ONLY)
    market.market_sell("A", 3)
    assert told(market.modify("A", 4, 2, 109)) == ["A rejected 2@109: NOT_REDUCING"]
    assert market.drawn()[0] == " | 110 | A3"


def test_a_resting_reduce_only_order_of_a_flat_account_is_cancelled_when_met(market: Ladder) -> None:
    market.place("""
           | 101 | B3
        C3 | 100 |
    """)
    market.buy("A", 3, 101)
    market.sell("A", 3, 102, flags=Flag.REDUCE_ONLY)
    market.market_sell("A", 3)
    assert told(market.market_buy("D", 1)) == ["A cancelled 3@102: NOT_REDUCING", "D expired 1@0: NO_LIQUIDITY"]


def test_open_lots_count_resting_orders_that_could_enlarge(open_market: OpenMarket) -> None:
    market = open_market()
    market.place("""
        | 101 | B3
        | 100 | A5
    """)
    market.buy("A", 0 + 2, 90)
    market.market_buy("C", 1)
    market.buy("A", 3, 80, flags=Flag.REDUCE_ONLY)
    exchange = market.exchange
    orders = exchange.orders_of(row_of("A"))
    resting = {int(o["order_id"]): (int(o["side"]), int(o["quantity_lots"]), int(o["flags"])) for o in orders}
    assert resting == {2: (-1, 4, 0), 3: (1, 2, 0), 5: (1, 1, 1)}


# -- conditional orders ------------------------------------------------------------------------------------------------


def test_a_sell_stop_waits_for_the_last_price_to_fall(market: Ladder) -> None:
    market.place("""
           | 101 | B3
        C2 | 100 |
        C2 |  99 |
        C9 |  98 |
    """)
    assert told(market.order("A", Side.SELL, 3, kind=OrderKind.STOP, trigger=99)) == ["A accepted 3@0"]
    assert told(market.market_sell("D", 2)) == ["D sells 2@100 to C"]
    assert told(market.market_sell("D", 1)) == [
        "D sells 1@99 to C",
        "A triggered 3@99",
        "A sells 1@99 to C",
        "A sells 2@98 to C",
    ]


@pytest.mark.parametrize(
    ("kind", "side", "fires"),
    [
        (OrderKind.STOP, Side.SELL, {98, 99, 100}),
        (OrderKind.TAKE_PROFIT, Side.BUY, {98, 99, 100}),
        (OrderKind.STOP, Side.BUY, {100, 101, 102}),
        (OrderKind.TAKE_PROFIT, Side.SELL, {100, 101, 102}),
    ],
)
@pytest.mark.parametrize("flags", [Flag.NONE, Flag.TRIGGER_ON_MARK])
def test_each_conditional_order_fires_on_its_side_of_the_trigger(
    open_market: OpenMarket, kind: OrderKind, side: Side, fires: set[int], flags: Flag
) -> None:
    for price in (98, 99, 100, 101, 102):
        market = open_market()
        market.order("A", side, 1, kind=kind, trigger=100, flags=flags)
        if flags == Flag.TRIGGER_ON_MARK:
            events = market.mark(price)
        else:
            market.buy("B", 1, price)
            events = market.market_sell("C", 1)
        fired = (events["kind"] == EventKind.TRIGGERED).any()
        assert bool(fired) == (price in fires), price


def test_a_stop_that_would_fire_at_once_is_rejected(market: Ladder) -> None:
    market.place("B1 | 100 |")
    market.market_sell("C", 1)
    market.mark(120)
    stop = OrderKind.STOP
    assert told(market.order("A", Side.SELL, 1, kind=stop, trigger=100)) == ["A rejected 1@0: TRIGGER_CROSSED"]
    on_mark = market.order("A", Side.SELL, 1, kind=stop, trigger=120, flags=Flag.TRIGGER_ON_MARK)
    assert told(on_mark) == ["A rejected 1@0: TRIGGER_CROSSED"]
    assert told(market.order("A", Side.SELL, 1, kind=stop, trigger=99)) == ["A accepted 1@0"]


def test_a_chain_of_stops_fires_one_after_another(market: Ladder) -> None:
    market.place("""
        E1 | 100 |
        E1 |  99 |
        E1 |  98 |
        E1 |  97 |
        E1 |  96 |
    """)
    for who, trigger in (("A", 98), ("B", 100), ("C", 99), ("D", 90)):
        market.order(who, Side.SELL, 1, kind=OrderKind.STOP, trigger=trigger, cause=Cause.STOP)
    events = market.market_sell("F", 1)
    assert told(events) == [
        "F sells 1@100 to E",
        "B triggered 1@100",
        "B sells 1@99 to E",
        "C triggered 1@99",
        "C sells 1@98 to E",
        "A triggered 1@98",
        "A sells 1@97 to E",
    ]
    assert set(events["cause"][1:].tolist()) == {int(Cause.STOP)}
    assert len(set(events["time_ns"].tolist())) == 1


def test_stops_at_one_trigger_fire_oldest_first_and_falling_before_rising(market: Ladder) -> None:
    market.place("""
           | 120 | E9
        E9 | 100 |
    """)
    market.order("A", Side.SELL, 1, kind=OrderKind.TAKE_PROFIT, trigger=95)
    market.order("B", Side.SELL, 1, kind=OrderKind.STOP, trigger=100)
    market.order("C", Side.SELL, 1, kind=OrderKind.STOP, trigger=100)
    market.order("D", Side.SELL, 1, kind=OrderKind.TAKE_PROFIT, trigger=90)
    fired = [line for line in told(market.market_sell("F", 1)) if "triggered" in line]
    assert fired == ["B triggered 1@100", "C triggered 1@100", "D triggered 1@90", "A triggered 1@95"]


def test_what_a_price_has_reached_fires_whatever_the_price_does_next(market: Ladder) -> None:
    market.place("""
           | 104 | A9
        B1 | 100 |
        B1 |  97 |
        B9 |  90 |
    """)
    market.market_sell("E", 1)
    market.order("F", Side.BUY, 2, kind=OrderKind.TAKE_PROFIT, trigger=97)
    market.order("G", Side.SELL, 2, kind=OrderKind.STOP, trigger=97)
    assert told(market.market_sell("E", 1)) == [
        "E sells 1@97 to B",
        "F triggered 2@97",
        "F buys 2@104 from A",
        "G triggered 2@97",
        "G sells 2@90 to B",
    ]


@pytest.mark.parametrize("parts", [(4,), (2, 2)])
def test_a_print_inside_a_sweep_is_a_print(market: Ladder, parts: tuple[int, ...]) -> None:
    market.place("""
           | 140 | A1
        B9 | 120 |
    """)
    market.buy("C", 1, 140)
    market.order("C", Side.SELL, 3, kind=OrderKind.STOP, trigger=139)
    market.place("""
           | 144 | A2
           | 138 | A2
    """)
    said = [line for lots in parts for line in told(market.buy("D", lots, 144))]
    assert "C triggered 3@139" in said
    assert market.position("C") == -2


def test_a_sweep_downward_fires_what_waits_for_a_rise_at_its_first_print(market: Ladder) -> None:
    market.place("B1 | 100 |")
    market.market_sell("E", 1)
    market.order("C", Side.BUY, 1, kind=OrderKind.STOP, trigger=103)
    market.order("F", Side.SELL, 1, kind=OrderKind.TAKE_PROFIT, trigger=102)
    market.place("""
           | 120 | A9
        B2 | 104 |
        B9 |  96 |
    """)
    assert told(market.market_sell("D", 3)) == [
        "D sells 2@104 to B",
        "D sells 1@96 to B",
        "F triggered 1@102",
        "F sells 1@96 to B",
        "C triggered 1@103",
        "C buys 1@120 from A",
    ]


def test_a_mark_that_one_stop_answers_still_fires_the_others(market: Ladder) -> None:
    market.place("""
           | 110 | E9
        E9 |  90 |
    """)
    market.order("A", Side.BUY, 1, kind=OrderKind.TAKE_PROFIT, trigger=97, flags=Flag.TRIGGER_ON_MARK)
    market.order("C", Side.SELL, 1, kind=OrderKind.STOP, trigger=97, flags=Flag.TRIGGER_ON_MARK)
    market.order("D", Side.BUY, 1, kind=OrderKind.STOP, trigger=110)
    assert [line for line in told(market.mark(97)) if "triggered" in line] == [
        "A triggered 1@97",
        "D triggered 1@110",
        "C triggered 1@97",
    ]


def test_a_conditional_order_that_comes_later_does_not_fire_by_an_earlier_print(market: Ladder) -> None:
    market.place("""
           | 104 | A4
        B9 |  96 |
    """)
    market.buy("D", 1, 104)
    market.order("C", Side.SELL, 1, kind=OrderKind.STOP, trigger=100)
    assert told(market.buy("D", 1, 104)) == ["D buys 1@104 from A"]


def test_a_mark_stop_that_moves_the_last_price_sets_off_a_last_stop(market: Ladder) -> None:
    market.place("""
        E1 | 100 |
        E1 |  99 |
        E1 |  98 |
    """)
    market.order("A", Side.SELL, 1, kind=OrderKind.STOP, trigger=95, flags=Flag.TRIGGER_ON_MARK)
    market.order("C", Side.SELL, 1, kind=OrderKind.STOP, trigger=94, flags=Flag.TRIGGER_ON_MARK)
    market.order("B", Side.SELL, 1, kind=OrderKind.STOP, trigger=100)
    assert told(market.mark(94)) == [
        "A triggered 1@95",
        "A sells 1@100 to E",
        "B triggered 1@100",
        "B sells 1@99 to E",
        "C triggered 1@94",
        "C sells 1@98 to E",
    ]


def test_a_triggered_stop_obeys_its_bound(market: Ladder) -> None:
    market.place("""
        E1 | 100 |
        E1 |  99 |
        E1 |  98 |
    """)
    market.order("A", Side.SELL, 5, 99, kind=OrderKind.STOP, trigger=100)
    assert told(market.market_sell("B", 1)) == [
        "B sells 1@100 to E",
        "A triggered 5@100",
        "A sells 1@99 to E",
        "A expired 4@99: NO_LIQUIDITY",
    ]


def test_a_reduce_only_stop_is_cut_to_the_position_when_it_fires(market: Ladder) -> None:
    market.place("""
            | 110 | E2
        E9  | 100 |
    """)
    market.buy("A", 2, 110)
    market.order("A", Side.SELL, 5, kind=OrderKind.STOP, trigger=100, flags=Flag.REDUCE_ONLY)
    market.order("B", Side.SELL, 5, kind=OrderKind.STOP, trigger=100, flags=Flag.REDUCE_ONLY)
    assert told(market.market_sell("C", 1)) == [
        "C sells 1@100 to E",
        "A triggered 5@100",
        "A sells 2@100 to E",
        "B triggered 5@100",
        "B rejected 5@0: NOT_REDUCING",
    ]


def test_a_cancelled_stop_never_fires(market: Ladder) -> None:
    market.place("E9 | 100 |")
    market.order("A", Side.SELL, 1, kind=OrderKind.STOP, trigger=100)
    assert told(market.cancel("B", 2)) == ["B rejected 0@0: NOT_OWNER"]
    assert told(market.cancel("A", 2)) == ["A cancelled 1@0"]
    assert told(market.market_sell("C", 1)) == ["C sells 1@100 to E"]


# -- money and margin --------------------------------------------------------------------------------------------------


def test_fees_go_to_the_fee_row(open_market: OpenMarket) -> None:
    market = open_market(traders(), maker_fee_ppm=-10_000, taker_fee_ppm=50_000)
    market.place(" | 200 | A10")
    events = market.market_buy("B", 10)
    assert events["money"].tolist() == [100]
    money = {who: account_fact(market.exchange, row_of(who), "collateral") - 10**12 for who in "AB"}
    assert money == {"A": 20, "B": -100}
    assert account_fact(market.exchange, FEES_ROW, "collateral") == 80


def test_a_profit_is_what_the_price_did(market: Ladder) -> None:
    market.place(" | 100 | B4")
    market.buy("A", 4, 100)
    market.place("C4 | 107 |")
    market.market_sell("A", 4)
    assert account_fact(market.exchange, row_of("A"), "collateral") == 10**12 + 28
    assert account_fact(market.exchange, row_of("A"), "cost") == 0


def _one_long(open_market: OpenMarket, collateral: int, **rules: int) -> Ladder:
    """A is long 10 from 200 with so much collateral; B is short."""
    table = traders()
    table.rows["collateral"][row_of("A")] = collateral
    market = open_market(table, **rules)
    market.place(" | 200 | B10")
    market.market_buy("A", 10)
    return market


def test_an_account_is_called_at_its_liquidation_price_and_once(open_market: OpenMarket) -> None:
    market = _one_long(open_market, 510)
    # equity 510 + 10 (M - 200) meets 0.5 % of 10 M first at M = 149
    assert account_fact(market.exchange, row_of("A"), "liquidation_ticks") == 149
    assert told(market.mark(150)) == []
    events = market.mark(148)
    assert told(events) == ["A margin_call 10@149"]
    assert (events["side"].tolist(), events["money"].tolist()) == ([1], [-10])
    assert told(market.mark(140)) == []
    assert account_fact(market.exchange, row_of("A"), "stage") == Stage.CALLED


def test_the_liquidation_fee_is_at_most_the_equity_left(open_market: OpenMarket) -> None:
    market = _one_long(open_market, 510, liquidation_fee_ppm=100_000)
    market.place("C10 | 150 |")
    market.mark(149)
    events = market.market_sell("A", 10, cause=Cause.LIQUIDATION)
    assert events["money"].tolist() == [10]
    assert account_fact(market.exchange, INSURANCE_ROW, "collateral") == 10
    assert account_fact(market.exchange, row_of("A"), "collateral") == 0


@pytest.mark.parametrize("mode", list(MarginMode))
@pytest.mark.parametrize(
    ("collateral", "prices", "fees"),
    [
        # bankruptcy price 150: at 155 each lot has 5 left, less than the fee of 10 % asks, more than none
        (200, [155] * 4, [5] * 4),
        # nothing is left at the bankruptcy price itself, though the mark is higher
        (200, [150] * 4, [0] * 4),
        (200, [155, 152, 150, 158], [5, 2, 0, 8]),
        # rich enough: the whole fee
        (600, [155] * 4, [15] * 4),
        # money that does not divide by the lots: bankruptcy at 150 1/4, in ticks 151
        (199, [155] * 4, [4, 5, 5, 5]),
        (199, [151] * 4, [0, 1, 1, 1]),
    ],
)
def test_a_liquidation_in_parts_pays_lot_by_lot_and_needs_no_insurance(
    open_market: OpenMarket, mode: MarginMode, collateral: int, prices: list[int], fees: list[int]
) -> None:
    table = traders()
    table.rows["collateral"][row_of("A")] = collateral
    table.rows["mode"][row_of("A")] = mode
    table.rows["initial_margin_ppm"][row_of("A")] = 1_000_000
    market = open_market(table, liquidation_fee_ppm=100_000)
    market.exchange.seed_position(row_of("A"), 4, 200)
    market.exchange.seed_position(row_of("B"), -4, 200)
    market.mark(156)
    set_stage(market.exchange, row_of("A"), Stage.LIQUIDATING)
    paid = []
    for price in prices:
        market.buy("C", 1, price)
        events = market.market_sell("A", 1, cause=Cause.LIQUIDATION)
        assert events["kind"].tolist() == [EventKind.FILL]
        paid += events["money"].tolist()
    assert paid == fees
    left = collateral + sum(prices) - 4 * 200 - sum(fees)
    assert account_fact(market.exchange, row_of("A"), "collateral") == left
    assert account_fact(market.exchange, row_of("A"), "isolated_margin") == 0
    assert account_fact(market.exchange, INSURANCE_ROW, "collateral") == sum(fees)


@pytest.mark.parametrize("mode", list(MarginMode))
def test_one_fill_pays_what_its_parts_pay(open_market: OpenMarket, mode: MarginMode) -> None:
    table = traders()
    table.rows["collateral"][row_of("A")] = 200
    table.rows["mode"][row_of("A")] = mode
    table.rows["initial_margin_ppm"][row_of("A")] = 1_000_000
    market = open_market(table, liquidation_fee_ppm=100_000)
    market.exchange.seed_position(row_of("A"), 4, 200)
    market.exchange.seed_position(row_of("B"), -4, 200)
    market.place("C4 | 155 |")
    assert market.market_sell("A", 4, cause=Cause.LIQUIDATION)["money"].tolist() == [20]


def test_a_liquidation_order_that_closes_nothing_pays_nothing(open_market: OpenMarket) -> None:
    market = open_market(liquidation_fee_ppm=100_000)
    market.place("C4 | 155 |")
    assert market.market_sell("A", 4, cause=Cause.LIQUIDATION)["money"].tolist() == [0]


def test_the_insurance_fund_pays_what_a_bankrupt_account_lacks_and_no_more_than_it_has(open_market: OpenMarket) -> None:
    for fund, paid in ((1_000, 90), (50, 50), (0, 0)):
        table = traders()
        table.rows["collateral"][row_of("A")] = 510
        table.rows["collateral"][INSURANCE_ROW] = fund
        market = open_market(table)
        market.place(" | 200 | B10")
        market.market_buy("A", 10)
        market.place("C10 | 140 |")
        market.mark(140)
        events = market.market_sell("A", 10, cause=Cause.LIQUIDATION)
        assert told(events) == ["A sells 10@140 to C", f"insurance pays {paid} to A"]
        assert account_fact(market.exchange, INSURANCE_ROW, "collateral") == fund - paid
        assert account_fact(market.exchange, row_of("A"), "collateral") == paid - 90


def _fund_is_long(open_market: OpenMarket) -> Ladder:
    """The insurance fund holds 10 lots bought at 150 and 200 of money: selling all below 130 would ruin it."""
    table = traders()
    table.rows["collateral"][INSURANCE_ROW] = 200
    market = open_market(table)
    market.exchange.seed_position(INSURANCE_ROW, 10, 150)
    market.exchange.seed_position(row_of("C"), -10, 150)
    market.place("""
        B4 | 131 |
        B9 | 129 |
    """)
    return market


@pytest.mark.parametrize("kind", [OrderKind.MARKET, OrderKind.IOC])
def test_the_fund_does_not_sell_itself_into_ruin(open_market: OpenMarket, kind: OrderKind) -> None:
    market = _fund_is_long(open_market)
    events = market.exchange.process(
        command(kind, INSURANCE_ROW, order_id=99, side=-1, quantity_lots=10, price_ticks=120, cause=Cause.TAKEOVER)
    )
    assert events["kind"].tolist() == [EventKind.FILL, EventKind.EXPIRED]
    assert (events["price_ticks"].tolist(), events["quantity_lots"].tolist()) == ([131, 120], [4, 6])


def test_a_limit_order_of_the_fund_never_crosses(open_market: OpenMarket) -> None:
    market = _fund_is_long(open_market)
    market.exchange.process(
        command(
            OrderKind.LIMIT,
            INSURANCE_ROW,
            order_id=99,
            side=-1,
            quantity_lots=20,
            price_ticks=120,
            cause=Cause.TAKEOVER,
        )
    )
    bid, ask = market.exchange.best_bid_ticks, market.exchange.best_ask_ticks
    assert not (bid and ask) or bid < ask, (bid, ask)


def test_a_batch_is_processed_in_the_given_order(open_market: OpenMarket) -> None:
    one, many = open_market(), open_market()
    commands = []

    def keep(batch: np.ndarray) -> np.ndarray:
        commands.append(batch.copy())
        return process(batch)

    process = one.exchange.process
    one.exchange.process = keep
    one.place(THREE_LEVELS)
    one.buy("G", 9, 103)
    many.exchange.process(np.concatenate(commands))
    assert many.drawn() == one.drawn()


def test_letters_name_rows() -> None:
    assert [letter_of(row_of(letter)) for letter in "ABZ"] == ["A", "B", "Z"]


def test_rejections_change_nothing(market: Ladder) -> None:
    market.place(THREE_LEVELS)
    reasons = {int(e["reason"]) for e in market.buy("A", 0, 1)} | {int(e["reason"]) for e in market.buy("A", 1, 0)}
    assert reasons == {Reject.BAD_QUANTITY, Reject.PRICE_OUT_OF_RANGE}
    assert market.drawn() == drawing(THREE_LEVELS)
