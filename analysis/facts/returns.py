"""Facts of returns: volatility, tails, memory of size and none of sign (Cont, Quantitative Finance 1, 2001)."""

import math
from functools import partial

import numpy as np

from marginquake.analysis.facts.fact import Fact, Measurement, Pool, measured, total
from marginquake.analysis.facts.observed import FIVE_MINUTES_S, MINUTE_S, Observed
from marginquake.analysis.statistics import memory, tails
from marginquake.analysis.statistics.estimate import Unmeasurable, measurable
from marginquake.analysis.statistics.market_quality import YEAR_S
from marginquake.sim.core.typing import Floats

HOUR_MINUTES = 60
LAGS = 100
LEAST_HOURS = 20
"""Hours of returns, of one run or of all together, below which hourly moments say nothing."""
LEAST_GARCH = 250
LIKELIHOOD_RATIO_5PCT = 5.99
"""95 % of a chi-squared variable with two degrees of freedom: alpha and beta against constant volatility."""


def volatility(observed: Observed) -> float:
    """Root mean square of 1-min log returns of mid, per year of 365 days."""
    returns = observed.known_returns(MINUTE_S)
    return float(np.sqrt(np.mean(returns**2) * YEAR_S / MINUTE_S))


def sign_memory(step_s: float, observed: Observed) -> Measurement:
    """Autocorrelation of returns at lag 1."""
    returns = observed.known_returns(step_s)
    acf = memory.autocorrelation(returns, 1)
    return Measurement(float(acf[0]), pool=memory.lagged_sums(returns * 1e4, LAGS))


def size_memory(lag: int, observed: Observed) -> Measurement:
    """Autocorrelation of 1-min |returns| at `lag` minutes."""
    returns = np.abs(observed.known_returns(MINUTE_S))
    pool = memory.lagged_sums(returns * 1e4, LAGS)
    if len(returns) < 4 * lag:
        return Measurement(math.nan, f"{len(returns)} min: lag {lag} needs {4 * lag}", pool=pool)
    return Measurement(float(memory.autocorrelation(returns, lag)[-1]), pool=pool)


def pooled_memory(lag: int, pool: Pool) -> float:
    """The same over all runs, around their common mean: calm and wild days count as memory, as in one long record."""
    table = memory.added(pool)
    if table[0, 0] < 4 * lag:
        raise Unmeasurable(f"{int(table[0, 0])} min: lag {lag} needs {4 * lag}")
    return float(memory.autocorrelation_of(table)[lag - 1])


def size_decay(observed: Observed) -> Measurement:
    """Exponent of the decay of the autocorrelation of 1-min |returns| over 1..100 minutes."""
    returns = np.abs(observed.known_returns(MINUTE_S))
    return measured(lambda table: pooled_size_decay([table]), memory.lagged_sums(returns * 1e4, LAGS))


def pooled_size_decay(pool: Pool) -> float:
    """The same over all runs, around their common mean."""
    table = memory.added(pool)
    if table[0, 0] < 4 * LAGS:
        raise Unmeasurable(f"{int(table[0, 0])} min: {LAGS} lags need {4 * LAGS}")
    runs = len(pool)
    acf = memory.autocorrelation_of(table)
    return memory.decay_exponent(acf, table[1:, 0], table[0, 0] / runs, runs).exponent


def tail_index(step_s: float, observed: Observed) -> Measurement:
    """Hill's index of |returns|, top 5 %."""
    return measured(tails.hill, observed.known_returns(step_s))


def tail_range(observed: Observed) -> Measurement:
    """How flat the k-plot of 1-min |returns| is."""
    return measured(tails.hill_range, observed.known_returns(MINUTE_S))


def together(pool: Pool) -> Floats:
    """The returns of all runs, as they are: a calm day and a wild one are days of one market."""
    return np.concatenate(list(pool))


def moments(observed: Observed) -> Floats:
    """Power sums of 1-min returns, and of 1-h returns beginning at every minute: (2, 5)."""
    returns = observed.known_returns(MINUTE_S)
    if len(returns) < HOUR_MINUTES:
        raise Unmeasurable(f"{len(returns)} min: shorter than an hour")
    hourly = tails.overlapping_sums(returns, HOUR_MINUTES)
    return np.stack((tails.power_sums(returns), tails.power_sums(hourly)))


def _need_hours(sums: Floats) -> None:
    hours = sums[0, 0] / HOUR_MINUTES
    if hours < LEAST_HOURS - 0.5:
        raise Unmeasurable(f"{hours:.3g} h: moments of 1-h returns need {LEAST_HOURS} h, in one run or in all together")


def minute_kurtosis(pool: Pool) -> float:
    """Excess kurtosis of 1-min returns."""
    return tails.kurtosis_of(total(pool)[0])


def hour_kurtosis(pool: Pool) -> float:
    """Excess kurtosis of 1-h returns."""
    sums = total(pool)
    _need_hours(sums)
    return tails.kurtosis_of(sums[1])


def kurtosis_fall(pool: Pool) -> float:
    """Excess kurtosis at 1 min less that at 1 h: positive where aggregation makes returns normal."""
    return minute_kurtosis(pool) - hour_kurtosis(pool)


def hour_skewness(pool: Pool) -> float:
    """Skewness of 1-h returns."""
    sums = total(pool)
    _need_hours(sums)
    return tails.skewness_of(sums[1])


def volume_correlation(observed: Observed) -> float:
    """Correlation of volume and |return| over 5 min."""
    returns, volume = observed.returns(FIVE_MINUTES_S), observed.volume(FIVE_MINUTES_S)
    known = np.isfinite(returns)
    observed.known_returns(FIVE_MINUTES_S)
    return _correlation(volume[known], np.abs(returns[known]))


def leverage_effect(observed: Observed) -> float:
    """Correlation of a 5-min return with the size of the next."""
    returns = observed.known_returns(FIVE_MINUTES_S)
    return _correlation(returns[:-1], np.abs(returns[1:]))


def _correlation(first: Floats, second: Floats) -> float:
    return float(np.corrcoef(measurable(first, 3), measurable(second, 3))[0, 1])


def persistence(returns: Floats) -> float:
    """alpha + beta of GARCH(1,1) with normal innovations (Bollerslev 1986), fitted by `arch`.

    0 where constant volatility is not rejected at 5 % (likelihood ratio): alpha is then nothing, and beta anything.
    """
    from arch import arch_model

    if len(returns) < LEAST_GARCH:
        raise Unmeasurable(f"{len(returns)} returns: GARCH needs {LEAST_GARCH}")
    known = measurable(returns, LEAST_GARCH, "returns")
    scaled = (known - known.mean()) / float(known.std())
    fit = arch_model(scaled, mean="Zero", vol="GARCH", p=1, q=1, rescale=False).fit(disp="off", show_warning=False)
    if fit.convergence_flag != 0:
        raise Unmeasurable("the GARCH fit did not converge")
    constant = -0.5 * len(scaled) * (math.log(2.0 * math.pi) + 1.0)
    if 2.0 * (float(fit.loglikelihood) - constant) < LIKELIHOOD_RATIO_5PCT:
        return 0.0
    return float(fit.params["alpha[1]"] + fit.params["beta[1]"])


FACTS = (
    Fact("VOL", "volatility per year", volatility, target="VOL"),
    Fact("SF2_1min", "ACF(r), lag 1, 1 min", partial(sign_memory, MINUTE_S), target="SF2_1min", magnitude=True),
    Fact("SF2", "ACF(r), lag 1, 5 min", partial(sign_memory, FIVE_MINUTES_S), target="SF2", magnitude=True),
    *(
        Fact(
            f"ACF_ABS_{lag}",
            f"ACF(|r|), {lag} min",
            partial(size_memory, lag),
            over_runs="pooled",
            target="ACF_ABS",
            pooled=partial(pooled_memory, lag),
        )
        for lag in (1, 10, 50, 100)
    ),
    Fact("SF3", "decay exponent of ACF(|r|)", size_decay, "", "pooled", "SF3", pooled_size_decay),
    Fact(
        "SF1",
        "tail index of |r|, 1 min, top 5 %",
        partial(tail_index, MINUTE_S),
        target="SF1",
        pooled=lambda pool: tails.hill(together(pool)),
    ),
    Fact(
        "SF1_5min",
        "tail index of |r|, 5 min, top 5 %",
        partial(tail_index, FIVE_MINUTES_S),
        target="SF1",
        pooled=lambda pool: tails.hill(together(pool)),
    ),
    Fact(
        "SF1_RANGE",
        "range of its k-plot, top 2-10 %",
        tail_range,
        over_runs="pooled",
        pooled=lambda pool: tails.hill_range(together(pool)),
    ),
    Fact(
        "SF4_1min",
        "excess kurtosis, 1 min",
        lambda observed: measured(lambda sums: minute_kurtosis([sums]), moments(observed)),
        over_runs="pooled",
        target="SF4_1min",
        pooled=minute_kurtosis,
    ),
    Fact(
        "KURTOSIS_1h",
        "excess kurtosis, 1 h",
        lambda observed: measured(lambda sums: hour_kurtosis([sums]), moments(observed)),
        over_runs="pooled",
        pooled=hour_kurtosis,
    ),
    Fact(
        "SF4",
        "excess kurtosis, 1 min less 1 h",
        lambda observed: measured(lambda sums: kurtosis_fall([sums]), moments(observed)),
        over_runs="pooled",
        target="SF4",
        pooled=kurtosis_fall,
    ),
    Fact(
        "SF5",
        "skewness of 1-h returns",
        lambda observed: measured(lambda sums: hour_skewness([sums]), moments(observed)),
        over_runs="pooled",
        target="SF5",
        pooled=hour_skewness,
    ),
    Fact("SF6", "corr(volume, |r|), 5 min", volume_correlation, target="SF6"),
    Fact("SF7", "corr(r, next |r|), 5 min", leverage_effect, target="SF7"),
    Fact(
        "SF8",
        "GARCH(1,1) alpha + beta, 5 min",
        lambda observed: measured(persistence, observed.known_returns(FIVE_MINUTES_S)),
        over_runs="median",
        target="SF8",
        pooled=lambda pool: persistence(together(pool)),
        resamples=40,
    ),
)
