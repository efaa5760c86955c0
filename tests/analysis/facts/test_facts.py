"""The scoreboard: facts of markets with planted answers, intervals over runs, verdicts, the command."""

import csv
import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.analysis import facts
from marginquake.analysis.facts import FACTS, Measurement, measure, score_rows, scoreboard, to_csv, to_markdown
from marginquake.analysis.facts.fact import Fact, targets
from marginquake.analysis.frames.run_frames import RunFrames, frames_of, load_run
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import EVENT, Cause, EventKind
from tests.support.command_line import marginquake
from tests.support.faults.seals import seal_run
from tests.support.frames.price_path import fills, market
from tests.support.paths import TINY

pytest.importorskip("statsmodels")
pytest.importorskip("arch")

Floats = NDArray[np.float64]
DAY_S = 86_400


def value(frames: RunFrames, name: str, **options: Any) -> float:
    found = measure(frames, **options)[name]
    assert math.isfinite(found.value), found.reason
    return found.value


def reason(frames: RunFrames, name: str) -> str:
    found = measure(frames)[name]
    assert math.isnan(found.value), found.value
    return found.reason


def walk(returns: Floats, every_s: float = 60.0) -> tuple[Floats, Floats]:
    """Times and prices of a path with these log returns."""
    return every_s * np.arange(len(returns) + 1.0), 1e5 * np.exp(np.concatenate(([0.0], np.cumsum(returns))))


def noise(count: int = 1440, size: float = 8e-4, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, size, count)


# ---- the registry ------------------------------------------------------------------------------------------------


def test_every_fact_has_its_own_id_and_a_band_that_exists() -> None:
    listed = [fact.id for family in facts.FAMILIES for fact in family.FACTS]
    assert len(listed) == len(set(listed)) == len(FACTS)
    for fact in FACTS.values():
        assert fact.target is None or fact.target in targets(), fact.id
        assert (fact.over_runs == "pooled") <= (fact.pooled is not None), fact.id
    asked = "SF1 SF2 SF3 SF4 SF5 SF6 SF7 SF8 OB1 OB2 OB2Y OB3 OB7 LQ1med LQ3 LQ4 CA12 CA14 CA15L"
    assert set(asked.split()) <= FACTS.keys()


def test_bands_are_intervals_with_a_grade() -> None:
    for name, target in targets().items():
        assert target.lo < target.hi, name
        assert target.grade, name


def test_measurements_are_cheap_to_send_between_processes() -> None:
    measured = measure(market(*walk(noise())))
    assert set(measured) == set(FACTS)
    assert len(pickle.dumps(measured)) < 200_000
    assert pickle.loads(pickle.dumps(measured))["VOL"].value == measured["VOL"].value


# ---- returns -----------------------------------------------------------------------------------------------------


def test_volatility_is_per_year_of_365_days() -> None:
    returns = 0.6 / math.sqrt(365 * 1440) * np.random.default_rng(2).choice([-1.0, 1.0], 1440)
    assert value(market(*walk(returns)), "VOL") == pytest.approx(0.6)
    assert value(market(*walk(np.repeat(returns / 12, 12), 5.0)), "VOL") == pytest.approx(0.6), "sampled every 5 s"


def test_memory_is_measured_at_its_own_time_scale() -> None:
    """Returns over five minutes repeat themselves with a correlation of 0.4; within them nothing is remembered."""
    shocks = noise(20_001, 2e-3, 3)
    slow = shocks[1:] + 0.5 * shocks[:-1]
    one_each = np.zeros(5 * 20_000)
    one_each[4::5] = slow
    frames = market(*walk(one_each))
    assert value(frames, "SF2") == pytest.approx(0.4, abs=0.02)
    assert value(frames, "SF2_1min") == pytest.approx(0.0, abs=0.02)


def test_memory_of_size_is_found_at_the_lag_where_it_is() -> None:
    rng = np.random.default_rng(4)
    size = 1.0 + rng.gamma(1.0, size=40_050)
    returns = 3e-4 * (size[50:] + size[:-50]) * rng.choice([-1.0, 1.0], 40_000)
    frames = market(*walk(returns))
    assert value(frames, "ACF_ABS_50") == pytest.approx(0.5, abs=0.02)
    assert value(frames, "ACF_ABS_10") == pytest.approx(0.0, abs=0.02)
    together = {row.id: row.pooled for row in scoreboard([measure(frames), measure(frames)])}
    assert together["ACF_ABS_50"] == pytest.approx(0.5, abs=0.02)
    assert value(frames, "SF2_1min") == pytest.approx(0.0, abs=0.02)


def test_tails_of_returns_come_back() -> None:
    rng = np.random.default_rng(5)
    returns = 1e-4 * rng.choice([-1.0, 1.0], 40_000) * rng.random(40_000) ** (-1 / 3.5)
    frames = market(*walk(returns))
    assert value(frames, "SF1") == pytest.approx(3.5, rel=0.06)
    assert value(frames, "SF1_RANGE") < 0.2
    assert value(market(*walk(np.repeat(returns / 5, 5))), "SF1_5min") == pytest.approx(3.5, rel=0.06)


def test_aggregation_makes_returns_normal() -> None:
    returns = 3e-4 * np.random.default_rng(6).standard_t(6, 100_000)
    frames = market(*walk(returns))
    fast, slow = value(frames, "SF4_1min"), value(frames, "KURTOSIS_1h")
    assert fast == pytest.approx(3.0, abs=1.0)
    assert slow == pytest.approx(fast / 60, abs=0.2)
    assert value(frames, "SF4") == pytest.approx(fast - slow)


def test_skewness_is_that_of_hours() -> None:
    """One fall of 2 % every tenth hour."""
    returns = noise(60 * 400, 1e-5, 7)
    returns[30 :: 60 * 10] -= 0.02
    expected = (1 - 2 * 0.1) / math.sqrt(0.1 * 0.9)
    assert value(market(*walk(returns)), "SF5") == pytest.approx(-expected, rel=0.02)


def test_volume_goes_with_volatility_where_it_was_planted() -> None:
    rng = np.random.default_rng(8)
    returns = noise(10_000, 1e-3, 8)
    volume = np.concatenate(([0.0], np.abs(returns) * 1e8 + rng.normal(0, 1, 10_000)))
    frames = market(*walk(returns, 300.0), volume=volume)
    assert value(frames, "SF6") == pytest.approx(1.0, abs=0.01)
    assert value(market(*walk(returns, 300.0), volume=np.roll(volume, 1)), "SF6") == pytest.approx(0.0, abs=0.05)


def test_the_leverage_effect_is_of_the_next_return() -> None:
    returns = noise(20_000, 1e-3, 9)
    shaken = returns.copy()
    shaken[1:] *= np.where(returns[:-1] < 0, 2.0, 1.0)
    assert value(market(*walk(shaken, 300.0)), "SF7") < -0.15
    before = returns.copy()
    before[:-1] *= np.where(returns[1:] < 0, 2.0, 1.0)
    assert abs(value(market(*walk(before, 300.0)), "SF7")) < 0.05, "a size that comes first is no leverage effect"


def test_garch_is_measured_over_five_minutes() -> None:
    rng, variance = np.random.default_rng(10), 1.0
    returns = np.zeros(8000)
    for step in range(len(returns)):
        returns[step] = math.sqrt(variance) * rng.normal()
        variance = 0.05 + 0.1 * returns[step] ** 2 + 0.85 * variance
    assert value(market(*walk(1e-3 * returns, 300.0)), "SF8") == pytest.approx(0.95, abs=0.03)


# ---- the book ----------------------------------------------------------------------------------------------------


def test_spread_and_tracking_error_are_quantiles() -> None:
    time_s, mid = np.arange(1000.0), np.full(1000, 50_000.0)
    half = np.where(np.arange(1000) < 980, 1.0, 10.0)
    index = mid / (1 + np.where(np.arange(1000) < 500, 1e-4, -3e-4))
    frames = market(time_s, mid, best_bid=mid - half, best_ask=mid + half, spread_ticks=2 * half, index=index)
    assert value(frames, "SPREAD_TICKS") == 2.0
    assert value(frames, "SPREAD_BP") == pytest.approx(0.4)
    assert value(frames, "SPREAD_P99") == pytest.approx(4.0)
    assert value(frames, "TRACK_MEDIAN") == pytest.approx(2.0)
    assert value(frames, "TRACK_P99") == pytest.approx(3.0)


@pytest.mark.parametrize("kappa", [0.4, 1.0])
def test_the_depth_exponent_comes_back(kappa: float) -> None:
    depths = {
        f"{side}_depth_{label}": 3e6 * (reach / 0.01) ** kappa
        for side in ("bid", "ask")
        for label, reach in (("01pct", 0.001), ("1pct", 0.01), ("5pct", 0.05))
    }
    frames = market(*walk(noise()), **depths)
    assert value(frames, "OB7") == pytest.approx(kappa)
    assert value(frames, "D1") == pytest.approx(3e6)
    assert value(frames, "DEPTH_5pct") == pytest.approx(3e6 * 5**kappa)


def test_depth_and_interest_are_told_in_daily_volumes() -> None:
    depth = np.where(np.arange(1441) % 2, 2e6, 4e6)
    frames = market(*walk(noise()), volume=1e6, open_interest=7.2e8, bid_depth_1pct=depth, ask_depth_1pct=depth)
    assert value(frames, "D1") == pytest.approx(3e6, rel=1e-3)
    assert value(frames, "D1_CV") == pytest.approx(1 / 3, rel=1e-3)
    assert value(frames, "OI_ADV") == pytest.approx(0.5)
    assert value(frames, "D1_ADV") == pytest.approx(3e6 / 1.44e9, rel=1e-3)
    half_day = market(*walk(noise(720)), volume=1e6, open_interest=7.2e8)
    assert value(half_day, "OI_ADV") == pytest.approx(0.5), "a rate per day, however long the run"


# ---- who trades --------------------------------------------------------------------------------------------------


def test_whales_alone_make_metaorders_and_their_square_root_law_comes_back() -> None:
    """Each metaorder of Q buys in three children and lifts the price by Y sigma sqrt(Q / V)."""
    rng = np.random.default_rng(11)
    count, prefactor = 600, 0.8
    time_s, mid = walk(noise(1440, 8e-4, 12))
    sigma, daily_volume = math.sqrt(float(np.sum(np.diff(np.log(mid)) ** 2))), 1e5 * 1440
    share = 10 ** rng.uniform(-4, -1, count)
    begin = np.linspace(100, DAY_S - 200, count)
    lots = np.rint(share * daily_volume / 100.0 / 3)  # a lot is worth 100
    move = prefactor * sigma * np.sqrt(3 * lots * 100.0 / daily_volume)
    rows, order = [], 0
    for k in range(count):
        order += 4
        rows.append((begin[k] - 1, 1e5, 1, 1, 4, order))  # somebody else trades first: the price before
        rows += [
            (begin[k] + 5 * child, 1e5 * math.exp(move[k] * (child + 1) / 3), lots[k], 1, 3, order + 1 + child)
            for child in range(3)
        ]
    events = fills(*(np.array(column) for column in zip(*rows, strict=True)))
    types = {"big": "whale", "small": "retail"}
    frames = market(time_s, mid, events=events, accounts=("big", "small"), types=types)
    found = measure(frames)
    assert found["OB2"].value == pytest.approx(0.5, abs=0.02)
    assert found["OB2"].standard_error < 0.05
    assert found["OB2Y"].value == pytest.approx(prefactor, rel=0.03)
    nobody = market(time_s, mid, events=events, accounts=("big", "small"), types={"big": "retail"})
    assert reason(nobody, "OB2") == "no population of type whale"
    assert math.isnan(measure(frames, metaorder_gap_s=3.0)["OB2"].value), "children 5 s apart are then no metaorder"


def test_one_sign_an_order_however_many_fills() -> None:
    """Signs of orders alternate; each has five fills, whose signs would be remembered."""
    orders = np.repeat(np.arange(1, 3001), 5)
    events = fills(np.linspace(0, 3600, 15_000), 1e5, 1, np.where(orders % 2, 1, -1), 3, orders)
    frames = market(*walk(noise(60)), events=events, accounts=("a",))
    assert "lost in noise from lag 1 on" in reason(frames, "OB1")


def test_more_buyers_than_sellers_is_no_memory() -> None:
    sides = np.random.default_rng(19).choice([1, 1, 1, -1], 20_000)
    events = fills(np.linspace(0, 3600, 20_000), 1e5, 1, sides, 3, np.arange(1, 20_001))
    assert "lost in noise" in reason(market(*walk(noise(60)), events=events, accounts=("a",)), "OB1")


def test_the_response_is_to_the_sign_of_the_same_minute() -> None:
    returns = 5e-4 * np.random.default_rng(13).choice([-1.0, 1.0], 1440)
    middle = 60 * np.arange(1440) + 30.0
    planted = fills(middle, 1e5, 10, np.sign(returns), 3, np.arange(1440))
    frames = market(*walk(returns), events=planted, accounts=("a",))
    assert value(frames, "OB3") == pytest.approx(5.0)
    late = market(*walk(returns), events=fills(middle + 60, 1e5, 10, np.sign(returns), 3, np.arange(1440)))
    assert abs(value(late, "OB3")) < 1.0


def test_the_half_life_is_of_the_net_position_of_all_hft() -> None:
    from scipy.signal import lfilter

    shocks = np.random.default_rng(14).normal(0, 1000, 17_281)
    inventory = np.rint(lfilter([1.0], [1.0, -(0.5 ** (5 / 120))], shocks))
    other = np.rint(np.random.default_rng(15).normal(0, 1e5, 17_281))
    held = {"fast": inventory + other, "faster": -other, "slow": np.cumsum(shocks)}
    options: dict[str, Any] = {"accounts": ("fast", "faster", "slow"), "net_lots": held}
    types = {"fast": "hft", "faster": "hft", "slow": "retail"}
    frames = market(*walk(noise(17_280, 1e-4), 5.0), types=types, **options)
    assert value(frames, "HFT_HALF_LIFE") == pytest.approx(120.0, rel=0.2)
    old = market(*walk(noise(17_280, 1e-4), 5.0), types=types, accounts=("fast", "faster"))
    assert "no populations.parquet" in reason(old, "HFT_HALF_LIFE")


# ---- falls -------------------------------------------------------------------------------------------------------


def crash(liquidated: bool = True, more: NDArray[Any] | None = None) -> RunFrames:
    """A quiet day at 10-s samples; at noon a fall of 4 % in 200 s, a rebound of 50 bp in 5 min, a thin book."""
    time_s = 10.0 * np.arange(8641)
    rng = np.random.default_rng(16)
    mid = 1e5 * np.exp(rng.normal(0, 1e-5, 8641))
    noon = 4320
    path = np.concatenate((np.linspace(0, math.log(0.96), 21), math.log(0.96) + np.linspace(0, 0.005, 31)[1:]))
    mid[noon : noon + len(path)] = 1e5 * np.exp(path)
    mid[noon + len(path) :] *= 0.965
    bid, ask, half = np.full(8641, 1e7), np.full(8641, 1e7), np.full(8641, 0.5)
    bid[noon + 12], ask[noon + 10 : noon + 21], half[noon + 10] = 2e6, 6e6, 10.0
    ask[noon + 1 : noon + 10] = 9e6
    rows = [(43_250.0, 96_000.0, 9000, -1, 4, 1), (43_260.0, 96_500.0, 1000, 1, 5, 2)]
    events = fills(*(np.array(c) for c in zip(*rows, strict=True)), cause=Cause.LIQUIDATION)
    taken = np.zeros(1, EVENT)
    taken["kind"], taken["time_ns"], taken["side"] = EventKind.TAKEOVER, 43_255 * 10**9, 1
    taken["quantity_lots"], taken["price_ticks"], taken["mark_ticks"] = 2000, 95_000, 96_000
    taken = taken if more is None else np.concatenate((taken, more))
    return market(
        time_s, mid, events=np.concatenate((events, taken)) if liquidated else events[:0], bid_depth_1pct=bid,
        ask_depth_1pct=ask, best_bid=mid - half, best_ask=mid + half, open_interest=1e8,
    )  # fmt: skip


def test_what_a_fall_leaves_of_the_book_is_measured() -> None:
    found = measure(crash())
    assert found["LQ1med"].value == pytest.approx(0.2), "the least bid depth of the fall over the hour before"
    assert found["LQ3"].value == pytest.approx(0.6), "ask depth when the price is 3 % down, not before"
    assert found["LQ4"].value == pytest.approx(20.0, rel=0.05)
    assert found["CA12"].value == pytest.approx(50.0, rel=0.01)
    assert found["LQ1p10"].reason == "1 falls: a tenth of them needs 10"


def test_liquidations_are_counted_by_who_loses() -> None:
    found = measure(crash())
    longs, shorts = 9000 * 96.0 + 2000 * 96.0, 1000 * 96.5
    assert found["CA14"].value == pytest.approx(longs / (longs + shorts))
    assert found["CA15L"].value == pytest.approx(longs / 1e8, rel=1e-6)
    quiet = measure(crash(liquidated=False))
    assert quiet["CA14"].reason == "nobody was liquidated on a day with such a move"


def test_adl_is_measured_by_its_concentration_its_share_and_the_profit_it_closes() -> None:
    adl = np.zeros(100, EVENT)
    adl["kind"], adl["time_ns"], adl["side"] = EventKind.ADL, 43_256 * 10**9, 1
    adl["account"], adl["maker_account"], adl["mark_ticks"], adl["price_ticks"] = np.arange(100), 200, 96_000, 97_000
    adl["quantity_lots"] = [101] + [1] * 99
    frames = crash(more=adl)
    adl["money"] = 3 * adl["quantity_lots"] * 1000 * frames.first.contract.lot_value.at_one_tick
    found = measure(crash(more=adl))
    assert found["CA3"].value == pytest.approx(101 / 200)
    assert found["CA16"].value == pytest.approx(200 * 96.0 / (11_000 * 96.0 + 1000 * 96.5))
    assert found["ADL_OVER"].value == pytest.approx(3.0), "three units of profit closed for one that was missing"
    assert measure(crash(more=adl[:99]))["CA3"].reason == "only 99 accounts were deleveraged, 100 needed"
    assert measure(crash())["ADL_OVER"].reason == "nobody was deleveraged"


def test_a_quiet_market_has_nothing_to_say_about_falls() -> None:
    frames = market(*walk(noise(1440, 2e-5)))
    assert reason(frames, "LQ1med") == "no fall of 1 % within 15 min"
    assert reason(frames, "LQ4") == "no 1-min return beyond 5 standard deviations"
    assert reason(frames, "CA14") == "no move of 1 % within 15 min"


def test_a_fall_at_once_has_nothing_to_compare_with() -> None:
    returns = noise(720, 1e-5)
    returns[1:4] = -0.01
    assert reason(market(*walk(returns)), "LQ1med") == "it begins 60 s after the start: nothing to compare with"


# ---- runs that cannot answer -------------------------------------------------------------------------------------


def test_a_short_run_says_so() -> None:
    frames = market(*walk(noise(20, 1e-4), 5.0))
    found = measure(frames)
    assert found["VOL"].reason == "1 returns over 1 min: fewer than 30"
    assert found["CA15L"].reason == "a daily rate needs 6 h, the run has 100 s"
    assert math.isfinite(found["SPREAD_BP"].value)


def test_a_coarsely_sampled_run_says_so() -> None:
    found = measure(market(*walk(noise(2000), 120.0)))
    assert found["VOL"].reason == "sampled every 120 s: too coarse for steps of 1 min"
    assert found["SF2"].reason == "sampled every 120 s: too coarse for steps of 5 min", "five is no multiple of two"
    assert found["OB7"].value == pytest.approx(1.0)


def test_a_book_that_was_never_two_sided_says_so() -> None:
    time_s = walk(noise())[0]
    none = np.full(len(time_s), np.nan)
    found = measure(market(time_s, none, best_bid=none, spread_ticks=none))
    assert {found[name].reason for name in ("VOL", "SPREAD_BP", "SPREAD_TICKS", "LQ1med")} == {
        "the book was never two-sided"
    }


def test_the_price_is_the_last_one_known() -> None:
    time_s, mid = walk(noise(1440, 8e-4), 60.0)
    gaps = mid.copy()
    gaps[:5], gaps[100:103] = np.nan, np.nan
    found = measure(market(time_s, gaps))
    assert math.isfinite(found["VOL"].value)
    assert found["VOL"].value == pytest.approx(value(market(time_s, mid), "VOL"), rel=0.05)


def test_the_warm_up_does_not_count() -> None:
    time_s, mid = walk(noise(1440, 8e-4))
    shaken = np.concatenate((np.linspace(1e4, 1e5, 60), mid))
    frames = market(np.concatenate((np.arange(-60.0, 0.0), time_s)), shaken)
    assert value(frames, "VOL") == pytest.approx(value(market(time_s, mid), "VOL"))


# ---- the scoreboard ----------------------------------------------------------------------------------------------


def plain(value: float, pool: Floats | None = None) -> Measurement:
    return Measurement(value, "" if math.isfinite(value) else "too short", pool=pool)


def rows_of(fact: Fact, *runs: Measurement) -> score_rows.FactRow:
    (row,) = score_rows.rows_of({fact.id: fact}, [{fact.id: run} for run in runs])
    return row


def nothing(_: object) -> float:
    return math.nan


def test_runs_are_averaged_and_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(17).normal(0.6, 0.1, 40)
    row = rows_of(Fact("x", "x", nothing, target="VOL"), *map(plain, values))
    assert row.estimate == pytest.approx(values.mean())
    error = values.std(ddof=1) / math.sqrt(40)
    assert row.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert row.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)
    assert (row.verdict, row.settled, row.statistic, row.measured) == ("pass", True, "mean", 40)
    again = rows_of(Fact("x", "x", nothing, target="VOL"), *map(plain, values))
    assert repr(again) == repr(row), "the bootstrap is seeded"


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(18)
    fact, covered = Fact("x", "x", nothing), 0
    for _ in range(100):
        row = rows_of(fact, *map(plain, rng.normal(1.0, 0.5, 20)))
        covered += row.low <= 1.0 <= row.high
    assert 86 <= covered <= 99


def test_the_median_does_not_mind_one_wild_run() -> None:
    row = rows_of(Fact("x", "x", nothing, over_runs="median"), *map(plain, [1.0, 2.0, 3.0, 4.0, 1e9]))
    assert row.estimate == 3.0


def test_pooled_facts_resample_whole_runs() -> None:
    fact = Fact("x", "x", nothing, over_runs="pooled", pooled=lambda pool: float(np.mean(np.concatenate(list(pool)))))
    runs = [plain(math.nan, np.full(1 + 9 * (k == 0), float(k))) for k in range(12)]
    row = rows_of(fact, *runs)
    assert row.estimate == pytest.approx(66 / 21), "observations weigh the same, not runs"
    assert 0.0 < row.low < 2.0 < 5.0 < row.high < 11.0
    assert (row.statistic, row.measured) == ("pooled", 12)
    few = rows_of(fact, *runs[:4])
    assert few.estimate == pytest.approx(6 / 13)
    assert math.isnan(few.low), "no interval below five runs"


def test_a_pooled_estimate_stands_beside_the_mean() -> None:
    fact = Fact("x", "x", nothing, pooled=lambda pool: float(np.concatenate(list(pool)).max()))
    row = rows_of(fact, plain(1.0, np.array([1.0])), plain(3.0, np.array([7.0])))
    assert (row.estimate, row.pooled, row.statistic) == (2.0, 7.0, "mean")
    silent = rows_of(fact, plain(math.nan, np.array([1.0])), plain(math.nan, np.array([7.0])))
    assert (silent.estimate, silent.statistic) == (7.0, "pooled"), "too short one by one, long enough together"


def test_one_run_has_no_interval() -> None:
    row = rows_of(Fact("x", "x", nothing, target="VOL"), plain(0.9))
    assert math.isnan(row.low)
    assert (row.verdict, row.statistic, row.settled) == ("fail", "one run", False)
    assert score_rows.interval_text(row) == "n.a."


def test_runs_that_cannot_answer_are_left_out_and_counted() -> None:
    fact = Fact("x", "x", nothing, target="VOL")
    row = rows_of(fact, plain(0.5), plain(math.nan), plain(0.7))
    assert (row.estimate, row.measured, row.runs) == (pytest.approx(0.6), 2, 3)
    assert score_rows.over_runs_text(row) == "mean 2/3"
    silent = rows_of(fact, plain(math.nan), plain(math.nan))
    assert (silent.verdict, silent.reason) == ("n.a.", "too short")

    def refuse(_: object) -> float:
        raise Unmeasurable("too few together")

    never = rows_of(Fact("x", "x", nothing, over_runs="pooled", pooled=refuse), plain(math.nan, np.ones(1)), plain(1.0))
    assert (never.verdict, never.reason) == ("n.a.", "too few together")


def test_a_band_for_the_size_holds_for_both_signs() -> None:
    fact = Fact("x", "x", nothing, target="SF2", magnitude=True)
    assert rows_of(fact, plain(-0.04)).verdict == "pass"
    assert rows_of(fact, plain(-0.06)).verdict == "fail"
    assert score_rows.band(rows_of(fact, plain(0.0))) == "|.| < 0.05"


def test_a_wide_interval_is_said() -> None:
    row = rows_of(Fact("x", "x", nothing, target="VOL"), *map(plain, (0.1, 1.1, 0.1, 1.1, 0.6)))
    assert (row.verdict, row.settled) == ("pass", False)
    assert score_rows.verdict_text(row) == "pass (wide)"
    few = rows_of(Fact("x", "x", nothing, target="VOL"), plain(0.5), plain(0.7))
    assert score_rows.verdict_text(few) == "pass (no interval)"


def test_markdown_and_csv_hold_every_fact() -> None:
    runs = [measure(market(*walk(noise(1440, 8e-4, seed)))) for seed in (1, 2, 3)]
    rows = scoreboard(runs)
    text = to_markdown(rows)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(FACTS)
    assert {line.replace("\\|", "").count("|") for line in table} == {1 + len(score_rows.HEADINGS)}
    assert "measurable facts in band" in text
    parsed = list(csv.DictReader(io.StringIO(to_csv(rows, ["a", "b", "c"]))))
    assert [line["id"] for line in parsed] == list(FACTS)
    assert float(parsed[0]["a"]) == runs[0]["VOL"].value
    assert parsed[-1]["estimate"] in ("", "0.0")


def test_the_last_line_counts_what_could_be_judged() -> None:
    fact = Fact("x", "x", nothing, target="VOL")
    rows = [rows_of(fact, *[plain(v)] * 5) for v in (0.5, 0.9, math.nan)]
    rows.append(rows_of(Fact("y", "y", nothing), plain(1.0), plain(1.0)))
    assert score_rows.in_band_line(rows) == (
        "1 of 2 measurable facts in band, 1 of them with an interval narrower than the band; 1 could not be measured"
    )
    few = [rows_of(fact, plain(0.5), plain(0.6))]
    assert score_rows.in_band_line(few).endswith("(there is none below 5 runs)")


# ---- a real run --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of a tiny run."""
    parent = tmp_path_factory.mktemp("runs")
    found = []
    for seed in (0, 1):
        result = marginquake("run", TINY, "--out", parent, "--seed", seed, "--no-figures", "--quiet")
        assert result.exit_code == 0, result.output
        found.append(Path(result.stdout.splitlines()[-1]))
    return found


@pytest.mark.model
def test_populations_hold_what_accounts_hold(finished: list[Path]) -> None:
    frames = load_run(finished[0]).first
    held = frames.populations
    assert set(held) == set(frames.accounts["population"][3:].tolist())
    net = np.sum([table["net_lots"] for table in held.values()], axis=0)
    fund = frames.series["fund_position"] / (frames.contract.notional_per_lot(1.0) * frames.series["mark"])
    assert net + np.nan_to_num(np.rint(fund)) == pytest.approx(0.0), "every long lot has a short lot"
    for name, table in held.items():
        mine = frames.accounts["population"] == name
        assert table["net_lots"][-1] == frames.accounts["position_end"][mine].sum()
        assert table["accounts_open"][-1] == np.count_nonzero(frames.accounts["position_end"][mine])
        money = frames.accounts["equity_end"][mine].sum() + frames.accounts["spot_pnl"][mine].sum()
        assert table["equity"][-1] == pytest.approx(money, rel=1e-9, abs=1.0)
        assert (table["long_lots"] - table["short_lots"] == table["net_lots"]).all()
        assert table["time_s"].tolist() == frames.series["time_s"].tolist()
        assert table["short_notional"] * table["long_lots"] == pytest.approx(
            table["long_notional"] * table["short_lots"]
        )
    longs = np.sum([table["long_notional"] for table in held.values()], axis=0)
    assert longs[-1] == pytest.approx(frames.series["open_interest"][-1])


@pytest.mark.model
def test_frames_in_memory_measure_like_those_from_disk(finished: list[Path]) -> None:
    from marginquake.sim.studies import run as running

    loaded = running.load_scenario(TINY)
    in_memory = measure(frames_of(running.simulate(loaded, 0), loaded))
    from_disk = measure(load_run(finished[0]))
    for name, found in from_disk.items():
        assert found.value == pytest.approx(in_memory[name].value, nan_ok=True), name
        assert found.reason == in_memory[name].reason


@pytest.mark.model
def test_an_older_run_without_populations_loads(finished: list[Path], tmp_path: Path) -> None:
    import shutil

    old = Path(shutil.copytree(finished[0], tmp_path / "old"))
    (old / "populations.parquet").unlink()
    seal_run(old)
    assert load_run(old).first.populations == {}


@pytest.mark.model
def test_the_command_prints_the_scoreboard(finished: list[Path], tmp_path: Path) -> None:
    table, picture = tmp_path / "facts.csv", tmp_path / "facts.png"
    result = marginquake("facts", *finished, "--csv", table, "--figure", picture)
    assert result.exit_code == 0, result.output
    assert "SPREAD_BP" in result.stdout
    assert "measurable facts in band" in result.stdout.splitlines()[-1]
    assert table.read_text().startswith("id,label,unit,estimate")
    assert picture.read_bytes().startswith(b"\x89PNG")
    short = marginquake("facts", finished[0].name, "--out", finished[0].parent)
    assert short.exit_code == 0, "a run may be named"


@pytest.mark.model
def test_bad_requests_give_one_message_and_2(finished: list[Path], tmp_path: Path) -> None:
    twice = marginquake("facts", finished[0], finished[0])
    assert (twice.exit_code, twice.stdout) == (2, "")
    assert "each run counts once" in twice.stderr
    for arguments, message in (
        ((tmp_path / "none",), "no such run"),
        ((finished[0], "--csv", tmp_path / "no" / "facts.csv"), "no folder"),
        ((finished[0], "--csv", tmp_path), "is a folder"),
        ((finished[0], "--figure", tmp_path / "facts.jpg"), "must end in .png"),
        ((finished[0], "--metaorder-gap", 0), "must be positive"),
    ):
        result = marginquake("facts", *arguments)
        assert result.exit_code == 2, arguments
        assert message in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.model
def test_without_the_extra_the_command_says_what_to_install(
    finished: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "find_spec", lambda name: None)
    result = marginquake("facts", finished[0])
    assert result.exit_code == 2
    assert result.stderr == "statsmodels and arch not installed: pip install 'marginquake[facts]'\n"


def test_the_picture_needs_no_returns(tmp_path: Path) -> None:
    from marginquake.analysis.figures.draw import plot_facts

    runs = [measure(market(*walk(noise(1440, 8e-4, seed)))) for seed in (1, 2)]
    assert plot_facts(runs, tmp_path / "two.png", "two").stat().st_size > 10_000
    empty = [measure(market(*walk(noise(3, 8e-4))))]
    assert plot_facts(empty, tmp_path / "none.png", "none").exists()
