"""Stops, ADL and called accounts in the causal tree: worked by hand, and amounts that add up on whole runs."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis import formats
from marginquake.analysis.causes import CausalTree, Part, Way, causal_tree
from marginquake.analysis.causes.episodes import episodes_of
from marginquake.analysis.causes.price_parts import WINDOW_S
from marginquake.analysis.causes.reactions import REOPENED_WITHIN_S
from marginquake.analysis.causes.spot_hedges import spot_hedges
from marginquake.analysis.explanation import explain
from marginquake.analysis.explanation.cascade_view import CascadeView, largest_move
from marginquake.analysis.figures import price
from marginquake.analysis.frames.market import IndexFeedback, MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames, frames_of
from marginquake.analysis.measures.closings import IN_THE_BOOK, OUTSIDE_THE_BOOK
from marginquake.analysis.measures.scorecard import market_summary
from marginquake.sim.core.records import Cause, EventKind, Side
from marginquake.sim.runs.event_log import MemoryLog
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import simulate
from tests.support.frames.events import adl, call, cured, fill, frames, record, takeover
from tests.support.paths import SCENARIOS

SELL, BUY = Side.SELL, Side.BUY
A, B, STOPPED, WINNER = 10, 11, 20, 95


def tree_of(*facts: tuple[object, ...]) -> CausalTree:
    return causal_tree(frames(record(*facts), 1.0))


def amounts(tree: CausalTree) -> dict[str, float]:
    return {way.name: tree.flows.total(way) for way in Way if tree.flows.total(way)}


# -- stops ---------------------------------------------------------------------------------------------------------


def stopped_out(*before: tuple[object, ...]) -> tuple[tuple[object, ...], ...]:
    """A is sold to 95, that sets off a stop, which goes to 91; then B is called."""
    return (
        fill(0.5, 99, SELL),
        call(1.0, A, 99),
        fill(1.2, 95, SELL, Cause.LIQUIDATION, account=A, lots=2, mark=99),
        *before,
        fill(1.3, 94, SELL, Cause.STOP, account=STOPPED, mark=99, order=7),
        fill(1.3, 91, SELL, Cause.STOP, account=STOPPED, lots=2, mark=99, order=7),
        call(2.0, B, 91),
    )


def test_a_stop_is_set_off_and_sets_off_in_its_turn() -> None:
    tree = tree_of(*stopped_out())
    assert len(tree.stops) == 1, "two fills of one order"
    np.testing.assert_allclose(tree.stops.move, [-5])  # from 100 to 95, where its trigger was
    np.testing.assert_allclose(tree.stops.parts[0, [Part.VOLUNTARY, Part.FORCED]], [-1, -4])
    np.testing.assert_allclose(tree.calls.stop, [0, -4])
    np.testing.assert_allclose(tree.calls.forced, [0, -4])
    (whole,) = tree.cascades
    assert (whole.calls.tolist(), whole.stops.tolist()) == ([0, 1], [0])
    assert amounts(tree) == {"LIQUIDATION": 2 * 95, "STOP": 94 + 2 * 91}
    assert whole.closed == 2 * 95 + 94 + 2 * 91
    assert whole.notional == 2 * 95


def test_a_call_is_below_the_liquidation_that_set_its_stop_off() -> None:
    own_trade = fill(1.25, 95, BUY, account=B, mark=99)  # B's causes begin here: after A's sale, before the stop
    tree = tree_of(*stopped_out(own_trade))
    assert tree.calls.forced.tolist() == [0.0, 0.0]
    assert tree.links.child.tolist() == [], "between the two calls there is no link but by the stop"
    assert tree.calls.parent.tolist() == [-1, 0]
    assert tree.calls.generation.tolist() == [0, 1]
    assert len(tree.cascades) == 1


def test_stops_alone_are_a_chain_and_no_cascade_of_calls() -> None:
    tree = tree_of(
        fill(0.5, 97, SELL),
        fill(0.6, 94, SELL, Cause.STOP, account=20, order=1),
        fill(0.7, 90, SELL, Cause.STOP, account=21, order=2),
    )
    assert (tree.cascades, tree.several) == ((), ())
    (chain,) = tree.chains_of_stops
    assert (chain.side, chain.stops.tolist(), chain.closed) == (1, [0, 1], 94 + 90)
    np.testing.assert_allclose(tree.stops.share(Part.STOP), [0, 3 / 6])


def test_a_take_profit_follows_from_nothing() -> None:
    """It sells into a rise: nobody was hurt by the move that set it off."""
    tree = tree_of(
        fill(0.5, 103, BUY),
        call(1.0, A, 103, side=-1),
        fill(1.2, 107, BUY, Cause.LIQUIDATION, account=A, mark=103),
        fill(1.3, 106, SELL, Cause.STOP, account=STOPPED, mark=103, order=7),
    )
    assert tree.stops.moved.tolist() == [False]
    assert tree.node_links.child.tolist() == []
    assert [len(each.stops) for each in (*tree.cascades, *tree.stop_cascades)] == [0, 1]


# -- auto-deleveraging -----------------------------------------------------------------------------------------------


def deleveraged(*after: tuple[object, ...], again_s: float = 1.5) -> tuple[tuple[object, ...], ...]:
    """A is closed by ADL against WINNER, who sells again; then B is called."""
    return (
        fill(0.5, 99, SELL),
        call(1.0, A, 99, lots=3),
        adl(1.1, WINNER, A, 3, mark=99),
        fill(again_s, 96, SELL, account=WINNER, lots=4, mark=99),
        *after,
    )


def test_what_a_counterparty_of_adl_does_next_belongs_to_the_bankrupt_account() -> None:
    tree = tree_of(*deleveraged(call(2.0, B, 96)))
    np.testing.assert_allclose(tree.calls.adl, [0, -3 * 3 / 4])  # three of its four lots rebuild what it lost
    np.testing.assert_allclose(tree.calls.voluntary, [-1, -1 - 3 / 4])
    assert tree.calls.parent.tolist() == [-1, 0]
    np.testing.assert_allclose(tree.links.share, [9 / 16])
    assert amounts(tree) == {"ADL": 3 * 99, "REOPENED": 3 * 96}
    assert tree.cascades[0].closed == 3 * 99, "what follows closes nothing"
    assert tree.branching.value == pytest.approx((0 + 9 / 16) / 2)


def test_only_the_side_that_was_lost_is_a_consequence_and_only_for_a_minute() -> None:
    late = tree_of(*deleveraged(call(80.0, B, 96), again_s=1.1 + REOPENED_WITHIN_S + 0.5))
    assert late.calls.adl.tolist() == [0.0, 0.0]
    facts = (*deleveraged()[:3], fill(1.5, 103, BUY, account=WINNER, mark=99), call(2.0, B, 103, side=-1))
    assert tree_of(*facts).calls.adl.tolist() == [0.0, 0.0]


def test_adl_of_the_fund_belongs_to_those_it_took_over() -> None:
    tree = tree_of(
        fill(0.5, 99, SELL),
        call(1.0, A, 99),
        call(1.0, 12, 99),
        takeover(1.1, A, 2, mark=99),
        takeover(1.1, 12, 2, mark=99),
        adl(1.2, WINNER, 0, 3, mark=99),  # two lots of A's, one of account 12's
        fill(1.5, 96, SELL, account=WINNER, lots=3, mark=99),
        call(2.0, B, 96),
    )
    of_adl = tree.flows.select(tree.flows.way == Way.ADL)
    assert dict(zip(of_adl.node.tolist(), of_adl.notional.tolist(), strict=True)) == {0: 2 * 99, 1: 99}
    share = {
        (1, 1): 0,
        **dict(zip(zip(tree.links.child, tree.links.parent, strict=True), tree.links.share, strict=True)),
    }
    assert share[(2, 0)] == pytest.approx(2 * share[(2, 1)])
    assert tree.calls.parent.tolist() == [-1, -1, 0]


HOUR_S = 3600.0


def hedged(*, feedback: bool = True, contract: object = None) -> MarketFrames:
    """ADL closes 20 lots short of a hedger at 2 s, who sells 20 of spot at once; the index falls, B is called."""
    facts = record(
        fill(0.5, 100, SELL),
        call(1.0, A, 100),
        adl(2.0, WINNER, A, 20, mark=100),
        call(3.0, B, 98),
    )
    market = frames(facts, 1.0, [100.0] * 6)
    time_s = market.series["time_s"]
    held = np.where(time_s > 2.0, 0.0, 20.0)
    columns = {"time_s": time_s, "spot_lots": held, "population": np.full(len(time_s), "hedgers")}
    rows = np.arange(WINNER + 1)
    names = np.where(rows == WINNER, "hedgers", "others")
    return replace(
        market,
        series=market.series | {"index": np.full(len(time_s), 100.0)},
        accounts={"row": rows, "population": names},
        read_populations=lambda: columns,
        index_feedback=IndexFeedback(1000.0, (HOUR_S,), (1.0,)) if feedback else None,
    )


def test_spot_that_adl_freed_moves_the_index_and_calls_the_next() -> None:
    market = hedged()
    hedges = spot_hedges(market)
    assert (hedges.at_s.tolist(), hedges.lots.tolist(), hedges.notional.tolist()) == ([2.0], [-20.0], [-2000.0])
    # 1,000 move it by 1 %: 2,000 by 2 %, from the moment after the ADL on; an hour later 1/e of that is left
    moved = hedges.displacement(np.array([2.0, 2.0 + 1e-9, 2.0 + HOUR_S]))
    np.testing.assert_allclose(moved, [0, -0.02, -0.02 / np.e], rtol=1e-9)
    np.testing.assert_allclose(hedges.each(3.0), hedges.displacement(np.array([3.0])))
    tree = causal_tree(market)
    np.testing.assert_allclose(tree.calls.adl[1], 100 * np.expm1(-0.02 * np.exp(-1 / HOUR_S)))
    assert tree.calls.move[1] == -2.0
    assert tree.calls.parent.tolist() == [-1, 0]
    assert tree.flows.total(Way.SPOT) == 2000.0
    assert amounts(causal_tree(hedged(feedback=False))) == {"ADL": 2000.0}, "an index that does not listen"


def test_what_a_hedger_trades_for_its_own_fills_is_not_charged_to_adl() -> None:
    """It bought 5 here in the same second: of the 25 that it sold on spot, 20 are ADL's."""
    market = hedged()
    events = record(
        fill(0.5, 100, SELL),
        call(1.0, A, 100),
        adl(2.0, WINNER, A, 20, mark=100),
        fill(2.1, 100, BUY, account=WINNER, lots=5, mark=100),
        call(3.0, B, 98),
    )
    columns = market.read_populations() | {"spot_lots": np.where(market.series["time_s"] > 2.0, -5.0, 20.0)}
    other = replace(
        market,
        read_events=lambda: {name: events[name].copy() for name in market.read_events()},
        read_populations=lambda: columns,
    )
    assert spot_hedges(other).lots.tolist() == [-20.0]


# -- called accounts -------------------------------------------------------------------------------------------------


def test_what_a_called_account_sells_by_itself_is_forced_until_it_is_cured() -> None:
    def told(*middle: tuple[object, ...]) -> CausalTree:
        return tree_of(
            fill(0.5, 99, SELL),
            call(1.0, A, 99, lots=2),
            *middle,
            fill(1.5, 95, SELL, account=A, lots=4, mark=99),
            call(2.0, B, 95),
        )

    tree = told()
    np.testing.assert_allclose(tree.calls.forced, [0, -4 * 2 / 4])  # no more than the two that were called
    assert tree.calls.parent.tolist() == [-1, 0]
    assert amounts(tree) == {"CALLED": 2 * 95}
    assert told(cured(1.2, A, mark=99)).calls.forced.tolist() == [0.0, 0.0]


# -- until the low ---------------------------------------------------------------------------------------------------


def falling(side: int, lowest_s: float) -> MarketFrames:
    """A cascade of two calls, its last sale at 2.2 s; the price goes on until `lowest_s`."""
    down = 1 if side > 0 else -1
    order = SELL if side > 0 else BUY
    events = record(
        fill(0.5, 100 - down, order),
        call(1.0, A, 100 - down, side=side),
        fill(1.2, 100 - 5 * down, order, Cause.LIQUIDATION, account=A, mark=99),
        call(2.0, B, 100 - 5 * down, side=side),
        fill(2.2, 100 - 7 * down, order, Cause.LIQUIDATION, account=B, mark=95),
    )
    market = frames(events, 1.0, [100.0] * 200)
    time_s = market.series["time_s"]
    last = 100 - down * np.where(time_s <= lowest_s, np.minimum(8 * time_s / lowest_s, 8), 2)
    return replace(market, series=market.series | {"last": last, "mark": last})


@pytest.mark.parametrize("side", [1, -1])
def test_a_cascade_lasts_until_its_low_but_no_longer_than_causes_are_looked_for(side: int) -> None:
    (near,) = causal_tree(falling(side, 30.0)).cascades
    assert (near.last_flow_s, near.end_s) == (2.2, 30.0)
    (far,) = causal_tree(falling(side, 150.0)).cascades
    assert far.end_s == pytest.approx(2.2 + WINDOW_S, abs=1.0)
    assert far.last_flow_s == 2.2


@pytest.mark.parametrize("side", [1, -1])
def test_an_episode_lasts_until_its_low_too(side: int) -> None:
    (found,) = episodes_of(falling(side, 20.0))
    assert (found.start_s, found.end_s, found.fills) == (1.2, 20.0, 2)


def test_adl_is_part_of_an_episode() -> None:
    market = frames(record(*deleveraged()), 1.0)
    (found,) = episodes_of(replace(market, series=market.series | {"last": np.array([100.0, 100.0])}))
    assert (found.notional, found.adl_fraction, found.sell_fraction, found.accounts) == (3 * 99, 1.0, 1.0, 1)


# -- whole runs ------------------------------------------------------------------------------------------------------

FIXED = ("record.map_every=1min",)
RUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bybit, nearly no fund": (
        ("long_squeeze.yaml", "venues/bybit_linear.yaml"), ("duration=5min", "venue.insurance.initial=100k"),
    ),
    "long squeeze": (("long_squeeze.yaml",), ("duration=5min",)),
    "adl stress": (("adl_stress.yaml",), ("duration=5min",)),
    "short squeeze": (("short_squeeze.yaml",), ("duration=7min",)),
    "thin book": (
        ("thin_book.yaml",), ("duration=8min", "index.shocks=[{at: 1min, log_return: -2.5%, over: 3min}]"),
    ),
    "stops at round prices": (("stop_hunt_levels.yaml",), ("duration=10min",)),
    "inverse": (("long_squeeze.yaml", "venues/bybit_inverse.yaml"), ("duration=5min", "venue.insurance.initial=100k")),
    "two markets": (("long_squeeze.yaml",), ("duration=5min",)),
    "call window": (("margin_call_window.yaml",), ("duration=6min",)),
}  # fmt: skip


SECOND_MARKET = """
markets:
  btc:
  eth: {contract: {initial_price: 3000, tick_size: 0.1}}
populations:
  background2: {type: background, market: eth}
  makers2: {type: market_maker, market: eth}
  arbitrageurs2: {type: arbitrageur, market: eth}
  hedgers2: {type: hedger, market: eth}
  shorts2: {type: retail, market: eth, accounts: 500, long_share: 90%, stop_share: 20%, leverage: 50}
"""


@cache
def run_of(name: str, seed: int) -> RunFrames:
    files, overrides = RUNS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.yaml"
        text = f"extends: [{', '.join(str(SCENARIOS / file) for file in files)}]\n"
        path.write_text(text + SECOND_MARKET if name == "two markets" else text)
        loaded = load_scenario(path, AGENT_TYPES, (*overrides, *FIXED))
    return frames_of(simulate(loaded, seed, open_log=MemoryLog), loaded)


CASES = [(name, seed) for name in RUNS for seed in (1, 2)]
EVERY_RUN = [pytest.param(name, seed, id=f"{name}, seed {seed}", marks=pytest.mark.model) for name, seed in CASES]


@pytest.mark.parametrize(("name", "seed"), EVERY_RUN)
def test_amounts_by_way_are_those_of_the_events_and_of_the_scorecard(name: str, seed: int) -> None:
    run = run_of(name, seed)
    for market in run.markets.values():
        summary, events, total = (
            market_summary(run.summary, market.name),
            market.events,
            causal_tree(market).flows.total,
        )
        fills = market.fills
        by_cause = {cause: float(fills.notional[fills.cause == cause].sum()) for cause in Cause}
        assert total(Way.LIQUIDATION) == pytest.approx(by_cause[Cause.LIQUIDATION])
        assert total(Way.FUND) == pytest.approx(by_cause[Cause.TAKEOVER])
        assert total(Way.STOP) == pytest.approx(by_cause[Cause.STOP])
        assert total(Way.OFFER) == pytest.approx(float(fills.notional[fills.maker_account == 0].sum()))
        assert total(Way.ADL) == pytest.approx(float(market.handed_over(EventKind.ADL)[1].sum()))
        assert total(Way.TAKEOVER) == pytest.approx(float(market.handed_over(EventKind.TAKEOVER)[1].sum()))
        # The same since the end of the warm-up, in the picture and on the scorecard.
        book, outside = ([kind.of(market).total for kind in kinds] for kinds in (IN_THE_BOOK, OUTSIDE_THE_BOOK))
        assert book[0] + book[1] == pytest.approx(summary["forced_notional"])
        assert book[2] == pytest.approx(summary["stop_notional"])
        assert outside == pytest.approx([summary["takeover_notional"], summary["adl_notional"]])
        assert len(events["kind"]) > 0


@pytest.mark.parametrize(("name", "seed"), EVERY_RUN)
def test_each_closing_is_in_exactly_one_cascade_and_parts_sum_to_the_move(name: str, seed: int) -> None:
    for market in run_of(name, seed).markets.values():
        tree = causal_tree(market)
        every = (*tree.cascades, *tree.stop_cascades)
        assert sorted(np.concatenate([np.zeros(0), *(each.calls for each in every)])) == list(range(len(tree.calls)))
        assert sorted(np.concatenate([np.zeros(0), *(each.stops for each in every)])) == list(range(len(tree.stops)))
        owned = tree.flows.select(tree.flows.node >= 0)
        for way in Way:
            inside = sum(tree.flows_of(each).total(way) for each in every)
            assert inside == pytest.approx(owned.total(way)), way
        assert len(owned.way) == len(tree.flows.way), "nothing is nobody's"
        for each in every:
            assert each.last_flow_s >= tree.flows_of(each).time_s.max(initial=-np.inf)
        whole = sum(getattr(tree.calls, part.name.lower()) for part in Part)
        np.testing.assert_allclose(whole, tree.calls.move, atol=1e-6)
        np.testing.assert_allclose(tree.stops.parts.sum(axis=1), tree.stops.move, atol=1e-6)


@pytest.mark.parametrize(("name", "seed"), EVERY_RUN)
def test_the_largest_cascade_and_the_fall_of_the_scorecard_are_told_as_one(name: str, seed: int) -> None:
    run = run_of(name, seed)
    for market in run.markets.values():
        tree = causal_tree(market)
        cascades = tree.several or tree.chains_of_stops
        if not cascades:
            continue
        cascade = cascades[0]
        view, time_s, last = CascadeView(run, market, tree, cascade), market.series["time_s"], market.series["last"]
        whole = largest_move(view)
        key = "max_drawdown_fraction" if cascade.side > 0 else "max_rise_fraction"
        assert whole.fraction == pytest.approx(market_summary(run.summary, market.name)[key])
        assert whole.before + whole.inside + whole.after == pytest.approx(whole.fraction)
        # Its low is the lowest price from its beginning to its end, and by a minute after its last flow.
        begin = max(int(np.searchsorted(time_s, cascade.start_s, side="right")) - 1, 0)
        end = int(np.searchsorted(time_s, cascade.last_flow_s + WINDOW_S))  # the first sample at or after it
        assert cascade.side * last[view.extreme] == np.nanmin(cascade.side * last[begin : end + 1])
        assert view.extreme_s <= max(cascade.end_s, view.series["time_s"][view.move.first]) + 1.0
        low_s = whole.to_s
        if cascade.start_s <= low_s <= cascade.last_flow_s + WINDOW_S:
            assert whole.after == pytest.approx(0.0, abs=1e-12), "the low of the run is that of the cascade"
        elif whole.overlaps and low_s > cascade.end_s:
            assert low_s >= cascade.last_flow_s + WINDOW_S, "the price went on when nothing of the cascade did"


@pytest.mark.model
@pytest.mark.parametrize("seed", [1, 2])
def test_where_adl_does_the_work_the_tree_says_so(seed: int) -> None:
    run = run_of("bybit, nearly no fund", seed)
    tree = causal_tree(run.first)
    whole = tree.several[0]
    view = CascadeView(run, run.first, tree, whole)
    deleveraged = tree.flows_of(whole).total(Way.ADL)
    if not deleveraged:
        pytest.skip("no ADL with this seed")
    assert deleveraged > 0.9 * run.summary["adl_notional"]
    # ADL closed hedgers, who sold what they held on spot: in lots, exactly what ADL took from them.
    hedges, events = spot_hedges(run.first), run.first.events
    names = run.first.accounts["population"][np.argsort(run.first.accounts["row"])]
    of_hedgers = (events["kind"] == EventKind.ADL) & (names[np.maximum(events["account"], 0)] == "hedgers")
    lots = (events["side"] * events["quantity_lots"])[of_hedgers].sum()
    sold = hedges.lots[names[events["account"][hedges.adl_row]] == "hedgers"].sum()
    assert sold == pytest.approx(-lots, rel=0.02)
    fall = largest_move(view)
    assert fall.inside == pytest.approx(fall.fraction, abs=0.012), "but for what fell before it began"
    headline = explain(run).headline
    assert "auto-deleveraging (ADL) closed" in headline


@pytest.mark.model
def test_the_index_falls_by_what_the_spot_sales_after_adl_push() -> None:
    """In the second of the first ADL, to what others hedged beside it."""
    market = run_of("bybit, nearly no fund", 1).first
    hedges, series = spot_hedges(market), market.series
    row = int(np.searchsorted(series["time_s"], hedges.at_s[0], side="right"))
    assert series["time_s"][row - 1] <= hedges.at_s[0] < series["time_s"][row]
    gap = np.log(series["index"] / series["fundamental"])
    own = float(hedges.displacement(series["time_s"][row : row + 1])[0])
    spot = sum(np.diff(columns["spot_lots"])[row - 1] for columns in market.populations.values())
    pushed_lots = hedges.lots[hedges.at_s < series["time_s"][row]].sum()
    assert own < -0.005
    assert gap[row] - gap[row - 1] == pytest.approx(own * spot / pushed_lots, abs=0.001)


@pytest.mark.model
def test_stops_without_a_call_are_explained_as_a_chain() -> None:
    run = run_of("stops at round prices", 1)
    assert run.summary["margin_calls"] == 0
    told = explain(run)
    assert told.headline.startswith("Nobody was called in this run")
    assert "stop order" in told.headline
    assert told.sections[0].title == "What set it off"
    assert not any("nan" in line for section in told.sections for line in section.sentences)


@pytest.mark.model
@pytest.mark.parametrize("name", ["bybit, nearly no fund", "short squeeze", "stops at round prices"])
def test_the_picture_has_a_series_for_each_way_with_the_amount_of_the_scorecard(name: str) -> None:
    from matplotlib.figure import Figure

    run = run_of(name, 1)
    market, summary = run.first, run.summary
    figure = Figure(figsize=(12.0, 8.2))
    price.draw(market, figure)
    legends = [axes.get_legend() for axes in figure.axes]
    shown = {text.get_text() for legend in legends if legend for text in legend.get_texts()}
    amounts = {
        "stops": summary["stop_notional"],
        "taken over by the fund": summary["takeover_notional"],
        "auto-deleveraging (ADL)": summary["adl_notional"],
        "liquidation orders": IN_THE_BOOK[0].of(market).total,
        "insurance fund": IN_THE_BOOK[1].of(market).total,
    }
    for label, amount in amounts.items():
        assert (f"{label} {formats.short_number(float(amount))}" in shown) == bool(amount), label
