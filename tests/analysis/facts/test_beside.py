"""Runs beside a file of prices: the same estimators on both, bars, gaps, intervals, what is said, the command."""

import csv
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.analysis.facts import FACTS, Beside, NotBars, PriceSeries, against, measure, returns
from marginquake.analysis.facts.beside import BesideRow, Side, SideEstimate, difference_of, estimate_of, sides
from marginquake.analysis.facts.price_bars import Bars, bars_of_file, bars_of_run
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.analysis.statistics import memory
from marginquake.analysis.statistics.estimate import Estimate, Unmeasurable
from tests.support.command_line import marginquake
from tests.support.frames.price_path import market
from tests.support.paths import TINY

pytest.importorskip("statsmodels")
pytest.importorskip("arch")

Floats = NDArray[np.float64]
DAY = 86_400


def series(log_returns: Floats, bar_s: float = 60.0, volumes: Floats | None = None) -> PriceSeries:
    """A file of bars with these returns."""
    times = (1_700_000_000 + bar_s * np.arange(len(log_returns) + 1)) * 1e9
    prices = 1e4 * np.exp(np.concatenate(([0.0], np.cumsum(log_returns))))
    return PriceSeries(times.astype(np.int64), prices, volumes)


def run_of(log_returns: Floats, every_s: float = 60.0, **columns: Any) -> RunFrames:
    """A run whose price has these returns."""
    mid = 1e4 * np.exp(np.concatenate(([0.0], np.cumsum(log_returns))))
    return market(every_s * np.arange(len(mid)), mid, **columns)


def noise(count: int, size: float = 1e-3, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, size, count)


def garch(count: int, seed: int = 2) -> Floats:
    """alpha + beta = 0.95."""
    rng, variance, found = np.random.default_rng(seed), 1.0, np.zeros(count)
    for step in range(count):
        found[step] = math.sqrt(variance) * rng.normal()
        variance = 0.05 + 0.1 * found[step] ** 2 + 0.85 * variance
    return 1e-3 * found


def row(found: Beside, name: str) -> BesideRow:
    (one,) = [each for each in found.rows if each.fact.id == name]
    return one


def alone(given: PriceSeries, name: str, fill_s: float = 0.0) -> SideEstimate:
    """One fact of a file, the others not measured."""
    file, _ = bars_of_file(given, fill_s=fill_s)
    (fact,) = [each for each in (*FACTS.values(), *returns.facts_at(max(file.bar_s, 60.0))) if each.id == name]
    assert fact.of_prices is not None
    return estimate_of(fact, fact.of_prices, sides([], file)[1])


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


# ---- estimators recover what was planted, at the scale of the bars -----------------------------------------------


def test_independent_returns_have_no_memory_and_a_variance_ratio_of_one() -> None:
    given = series(noise(9600, 0.6 / math.sqrt(365 * 96)), 900.0)
    assert holds(alone(given, "VOL@15min").found, 0.6)
    assert holds(alone(given, "KURTOSIS@15min").found, 0.0)
    for name, truth in (("ACF_R@15min", 0), ("ACF_ABS_1@15min", 0), ("VR_1h@15min", 1), ("VR_4h@15min", 1)):
        estimate = alone(given, name).found
        assert estimate.value == pytest.approx(truth, abs=0.06), name
        assert estimate.low - 0.02 <= truth <= estimate.high + 0.02, name
    assert alone(given, "GARCH@15min").found.value == pytest.approx(0.0, abs=0.01)


def test_an_autoregression_comes_back_in_autocorrelation_and_variance_ratio() -> None:
    from scipy.signal import lfilter

    given = series(lfilter([1.0], [1.0, -0.3], noise(20_000, seed=22)), 900.0)
    assert alone(given, "ACF_R@15min").found.value == pytest.approx(0.3, abs=0.02)
    assert holds(alone(given, "ACF_R@15min").found, 0.3)
    ratio = 1 + 2 * sum((1 - k / 4) * 0.3**k for k in (1, 2, 3))
    assert alone(given, "VR_1h@15min").found.value == pytest.approx(ratio, abs=0.05)
    assert holds(alone(given, "VR_1h@15min").found, ratio)


def test_persistence_of_volatility_comes_back() -> None:
    assert holds(alone(series(garch(12_000), 900.0), "GARCH@15min").found, 0.95)
    assert holds(alone(series(garch(12_000), 300.0), "SF8").found, 0.95)
    assert "GARCH@5min" not in {fact.id for fact in returns.facts_at(300.0)}, "the scoreboard has it at 5 min"


def test_tails_come_back() -> None:
    rng = np.random.default_rng(5)
    moves = 1e-4 * rng.choice([-1.0, 1.0], 20_000) * rng.random(20_000) ** (-1 / 3.0)
    assert holds(alone(series(moves, 900.0), "HILL@15min").found, 3.0)
    assert holds(alone(series(moves, 60.0), "SF1").found, 3.0)


def test_volume_goes_with_the_return_of_its_own_bar() -> None:
    moves = noise(5000)
    volumes = np.append(0.0, np.abs(moves) * 1e6)
    assert alone(series(moves, 300.0, volumes), "SF6").found.value == pytest.approx(1.0)
    assert abs(alone(series(moves, 300.0, np.roll(volumes, 1)), "SF6").found.value) < 0.05


def test_a_fall_and_its_rebound_are_seen_in_minutes() -> None:
    moves = np.full(600, 1e-6)
    moves[100:105], moves[105:110] = -0.004, 0.001
    assert alone(series(moves), "CA12").found.value == pytest.approx(50.0)
    minutes_left_out = np.delete(np.arange(601), 103)
    whole = series(moves)
    gap = PriceSeries(whole.times_ns[minutes_left_out], whole.prices[minutes_left_out])
    assert "no fall" in alone(gap, "CA12").reason, "a fall over a missing bar is none"


# ---- one code path -----------------------------------------------------------------------------------------------


def test_a_file_is_measured_as_a_run_is() -> None:
    moves = garch(3000)
    volumes = np.random.default_rng(3).gamma(1.0, size=3001)
    run = run_of(moves, volume=volumes)
    file = against([], series(moves, 60.0, volumes))
    for name, found in measure(run).items():
        if FACTS[name].of_prices is not None:
            here = row(file, name).file
            assert here.found.value == pytest.approx(found.value, nan_ok=True, rel=1e-6), name
            if name != "CA12":
                assert here.reason == found.reason, name


@pytest.mark.parametrize("bar_s", [60.0, 300.0, 900.0])
def test_the_same_series_on_both_sides_never_differs(bar_s: float) -> None:
    moves = garch(2400)
    fine = np.repeat(moves / 12, 12)
    found = against([run_of(fine, bar_s / 12)], series(moves, bar_s, None))
    measured = [each for each in found.rows if each.verdict != "n.a."]
    assert len(measured) >= 10
    assert not [each.fact.id for each in measured if each.verdict == "differ"]
    for each in measured:
        assert each.difference.value == pytest.approx(0.0, abs=1e-4), each.fact.id
    assert [each for each in measured if each.verdict == "agree"]


def test_another_market_differs_and_is_named() -> None:
    runs = [run_of(noise(1440, 1e-3, seed)) for seed in range(6)]
    found = against(runs, series(noise(14_400, 2e-3, 9)))
    assert row(found, "VOL").verdict == "differ"
    assert not row(found, "VOL").overlap
    assert row(found, "SF2_1min").verdict == "agree"
    assert any(line.startswith("Differ: volatility per year (") for line in found.details)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_pools_of_blocks_add_up_to_that_of_the_series(gaps: bool) -> None:
    moves, volumes = garch(3000), np.random.default_rng(4).gamma(1.0, size=3001)
    kept = np.delete(np.arange(3001), [700, 701, 702, 1500] if gaps else [])
    whole = series(moves, 60.0, volumes)
    file, _ = bars_of_file(PriceSeries(whole.times_ns[kept], whole.prices[kept], volumes[kept]))
    edges = [0, 413, 1002, 1003, 2511, 3000]
    for fact in (*FACTS.values(), *returns.facts_at(60.0)):
        if fact.of_prices is None or fact.id == "CA12":
            continue
        parts = [fact.of_prices.pool(file.block(a, b)) for a, b in pairwise(edges)]
        together, expected = fact.of_prices.joined(parts), fact.of_prices.pool(file)
        assert together == pytest.approx(expected, rel=1e-6, abs=1e-6), fact.id


def test_lagged_sums_leave_out_what_is_not_known() -> None:
    values = np.random.default_rng(8).normal(1.0, 2.0, 60)
    values[[0, 17, 18, 40]] = np.nan
    table = memory.lagged_sums(values, 5, 30, np.isfinite(values))
    for lag in range(6):
        pairs = [
            (values[k], values[k + lag]) for k in range(30) if np.isfinite(values[k]) and np.isfinite(values[k + lag])
        ]
        early, late = (np.array(side) for side in zip(*pairs, strict=True))
        assert table[lag] == pytest.approx([len(pairs), early.sum(), late.sum(), early @ late])


# ---- scales ------------------------------------------------------------------------------------------------------


def test_what_is_defined_at_a_finer_scale_is_not_measured_at_another() -> None:
    found = against([], series(noise(5000), 900.0))
    for name in ("VOL", "SF2_1min", "SF2", "ACF_ABS_1", "SF3", "SF1", "SF1_5min", "SF4_1min", "SF4", "SF6", "SF8"):
        here = row(found, name)
        assert here.verdict == "n.a.", name
        assert "15 min bars: defined at" in here.file.reason, name
    assert math.isfinite(row(found, "SF5").file.found.value), "1-h returns can be had from 15-min bars"
    assert "cannot be measured from 15-min bars: give 1-min bars" in found.summary


@pytest.mark.parametrize(
    ("bar_s", "measured", "not_measured"),
    [
        (60.0, ("VOL", "SF2", "SF5", "SF8", "VR_5min@1min"), ()),
        (300.0, ("SF2", "SF8", "VOL@5min", "KURTOSIS_1h"), ("VOL", "SF1")),
        (3600.0, ("VOL@60min", "SF5", "VR_4h@60min"), ("VOL", "SF2")),
        (86_400.0, ("VOL@24h",), ("VOL", "SF5", "SF8")),
    ],
)
def test_each_length_of_bar_has_its_facts(
    bar_s: float, measured: tuple[str, ...], not_measured: tuple[str, ...]
) -> None:
    found = against([], series(noise(3000), bar_s))
    names = {each.fact.id.replace("@1h", "@60min") for each in found.rows if each.verdict != "n.a."}
    assert set(measured) <= names
    assert not set(not_measured) & names


def test_a_finer_run_is_sampled_to_the_bars_of_the_file() -> None:
    moves = noise(12 * 960, 1e-4)
    run = run_of(moves, 75.0)
    coarse = moves.reshape(-1, 12).sum(axis=1)
    found = against([run], series(coarse, 900.0))
    assert row(found, "VOL@15min").runs is not None
    assert row(found, "VOL@15min").difference.value == pytest.approx(0.0, abs=1e-9)
    assert any("sampled every 15 min like the file" in line for line in found.remarks)


def test_a_coarser_run_takes_the_file_to_its_own_sampling() -> None:
    moves = noise(5 * 1200, 1e-4)
    found = against([run_of(moves.reshape(-1, 5).sum(axis=1), 300.0)], series(moves))
    assert row(found, "SF2").difference.value == pytest.approx(0.0, abs=1e-9)
    assert row(found, "VOL").verdict == "n.a."
    assert any(
        "file sampled every 5 min like the runs, from 60 s bars" in line.replace("1 min bars", "60 s bars")
        for line in found.remarks
    )


def test_both_may_be_sampled_at_longer_bars() -> None:
    moves = noise(20_000, 1e-4)
    found = against([run_of(moves)], series(moves), bar_s=900.0)
    assert row(found, "VOL@15min").difference.value == pytest.approx(0.0, abs=1e-9)
    assert row(found, "VOL").verdict == "n.a."


def test_a_run_has_the_last_traded_price_as_candles_have_it() -> None:
    moves = noise(100)
    mid = 1e4 * np.exp(np.concatenate(([0.0], np.cumsum(moves))))
    last = mid + 1.0
    last[:3] = np.nan
    bars = bars_of_run(market(60.0 * np.arange(101), mid, last=last).first, 60.0)
    assert np.exp(bars.log_prices) == pytest.approx(np.concatenate((mid[:3], last[3:])))


def test_a_run_that_cannot_be_sampled_so_is_refused() -> None:
    with pytest.raises(Unmeasurable, match="sampled every 40 s"):
        bars_of_run(run_of(noise(100), 40.0).first, 60.0)


# ---- intervals ---------------------------------------------------------------------------------------------------


def test_intervals_are_over_runs_from_five_on_and_over_time_below() -> None:
    runs = [run_of(noise(600, 1e-3, seed)) for seed in range(5)]
    file = series(noise(900, 1e-3, 9))
    five, four = row(against(runs, file), "VOL"), row(against(runs[:4], file), "VOL")
    assert five.runs is not None
    assert four.runs is not None
    assert (five.runs.over, four.runs.over, five.file.over) == ("runs", "time", "time")
    assert five.runs.found.has_interval
    assert four.runs.found.has_interval


def test_too_short_a_record_has_no_interval() -> None:
    found = against([], series(noise(100)))
    assert math.isfinite(row(found, "VOL").file.found.value)
    assert not row(found, "VOL").file.found.has_interval, "100 bars are three blocks of 30"
    assert row(found, "VOL").verdict == "cannot tell"


def test_the_interval_over_time_covers_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        file, _ = bars_of_file(series(noise(2000, 1e-3, seed)))
        _, side = sides([], file)
        fact = FACTS["VOL"]
        assert fact.of_prices is not None
        covered += holds(estimate_of(fact, fact.of_prices, side).found, 1e-3 * math.sqrt(365 * 1440))
    assert 51 <= covered <= 60


def test_memory_in_volatility_widens_the_interval_over_time() -> None:
    calm = alone(series(noise(8000)), "VOL").found
    slow = np.repeat(np.exp(noise(40, 0.5, 3)), 200)
    wild = alone(series(noise(8000) * slow), "VOL").found
    assert (wild.high - wild.low) / wild.value > 3 * (calm.high - calm.low) / calm.value


def test_a_much_longer_file_is_cut_into_samples_as_long_as_the_runs() -> None:
    """Kurtosis of a heavy tail grows with the length: the whole file's would be no match for a short run's."""
    heavy = 1e-4 * np.random.default_rng(11).standard_t(3, 24_000)
    runs = [run_of(1e-4 * np.random.default_rng(100 + k).standard_t(3, 600)) for k in range(2)]
    beside = against(runs, series(heavy))
    assert beside.runs is not None
    assert (len(beside.file.samples), beside.file.sample_s) == (20, 2 * 600 * 60.0)
    assert len(beside.file.samples[0]) == 2, "each of two stretches, as there are two runs"
    assert row(beside, "SF4_1min").file.found.value < 0.9 * alone(series(heavy), "SF4_1min").found.value
    assert row(beside, "SF4_1min").verdict != "differ"


def test_an_interval_over_time_reaches_as_far_as_samples_of_that_length_stray() -> None:
    """Days of the file are calm or wild; one calm day of a run cannot know of the others."""
    days = np.repeat(np.exp(noise(40, 0.7, 5)), 1440)
    found = row(against([run_of(noise(1440, 1e-3, 6))], series(noise(40 * 1440, 1e-3, 7) * days)), "VOL")
    assert found.runs is not None
    assert found.runs.found.low < 0.6 * found.runs.found.value
    assert found.verdict != "differ"


def test_many_runs_beside_a_short_file_are_put_together_in_groups() -> None:
    file, _ = bars_of_file(series(noise(3000)))
    runs, real = sides([Bars(60.0, np.cumsum(noise(1001, 1e-3, k))) for k in range(20)], file)
    assert runs is not None
    assert [len(sample) for sample in runs.samples] == [3] * 6
    assert len(real.samples) == 1


def test_the_interval_of_a_difference_adds_up_like_standard_errors_and_stays_skewed() -> None:
    found = difference_of(Estimate(5.0, 4.0, 8.0), Estimate(2.0, 1.0, 6.0))
    assert (found.value, found.low, found.high) == (3.0, 3.0 - math.hypot(1, 4), 3.0 + math.hypot(3, 1))
    assert not difference_of(Estimate(1.0), Estimate(2.0, 1.0, 3.0)).has_interval


def test_an_interval_too_wide_to_say_anything_is_no_agreement() -> None:
    found = against([run_of(noise(300, 1e-3, 4))], series(noise(6000)))
    here = row(found, "ACF_ABS_1")
    assert here.verdict == "cannot tell"
    assert here.overlap
    assert "times as much simulated time would settle half of them" in found.summary


# ---- what a file holds -------------------------------------------------------------------------------------------


def test_returns_over_missing_bars_are_left_out_and_said() -> None:
    moves = noise(3000)
    moves[1000:1010] += 0.05
    whole = series(moves)
    kept = np.delete(np.arange(3001), np.arange(1000, 1011))
    gap = PriceSeries(whole.times_ns[kept], whole.prices[kept])
    assert alone(gap, "SF4_1min").found.value < 1.0, "the jump of 50 % over the gap does not count"
    assert bars_of_file(gap)[1] == [
        "11 bars missing (0.37 %), in 1 gap, the longest 11 min: returns over them are left out"
    ]
    assert alone(gap, "SF4_1min", fill_s=3600.0).found.value > 100.0
    assert bars_of_file(gap, fill_s=3600.0)[1] == ["11 missing bars filled: the price stands, nothing was traded"]


def test_rows_given_twice_and_rows_out_of_order_are_said_and_mended() -> None:
    whole = series(noise(500))
    order = np.concatenate((np.arange(501)[::-1], [7, 7]))
    prices = np.concatenate((whole.prices[::-1], [1.0, whole.prices[7]]))
    bars, said = bars_of_file(PriceSeries(whole.times_ns[order], prices))
    assert np.exp(bars.log_prices) == pytest.approx(whole.prices), "the last row of a time counts"
    assert said == ["times do not rise throughout: sorted", "2 rows with the time of another: the last of them counts"]


def test_bars_without_volume_keep_the_price_but_an_hour_of_them_is_a_halt() -> None:
    moves = noise(2000)
    moves[100:161] = 0.0
    volumes = np.ones(2001)
    volumes[101:162], volumes[500] = 0.0, 0.0
    bars, said = bars_of_file(series(moves, 60.0, volumes))
    assert np.isnan(bars.log_prices[101:162]).all()
    assert np.isfinite(bars.log_prices[500])
    assert (
        "62 bars without volume: the price stands; 61 of them in stretches of an hour or more count as missing" in said
    )


def test_irregular_times_need_to_be_told_how_to_be_sampled() -> None:
    rng = np.random.default_rng(12)
    times = np.cumsum(rng.exponential(7.0, 20_000)) * 1e9
    ticks = PriceSeries(times.astype(np.int64), 1e4 * np.exp(np.cumsum(noise(20_000, 1e-4))))
    with pytest.raises(NotBars, match=r"no bars of one length .*--bar 1min"):
        against([], ticks)
    found = against([], ticks, bar_s=60.0)
    per_year = 1e-4 * math.sqrt(365 * DAY / 7.0)
    assert row(found, "VOL").file.found.value == pytest.approx(per_year, rel=0.05)


@pytest.mark.parametrize(
    ("given", "bar_s", "message"),
    [
        (series(noise(20)), None, "too few bars: 21; at least 31 are needed"),
        (series(noise(300)), 3600.0, "too few bars: 6 of 1 h"),
        (series(noise(300), 40.0), 60.0, "no multiple"),
        (series(noise(300), 900.0), 60.0, "15 min bars"),
    ],
)
def test_what_cannot_be_bars_is_refused(given: PriceSeries, bar_s: float | None, message: str) -> None:
    with pytest.raises(NotBars, match=message):
        against([], given, bar_s=bar_s)


def test_a_time_that_is_far_away_does_not_fill_the_memory() -> None:
    whole = series(noise(100))
    far = np.append(whole.times_ns, whole.times_ns[-1] + 4 * 10**18)
    with pytest.raises(NotBars, match="is a time mistyped"):
        bars_of_file(PriceSeries(far, np.append(whole.prices, 1e4)))


def test_a_price_that_never_moves_is_not_measured() -> None:
    for name in ("SF2_1min", "SF1", "SF4_1min", "SF8", "VR_1h@1min", "ACF_ABS_1"):
        assert alone(series(np.zeros(3000)), name).reason, name


def test_what_is_short_says_how_much_would_do() -> None:
    found = against([run_of(noise(240))], series(noise(30 * 1440)))
    assert row(found, "KURTOSIS_1h").verdict == "n.a."
    assert "the runs have 4 h together (more seeds, or longer)" in found.summary
    assert "up to 20 h, the file has 4 h" in against([], series(noise(240))).summary.replace("3.33 days", "20 h")


def test_facts_of_the_book_are_counted_and_not_shown() -> None:
    found = against([], series(noise(3000)))
    assert not [each for each in found.rows if each.fact.id in ("SPREAD_BP", "OB2", "LQ3", "CA14")]
    count = sum(fact.of_prices is None for fact in FACTS.values())
    assert f"{count} facts of the scoreboard are of book, orders or positions" in found.summary


def test_sides_without_runs_are_the_whole_file() -> None:
    file, _ = bars_of_file(series(noise(500)))
    assert sides([], file) == (None, Side("file", (file,), ((file,),)))


# ---- the command -------------------------------------------------------------------------------------------------


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def candles(path: Path, found: PriceSeries) -> Path:
    """Twelve columns of a klines export, ms."""
    names = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_quote,ignore"
    rows = []
    for k in range(1, len(found.prices)):
        time_ms, first, last = found.times_ns[k] // 10**6, found.prices[k - 1], found.prices[k]
        volume = 1.0 + k % 7
        rows.append(
            f"{time_ms},{first:.6f},{max(first, last):.6f},{min(first, last):.6f},{last:.6f},{volume},"
            f"{time_ms + 59_999},"
            f"{volume * last},10,1,1,0"
        )
    return write(path, names, rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run."""
    parent = tmp_path_factory.mktemp("runs")
    done = marginquake("run", TINY, "--out", parent, "--seed", 0, "--no-figures", "--quiet", "--set", "duration=40min")
    assert done.exit_code == 0, done.output
    return Path(done.stdout.splitlines()[-1])


@pytest.mark.model
def test_the_command_lays_a_run_beside_a_file(finished: Path, tmp_path: Path) -> None:
    file = candles(tmp_path / "klines.csv", series(noise(4000)))
    table, picture = tmp_path / "facts.csv", tmp_path / "facts.png"
    done = marginquake("facts", finished, "--against", file, "--csv", table, "--figure", picture)
    assert done.exit_code == 0, done.output
    assert "klines.csv: price: close; volume: quote_volume" in done.stdout
    assert "measurable facts agree" in done.stdout.splitlines()[-1]
    written = list(csv.DictReader(table.open()))
    assert [line["id"] for line in written][:2] == ["VOL", "SF2_1min"]
    assert float(written[0]["file_low"]) < float(written[0]["file"]) < float(written[0]["file_high"])
    assert {line["verdict"] for line in written} <= {"agree", "differ", "cannot tell", "n.a."}
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.model
def test_a_run_beside_its_own_price_agrees(finished: Path, tmp_path: Path) -> None:
    frames = load_run(finished).first.run
    at = np.searchsorted(frames["time_s"], np.arange(0.0, frames["time_s"][-1] + 1e-6, 60.0) + 1e-6, side="right") - 1
    rows = [f"{60 * k},{frames['last'][row]!r}" for k, row in enumerate(at.tolist())]
    file = write(tmp_path / "own.csv", "time,price", [line.replace("np.float64(", "").rstrip(")") for line in rows])
    done = marginquake("facts", finished, "--against", file, "--csv", tmp_path / "t.csv")
    assert done.exit_code == 0, done.output
    lines = list(csv.DictReader((tmp_path / "t.csv").open()))
    measured = [line for line in lines if line["verdict"] != "n.a."]
    assert measured
    assert max(abs(float(line["difference"])) for line in measured) < 1e-9
    assert "0 differ" in done.stdout.splitlines()[-1]


def test_a_file_stands_alone(tmp_path: Path) -> None:
    file = candles(tmp_path / "klines.csv", series(noise(2000), 900.0))
    done = marginquake("facts", "--against", file, "--figure", tmp_path / "facts.png")
    assert done.exit_code == 0, done.output
    assert "difference" not in done.stdout
    assert "give 1-min bars" in done.stdout.splitlines()[-1]
    assert (tmp_path / "facts.png").is_file()


def test_columns_may_be_named_and_numbered(tmp_path: Path) -> None:
    found = series(noise(200))
    rows = [
        f"{t // 10**9};{p};{p / 2};{k % 5}" for k, (t, p) in enumerate(zip(found.times_ns, found.prices, strict=True))
    ]
    file = write(tmp_path / "odd.csv", "when;bid;half;lots", rows)
    lost = marginquake("facts", "--against", file)
    assert lost.exit_code == 2
    assert "it has when, bid, half, lots" in lost.stderr
    done = marginquake(
        "facts", "--against", file, "--time-column", "when", "--price-column", "half", "--volume-column", 4
    )
    assert done.exit_code == 0, done.output
    assert "odd.csv: price: half; volume: lots" in done.stdout


def test_bad_files_give_one_message_and_2(tmp_path: Path) -> None:
    good = candles(tmp_path / "good.csv", series(noise(100)))
    header = "time,open,high,low,close,volume"
    cases: tuple[tuple[tuple[object, ...], str], ...] = (
        ((tmp_path / "none.csv",), "cannot be read: No such file"),
        ((tmp_path,), "cannot be read"),
        ((write(tmp_path / "a.csv", "time,cost", ["0,1", "60,2"]),), "no column 'price'; it has time, cost"),
        ((write(tmp_path / "b.csv", "when,price", ["0,1", "60,2"]),), "no column 'time'; it has when, price"),
        ((write(tmp_path / "c.csv", header, ["0,1,1,1,1,1"] * 5),), "too few bars: 1"),
        (
            (write(tmp_path / "d.csv", header, ["0,1,1,1,1,1", "60,1,1,1,-2,1"]),),
            "d.csv:3: price '-2' must be positive",
        ),
        ((write(tmp_path / "e.csv", header, ["0,1,1,1,1,1", "60,1,1,1,2,x"]),), "e.csv:3: volume 'x' must be a number"),
        ((write(tmp_path / "f.csv", header, []),), "no rows"),
        ((write(tmp_path / "g.csv", "", []),), "is empty"),
        ((good, "--volume-column", "turn"), "no column 'turn'"),
        ((good, "--bar", "soon"), "--bar soon"),
        ((good, "--bar", "0s"), "must be positive"),
        ((good, "--bar", "90s"), "no multiple"),
        ((good, "--fill-gaps", "-1min"), "must not be negative"),
        ((good, "--csv", tmp_path / "no" / "facts.csv"), "no folder"),
        ((good, "--metaorder-gap", 10), "--metaorder-gap is about orders"),
    )
    for arguments, message in cases:
        done = marginquake("facts", "--against", *arguments)
        assert (done.exit_code, done.stdout) == (2, ""), arguments
        assert message in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.model
def test_what_only_a_file_needs_is_refused_without_one(finished: Path) -> None:
    for option, value in (("--bar", "1min"), ("--fill-gaps", "1h"), ("--price-column", "close"), ("--format", "ms")):
        done = marginquake("facts", finished, option, value)
        assert (done.exit_code, done.stdout) == (2, ""), option
        assert "--against FILE" in done.stderr
    nothing = marginquake("facts")
    assert nothing.exit_code == 2
    assert "--against FILE" in nothing.stderr
