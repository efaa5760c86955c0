"""`marginquake explain`: what it says is what the record holds."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.causes import causal_tree, grow_tree
from marginquake.analysis.explanation import (
    Explanation,
    NoSuchCascade,
    Section,
    explain,
    explanation,
    sentences,
    why_it_stopped,
)
from marginquake.analysis.explanation.cascade_view import CascadeView
from marginquake.analysis.explanation.who_traded import flows
from marginquake.analysis.frames.run_frames import RunFrames, frames_of
from marginquake.sim.cli import main
from marginquake.sim.core.records import EventKind
from marginquake.sim.runs.event_log import MemoryLog
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import simulate
from tests.support.paths import SCENARIOS

pytestmark = pytest.mark.model

TITLES = [
    "What set it off", "Which clusters it ran through", "What could be known before", "Who sold, who absorbed",
    "What depth did", "Why it stopped", "Who paid", "What the twin says",
]  # fmt: skip
NO_NUMBER = r"(?<![A-Za-z])[+-]?(nan|inf)[kMBT]?(?![A-Za-z])"
"""How a NaN or an infinity would look in a sentence."""


@cache
def run_of(name: str, *overrides: str) -> RunFrames:
    loaded = load_scenario(SCENARIOS / f"{name}.yaml", AGENT_TYPES, overrides)
    return frames_of(simulate(loaded, loaded.seed, open_log=MemoryLog), loaded)


def squeeze() -> RunFrames:
    return run_of("long_squeeze", "duration=5min")


def section(told: Explanation, title: str) -> Section:
    return next(each for each in told.sections if each.title == title)


def test_the_parts_come_in_the_order_in_which_one_asks() -> None:
    assert [each.title for each in explain(squeeze()).sections] == TITLES


def test_the_headline_is_the_trees() -> None:
    run = squeeze()
    tree = causal_tree(run.first)
    largest = tree.cascades[0]
    headline = explain(run).headline
    accounts = len(np.unique(tree.calls.account[largest.calls]))
    assert f"{accounts:,} longs called" in headline
    assert accounts == len(largest.calls) or f"called {len(largest.calls):,} times" in headline
    assert f"in {len(largest.generations)} generation" in headline
    assert "fell by" in headline


def test_shares_of_the_causes_sum_to_the_whole() -> None:
    rows = section(explain(squeeze()), "What set it off").rows
    for column in (1, 2):
        shares = [float(row[column].removesuffix(" %")) for row in rows]
        assert sum(shares) == pytest.approx(100, abs=3)  # each is rounded


def test_a_shock_that_the_scenario_declares_is_named() -> None:
    assert any("declares a shock" in line for line in section(explain(squeeze()), "What set it off").sentences)


def test_what_was_sold_was_bought() -> None:
    run = squeeze()
    tree = causal_tree(run.first)
    view = CascadeView(run, run.first, tree, tree.cascades[0])
    fills = view.fills_between(view.cascade.start_s, view.extreme_s)
    names, bought, sold = flows(view, fills)
    assert bought.sum() == pytest.approx(sold.sum())
    assert bought.sum() == pytest.approx(fills.notional.sum())
    assert "insurance fund" in names
    by_takeover = fills.notional[fills.account == 0].sum() + fills.notional[fills.maker_account == 0].sum()
    fund = names.index("insurance fund")
    assert bought[fund] + sold[fund] == pytest.approx(by_takeover)


def test_what_was_taken_over_is_one_number_everywhere_valued_at_the_mark() -> None:
    run = squeeze()
    time_s, notional = run.first.handed_over(EventKind.TAKEOVER)
    assert run.summary["takeover_notional"] > 0
    assert notional[time_s > 0].sum() == pytest.approx(run.summary["takeover_notional"])
    assert run.first.run["takeover_notional"].sum() == pytest.approx(run.summary["takeover_notional"])
    tree = causal_tree(run.first)
    view = CascadeView(run, run.first, tree, tree.cascades[0])
    inside = (time_s >= view.cascade.start_s) & (time_s <= view.settled_s)
    assert view.notional_of(EventKind.TAKEOVER) == pytest.approx(notional[inside].sum())


def test_a_squeeze_of_shorts_is_told_the_other_way_round() -> None:
    run = run_of("short_squeeze", "duration=6min")
    told = explain(run)
    if not causal_tree(run.first).cascades:
        pytest.fail("the short squeeze called nobody")
    assert "shorts called" in told.headline
    assert "bought in the book by force" in told.headline
    assert "rose by" in told.headline
    assert told.sections[3].title == "Who bought, who absorbed"


def test_without_calls_it_says_so() -> None:
    told = explain(run_of("calm_market", "duration=20s", "warmup=10s"))
    assert told == Explanation("Nobody was called in this run: there is no cascade to explain.", ())


def test_where_forced_orders_caused_no_call_the_largest_bunch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = squeeze()
    tree = grow_tree(run.first, child_share=100.0)  # nobody is a child by this measure
    monkeypatch.setattr(explanation, "causal_tree", lambda market: tree)
    assert tree.several == ()
    told = explain(run)
    assert told.headline.startswith("No call had a forced order among its main causes")
    assert "longs called" in told.headline
    assert [each.title for each in told.sections] == TITLES
    with pytest.raises(NoSuchCascade):
        explain(run, cascade=2)


def test_without_fills_it_says_what_to_record() -> None:
    told = explain(run_of("long_squeeze", "duration=20s", "warmup=10s", "record.events=liquidations"))
    assert "record.events: fills" in told.headline


def test_a_cascade_that_is_not_there() -> None:
    run = squeeze()
    there = len(causal_tree(run.first).several)
    explain(run, cascade=there)
    with pytest.raises(NoSuchCascade, match=f"of two calls or more; use --cascade 1{f' to {there}' * (there > 1)}$"):
        explain(run, cascade=there + 1)


def test_the_extreme_is_the_lowest_price_of_the_cascade() -> None:
    run = squeeze()
    tree = causal_tree(run.first)
    view = CascadeView(run, run.first, tree, tree.cascades[0])
    series = run.first.series
    inside = (series["time_s"] > view.cascade.start_s) & (series["time_s"] <= view.cascade.end_s)
    assert series["last"][view.extreme] == np.nanmin(series["last"][inside])


def test_sentences_for_the_report_have_no_empty_line() -> None:
    told = sentences(squeeze())
    assert len(told) == 1 + len(TITLES)
    assert all(re.search(r"\w", line) for line in told)


def test_an_empty_book_is_no_lack_of_fuel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why_it_stopped, "pressure", lambda view, time_s: (5e6, 0.0, np.inf))
    told = section(explain(squeeze()), "Why it stopped").sentences
    assert any(line.startswith("There was fuel left") and "nothing to meet it" in line for line in told)


def test_every_number_is_finite_text() -> None:
    told = explain(squeeze())
    cells = (cell for each in told.sections for row in each.rows for cell in row)
    text = " ".join([told.headline, *(line for each in told.sections for line in each.sentences), *cells])
    assert not re.search(NO_NUMBER, text)
    for broken in ("nan", "-nan %", "a pressure of inf.", "(inf)", "nanM", "+infk"):
        assert re.search(NO_NUMBER, broken)
    assert not re.search(NO_NUMBER, "the insurance fund, financed; information")


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_explains_a_run(tmp_path: Path) -> None:
    scenario = SCENARIOS / "long_squeeze.yaml"
    made = CliRunner().invoke(
        main.app,
        [
            "run",
            str(scenario),
            "--set",
            "duration=4min",
            "--out",
            str(tmp_path),
            "--name",
            "a",
            "--no-figures",
            "--quiet",
        ],
    )
    assert made.exit_code == 0, made.output
    told = CliRunner().invoke(main.app, ["explain", "a", "--out", str(tmp_path)])
    assert told.exit_code == 0, told.output
    for title in TITLES:
        assert title in told.output
    refused = CliRunner().invoke(main.app, ["explain", "a", "--out", str(tmp_path), "--cascade", "999"])
    assert refused.exit_code == 2
    assert "--cascade 999" in refused.output
    unknown = CliRunner().invoke(main.app, ["explain", "a", "--out", str(tmp_path), "--market", "moon"])
    assert unknown.exit_code == 2
    assert "--market moon" in unknown.output
