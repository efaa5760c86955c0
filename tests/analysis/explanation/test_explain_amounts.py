"""`analysis.explanation` of a record written by hand: every amount in it, worked out beside it.

Two longs are called.  A (account 3, 10 lots) at 99: 6 are sold at 98, the fund takes over 4.  B (account 4, 20 lots),
whom that carries to its level, at 98: 12 are sold at 97, auto-deleveraging closes 8.  The fund sells its 4 at 96, the
low; then somebody buys.
"""

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginquake.analysis.causes import CausalTree, causal_tree
from marginquake.analysis.causes.hawkes import Outsider
from marginquake.analysis.explanation import Explanation, Section, explain
from marginquake.analysis.explanation.cascade_view import CascadeView, moved
from marginquake.analysis.explanation.outsider import outsider
from marginquake.analysis.explanation.who_paid import _lost, fund_flows, left_at_takeover
from marginquake.analysis.frames.market import LiquidationMap
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.levels.feedback import largest_event
from marginquake.analysis.report import cascades
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.analysis.studies.twins import Cell, Effect, TwinResult
from marginquake.sim.core.records import AUDIT, EVENT, Cause, EventKind, Side, Stage
from tests.support.frames.positions import held_market

TICK, UNIT = 0.01, 1e-6
SELLER, BUYER, MAKER, WINNER = 20, 21, 30, 40
BEGAN_BEFORE, BEGAN_AFTER = 7, 6


def event(time_s: float, kind: EventKind, account: int, price: float, lots: int, mark: float, **columns: Any) -> Any:
    row = np.zeros(1, EVENT)
    row["time_ns"], row["kind"], row["account"], row["quantity_lots"] = round(time_s * 1e9), kind, account, lots
    row["price_ticks"], row["mark_ticks"] = round(price / TICK), round(mark / TICK)
    for name, value in ({"maker_account": MAKER} | columns).items():
        row[name] = round(value / UNIT) if name == "money" else value
    return row


def fill(time_s: float, account: int, price: float, lots: int, mark: float, cause: Cause, **columns: Any) -> Any:
    return event(time_s, EventKind.FILL, account, price, lots, mark, cause=cause, **({"side": Side.SELL} | columns))


EVENTS = (
    fill(0.5, SELLER, 99.0, 10, 100, Cause.VOLUNTARY),
    fill(0.9, BEGAN_BEFORE, 98.9, 1, 100, Cause.LIQUIDATION, money=0.5),
    event(1.0, EventKind.MARGIN_CALL, 3, 99.0, 10, 99, side=1),
    fill(1.3, BEGAN_BEFORE, 98.5, 1, 99, Cause.LIQUIDATION, money=2.5),
    fill(1.5, 3, 98.0, 6, 99, Cause.LIQUIDATION, money=3),
    event(1.6, EventKind.TAKEOVER, 3, 97.5, 4, 99, side=1, maker_account=0, money=6),
    event(2.0, EventKind.MARGIN_CALL, 4, 98.0, 20, 98, side=1),
    fill(2.3, 5, 97.5, 5, 98, Cause.STOP),
    fill(2.5, 4, 97.0, 12, 98, Cause.LIQUIDATION, money=5),
    event(2.6, EventKind.ADL, WINNER, 97.4, 8, 98, maker_account=4, cause=Cause.ADL),
    fill(2.8, SELLER, 97.0, 2, 98, Cause.VOLUNTARY),
    fill(3.2, BUYER, 97.5, 1, 97, Cause.VOLUNTARY, side=Side.BUY),
    fill(3.5, 0, 96.0, 4, 97, Cause.TAKEOVER),
    event(4.6, EventKind.INSURANCE, 4, 0, 0, 97, maker_account=0, money=7),
    event(7.0, EventKind.TAKEOVER, 8, 97.0, 2, 97, side=1, maker_account=0, money=-1),
    fill(8.0, BEGAN_AFTER, 97.0, 1, 97, Cause.LIQUIDATION, money=17),
    fill(20.0, BUYER, 97.0, 30, 97, Cause.VOLUNTARY, side=Side.BUY),
    fill(25.0, 50, 97.5, 3, 97, Cause.LIQUIDATION, side=Side.BUY, money=11),
)


def audit_of(account: int, begins_s: float, ends_s: float, **paid: float) -> Any:
    rows = np.zeros(2, AUDIT)
    rows["account"], rows["position_lots"] = account, 1
    rows["time_ns"] = [round(begins_s * 1e9), round(ends_s * 1e9)]
    rows["from_stage"], rows["to_stage"] = [Stage.CALLED, Stage.LIQUIDATING], [Stage.LIQUIDATING, Stage.OK]
    for name, amount in paid.items():
        rows[name][1] = round(amount / UNIT)
    return rows


AUDIT_ROWS = (
    audit_of(BEGAN_BEFORE, 0.2, 1.9, margin_paid=1000, fee=3),
    audit_of(3, 1.2, 2.0, margin_paid=50, fee=3),
    audit_of(4, 2.2, 5.2, margin_paid=90, fee=5, fund_paid=7, winners_paid=4.8, unpaid=2),
    audit_of(BEGAN_AFTER, 4.8, 8.5, margin_paid=500, fee=17),
)
TIME_S = np.arange(-10.0, 71.0)


def path(*steps: tuple[float, float]) -> Any:
    """A column: a value from each time on."""
    times, values = zip(*steps, strict=True)
    return np.array(values, np.float64)[np.searchsorted(times, TIME_S, side="right") - 1]


SERIES = {
    "time_s": TIME_S,
    "last": path((-10, 100), (1, 99), (2, 98), (3, 97), (4, 96), (5, 97)),
    "mark": path((-10, 100), (1, 99), (2, 98), (3, 97)),
    "fundamental": path((-10, 100), (1, 99.5), (60, 99.9)),
    "index": path((-10, 100)),
    "spread_ticks": path((-10, 2), (2, 40), (3, 60), (4, 90)),
    "bid_depth_1pct": path((-10, 1000), (0, 990), (2, 400), (3, 50), (4, 300), (5, 450), (6, 600)),
    "ask_depth_1pct": path((-10, 7000)),
    "insurance_fund": path(
        (-10, 1000), (1, 1000.5), (2, 1012), (3, 1017), (4, 1005), (5, 998), (7, 997), (8, 1014), (25, 1025)
    ),
    "fund_position": path((-10, 0), (2, 392), (4, 0)),
    "margin_calls": path((-10, 0), (1, 1), (3, 0)),
}


def book() -> LiquidationMap:
    """Half a price unit a bin.  Before: 800 within 1 % against 400; at the low (mark 97): 60 against 300."""
    edges = np.arange(90.0, 110.25, 0.5)
    empty = np.zeros((2, len(edges) - 1))
    longs, bids = empty.copy(), empty.copy()
    place = {price: k for k, price in enumerate(edges.tolist())}
    longs[0, [place[99.0], place[99.5], place[98.0]]] = 600, 200, 5000
    bids[0, [place[99.0], place[99.5], place[98.0]]] = 300, 100, 500
    longs[1, [place[96.5], place[95.0]]] = 60, 5000
    bids[1, place[96.5]] = 300
    return LiquidationMap(np.array([0.0, 4.0]), edges, longs, empty, bids, empty)


@cache
def record() -> RunFrames:
    held = held_market(
        lots=[10, 20, 5, -35],
        entry=[100] * 4,
        liquidation=[99, 98, 97.5, 120],
        account=[3, 4, 5, WINNER],
        series=SERIES,
    )
    names = np.full(51, "shorts", "U9")
    names[3:9], names[SELLER : BUYER + 1], names[MAKER], names[0] = "longs", "takers", "makers", "insurance"
    events, audit = np.concatenate(EVENTS), np.concatenate(AUDIT_ROWS)
    audit = audit[np.argsort(audit["time_ns"], kind="stable")]
    market = replace(
        held,
        map=book(),
        accounts=held.accounts | {"row": np.arange(51), "population": names, "leverage": np.full(51, 10.0)},
        read_events=lambda: {name: events[name].copy() for name in EVENT.names},
        read_audit=lambda: {name: audit[name].copy() for name in AUDIT.names},
    )
    return RunFrames(Path("record"), {}, {}, {}, "", {"held": market})


def told() -> Explanation:
    return explain(record())


def section(title: str) -> Section:
    return next(each for each in told().sections if each.title == title)


def view() -> CascadeView:
    tree = causal_tree(record().first)
    return CascadeView(record(), record().first, tree, tree.several[0])


def test_the_headline_tells_what_was_forced_in_the_book_and_what_outside_it() -> None:
    in_the_book = 6 * 98 + 12 * 97 + 4 * 96
    assert in_the_book == 2136
    assert told().headline == (
        "The only cascade: 2 longs called from 0:01 to 0:02, in 2 generations; 2.14k of theirs and 488 of stops "
        "sold in the book by force until 0:04; in the whole market meanwhile the insurance fund took over "
        f"{4 * 99} and auto-deleveraging (ADL) closed {8 * 98}; the last price fell by 3.03 % from the first call to "
        "the low at 0:04, 4.00 % from its peak at 0:00."
    )


def test_one_move_of_the_price_in_headline_beginning_and_report() -> None:
    assert view().move.change == pytest.approx(96 / 99 - 1)
    assert section("What set it off").sentences[2] == (
        "From 0:00, when the first causes begin, to the first call the outside price moved -0.50 % and the last price "
        "-1.00 %; from there to the low at 0:04 +0.00 % and -3.03 %."
    )
    listed = cascades.content(record(), record().first).tables[0]
    assert listed.rows[0][-1] == "\u22123.03 %"
    assert listed.headings[-1] == "price, start to low"


def test_what_was_due_ends_in_the_words_of_the_headline() -> None:
    assert section("Which clusters it ran through").sentences[1] == (
        f"Of {(10 * 99 + 20 * 98 + 5 * 97.5) / 1e3:.3g}k on that map whose levels were reached, valued there: "
        f"{(6 * 99 + 12 * 98) / 1e3:.3g}k sold in the book by liquidation orders, {4 * 99} taken over by the insurance "
        f"fund, {8 * 98} closed by auto-deleveraging, 488 stopped out. Of what was closed by force 100 % lay inside "
        "clusters."
    )


def test_r_before_and_the_branching_that_came_of_it() -> None:
    market = record().first
    event_before = largest_event(market, causal_tree(market))
    assert event_before is not None
    largest = event_before.before.largest
    assert largest == pytest.approx(10, rel=0.01), "5,000 against 500, in the windows with nothing else in them"
    lines = section("What could be known before").sentences
    near = event_before.before.start[int(np.argmax(event_before.before.number))]
    assert lines[0].startswith("On the map of 0:00 R, what waited to be forced")
    assert lines[0].endswith(
        f"was 2.00 at the mark and at most {largest:.2f} on the way down, from {near * 100:.1f} to "
        f"{near * 100 + 1:.1f} % below it."
    )
    branching = event_before.branching
    assert lines[1] == (
        f"What came of it: a branching ratio of {branching.value:.2f} [{branching.low:.2f}, {branching.high:.2f}], the "
        "part that forced orders made of the moves behind 2 calls from then on."
    )
    assert "R ranks markets" in lines[2]
    alone = replace(view(), market=replace(market, map=None))
    assert "no map of liquidation levels" in explain(replace(record(), markets={"held": alone.market})).sections[
        2
    ].sentences[0]  # fmt: skip


def test_who_sold_by_cause_and_who_absorbed() -> None:
    liquidations, fund = 98.5 + 6 * 98 + 12 * 97, 4 * 96
    stops, voluntary = 5 * 97.5, 2 * 97
    assert liquidations + stops + fund + voluntary == 2916
    assert section("Who sold, who absorbed").sentences == (
        "From the first call to the low at 0:04 market orders of everybody, called or not, sold 2.92k: liquidation "
        "orders 1.85k (63 %), stops 488 (17 %), the insurance fund's unwinding 384 (13 %), voluntary market orders 194 "
        "(7 %). Market orders of the other side came to 97.5.",
        "Net sellers: longs 2.34k, insurance fund 384. Absorbed by makers 2.82k.",
        f"This cascade closed {(6 * 98 + 12 * 97 + fund + stops + 8 * 98) / 1e3:.3g}k until 0:04: liquidation orders "
        "1.75k (51 %), auto-deleveraging (ADL) 784 (23 %), stops 488 (14 %), the insurance fund's unwinding 384 "
        "(11 %).",
    )
    rows = {row[0]: row[1:] for row in section("Who sold, who absorbed").rows}
    assert rows["makers"] == ("2.92k", "97.5", "+2.82k")
    assert rows["takers"] == ("97.5", "194", "-96.5")


def test_depth_before_at_its_worst_and_its_return() -> None:
    assert section("What depth did").sentences == (
        "In the 11 s before, 1k of bids rested within 1 % of the price (median); the least was 50 at 0:03, 5 % of "
        "that.",
        "Half of the normal depth was back 3 s later.",
        "The spread, 2 ticks before, widened to 90 ticks at most.",
    )


def test_why_it_stopped() -> None:
    forced_about_it = 98.9 + 98.5 + 6 * 98 + 12 * 97 + 4 * 96 + 97
    bought = 97.5 + 30 * 97 - 10 * 99 - 2 * 97
    assert (round(forced_about_it), round(bought)) == (2430, 1824)
    assert section("Why it stopped").sentences == (
        "The low of the last price was 96 at 0:04.",
        "It ran out of fuel: within 1 % below the mark 60 still waited to be forced, against 300 resting there "
        "(pressure 0.2); before the first call it was 800 against 400 (pressure 2).",
        "The outside price moved -0.50 % until then and +0.40 % in the minute after: it no longer pushed.",
        "In the 60 s around it voluntary market orders bought net 1.82k, takers most; 2.43k was sold in the book by "
        "force.",
        "Auto-deleveraging (ADL) closed 784, which was not sold in the book.",
    )


def test_a_socialised_loss_is_among_the_payments() -> None:
    given_up = event(4.7, EventKind.SOCIALISED, WINNER, 0, 0, 97, maker_account=0, money=9, cause=Cause.ADL)
    later = event(30.0, EventKind.SOCIALISED, WINNER, 0, 0, 97, maker_account=0, money=50, cause=Cause.ADL)
    events = np.concatenate([*EVENTS, given_up, later])
    events = events[np.argsort(events["time_ns"], kind="stable")]
    market = replace(record().first, read_events=lambda: {name: events[name].copy() for name in EVENT.names})
    part = next(
        each for each in explain(replace(record(), markets={"held": market})).sections if each.title == "Who paid"
    )
    assert "Winners gave up 9 of unrealised profit for the fund (socialised loss)." in part.sentences
    assert ("winners (socialised loss)", "9") in part.rows


def test_who_paid_on_one_clock() -> None:
    assert view().cascade.end_s < 4.6 < view().settled_s == 5.2, "the fund pays after the last forced fill"
    flows = fund_flows(view(), view().row_at(1.0), view().row_after(5.2))
    assert (flows.gained, flows.fees, flows.covered, flows.received) == pytest.approx((-2.5, 10.5, 7, 6))
    assert flows.traded == pytest.approx(4 * (96 - 99))
    part = section("Who paid")
    assert part.sentences == (
        "2 accounts came under forced sale from the first call to the end of the cascade, in 2 forced sales that have "
        "ended. Until the last of them was let go, at 0:05, they lost 140 of margin: 8 in liquidation fees, 6 left "
        "with the insurance fund at takeover, and 126 to the price.",
        "The insurance fund lost 2.5 in this time: 10.5 of fees received, 7 of deficits covered, 6 of margin left "
        "with the 396 that it took over, and 12 lost on that.",
        "Auto-deleveraging closed 784; winners were closed 4.8 worse than at the mark.",
        "2 of debt is left that nobody has paid.",
    )
    assert [row[1] for row in part.rows] == ["140", "2.5", "4.8", "2"]


def test_margin_in_words() -> None:
    assert [_lost(*each) for each in ((140, 8, 0), (140, 8, 6), (340, 341, 0), (-50, 2, 0), (-50, 2, 3))] == [
        "lost 140 of margin: 8 in liquidation fees, and 132 to the price",
        "lost 140 of margin: 8 in liquidation fees, 6 left with the insurance fund at takeover, and 126 to the price",
        "lost 340 of margin: 341 in liquidation fees, less 1 that the price gave back",
        "were relieved of 50 of debt, after 2 of liquidation fees",
        "were relieved of 50 of debt, after 2 of liquidation fees and 3 left with the insurance fund at takeover",
    ]


def test_what_was_left_at_takeovers_is_of_those_sales_alone() -> None:
    cases, chosen = view().begun
    assert left_at_takeover(view(), cases, chosen) == pytest.approx(6), (
        "account 3 between 1.2 and 2.0 s; not the -1 of 8"
    )
    of_other = np.asarray(cases.at_start("account") != 3)
    assert left_at_takeover(view(), cases, of_other) == 0


def test_negative_equity_that_the_fund_took_over_is_a_deficit() -> None:
    flows = fund_flows(view(), view().row_at(6.0), view().row_at(7.0))
    assert (flows.gained, flows.covered, flows.received, flows.traded) == pytest.approx((-1, 1, 0, 0))


def test_another_market_is_judged_by_its_own_calls() -> None:
    quiet = replace(
        record().first,
        name="quiet",
        series=SERIES | {"margin_calls": path((-10, 0))},
        read_events=lambda: {name: np.zeros(0, EVENT)[name] for name in EVENT.names},
    )
    lost = replace(quiet, name="lost", series=SERIES)
    run = replace(record(), summary={"margin_calls": 2}, markets={"held": record().first, "quiet": quiet, "lost": lost})
    assert explain(run, quiet).headline == "Nobody was called in this run: there is no cascade to explain."
    assert "events of this run are missing" in explain(run, lost).headline


def test_the_word_goes_by_the_sign() -> None:
    assert [moved(fraction) for fraction in (-0.0123, 0.0123, 0.0, np.nan)] == [
        "fell by 1.23 %", "rose by 1.23 %", "stood still", "is not known",
    ]  # fmt: skip


# -- the outsider ------------------------------------------------------------------------------------------------------


def guessed(hawkes: Estimate, own: Estimate, index_share: float, fit_p: float = 0.2) -> list[str]:
    """What is said where the outside price made `index_share` of every move."""
    tree = causal_tree(record().first)
    calls = replace(tree.calls, index=index_share * tree.calls.move)
    estimate = Outsider(hawkes, 1.0, fit_p, {1: 3.25, 10: 20.0, 60: np.nan})
    told: CausalTree = replace(tree, calls=calls, branching=own, outsider=estimate)
    return outsider(told)


def test_the_outsider_errs_for_a_known_reason_only_where_intervals_are_apart_and_the_index_moved_most() -> None:
    high, low, wide = Estimate(0.98, 0.82, 1.0), Estimate(0.18, 0.10, 0.27), Estimate(0.99, 0.01, 1.0)
    assert guessed(high, low, 0.9)[0].endswith("He takes what the outside price did (90 % of the moves) for contagion.")
    assert guessed(wide, low, 0.9)[0].endswith("from times alone he cannot tell.")
    assert guessed(high, low, 0.3)[0].endswith("The intervals are apart; why, he cannot tell.")
    unknown = Estimate(0.98, np.nan, np.nan)
    assert guessed(unknown, low, 0.9)[0].endswith("from times alone he cannot tell.")


def test_interval_fit_and_fano_factors_are_told() -> None:
    high, low = Estimate(0.98, 0.82, 1.0), Estimate(0.18, 0.10, 0.27)
    hawkes, fano = guessed(high, low, 0.9)
    assert "0.98 [0.82, 1.00] (Hawkes process, which fits: p = 0.2), +0.80 against the tree" in hawkes
    assert "which does not fit: p < 0.001" in guessed(high, low, 0.9, fit_p=1e-200)[0]
    assert "3.25 over 1 s, 20 over 10 s;" in fano


def test_explanation_and_report_say_the_same_of_the_outsider() -> None:
    lines = outsider(causal_tree(record().first))
    assert list(cascades.content(record(), record().first).sentences) == lines
    assert list(section("What the twin says").sentences[-len(lines) :]) == lines
    assert any("Fano" in line for line in lines)


def test_the_tree_of_a_run_stands_beside_its_own_twin_and_not_beside_the_mean_of_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seed 1 falls by .03 instead of .02: 1 - 1/A is .33, whatever the other seed says."""
    cells = (Cell((), (0.03, 0.05), (), ()), Cell(("liquidation",), (0.02, 0.01), (), ()))
    many = Estimate(3.0, 2.0, 4.0)
    effect = Effect(("liquidation",), (), many, Estimate(0.67, 0.5, 0.75), many, many, 2, 0)
    result = TwinResult(
        ("liquidation",), "run", "", view().market.name, "fall", (1, 2), cells, (effect,), UNKNOWN, UNKNOWN, (), (), ()
    )
    monkeypatch.setattr(sys.modules["marginquake.analysis.explanation.twin"], "known_twins", lambda run: (result,))
    lines = sys.modules["marginquake.analysis.explanation.twin"].twin(view()).sentences
    assert any("this run's own twin is 1 - 1/A = 0.33" in line for line in lines)
