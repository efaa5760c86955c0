"""Facts of returns: volatility, tails, memory of size and none of sign (Cont, Quantitative Finance 1, 2001).

Each is made of a pool, what a stretch of prices adds to it, and a value of pools.  So a run, several runs together and
a file of prices meet one estimator; `estimators` gives the same ones at any other time scale.
"""

import math
from functools import partial

import numpy as np

from marginquake.analysis.facts.fact import Fact, OfPrices, Pool, price_fact, total
from marginquake.analysis.facts.prices import DAY_S, FIVE_MINUTES_S, HOUR_S, MINUTE_S, Prices, need_returns, time_text
from marginquake.analysis.statistics import memory, tails
from marginquake.analysis.statistics.estimate import Unmeasurable, measurable
from marginquake.analysis.statistics.market_quality import YEAR_S
from marginquake.sim.core.typing import Floats

LAGS = 100
SIZE_LAGS = (1, 10, 50, 100)
LEAST_SPANS = 20
"""Hours of returns, of one run or of all together, below which hourly moments say nothing; so of other spans."""
LEAST_GARCH = 250
LIKELIHOOD_RATIO_5PCT = 5.99
"""95 % of a chi-squared variable with two degrees of freedom: alpha and beta against constant volatility."""


def together(pool: Pool) -> Floats:
    """The returns of all runs, as they are: a calm day and a wild one are days of one market."""
    return np.concatenate(list(pool))


def squares(step_s: float, prices: Prices) -> Floats:
    """Number of returns, and the sum of their squares."""
    returns = prices.finite_returns(step_s)
    return np.array([len(returns), float(returns @ returns)])


def volatility(step_s: float, pool: Pool) -> float:
    """Root mean square of log returns, per year of 365 days."""
    count, summed = total(pool)
    need_returns(count, step_s)
    return math.sqrt(summed / count * YEAR_S / step_s)


def lag_table(step_s: float, sizes: bool, prices: Prices) -> Floats:
    """Lagged sums of returns, or of their sizes."""
    return prices.lagged_sums(step_s, LAGS, sizes)


def sign_memory(step_s: float, pool: Pool) -> float:
    """Autocorrelation of returns at lag 1."""
    table = memory.added(pool)
    need_returns(table[0, 0], step_s)
    return float(memory.autocorrelation_of(table)[0])


def size_memory(step_s: float, lag: int, pool: Pool) -> float:
    """Autocorrelation of |returns| at `lag` steps, over all runs around their common mean.

    Calm and wild days count as memory, as in one long record.
    """
    table = memory.added(pool)
    need_returns(table[0, 0], step_s)
    _need_lags(table, step_s, 4 * lag, f"lag {lag}")
    return float(memory.autocorrelation_of(table)[lag - 1])


def size_decay(step_s: float, pool: Pool) -> float:
    """Exponent of the decay of the autocorrelation of |returns| over 1..100 steps, around the common mean."""
    table = memory.added(pool)
    need_returns(table[0, 0], step_s)
    _need_lags(table, step_s, 4 * LAGS, f"{LAGS} lags")
    runs = len(pool)
    acf = memory.autocorrelation_of(table)
    return memory.decay_exponent(acf, table[1:, 0], table[0, 0] / runs, runs).exponent


def _need_lags(table: Floats, step_s: float, needed: int, what: str) -> None:
    count = int(table[0, 0])
    if count < needed:
        verb = "needs" if what.startswith("lag ") else "need"
        steps = "min" if step_s == MINUTE_S else f"returns over {time_text(step_s)}"
        raise Unmeasurable(f"{count} {steps}: {what} {verb} {needed}", share=count / needed)


def finite(step_s: float, prices: Prices) -> Floats:
    """The returns that are known."""
    return prices.finite_returns(step_s)


def tail_index(step_s: float, pool: Pool) -> float:
    """Hill's index of |returns|, top 5 %."""
    returns = together(pool)
    need_returns(len(returns), step_s)
    return tails.hill(returns)


def tail_range(step_s: float, pool: Pool) -> float:
    """How flat the k-plot of |returns| is."""
    returns = together(pool)
    need_returns(len(returns), step_s)
    return tails.hill_range(returns)


def moment_sums(step_s: float, prices: Prices) -> Floats:
    """Power sums of returns over one step."""
    return tails.power_sums(prices.finite_returns(step_s))


def long_moment_sums(step_s: float, span_s: float, prices: Prices) -> Floats:
    """Power sums of returns over one step, and of returns over a span beginning at every step.

    (2, 6): before each the seconds that the returns over one step cover.
    """
    returns = prices.finite_returns(step_s)
    long = prices.long_returns(step_s, round(span_s / step_s))
    covered_s = len(returns) * step_s
    return np.stack([np.append(covered_s, tails.power_sums(values)) for values in (returns, long)])


def hour_sums(prices: Prices) -> Floats:
    """The same for hours, beginning at every minute; at every sample where those are further apart."""
    step_s = max(MINUTE_S, prices.every_s)
    if not math.isclose(HOUR_S / step_s, round(HOUR_S / step_s), abs_tol=1e-6):
        raise Unmeasurable(f"every {time_text(step_s)}: an hour is no multiple of it", step_s=MINUTE_S)
    return long_moment_sums(step_s, HOUR_S, prices)


def kurtosis(step_s: float, pool: Pool) -> float:
    """Excess kurtosis of returns over one step."""
    sums = total(pool)
    need_returns(sums[0], step_s)
    return tails.kurtosis_of(sums)


def long_kurtosis(span_s: float, pool: Pool) -> float:
    """Excess kurtosis of returns over a span."""
    return tails.kurtosis_of(_long_sums(span_s, pool))


def long_skewness(span_s: float, pool: Pool) -> float:
    """Skewness of returns over a span."""
    return tails.skewness_of(_long_sums(span_s, pool))


def _long_sums(span_s: float, pool: Pool) -> Floats:
    covered_s, *sums = total(pool)[1]
    share = covered_s / (LEAST_SPANS * span_s)
    if share < 1.0 - 0.5 / LEAST_SPANS or sums[0] < LEAST_SPANS:
        span, needed = time_text(span_s).replace(" ", "-"), time_text(LEAST_SPANS * span_s)
        why = f"{time_text(covered_s)}: moments of {span} returns need {needed}, in one run or in all together"
        raise Unmeasurable(why, share=share)
    return np.asarray(sums, np.float64)


def kurtosis_fall(span_s: float, pool: Pool) -> float:
    """Excess kurtosis over a step less that over a span: positive where aggregation makes returns normal."""
    long = long_kurtosis(span_s, pool)
    return tails.kurtosis_of(total(pool)[0, 1:]) - long


def variance_ratio(length: int, span_s: float, pool: Pool) -> float:
    """Variance of returns over a span of `length` steps over that of one step, each per unit of time.

    1 for a random walk.  (Lo and MacKinlay, Review of Financial Studies 1, 1988; spans overlap, one common mean.)
    """
    long = _long_sums(span_s, pool)
    short = total(pool)[0, 1:]
    mean = short[1] / short[0]
    variance = short[2] / short[0] - mean**2
    if variance <= 0.0:
        raise Unmeasurable("the price never moved")
    spread = long[2] / long[0] - 2 * mean * length * long[1] / long[0] + (mean * length) ** 2
    return float(spread / (length * variance))


def volume_sums(step_s: float, prices: Prices) -> Floats:
    """Sums of volume and |return|, of their squares and their products."""
    returns, volume = np.abs(prices.returns(step_s)), prices.volume(step_s)
    known = np.isfinite(returns) & np.isfinite(volume)
    return pair_sums(volume[known], returns[known])


def following_sums(step_s: float, prices: Prices) -> Floats:
    """The same of a return and the size of the next."""
    earlier, later = prices.following_returns(step_s)
    return pair_sums(earlier, np.abs(later))


def pair_sums(first: Floats, second: Floats) -> Floats:
    """Number of pairs, and sums of both, of their squares and of their products: all that a correlation is made of."""
    return np.array([len(first), first.sum(), second.sum(), first @ first, second @ second, first @ second], np.float64)


def correlation(step_s: float, pool: Pool) -> float:
    """Correlation of the two, over all runs together."""
    count, first, second, first_squares, second_squares, products = total(pool)
    need_returns(count, step_s)
    variances = (first_squares / count - (first / count) ** 2, second_squares / count - (second / count) ** 2)
    least = memory.LEAST_VARIANCE / count
    if not np.isfinite(variances).all():
        raise Unmeasurable("values of the series are no finite numbers")
    if variances[0] <= least * first_squares or variances[1] <= least * second_squares:
        raise Unmeasurable("the values never change")
    return float((products / count - first * second / count**2) / math.sqrt(variances[0] * variances[1]))


def persistence(returns: Floats) -> float:
    """alpha + beta of GARCH(1,1) with normal innovations (Bollerslev 1986), fitted by `arch`.

    0 where constant volatility is not rejected at 5 % (likelihood ratio): alpha is then nothing, and beta anything.
    """
    from arch import arch_model

    if len(returns) < LEAST_GARCH:
        raise Unmeasurable(f"{len(returns)} returns: GARCH needs {LEAST_GARCH}", share=len(returns) / LEAST_GARCH)
    known = measurable(returns, LEAST_GARCH, "returns")
    scaled = (known - known.mean()) / float(known.std())
    fit = arch_model(scaled, mean="Zero", vol="GARCH", p=1, q=1, rescale=False).fit(disp="off", show_warning=False)
    if fit.convergence_flag != 0:
        raise Unmeasurable("the GARCH fit did not converge")
    constant = -0.5 * len(scaled) * (math.log(2.0 * math.pi) + 1.0)
    if 2.0 * (float(fit.loglikelihood) - constant) < LIKELIHOOD_RATIO_5PCT:
        return 0.0
    return float(fit.params["alpha[1]"] + fit.params["beta[1]"])


def pooled_persistence(step_s: float, pool: Pool) -> float:
    """The same for the returns of all runs, one after the other."""
    returns = together(pool)
    need_returns(len(returns), step_s)
    return persistence(returns)


# How wide half of the interval of a difference may be and still say something (OfPrices.tells); ours.
CORRELATION_TELLS, EXPONENT_TELLS, TAIL_TELLS, GARCH_TELLS, RATIO_TELLS, SKEWNESS_TELLS = 0.1, 0.3, 1.0, 0.1, 0.3, 1.0


def volatility_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """Volatility from returns over a step."""
    return price_fact(
        name, label, OfPrices(partial(squares, step_s), total), partial(volatility, step_s), target=target
    )


def sign_memory_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """Memory of returns over a step."""
    pools = OfPrices(partial(lag_table, step_s, False), memory.added, CORRELATION_TELLS)
    return price_fact(name, label, pools, partial(sign_memory, step_s), target=target, magnitude=True)


def size_memory_of(name: str, label: str, step_s: float, lag: int, target: str | None = None) -> Fact:
    """Memory of the size of returns over a step, at a lag."""
    pools = OfPrices(partial(lag_table, step_s, True), memory.added, CORRELATION_TELLS)
    return price_fact(name, label, pools, partial(size_memory, step_s, lag), over_runs="pooled", target=target)


def size_decay_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """How memory of size decays over 100 steps."""
    pools = OfPrices(partial(lag_table, step_s, True), memory.added, EXPONENT_TELLS)
    return price_fact(name, label, pools, partial(size_decay, step_s), over_runs="pooled", target=target)


def tail_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """Tail index of returns over a step."""
    pools = OfPrices(partial(finite, step_s), together, TAIL_TELLS)
    return price_fact(name, label, pools, partial(tail_index, step_s), target=target)


def kurtosis_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """Excess kurtosis of returns over a step."""
    pools = OfPrices(partial(moment_sums, step_s), total)
    return price_fact(name, label, pools, partial(kurtosis, step_s), over_runs="pooled", target=target)


def volume_correlation_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """Correlation of volume and |return| over a step."""
    pools = OfPrices(partial(volume_sums, step_s), total, CORRELATION_TELLS)
    return price_fact(name, label, pools, partial(correlation, step_s), target=target)


def leverage_effect_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """Correlation of a return over a step with the size of the next."""
    pools = OfPrices(partial(following_sums, step_s), total, CORRELATION_TELLS)
    return price_fact(name, label, pools, partial(correlation, step_s), target=target)


def garch_of(name: str, label: str, step_s: float, target: str | None = None) -> Fact:
    """Persistence of volatility in returns over a step."""
    pools = OfPrices(partial(finite, step_s), together, GARCH_TELLS)
    value = partial(pooled_persistence, step_s)
    return price_fact(name, label, pools, value, over_runs="median", target=target, resamples=40)


FACTS = (
    volatility_of("VOL", "volatility per year", MINUTE_S, "VOL"),
    sign_memory_of("SF2_1min", "ACF(r), lag 1, 1 min", MINUTE_S, "SF2_1min"),
    sign_memory_of("SF2", "ACF(r), lag 1, 5 min", FIVE_MINUTES_S, "SF2"),
    *(size_memory_of(f"ACF_ABS_{lag}", f"ACF(|r|), {lag} min", MINUTE_S, lag, "ACF_ABS") for lag in SIZE_LAGS),
    size_decay_of("SF3", "decay exponent of ACF(|r|)", MINUTE_S, "SF3"),
    tail_of("SF1", "tail index of |r|, 1 min, top 5 %", MINUTE_S, "SF1"),
    tail_of("SF1_5min", "tail index of |r|, 5 min, top 5 %", FIVE_MINUTES_S, "SF1"),
    price_fact(
        "SF1_RANGE",
        "range of its k-plot, top 2-10 %",
        OfPrices(partial(finite, MINUTE_S), together, 0.5),
        partial(tail_range, MINUTE_S),
        over_runs="pooled",
    ),
    kurtosis_of("SF4_1min", "excess kurtosis, 1 min", MINUTE_S, "SF4_1min"),
    price_fact(
        "KURTOSIS_1h",
        "excess kurtosis, 1 h",
        OfPrices(hour_sums, total),
        partial(long_kurtosis, HOUR_S),
        over_runs="pooled",
    ),
    price_fact(
        "SF4",
        "excess kurtosis, 1 min less 1 h",
        OfPrices(partial(long_moment_sums, MINUTE_S, HOUR_S), total),
        partial(kurtosis_fall, HOUR_S),
        over_runs="pooled",
        target="SF4",
    ),
    price_fact(
        "SF5",
        "skewness of 1-h returns",
        OfPrices(hour_sums, total, SKEWNESS_TELLS),
        partial(long_skewness, HOUR_S),
        over_runs="pooled",
        target="SF5",
    ),
    volume_correlation_of("SF6", "corr(volume, |r|), 5 min", FIVE_MINUTES_S, "SF6"),
    leverage_effect_of("SF7", "corr(r, next |r|), 5 min", FIVE_MINUTES_S, "SF7"),
    garch_of("SF8", "GARCH(1,1) alpha + beta, 5 min", FIVE_MINUTES_S, "SF8"),
)


def facts_at(step_s: float) -> tuple[Fact, ...]:
    """The same estimators on returns over any step, and what longer spans make of them: without bands.

    Those that `FACTS` holds at this very scale are left out.
    """
    scale = time_text(step_s)
    at = f"@{scale.replace(' ', '')}"
    found = [
        volatility_of(f"VOL{at}", f"volatility per year, {scale}", step_s),
        sign_memory_of(f"ACF_R{at}", f"ACF(r), lag 1, {scale}", step_s),
        *(size_memory_of(f"ACF_ABS_{lag}{at}", f"ACF(|r|), lag {lag}, {scale}", step_s, lag) for lag in SIZE_LAGS),
        size_decay_of(f"DECAY{at}", f"decay exponent of ACF(|r|), {scale}", step_s),
        tail_of(f"HILL{at}", f"tail index of |r|, {scale}, top 5 %", step_s),
        kurtosis_of(f"KURTOSIS{at}", f"excess kurtosis, {scale}", step_s),
        volume_correlation_of(f"VOLUME{at}", f"corr(volume, |r|), {scale}", step_s),
        leverage_effect_of(f"LEVERAGE{at}", f"corr(r, next |r|), {scale}", step_s),
        garch_of(f"GARCH{at}", f"GARCH(1,1) alpha + beta, {scale}", step_s),
    ]
    known = {MINUTE_S: tuple(fact.id for fact in found), FIVE_MINUTES_S: HELD_AT_FIVE}.get(step_s, ())
    found = [fact for fact in found if not fact.id.startswith(known)] if known else found
    for span_s in (span_s for span_s in SPANS_S if span_s >= 2 * step_s * (1 - 1e-9)):
        length = round(span_s / step_s)
        if not math.isclose(length * step_s, span_s, rel_tol=1e-9):
            continue
        pool, span = partial(long_moment_sums, step_s, span_s), time_text(span_s)
        span_id = span.replace(" ", "")
        ratio = OfPrices(pool, total, RATIO_TELLS)
        label = f"variance ratio, {span} over {scale}"
        found.append(price_fact(f"VR_{span_id}{at}", label, ratio, partial(variance_ratio, length, span_s)))
        if span_s > HOUR_S:
            value = partial(long_kurtosis, span_s)
            found.append(
                price_fact(f"KURTOSIS_{span_id}{at}", f"excess kurtosis, {span}", OfPrices(pool, total), value)
            )
    return tuple(found)


SPANS_S = (FIVE_MINUTES_S, HOUR_S, 4 * HOUR_S, DAY_S)
"""Horizons of variance ratios and of aggregation."""
HELD_AT_FIVE = ("ACF_R@", "HILL@", "VOLUME@", "LEVERAGE@", "GARCH@")
"""What of `facts_at` the scoreboard has at 5 min; at 1 min it has all that looks at one step."""
