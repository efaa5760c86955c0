"""Every estimator of the scoreboard returns a known answer before it is trusted with an unknown one.

Where a random series would leave room for an error by one (a lag, an order statistic), the series is an exact one.
"""

import math

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from marginquake.analysis.facts import impact
from marginquake.analysis.facts.flow import sign_decay
from marginquake.analysis.facts.returns import persistence
from marginquake.analysis.frames.market import Fills
from marginquake.analysis.statistics import memory, swings, tails
from marginquake.analysis.statistics.estimate import Unmeasurable

pytest.importorskip("statsmodels")
pytest.importorskip("arch")

Floats = NDArray[np.float64]


# ---- tails -------------------------------------------------------------------------------------------------------


def pareto(count: int, exponent: float, seed: int = 1) -> Floats:
    """Both signs, P(|x| > u) = u^-exponent."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], count) * rng.random(count) ** (-1.0 / exponent)


@pytest.mark.parametrize("exponent", [2.0, 3.5])
def test_a_pareto_tail_comes_back(exponent: float) -> None:
    assert tails.hill(pareto(100_000, exponent)) == pytest.approx(exponent, rel=0.05)


def test_hill_of_exact_quantiles_is_exact() -> None:
    """x_i = (i / n)^(-1/a): one order statistic more or less gives another number."""
    n, exponent, k = 400, 3.5, 20
    values = (np.arange(1, n + 1) / n) ** (-1 / exponent)
    expected = exponent / np.mean(np.log((k + 1) / np.arange(1, k + 1)))
    assert tails.hill(np.random.default_rng(0).permutation(values)) == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(3.9, abs=0.2), "the threshold is the (k + 1)-th value, not the k-th"


def test_the_tail_of_student_t3_is_near_three() -> None:
    sample = np.random.default_rng(2).standard_t(3, 400_000)
    assert tails.hill(sample, 0.002) == pytest.approx(3.0, abs=0.25)
    assert 2.0 < tails.hill(sample) < 3.0, "at 5 % the body still shows, as it does in data"


def test_the_tail_of_a_normal_is_no_power_law() -> None:
    assert tails.hill(np.random.default_rng(3).normal(size=100_000), 0.01) > 5.0


def test_the_k_plot_of_a_pareto_is_flat_and_of_a_normal_steep() -> None:
    assert tails.hill_range(pareto(200_000, 3.0)) < 0.06
    assert tails.hill_range(np.random.default_rng(4).normal(size=200_000)) > 0.4
    curve = tails.hill_curve(pareto(1000, 3.0), np.array([0.005, 0.02, 0.05]))
    assert np.isnan(curve[0]), "five order statistics are no tail"
    assert curve[2] == pytest.approx(tails.hill(pareto(1000, 3.0)))


def test_too_small_a_tail_is_refused() -> None:
    with pytest.raises(Unmeasurable, match="199 returns: the top 5% needs 200"):
        tails.hill(pareto(199, 3.0))
    assert tails.hill(pareto(200, 3.0)) > 0
    with pytest.raises(Unmeasurable, match="differ from 0"):
        tails.hill(np.zeros(1000))


def test_moments_equal_scipys_and_add_up() -> None:
    values = np.random.default_rng(5).gamma(2.0, size=5000) + 3.0
    sums = tails.power_sums(values)
    assert tails.kurtosis_of(sums) == pytest.approx(scipy.stats.kurtosis(values), rel=1e-6)
    assert tails.skewness_of(sums) == pytest.approx(scipy.stats.skew(values), rel=1e-6)
    halves = tails.power_sums(values[:1700]) + tails.power_sums(values[1700:])
    assert tails.kurtosis_of(halves) == pytest.approx(tails.kurtosis_of(sums), rel=1e-9)


def test_sums_of_student_t_become_normal() -> None:
    """Excess kurtosis 6 / (v - 4) of one, and a sixtieth of that of sixty together."""
    values = np.random.default_rng(6).standard_t(9, 2_000_000)
    assert tails.kurtosis_of(tails.power_sums(values)) == pytest.approx(6 / 5, rel=0.15)
    assert tails.kurtosis_of(tails.power_sums(tails.overlapping_sums(values, 60))) == pytest.approx(0.02, abs=0.04)


def test_overlapping_sums_begin_at_every_step() -> None:
    assert tails.overlapping_sums(np.array([1.0, 2.0, 3.0, 4.0]), 3).tolist() == [6.0, 9.0]


# ---- memory ------------------------------------------------------------------------------------------------------


def test_autocorrelation_finds_the_lag_that_was_planted() -> None:
    noise = np.random.default_rng(7).normal(size=100_000)
    values = noise[3:] + 0.5 * noise[:-3]
    acf = memory.autocorrelation(values, 5)
    assert acf[2] == pytest.approx(0.4, abs=0.02)
    assert np.abs(np.delete(acf, 2)).max() < 0.02
    assert memory.autocorrelation_of(memory.lagged_sums(values, 5)) == pytest.approx(acf, abs=1e-3)


def test_lagged_sums_equal_the_plain_loop() -> None:
    values = np.random.default_rng(8).normal(1.0, 2.0, 50)
    table = memory.lagged_sums(values, 7)
    for lag in range(8):
        early, late = values[: 50 - lag], values[lag:]
        assert table[lag] == pytest.approx([50 - lag, early.sum(), late.sum(), early @ late])
    assert len(memory.lagged_sums(values, 100)) == 50


def test_runs_together_share_one_mean_and_no_pair_spans_two() -> None:
    """A calm run and a wild one: the difference between them is memory, once they are put together."""
    rng = np.random.default_rng(9)
    calm, wild = np.abs(rng.normal(size=20_000)), 3.0 * np.abs(rng.normal(size=20_000))
    tables = [memory.lagged_sums(values, 50) for values in (calm, wild)]
    assert np.abs(memory.autocorrelation_of(tables[1])).max() < 0.03
    together = memory.autocorrelation_of(memory.added(tables))
    between = np.var([calm.mean(), wild.mean()])
    assert together == pytest.approx(between / np.var(np.concatenate((calm, wild))), abs=0.02)
    assert memory.added([tables[0][:10], tables[1]]).shape == (51, 4)


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.0, 1.4])
def test_an_exact_power_law_gives_its_exponent(exponent: float) -> None:
    acf = 0.3 * np.arange(1.0, 101.0) ** -exponent
    found = memory.decay_exponent(acf, np.full(100, 1e9), length=1e12)
    assert found.exponent == pytest.approx(exponent, abs=0.01)
    assert found.last_lag == 100
    late = memory.decay_exponent(acf[1:], np.full(99, 1e9), length=1e12)
    assert late.exponent < exponent - 0.02, "the first value belongs to lag 1: a shift by one is seen"


def test_the_fit_ends_where_the_noise_begins() -> None:
    """A line through all hundred lags, noise and all, would find another exponent."""
    rng = np.random.default_rng(10)
    pairs = np.full(1000, 20_000.0)
    acf = 0.2 * np.arange(1.0, 1001.0) ** -0.8 + rng.normal(0, 1 / np.sqrt(pairs))
    found = memory.decay_exponent(acf, pairs, length=1e12)
    assert found.exponent == pytest.approx(0.8, abs=0.12)
    assert found.last_lag < 500
    with pytest.raises(Unmeasurable, match="lost in noise from lag 1 on"):
        memory.decay_exponent(np.abs(rng.normal(0, 1e-3, 1000)), pairs, length=1e12)


def test_what_the_sample_mean_took_off_is_put_back() -> None:
    exponent, length, lags = 0.4, 5000, np.arange(1.0, 251.0)
    every = np.arange(1.0, length)
    share = 1 / length + 2 / length**2 * np.sum((length - every) * 0.5 * every**-exponent)
    bent = (0.5 * lags**-exponent - share) / (1 - share)
    pairs = np.full(250, 1e9)
    assert memory.decay_exponent(bent, pairs, length).exponent == pytest.approx(exponent, abs=0.02)
    assert memory.decay_exponent(bent, pairs, 1e12).exponent > exponent + 0.05, "or the decay would look faster"


def long_memory_signs(count: int, exponent: float, seed: int) -> Floats:
    """Signs of fractional Gaussian noise: autocorrelation ~ lag^-exponent (Davies and Harte 1987)."""
    hurst, lag = 1.0 - exponent / 2.0, np.arange(count + 1.0)
    covariance = 0.5 * ((lag + 1) ** (2 * hurst) - 2 * lag ** (2 * hurst) + np.abs(lag - 1) ** (2 * hurst))
    row = np.concatenate((covariance, covariance[1:-1][::-1]))
    power = np.fft.fft(row).real.clip(0.0)
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=len(row)) + 1j * rng.normal(size=len(row))
    return np.sign(np.fft.fft(noise * np.sqrt(power / len(row))).real[:count])


@pytest.mark.parametrize("exponent", [0.4, 0.6, 0.77])
def test_signs_with_long_memory_give_their_exponent(exponent: float) -> None:
    pool = []
    for seed in range(5):
        signs = long_memory_signs(60_000, exponent, seed)
        pool.append(memory.lagged_sums(signs - signs.mean(), 1000))
    assert sign_decay(pool) == pytest.approx(exponent, abs=0.1)


def test_signs_without_memory_have_no_exponent() -> None:
    signs = np.random.default_rng(11).choice([-1.0, 1.0], 50_000)
    with pytest.raises(Unmeasurable, match="lost in noise"):
        sign_decay([memory.lagged_sums(signs - signs.mean(), 1000)])
    with pytest.raises(Unmeasurable, match="1999 taker orders"):
        sign_decay([memory.lagged_sums(signs[:1999], 1000)])


def autoregression(count: int, half_life_steps: float, seed: int = 12) -> Floats:
    from scipy.signal import lfilter

    shocks = np.random.default_rng(seed).normal(size=count)
    return np.asarray(lfilter([1.0], [1.0, -(0.5 ** (1.0 / half_life_steps))], shocks), np.float64)


@pytest.mark.parametrize("every", [1, 5, 20])
def test_the_half_life_of_an_autoregression_does_not_depend_on_the_sampling(every: int) -> None:
    inventory = autoregression(500_000, 120.0)
    assert memory.half_life(inventory[::every], float(every)) == pytest.approx(120.0, rel=0.1)


def test_a_half_life_that_the_sampling_cannot_see_is_refused() -> None:
    inventory = autoregression(100_000, 0.8)
    with pytest.raises(Unmeasurable, match="too coarse"):
        memory.half_life(inventory, 60.0)
    with pytest.raises(Unmeasurable, match="does not revert to half within 100 s"):
        memory.half_life(np.cumsum(np.ones(1000)), 1.0)
    with pytest.raises(Unmeasurable, match="the series of values never changes"):
        memory.half_life(np.zeros(1000), 1.0)


def garch(count: int, alpha: float, beta: float, seed: int) -> Floats:
    rng = np.random.default_rng(seed).normal(size=count)
    variance, values = 1.0, np.zeros(count)
    for step in range(count):
        values[step] = math.sqrt(variance) * rng[step]
        variance = (1 - alpha - beta) + alpha * values[step] ** 2 + beta * variance
    return values


def test_garch_gives_its_persistence_whatever_the_scale() -> None:
    values = garch(20_000, 0.1, 0.85, 13)
    assert persistence(1e-4 * values) == pytest.approx(0.95, abs=0.02)
    assert persistence(garch(20_000, 0.2, 0.3, 14)) == pytest.approx(0.5, abs=0.12)


def test_constant_volatility_has_no_persistence() -> None:
    """alpha is then 0 and beta anything, so that alpha + beta of the fit alone might well lie in the band."""
    assert persistence(np.random.default_rng(15).normal(size=3000)) == 0.0
    with pytest.raises(Unmeasurable, match="249 returns"):
        persistence(np.ones(249))


# ---- impact ------------------------------------------------------------------------------------------------------


def law(exponent: float, prefactor: float, noise: float, count: int = 5000) -> Floats:
    rng = np.random.default_rng(16)
    size = 10 ** rng.uniform(-5, -1.5, count)
    return impact.impact_table(size, prefactor * size**exponent + rng.normal(0, noise, count))


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_an_impact_law_comes_back(exponent: float) -> None:
    exact = impact.impact_exponent(law(exponent, 0.9, 0.0))
    assert exact.value == pytest.approx(exponent, abs=0.01)
    noisy = impact.impact_exponent(law(exponent, 0.9, 0.05))
    assert noisy.value == pytest.approx(exponent, abs=0.06)
    assert abs(noisy.value - exponent) < 4 * noisy.error


def test_the_prefactor_of_a_square_root_law_comes_back() -> None:
    found = impact.impact_prefactor(law(0.5, 0.9, 0.05))
    assert found.value == pytest.approx(0.9, rel=0.05)
    assert abs(found.value - 0.9) < 4 * found.error


def test_impact_tables_of_runs_add_up() -> None:
    rng = np.random.default_rng(17)
    size, noise = 10 ** rng.uniform(-5, -2, 4000), rng.normal(0, 0.02, 4000)
    whole = impact.impact_table(size, np.sqrt(size) + noise)
    parts = [impact.impact_table(size[part], (np.sqrt(size) + noise)[part]) for part in (slice(900), slice(900, None))]
    assert sum(parts) == pytest.approx(whole)


def test_no_impact_has_no_exponent_but_a_prefactor_of_nothing() -> None:
    table = law(0.5, 0.0, 0.05)
    with pytest.raises(Unmeasurable, match="not distinct from none"):
        impact.impact_exponent(table)
    assert abs(impact.impact_prefactor(table).value) < 0.05
    with pytest.raises(Unmeasurable, match="49 metaorders"):
        impact.impact_exponent(law(0.5, 1.0, 0.0, 49))
    one_size = impact.impact_table(np.full(100, 1e-3), np.full(100, 1e-2))
    with pytest.raises(Unmeasurable, match="1 octaves"):
        impact.impact_exponent(one_size)


def fills_of(rows: list[tuple[float, float, int, int, int]]) -> Fills:
    """(time, price, side, account, order) of each fill; every fill is worth 10."""
    time_s, price, side, account, order = (np.array(column) for column in zip(*rows, strict=True))
    zeros = np.zeros(len(rows), np.int64)
    return Fills(time_s, price, np.full(len(rows), 10.0), side, zeros, account, zeros, order)


DRAWN = fills_of(
    [
        (0.0, 100.0, -1, 9, 1),  # a stranger: the price before
        (50.0, 101.0, +1, 5, 2), (50.0, 102.0, +1, 5, 2),  # the whale's first child takes two levels
        (55.0, 101.0, -1, 9, 3),
        (60.0, 103.0, +1, 5, 4),
        (70.0, 99.0, -1, 6, 5),  # another whale, once
        (79.0, 104.0, +1, 5, 6),  # third child, 19 s after the second
        (100.0, 103.0, -1, 5, 7), (110.0, 102.0, -1, 5, 8), (119.0, 101.0, -1, 5, 9),  # the same whale turns
        (149.5, 100.0, -1, 5, 10), (160.0, 99.0, -1, 5, 11), (165.0, 98.0, -1, 5, 12),  # after 30.5 s: another
    ]
)  # fmt: skip


def test_fills_of_one_order_are_one_taker_order() -> None:
    orders = impact.taker_orders(DRAWN)
    assert len(orders) == 12
    assert orders.notional.tolist()[:3] == [10.0, 20.0, 10.0]
    assert np.isnan(orders.price_before[0])
    assert orders.price_before[1:4].tolist() == [100.0, 102.0, 101.0]
    assert orders.price_after[1] == 102.0


def test_metaorders_are_cut_by_pauses_turns_and_accounts() -> None:
    is_whale = np.isin(np.arange(10), (5, 6))
    found = impact.metaorders(impact.taker_orders(DRAWN), is_whale, gap_s=30.0)
    assert found.start_s.tolist() == [50.0, 100.0, 149.5], "account 6 traded once: no metaorder"
    assert found.notional.tolist() == [40.0, 30.0, 30.0]
    moves = [math.log(104 / 100), -math.log(101 / 104), -math.log(98 / 101)]
    assert found.move == pytest.approx(moves), "up for a buyer, down for a seller: from before the first to the last"


@pytest.mark.parametrize(("gap_s", "starts"), [(31.0, [50.0, 100.0]), (19.0, [100.0, 149.5]), (9.5, [])])
def test_the_gap_decides_what_belongs_together(gap_s: float, starts: list[float]) -> None:
    found = impact.metaorders(impact.taker_orders(DRAWN), np.arange(10) == 5, gap_s)
    assert found.start_s.tolist() == starts


def test_a_metaorder_that_may_have_begun_before_the_record_is_left_out() -> None:
    found = impact.metaorders(impact.taker_orders(DRAWN), np.arange(10) == 5, gap_s=60.0)
    assert found.start_s.tolist() == [100.0], "the first child came 50 s after the record began"
    with pytest.raises(Unmeasurable, match="no account of a whale"):
        impact.metaorders(impact.taker_orders(DRAWN), np.arange(10) == 7, gap_s=30.0)


# ---- swings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_s", [1.0, 7.0, 60.0, 100.0])
def test_the_depth_of_a_fall_is_from_the_high_of_fifteen_minutes(every_s: float) -> None:
    price = np.exp(np.cumsum(np.random.default_rng(18).normal(0, 0.001, 2500)))
    steps = round(900 / every_s)
    naive = [1 - price[i] / price[max(0, i - steps) : i + 1].max() for i in range(len(price))]
    assert swings.fall_depth(price, every_s) == pytest.approx(naive)


def test_a_fall_is_found_with_its_ends() -> None:
    price = np.full(2000, 100.0)
    price[500:801] = np.linspace(100, 97, 301)  # 3 % in 5 min, then flat
    price[801:] = 97.0
    (fall,) = swings.falls(price, 1.0)
    assert fall.first == 499 or price[fall.first] == 100.0
    assert (fall.far, price[fall.far]) == (800, 97.0)
    assert fall.fraction == pytest.approx(0.03)
    assert 800 < fall.last <= 800 + 900, "fifteen minutes later the high is forgotten"
    assert swings.falls(1.0 / price, 1.0) == []


def test_a_slow_fall_is_none_and_two_close_ones_are_one() -> None:
    assert swings.falls(np.linspace(100, 90, 36_000), 1.0) == []
    twice = np.full(4000, 100.0)
    twice[1000:1100], twice[1500:1600] = 98.5, 98.0
    assert len(swings.falls(twice, 1.0)) == 1
    twice[1500:1600], twice[3000:3100] = 100.0, 98.0
    assert len(swings.falls(twice, 1.0)) == 2


def test_what_was_normal_is_the_median_of_the_hour_before() -> None:
    values = np.concatenate((np.full(1000, 9.0), np.arange(3600.0), [1e9]))
    assert swings.normal_before(values, 4600, 1.0) == pytest.approx(1799.5)
    assert swings.normal_before(values, 300, 1.0) == 9.0
    with pytest.raises(Unmeasurable, match="299 s after the start"):
        swings.normal_before(values, 299, 1.0)
