"""Early warnings: signals see only the past, models never see the seeds they are judged on, and verdicts are plain."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from marginquake.analysis.early_warning import (
    BASELINE,
    MODELS,
    SIGNALS,
    Samples,
    Seen,
    Trial,
    TrialPlan,
    evaluate,
    folds_of,
    tables,
    vector,
)
from marginquake.analysis.early_warning import folds as judging
from marginquake.analysis.early_warning import trial as trials
from marginquake.analysis.early_warning.pressure_rank import falls, pressure_rank
from marginquake.analysis.early_warning.trial import burst_starts, forced_between
from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.analysis.statistics import regression
from marginquake.analysis.statistics.estimate import Estimate, Unmeasurable
from marginquake.analysis.statistics.ranking import Ranking
from marginquake.analysis.statistics.regression import fit_logistic
from marginquake.sim.cli import main
from tests.support.frames.price_path import fills, market
from tests.support.synthetic_run import write_synthetic_run

Floats = NDArray[np.float64]
NAMES = list(SIGNALS)


# ---- ranking -----------------------------------------------------------------------------------------------------

scores = st.sampled_from([-math.inf, 0.0, 1.0, 2.0, 3.0, 4.0, math.inf])
scored = st.lists(st.tuples(scores, st.booleans(), st.integers(0, 3)), min_size=2, max_size=30)


def counted_pairs(score: Floats, event: Any, weight: Floats) -> float:
    """Every pair of an event and another sample, one by one: 1 if the event scores higher, 1/2 if the same."""
    won = total = 0.0
    for i in np.flatnonzero(event):
        for j in np.flatnonzero(~event):
            won += weight[i] * weight[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
            total += weight[i] * weight[j]
    return won / total if total else math.nan


def stepped_precision(score: Floats, event: Any, weight: Floats) -> float:
    """Precision at every threshold, times the recall that it gains."""
    area, before = 0.0, 0.0
    whole = (weight * event).sum()
    for threshold in sorted(set(score.tolist()), reverse=True):
        chosen = score >= threshold
        hits = (weight * event)[chosen].sum()
        if hits > before:
            area += (hits - before) / whole * hits / weight[chosen].sum()
        before = hits
    return float(area) if whole else math.nan


@given(scored)
def test_areas_are_those_of_counting_pairs_and_steps_also_with_weights(rows: Any) -> None:
    score, event = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    weight = np.array([r[2] for r in rows], float)
    alone = Ranking(score, event, np.arange(len(rows)), len(rows))
    for weights, given_weights in ((np.ones(len(rows)), None), (weight, weight[None, :])):
        naive = counted_pairs(score, event, weights)
        assert alone.auc(given_weights)[0] == pytest.approx(naive, nan_ok=True, abs=1e-12)
        stepped = stepped_precision(score, event, weights)
        assert alone.average_precision(given_weights)[0] == pytest.approx(stepped, nan_ok=True, abs=1e-12)


def test_a_seed_drawn_twice_counts_twice_and_one_not_drawn_not_at_all() -> None:
    rng = np.random.default_rng(1)
    score, event, group = rng.normal(size=90).round(1), rng.random(90) < 0.3, np.repeat([0, 1, 2], 30)
    own = Ranking(score, event, group, 3)
    drawn = np.concatenate((np.flatnonzero(group == 0), np.flatnonzero(group == 2), np.flatnonzero(group == 2)))
    again = Ranking(score[drawn], event[drawn], np.zeros(90, np.int64), 1)
    weights = np.array([[1.0, 0.0, 2.0]])
    assert own.auc(weights) == pytest.approx(again.auc())
    assert own.average_precision(weights) == pytest.approx(again.average_precision())


def test_infinite_scores_are_a_tie_whatever_the_order_of_rows() -> None:
    score, event = np.array([np.inf, np.inf, 1.0, 0.0]), np.array([True, False, True, False])
    for order in ([0, 1, 2, 3], [1, 0, 2, 3]):
        own = Ranking(score[order], event[order], np.zeros(4, np.int64), 1)
        assert own.auc()[0] == (0.5 + 1 + 0 + 1) / 4
        assert own.average_precision()[0] == pytest.approx(0.5 * 1 / 2 + 0.5 * 2 / 3)


# ---- logit -------------------------------------------------------------------------------------------------------


def test_the_logit_finds_planted_weights() -> None:
    rng = np.random.default_rng(2)
    x = np.column_stack((rng.normal(5, 2, 20_000), rng.normal(-1, 0.1, 20_000), rng.normal(0, 1, 20_000)))
    z = -2.0 + 1.0 * (x[:, 0] - 5) / 2 - 0.5 * (x[:, 1] + 1) / 0.1
    model = fit_logistic(x, rng.random(20_000) < 1 / (1 + np.exp(-z)))
    assert model.intercept == pytest.approx(-2.0, abs=0.1)
    assert np.allclose(model.weights, [1.0, -0.5, 0.0], atol=0.08)


def test_at_the_fit_the_penalised_likelihood_is_flat() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 4)), rng.random(300) < 0.2
    model = fit_logistic(x, y, ridge=5.0)
    z = (x - model.centre) / model.scale
    error = model.probability(x) - y
    assert abs(error.sum()) < 0.01
    assert np.allclose(z.T @ error + 5.0 * model.weights, 0.0, atol=0.01)


def test_unknown_values_count_as_the_mean_and_dead_columns_for_nothing() -> None:
    rng = np.random.default_rng(4)
    x = np.column_stack((rng.normal(size=200), np.full(200, 7.0), np.full(200, np.nan)))
    model = fit_logistic(x, x[:, 0] > 0)
    assert model.weights[1] == model.weights[2] == 0.0
    unknown, mean = np.array([[np.nan, 7.0, 3.0]]), np.array([[x[:, 0].mean(), 1e6, np.nan]])
    assert model.probability(unknown) == pytest.approx(model.probability(mean))


# ---- signals see the past only -------------------------------------------------------------------------------------


def lively(seed: int = 1, rows: int = 600) -> MarketFrames:
    """Ten minutes of a market in which everything moves, with fills, maps and positions."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(float(rows))
    mid = 1e5 * np.exp(np.cumsum(rng.normal(0, 2e-4, rows)))
    trades = fills(
        np.sort(rng.random(4 * rows) * rows), 1e5, rng.integers(1, 9, 4 * rows), rng.choice([-1, 1], 4 * rows), 3,
        1 + np.arange(4 * rows),
    )  # fmt: skip
    run = market(
        time_s, mid, events=trades, accounts=("a",), index=mid * np.exp(rng.normal(0, 1e-4, rows)),
        bid_depth_1pct=rng.random(rows), spread_ticks=rng.integers(1, 9, rows), volume=rng.random(rows),
        open_interest=1e8 + rng.random(rows), funding_rate=rng.normal(0, 1e-4, rows),
        forced_volume=rng.random(rows) * (rng.random(rows) < 0.1),
    )  # fmt: skip
    maps_s = time_s[::10]
    edges = 1e5 * np.linspace(0.85, 1.15, 61)
    tables = [rng.random((len(maps_s), 60)) * 1e6 for _ in range(4)]
    held_s = np.repeat(time_s[::60], 5)
    held = {
        "time_s": held_s, "liquidation_price": np.full(len(held_s), 9e4), "equity": 1 + rng.random(len(held_s)),
        "notional": 1 + rng.random(len(held_s)),
    }  # fmt: skip
    return replace(run.first, map=LiquidationMap(maps_s, edges, *tables), read_positions=lambda: held)


def spoiled(own: MarketFrames, after_s: float) -> MarketFrames:
    """Everything later than `after_s` is something else."""
    rng = np.random.default_rng(99)
    late = own.series["time_s"] > after_s
    series = {
        name: np.where(late, column * (1 + 0.03 * rng.random(len(column))), column) if name != "time_s" else column
        for name, column in own.series.items()
    }
    events = own.events.copy()
    events["side"] = np.where(events["time_s"] > after_s, 1, events["side"])
    assert own.map is not None
    late_map = (own.map.time_s > after_s)[:, None]
    tables = {
        name: np.where(late_map, 2.0 * getattr(own.map, name), getattr(own.map, name))
        for name in ("long_notional", "short_notional", "bid_depth", "ask_depth")
    }
    held = own.positions
    notional = np.where(held["time_s"] > after_s, 5.0 * held["notional"], held["notional"])
    return replace(
        own, series=series, map=replace(own.map, **tables), read_positions=lambda: held | {"notional": notional},
        read_events=lambda: {name: column for name, column in events.items() if name != "time_s"},
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_whatever_comes_later_changes_no_signal(name: str) -> None:
    own, times = lively(), np.arange(200.0, 401.0, 7.0)
    now = SIGNALS[name].of(Seen(own, times, 120.0, 30.0))
    later = SIGNALS[name].of(Seen(spoiled(own, 400.0), times, 120.0, 30.0))
    assert np.isfinite(now).all()
    assert np.array_equal(now, later)
    then = np.arange(410.0, 590.0, 7.0)
    before, after = (SIGNALS[name].of(Seen(m, then, 120.0, 30.0)) for m in (own, spoiled(own, 400.0)))
    assert not np.array_equal(before, after), "the test would see a change"


def test_hand_worked_signals() -> None:
    time_s = np.arange(10.0)
    depth = np.array([5.0, 1, 2, 3, 4, 5, 6, 7, 8, 4.5])
    mid = np.array([100.0, 104, 102, 100, 98, 99, 100, 101, 102, 101])
    own = market(
        time_s, mid, bid_depth_1pct=depth, ask_depth_1pct=0.0, index=100.0, volume=10.0, open_interest=864e3
    ).first
    seen = Seen(own, np.array([9.0]), 5.0, 2.0)
    assert SIGNALS["depth"].of(seen)[0] == pytest.approx((1 + 0.5) / 6)  # 4 5 6 7 8 4.5
    assert SIGNALS["drawdown"].of(seen)[0] == pytest.approx(100 * math.log(102 / 101))
    assert SIGNALS["rise"].of(seen)[0] == pytest.approx(100 * math.log(101 / 98))
    assert SIGNALS["basis"].of(seen)[0] == pytest.approx(1e4 * math.log(1.01))
    rates = replace(own, series=own.series | {"funding_rate": 1e-4 * time_s}, funding_interval_s=10.0)
    paid = Seen(rates, np.array([9.0]), 5.0, 2.0)
    assert SIGNALS["funding"].of(paid)[0] == pytest.approx(9.0)
    assert SIGNALS["funding_short"].of(paid)[0] == pytest.approx(8.0 * 2 / 10)  # 7 8 9 bp in ten seconds, for two
    assert SIGNALS["funding_long"].of(paid)[0] == pytest.approx(6.5 * 5 / 10)
    assert SIGNALS["interest_to_volume"].of(seen)[0] == pytest.approx(math.log(864e3 / (60 * 86_400 / 5)))


def test_a_signal_that_a_run_did_not_record_is_missing_with_its_reason() -> None:
    own = replace(lively(), events_kept="liquidations", read_positions=dict)
    table, missing = vector(Seen(own, np.array([300.0]), 60.0, 10.0))
    assert set(missing) == {"sign_memory", "leverage"}
    assert "run with record.events: fills" in missing["sign_memory"]
    assert np.isnan(table[0]).sum() == 2


# ---- what is to be foreseen ----------------------------------------------------------------------------------------


def test_forced_volume_is_that_of_the_rows_after_the_sample() -> None:
    own = market(np.arange(6.0), np.full(6, 1e5), forced_volume=np.array([0.0, 1, 2, 4, 8, 16])).first
    assert forced_between(own, np.array([1.0]), np.array([3.0])).tolist() == [6.0]
    assert forced_between(own, np.array([-5.0]), np.array([0.0])).tolist() == [0.0]


def test_bursts_begin_where_the_volume_that_passes_the_threshold_begins() -> None:
    time_s = np.arange(40.0)
    forced = np.zeros(40)
    forced[[5, 10, 11, 12]] = 1.0, 4.0, 4.0, 4.0  # passes 7 at 11: rows 10 and 11 do it
    forced[30] = 9.0
    assert burst_starts(time_s, forced, 7.0, 8.0).tolist() == [9.0, 29.0]
    assert burst_starts(time_s, forced, 20.0, 8.0).tolist() == []
    forced[20] = 1.0
    assert burst_starts(time_s, forced, 7.0, 8.0).tolist() == [9.0, 29.0], "no second burst while the sum is low"


# ---- the trial -----------------------------------------------------------------------------------------------------


def seeds_of(
    informative: str | None, count: int = 12, size: int = 300, start: int = 0, strength: float = 2.5
) -> list[Samples]:
    """Seeds in which forced volume follows volatility a little, and one other signal (or none) much."""
    made = []
    for number in range(start, start + count):
        rng = np.random.default_rng(number)
        signals = rng.normal(size=(size, len(SIGNALS)))
        drive = 0.8 * signals[:, NAMES.index("volatility")]
        if informative is not None:
            drive = drive + strength * signals[:, NAMES.index(informative)]
        forced = np.exp(drive + rng.normal(size=size))
        time_s = 60.0 * np.arange(1, size + 1)
        made.append(
            Samples(
                seed=str(number), time_s=time_s, signals=signals, forced_next=forced, forced_last=np.zeros(size),
                series_s=np.arange(0.0, 60.0 * size + 240.0, 30.0), series_forced=np.zeros(2 * size + 8), missing={},
            )
        )  # fmt: skip
    return made


ASKED = TrialPlan(horizon_s=240.0, window_s=2880.0, every_s=60.0, quantile=0.95)


def test_a_signal_that_tells_makes_the_model_beat_volatility() -> None:
    trial = evaluate(seeds_of("depth"), ASKED)
    observable = trial.models[2]
    assert observable.name == "observable"
    assert observable.beyond.low > 0.1
    assert tables.verdict(observable).startswith("observable: beats volatility alone")
    assert observable.precision_beyond.low > 0
    assert max(observable.weights, key=lambda name: abs(observable.weights[name])) == "depth"


def test_what_only_the_map_tells_helps_only_those_who_see_it() -> None:
    models = {model.name: model for model in evaluate(seeds_of("pressure"), ASKED).models}
    assert models["omniscient"].beyond.low > 0.1
    assert models["observable"].beyond.low <= 0.0
    assert "does not beat" in tables.verdict(models["observable"]) or "worse" in tables.verdict(models["observable"])


def test_of_noise_it_says_that_nothing_beats_volatility() -> None:
    for start in (0, 100, 200):
        trial = evaluate(seeds_of(None, start=start), ASKED)
        for model in trial.models[1:]:
            said = tables.verdict(model)
            assert "does not beat volatility alone" in said or "is worse than volatility alone" in said


def test_models_never_see_the_seeds_they_are_judged_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows carry their seed's number in one column: every fit is caught, with what it was then asked about."""
    seeds = seeds_of("depth", count=13)
    column = NAMES.index("volatility")
    marked = [replace(each, signals=each.signals.copy()) for each in seeds]
    for number, each in enumerate(marked):
        each.signals[:, column] = number
    trained: list[set[float]] = []
    real = regression.fit_logistic

    def caught(table: Floats, event: Any) -> Any:
        trained.append(set(table[:, 0].tolist()))
        return real(table, event)

    monkeypatch.setattr(judging, "fit_logistic", caught)
    evaluate(marked, ASKED, {BASELINE: ("volatility",)})
    folds = folds_of(13)
    assert len(trained) == len(folds) == 10
    judged = np.concatenate([part for _, part in folds])
    assert sorted(judged.tolist()) == list(range(13))
    for seen, (training, part) in zip(trained, folds, strict=True):
        assert seen == set(training.tolist())
        assert not seen & set(part.tolist())


def test_neither_threshold_nor_alarm_level_comes_from_the_seed_that_is_judged() -> None:
    """A judged seed becomes another market altogether: what it is judged by stays; of a seed trained on it moves."""
    seeds = seeds_of("depth", count=10)
    trained, judged = folds_of(10)[-1]
    wild = replace(seeds[9], signals=5.0 - 3.0 * seeds[9].signals, forced_next=100.0 * seeds[9].forced_next[::-1])
    own = judging._Fold(seeds, trained, judged, ASKED, MODELS)
    after = judging._Fold([*seeds[:9], wild], trained, judged, ASKED, MODELS)
    assert judged.tolist() == [9]
    assert after.threshold == own.threshold
    assert after.levels == own.levels
    for name in MODELS:
        assert not np.array_equal(after.alarms[name][0], own.alarms[name][0]), "the test would see a change"
    other = judging._Fold([wild, *seeds[1:]], trained, judged, ASKED, MODELS)
    assert other.threshold != own.threshold
    assert all(other.levels[name] != own.levels[name] for name in MODELS)


def test_no_score_comes_from_the_outcomes_of_the_seed_that_is_judged() -> None:
    """One seed's outcomes are changed: its own scores stay, those of the others move."""
    seeds = seeds_of("depth", count=10)
    before = evaluate(seeds, ASKED)
    other = [*seeds[:-1], replace(seeds[-1], forced_next=seeds[-1].forced_next[::-1] * 3.0)]
    after = evaluate(other, ASKED)
    own = slice(9 * 300, 10 * 300)
    for one, two in zip(before.models, after.models, strict=True):
        assert np.array_equal(one.ranking.score[own], two.ranking.score[own])
        assert not np.array_equal(one.ranking.score[:300], two.ranking.score[:300])


def test_intervals_are_over_seeds() -> None:
    """Every sample written down three times adds no information: the intervals stay as they are."""
    seeds = seeds_of("depth", count=8, size=200)
    thrice = [
        replace(
            each, time_s=np.repeat(each.time_s, 3), signals=np.repeat(each.signals, 3, axis=0),
            forced_next=np.repeat(each.forced_next, 3), forced_last=np.repeat(each.forced_last, 3),
        )
        for each in seeds
    ]  # fmt: skip
    one, two = (evaluate(each, ASKED).models[0].auc for each in (seeds, thrice))
    assert list(two) == pytest.approx(list(one), abs=0.01)


def test_lead_is_from_the_first_alarm_in_the_horizon_before() -> None:
    own = replace(seeds_of(None, count=1, size=20)[0])
    alarm = np.zeros(20, bool)
    alarm[[2, 7, 8]] = True  # at 180, 480 and 540 s
    leads = trials._leads(own, alarm, np.array([600.0, 900.0]), 240.0)
    assert leads[0] == 120.0
    assert math.isnan(leads[1])


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (seeds_of(None, count=3), "3 seeds: an early warning is judged by seed and needs 5"),
        ([replace(each, forced_next=np.zeros(300)) for each in seeds_of(None)], "hardly anything is forced"),
    ],
)
def test_too_little_to_judge_is_said(seeds: list[Samples], message: str) -> None:
    with pytest.raises(Unmeasurable, match=message):
        evaluate(seeds, ASKED)


def test_every_signal_is_in_the_omniscient_model_and_public_ones_alone_in_the_observable() -> None:
    assert set(MODELS["omniscient"]) == set(SIGNALS)
    assert set(MODELS["observable"]) == {name for name, signal in SIGNALS.items() if signal.public}
    assert {"leverage", "within_1pct", "within_5pct", "pressure"} == set(SIGNALS) - set(MODELS["observable"])


def test_a_ranking_that_is_no_better_than_chance_is_not_praised() -> None:
    model = evaluate(seeds_of("depth"), ASKED).models[2]
    low = replace(model, auc=replace(model.auc, value=0.52, low=0.4))
    assert "but no better than chance" in tables.verdict(low)


# ---- pressure and falls ----------------------------------------------------------------------------------------------


def fallen(seed: int, deep: float, longs: float) -> RunFrames:
    """An hour with a fall of 1.2 % at 20 min and `deep` more by 30 min; `longs` waits within 1 % of every bin."""
    time_s = np.arange(3601.0)
    mark = np.interp(time_s, [0, 1200, 1260, 1800, 3600], [1e5, 1e5, 98_800, 98_800 * (1 - deep), 98_800])
    run = market(time_s, mark)
    edges = 1e5 * np.linspace(0.85, 1.15, 61)
    tables = [np.full((361, 60), each) for each in (longs, 0.0, 1.0, 1.0)]
    own = replace(run.first, map=LiquidationMap(time_s[::10], edges, *tables))
    return replace(run, markets={"main": own}, summary={"seed": seed})


def test_a_fall_is_found_once_with_what_followed() -> None:
    at, further = falls(fallen(1, 0.02, 1.0).first)
    assert at.tolist() == [1250.0]
    assert further[0] == pytest.approx(math.log(99_000 / (98_800 * 0.98)), abs=1e-4)


def test_pressure_that_tells_ranks_falls_and_pressure_that_does_not_is_chance() -> None:
    deep = np.linspace(0.001, 0.03, 14)
    telling = [fallen(k, each, 1.0 + 100 * each) for k, each in enumerate(deep)]
    assert pressure_rank(telling, "main").auc == Estimate(1.0, 1.0, 1.0)
    blind = [fallen(k, each, 1.0 + (k % 2)) for k, each in enumerate(deep)]
    found = pressure_rank(blind, "main")
    assert found.falls == 14
    assert found.auc.low < 0.5 < found.auc.high
    with pytest.raises(Unmeasurable, match="3 falls of 1% within 15 min"):
        pressure_rank(telling[:3], "main")


# ---- the command ---------------------------------------------------------------------------------------------------


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    runs = [str(write_synthetic_run(tmp_path / str(seed), seed, seconds=900)) for seed in range(1, 7)]
    picture = tmp_path / "warning.png"
    asked = ["--horizon", "1min", "--window", "4min", "--every", "20s", "--quantile", "0.8", "--figure", str(picture)]
    done = CliRunner().invoke(main.app, ["early-warning", *runs, *asked], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for words in (
        "out of sample by seed",
        "volatility alone",
        "omniscient",
        "nobody outside",
    ):
        assert words in done.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert load_run(runs[0]).first.not_recorded("fills") == ""


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([], "1 seeds: an early warning is judged by seed"),
        (["--quantile", "1"], "--quantile 1: must lie between 0 and 1"),
        (["--horizon", "1h"], "leave nothing of a run of 1800 s"),
        (["--window", "x"], "--window x:"),
    ],
)
def test_a_mistake_is_one_message(tmp_path: Path, asked: list[str], message: str) -> None:
    run = write_synthetic_run(tmp_path / "run")
    done = CliRunner().invoke(main.app, ["early-warning", str(run), *asked])
    assert done.exit_code == 2
    assert message in done.output


def test_a_trial_knows_how_much_it_rests_on() -> None:
    trial: Trial = evaluate(seeds_of("depth"), ASKED)
    assert (trial.seeds, trial.samples) == (12, 3600)
    assert trial.events == pytest.approx(180, abs=40)
    assert trial.seeds_with_events == 12


def test_bursts_warned_of_stand_beside_what_random_alarms_would_do() -> None:
    trial = evaluate(seeds_of("depth"), ASKED)
    for model in trial.models:
        samples = ASKED.horizon_s / ASKED.every_s
        assert model.by_luck == pytest.approx(1 - (1 - model.alarm_rate) ** samples)
