"""Facts about margins that move: rules, brackets in force, procyclicality, and what a market does with them."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.margin import MOST_MAINTENANCE_PPM, BracketSchedule, default_brackets, leverage_capped
from marginquake.sim.core.records import EventKind, MarginMode, Reject, Side, Stage
from marginquake.sim.model.model import MarketModel
from marginquake.sim.rules.margin import (
    INITIAL_RULES,
    MAINTENANCE_RULES,
    VolatilityLinked,
    volatility_multiplier,
)
from marginquake.sim.scenario.config import CallConfig, VenueConfig
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import release
from marginquake.sim.venue.exchange import Exchange
from marginquake.sim.venue.margin_schedule import MarginSchedule, Swings
from tests.oracles.naive_exchange import NaiveExchange
from tests.support import whole_market
from tests.support.compare_exchanges import assert_same_events, assert_same_state, count_of, play
from tests.support.paths import TINY
from tests.support.scripted_market import Ladder, Orders, Part, part_market
from tests.support.strategies import Case, cases
from tests.support.whole_market import EVERYTHING, VOLATILE_MARGINS, digest_elsewhere

CONTRACT = ContractSpec("BTC", Decimal(1), Decimal("0.001"), Decimal(1), Decimal("0.000001"), 200_000, 50_000_000)
SCHEDULE = BracketSchedule.from_config(default_brackets(), CONTRACT)
YEAR = 365 * 86_400
MINUTE = 60 * SECOND


# -- the rules ---------------------------------------------------------------------------------------------------------


def test_maintenance_rises_with_volatility_above_the_reference_up_to_its_cap() -> None:
    assert volatility_multiplier(0.3, 0.6, 0.5, 3.0) == 1.0
    assert volatility_multiplier(0.6, 0.6, 0.5, 3.0) == 1.0
    assert volatility_multiplier(1.2, 0.6, 0.5, 3.0) == 1.5
    assert volatility_multiplier(6.0, 0.6, 0.5, 3.0) == 3.0
    assert volatility_multiplier(6.0, 0.6, 0.0, 3.0) == 1.0


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(90_000, 110_000)), min_size=1, max_size=20))
def test_volatility_is_the_weighted_mean_written_out(marks: list[tuple[int, int]]) -> None:
    """Naive twin: every squared return weighs for its time's share of the half-life, the reference for the rest."""
    config = MAINTENANCE_RULES.config("volatility_linked", half_life=600 * SECOND)
    rule = VolatilityLinked(config)
    rule.observe(0, 100_000)
    now, before, returns = 0, 100_000, []
    for seconds, mark in marks:
        now += seconds
        rule.observe(now * SECOND, mark)
        returns.append((now - seconds, now, math.log(mark / before) ** 2 * YEAR / seconds))
        before = mark
    weight_of = [2.0 ** (-(now - end) / 600) - 2.0 ** (-(now - start) / 600) for start, end, _ in returns]
    reference = 2.0 ** (-now / 600) * config.reference_volatility**2
    variance = reference + sum(w * v for w, (_, _, v) in zip(weight_of, returns, strict=True))
    assert rule.volatility == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_the_rule_finds_the_volatility_of_a_random_walk() -> None:
    rule = MAINTENANCE_RULES.rule("volatility_linked", reference_volatility=0.5)
    steps = np.random.default_rng(3).normal(0, 1.2 / math.sqrt(YEAR), 20_000)
    for second, mark in enumerate((100_000 * np.exp(np.cumsum(steps))).tolist()):
        rule.observe(second * SECOND, round(mark))
    assert rule.volatility == pytest.approx(1.2, rel=0.05)


@pytest.mark.parametrize("name", sorted(MAINTENANCE_RULES))
def test_every_maintenance_rule_begins_at_the_table(name: str) -> None:
    assert MAINTENANCE_RULES.rule(name).multiplier() == 1.0


@pytest.mark.parametrize("name", sorted(INITIAL_RULES))
@given(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 1e9))
def test_every_initial_rule_rises_with_its_base_and_stays_within_notional(
    name: str, one: float, other: float, open_notional: float
) -> None:
    rule = INITIAL_RULES.rule(name)
    low, high = sorted((one, other))
    assert low <= rule.fraction(low, open_notional) <= rule.fraction(high, open_notional) <= 1.0


def test_initial_margin_follows_open_interest_as_on_dydx() -> None:
    rule = INITIAL_RULES.rule("open_interest_linked")
    assert rule.fraction(0.05, 19e6) == 0.05
    assert rule.fraction(0.05, 35e6) == pytest.approx(0.525)
    assert rule.fraction(0.05, 60e6) == 1.0
    raised = INITIAL_RULES.rule("open_interest_linked", base=0.1)
    assert raised.fraction(0.05, 0.0) == 0.1
    assert raised.fraction(0.2, 0.0) == 0.2


# -- brackets in force -------------------------------------------------------------------------------------------------


@given(st.floats(1, 400), st.integers(1, 10**6))
def test_moved_brackets_are_continuous_and_stay_below_notional(multiplier: float, least: int) -> None:
    moved = SCHEDULE.moved(multiplier, [max(least, ppm) for ppm in SCHEDULE.initial_ppm])
    caps = np.array(moved.cap[:-1])
    step = moved.maintenance(caps + 1) - moved.maintenance(caps)
    assert ((step == 0) | (step == 1)).all(), "no step at a cap"
    assert max(moved.rate_ppm) <= MOST_MAINTENANCE_PPM < 10**6
    assert list(moved.rate_ppm) == sorted(moved.rate_ppm)
    assert list(moved.initial_ppm) == sorted(moved.initial_ppm)
    assert all(initial >= rate for initial, rate in zip(moved.initial_ppm, moved.rate_ppm, strict=True))
    assert all(new >= old for new, old in zip(moved.rate_ppm, SCHEDULE.rate_ppm, strict=True))


def test_brackets_that_do_not_move_are_the_table() -> None:
    assert SCHEDULE.moved(1.0, SCHEDULE.initial_ppm) == SCHEDULE


def test_initial_margin_rises_with_maintenance() -> None:
    """Whoever opens keeps a distance from the call: 125x needs 0.8 % over 0.4 %; 2.4 % over 1.2 % is asked now."""
    raised = SCHEDULE.moved(3.0, SCHEDULE.initial_ppm)
    assert (raised.rate_ppm[0], raised.initial_ppm[0]) == (12_000, 24_000)
    assert (raised.rate_ppm[-1], raised.initial_ppm[-1]) == (MOST_MAINTENANCE_PPM, 1_000_000)
    assert SCHEDULE.moved(3.0, [50_000] * 12).initial_ppm[:2] == (50_000, 50_000), "or what open interest asks"


def test_a_leverage_cap_lies_over_the_whole_table() -> None:
    capped = leverage_capped(default_brackets(), 20)
    assert [b.max_leverage for b in capped] == [20, 20, 20, 20, 20, 20, 10, 5, 4, 3, 2, 1]
    assert leverage_capped(default_brackets(), None) == default_brackets()
    schedule = BracketSchedule.from_config(capped, CONTRACT)
    assert schedule.max_leverage == 20
    assert schedule.rate_ppm == SCHEDULE.rate_ppm


def venue(**blocks: Any) -> VenueConfig:
    return VenueConfig(**blocks)


def test_fixed_margins_ask_for_nothing() -> None:
    schedule = MarginSchedule(venue(), SCHEDULE)
    assert not schedule.dynamic
    assert schedule.summary() == {}


def test_each_rule_is_asked_on_its_own_clock() -> None:
    schedule = MarginSchedule(
        venue(
            maintenance=MAINTENANCE_RULES.config("volatility_linked", update_every=MINUTE),
            initial=INITIAL_RULES.config("open_interest_linked", update_every=2 * MINUTE),
        ),
        SCHEDULE,
    )
    for minute in range(3):
        for second in range(0, 60, 10):
            schedule.observe((60 * minute + second) * SECOND, 100_000 + 500 * (second // 10 % 2))
    assert schedule.due(MINUTE)
    assert not schedule.due(MINUTE + SECOND)
    once = schedule.update(MINUTE, 35e6)
    assert once.initial_ppm[-1] == SCHEDULE.initial_ppm[-1]
    assert once.rate_ppm[0] > SCHEDULE.rate_ppm[0]
    twice = schedule.update(2 * MINUTE, 35e6)
    assert twice.initial_ppm[0] == math.ceil((0.008 + 0.5 * 0.992) * 1e6)
    assert schedule.summary()["initial_margin_peak"] == pytest.approx(0.504)
    assert schedule.summary()["maintenance_margin_trough"] == 1.0


def test_maintenance_never_meets_the_level_of_a_warning() -> None:
    """A warning at a margin ratio of 0.5 is reached at twice the maintenance: that too must stay below notional."""
    schedule = MarginSchedule(
        venue(
            call=CallConfig(warning=0.6, level=0.8),
            maintenance=MAINTENANCE_RULES.config("volatility_linked", cap=100.0, reference_volatility=0.01),
        ),
        SCHEDULE,
    )
    for second in range(60):
        schedule.observe(second * SECOND, 100_000 + 1000 * (second % 2))
    assert max(schedule.update(MINUTE, 0.0).rate_ppm) / 0.6 < 1e6


@given(st.lists(st.tuples(st.integers(1, 7200), st.floats(0.5, 4)), min_size=1, max_size=30))
def test_swings_are_what_a_look_at_every_pair_gives(values: list[tuple[int, float]]) -> None:
    swings = Swings(1.0)
    noted = [(0, 1.0)]
    for seconds, value in values:
        noted.append((noted[-1][0] + seconds * SECOND, value))
        swings.note(*noted[-1])
    rises = [
        late / early - 1.0
        for i, (now, late) in enumerate(noted)
        for then, early in noted[: i + 1]
        if now - then <= 3600 * SECOND
    ]
    assert swings.rise_1h == pytest.approx(max(rises))
    assert swings.ratio == pytest.approx(max(v for _, v in noted) / min(v for _, v in noted))


# -- exchange and twin -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(cases(max_steps=40), st.lists(st.floats(1, 40), min_size=1, max_size=8))
def test_kernel_and_twin_agree_while_margins_move(case: Case, multipliers: list[float]) -> None:
    """Brackets change and everybody is relinked, again and again: same calls, refusals and allotted margins."""
    one, other = case.open(Exchange), case.open(NaiveExchange)
    rules = case.rules
    base = BracketSchedule(
        rules.bracket_cap, rules.bracket_rate_ppm, rules.bracket_deduction, rules.bracket_initial_ppm
    )
    most = MOST_MAINTENANCE_PPM * 10**6 // max(rules.warning_ppm, rules.call_ppm)
    everyone = np.arange(count_of(one))
    for number, step in enumerate(case.steps):
        if number % 4 == 3:
            moved = base.moved(multipliers[number // 4 % len(multipliers)], base.initial_ppm, most)
            for exchange in (one, other):
                exchange.set_brackets(moved.rate_ppm, moved.deduction, moved.initial_ppm)
                exchange.relink(everyone)
        place = f"at step {number}: {step}"
        assert_same_events(play(one, step, number), play(other, step, number), place)
        assert_same_state(one, other, place)


# -- in a market -------------------------------------------------------------------------------------------------------

FALL = "index.shocks=[{at: 5s, log_return: -1.2%, over: 5s}]"


def simulate(*overrides: str) -> tuple[MarketModel, np.ndarray]:
    scenario = load_scenario(TINY, AGENT_TYPES, [FALL, *overrides])
    model = MarketModel(scenario, AGENT_TYPES, seed=1, check_invariants=True)
    events = []
    for _ in range(model.steps_total):
        model.step()
        events.append(model.sessions[0].last_events.copy())
    return model, np.concatenate(events)


@pytest.mark.model
def test_margins_linked_to_volatility_call_more_accounts_in_a_fall() -> None:
    """Invariants are checked at every step: also that a liquidation price is where equity meets the margin in force."""
    fixed, fixed_events = simulate()
    linked, linked_events = simulate(VOLATILE_MARGINS)
    called = [int((events["kind"] == EventKind.MARGIN_CALL).sum()) for events in (fixed_events, linked_events)]
    assert called[1] > called[0]
    summary, series = linked.finish().summary, linked.sessions[0].recorder.series()
    assert summary["maintenance_margin_peak"] > 1.5
    assert summary["maintenance_margin_trough"] == 1.0
    assert summary["maintenance_margin_rise_1h"] == pytest.approx(summary["maintenance_margin_peak"] - 1.0)
    assert series["maintenance_multiplier"].max() == summary["maintenance_margin_peak"]
    assert set(fixed.sessions[0].recorder.series()["maintenance_multiplier"]) == {1.0}
    assert "maintenance_margin_peak" not in fixed.finish().summary
    assert series["initial_margin"].max() > 0.008
    for model in (fixed, linked):
        release(model)


@pytest.mark.model
def test_before_margins_move_a_market_is_what_it_is_with_fixed_ones() -> None:
    """Nothing but the requirement changes: with sensitivity 0 the events are the same."""
    fixed, fixed_events = simulate()
    linked, linked_events = simulate("venue.maintenance={rule: volatility_linked, sensitivity: 0, update_every: 1s}")
    assert (fixed_events == linked_events).all()
    for model in (fixed, linked):
        release(model)


@pytest.mark.parametrize(("rule", "opened"), [("fixed", 200), ("open_interest_linked", 0)])
def test_margins_linked_to_open_interest_refuse_what_opens_more(rule: str, opened: int) -> None:
    """Open notional is twice `upper` when somebody asks for 20x."""
    model = part_market(
        {
            "ladder": Part(Ladder),
            "crowd": Part(Orders, told={1: (Side.BUY, 200)}),
            "late": Part(Orders, told={20: (Side.BUY, 200)}, deposit=1_000),
        },
        venue={"initial": {"rule": rule, "lower": 1_000, "upper": 10_000, "update_every": SECOND}},
    )
    refused = 0
    for _ in range(30):
        model.step()
        events = model.sessions[0].last_events
        refused += int((events["reason"] == Reject.INSUFFICIENT_MARGIN).sum())
    room = model.sessions[0]
    assert room.venue.accounts.rows["position_lots"][-1] == opened
    assert refused == (1 if rule == "open_interest_linked" else 0)
    assert room.recorder.series()["initial_margin"][-1] == (1.0 if rule == "open_interest_linked" else 0.008)
    assert room.venue.brackets.rate_ppm == room.venue.margins.base.rate_ppm, "maintenance does not move"
    release(model)


def test_an_isolated_position_is_allotted_no_less_than_the_margin_in_force() -> None:
    """125x chosen, margins times 3: what opens then has 2.4 % behind it, and is not called at once."""
    model = part_market({"ladder": Part(Ladder), "trader": Part(Orders, told={5: (Side.BUY, 10)}, leverage=125)})
    venue = model.sessions[0].venue
    row = len(venue.accounts.rows) - 1
    venue.accounts.rows["mode"][row] = MarginMode.ISOLATED
    for step in range(10):
        if step == 3:
            venue.set_brackets(venue.brackets.moved(3.0, venue.brackets.initial_ppm))
        model.step()
    account = venue.accounts.rows[row]
    assert account["position_lots"] == 10
    assert account["isolated_margin"] == account["cost"] * 24_000 // 10**6
    assert account["stage"] == Stage.OK
    release(model)


@pytest.mark.model
def test_a_leverage_cap_holds_for_everybody() -> None:
    model, _ = simulate("venue.max_leverage=10", "duration=2s")
    rows = model.sessions[0].venue.accounts.rows
    assert (rows["initial_margin_ppm"][3:] >= 100_000).all()
    release(model)


@pytest.mark.slow
@pytest.mark.model
def test_rules_that_move_margins_and_pause_give_the_same_events_interpreted() -> None:
    here = whole_market.simulate(*EVERYTHING, check=True).summary
    assert digest_elsewhere({"NUMBA_DISABLE_JIT": "1"}, *EVERYTHING) == here["event_digest"]
    assert here["pauses"] > 0
    assert here["margin_calls"] > 0
