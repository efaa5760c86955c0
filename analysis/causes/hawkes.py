"""What an observer of liquidation times alone would estimate (eq. 176).

A Hawkes process with an exponential kernel, by maximum likelihood, and the Fano factor.  Both take everything that
comes in bunches for self-excitation: a fall of the outside price too.  The gap to the causal tree says how much.
What interval and test come to on streams with known answers is measured in docs/intervals.md.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import exp, log, nan, sqrt
from typing import final

import numpy as np

from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.sim.core.typing import Floats

FANO_WINDOWS_S = (1, 10, 60)
LEAST_EVENTS = 100
"""Below, nothing can be told: a branching ratio of one half is told from none in fewer than three of four streams."""
MOST_EVENTS = 20_000
"""Of longer streams the first so many: the likelihood takes many passes."""
SLOWEST, FASTEST, A_DECADE = 1e-4, 1e3, 10
"""Decays beta that are tried, per second, and how many of them a decade."""
MOST_BRANCHING = 0.9999
"""At 1 a stream would have no end."""
INSIDE, AT_ZERO = 3.84, 5.7
"""Twice the log likelihood that is lost at the ends of the 95 % interval.  3.84 is of a chi-squared variable with one
degree of freedom; a branching ratio of 0 is also inside up to 5.7, since there every decay says the same and the best
of all is taken (by simulation)."""
FORGOTTEN, BLOCK = 40.0, 300.0
"""Ages, in 1 / beta, after which an event counts for nothing, and whose exponential does not overflow yet."""
GRID, DRAWS = 64, 3_999
"""Of the test of fit: places at which distributions are compared, and draws of what chance makes of the distance."""


@final
@dataclass(frozen=True)
class Outsider:
    """`hawkes`: estimated branching ratio; `decay_s`: 1 / beta of its kernel; `fit_p`: of the time-rescaling test
    (Kolmogorov-Smirnov: small where the process does not fit); `fano`: window in seconds -> variance / mean of counts;
    `events`: how many there were.
    """

    hawkes: Estimate
    decay_s: float
    fit_p: float
    fano: dict[int, float]
    events: int = 0


def as_an_outsider(time_s: Floats, clock_s: float, from_s: float, to_s: float) -> Outsider:
    """Estimates from event times between `from_s` and `to_s` that are known to `clock_s` seconds.

    An event of a tick happened somewhere in the `clock_s` before it: it is put there at random, always the same for the
    same times.  Left on the tick, or spread evenly over it, independent events would not look independent.
    """
    inside = np.sort(time_s[(time_s >= from_s) & (time_s <= to_s)])
    fano = {window: fano_factor(inside, from_s, to_s, window) for window in FANO_WINDOWS_S}
    if len(inside) < LEAST_EVENTS:
        return Outsider(UNKNOWN, nan, nan, fano, len(inside))
    spread = _spread(inside, clock_s) - (from_s - clock_s)
    length = to_s - from_s + clock_s
    if len(spread) > MOST_EVENTS:
        spread = spread[:MOST_EVENTS]
        length = float(spread[-1])
    best, kernels = _best(spread, length)
    return Outsider(_interval(best, kernels), 1.0 / best.beta, _fit_p(best), fano, len(inside))


def fano_factor(time_s: Floats, from_s: float, to_s: float, window_s: float) -> float:
    """Variance over mean of the counts in windows of that length; NaN with fewer than two windows or no event."""
    windows = int((to_s - from_s) / window_s)
    if windows < 2:
        return nan
    edges = from_s + window_s * np.arange(windows + 1)
    counts = np.histogram(time_s, edges)[0]
    return float(counts.var(ddof=1) / counts.mean()) if counts.any() else nan


def log_likelihood(time_s: Floats, length_s: float, base: float, branching: float, beta: float) -> float:
    """Of a Hawkes process with intensity base + branching * beta * sum exp(-beta (t - t_j)) on (0, length_s)."""
    return _Kernel(time_s, length_s, beta).at(base, branching)


def _recursion(time_s: Floats, beta: float) -> Floats:
    """sum over j < i of exp(-beta (t_i - t_j)).

    Lag by lag where few earlier events still count, else in blocks short enough for exp not to overflow.
    """
    count = len(time_s)
    lags = int((np.arange(count) - np.searchsorted(time_s, time_s - FORGOTTEN / beta)).max())
    if lags <= 1.0 + beta * float(time_s[-1] - time_s[0]) / BLOCK:
        found = np.zeros(count)
        for lag in range(1, lags + 1):
            found[lag:] += np.exp(-beta * (time_s[lag:] - time_s[:-lag]))
        return found
    found = np.empty(count)
    carried = 0.0  # the sum just after the event before the block, as of that event
    start, before = 0, float(time_s[0])
    while start < count:
        stop = max(start + 1, int(np.searchsorted(time_s, time_s[start] + BLOCK / beta, side="right")))
        ages = beta * (time_s[start:stop] - time_s[start])
        grown = np.exp(ages)
        inside = np.append(0.0, np.cumsum(grown)[:-1])
        brought = carried * np.exp(-beta * (time_s[start] - before))
        found[start:stop] = (brought + inside) / grown
        carried = float(found[stop - 1]) + 1.0
        before = float(time_s[stop - 1])
        start = stop
    return found


def _spread(time_s: Floats, clock_s: float) -> Floats:
    """Each event at random in the tick of the clock that ends with its time; sorted."""
    draws = np.random.default_rng(zlib.crc32(np.ascontiguousarray(time_s, np.float64).tobytes()))
    return np.sort(time_s - clock_s * draws.random(len(time_s)))


@final
class _Kernel:
    """The likelihood at one decay, where it is concave in base rate and branching ratio: one maximum, found exactly.

    At the maximum the compensator is the number of events.  So with s the share of them that branching makes, only s is
    to be found: sum log(1 - s + s x_i) with x_i = length * beta * sum exp(..) / (events that kernels reach).
    """

    def __init__(self, time_s: Floats, length_s: float, beta: float) -> None:
        self.time_s, self.length_s, self.beta = time_s, length_s, beta
        self.excited = _recursion(time_s, beta)
        self.reached = float(-np.expm1(-beta * (length_s - time_s)).sum())

    @cached_property
    def optimum(self) -> tuple[float, float, float]:
        """Base rate, branching ratio and log likelihood at the maximum."""
        count = len(self.time_s)
        above = self.length_s * self.beta * self.excited / self.reached - 1.0
        # Where branching has no derivative above 0 at s = 0 there is none.
        share = _root(lambda s: above / (1.0 + s * above), 0.0, 1.0) if above.sum() > 0.0 else 0.0
        branching = share * count / self.reached
        base = (1.0 - share) * count / self.length_s
        if branching > MOST_BRANCHING:
            branching = MOST_BRANCHING
            base = self._base(branching)
        return base, branching, self.at(base, branching)

    @property
    def branching(self) -> float:
        """Branching ratio at the maximum."""
        return self.optimum[1]

    @property
    def most(self) -> float:
        """Log likelihood at the maximum."""
        return self.optimum[2]

    def at(self, base: float, branching: float) -> float:
        """Log likelihood."""
        intensity = base + branching * self.beta * self.excited
        return float(np.log(intensity).sum()) - base * self.length_s - branching * self.reached

    def given(self, branching: float) -> float:
        """Log likelihood with the best base rate for this branching ratio."""
        return self.at(self._base(branching), branching)

    def _base(self, branching: float) -> float:
        rate = len(self.time_s) / self.length_s
        if branching <= 0.0:
            return rate
        made = branching * self.beta * self.excited
        return _root(lambda base: 1.0 / (base + made), self.length_s, rate)


def _root(parts: Callable[[float], Floats], total: float, top: float) -> float:
    """Where the parts q = d / (a + d x) sum to `total`, between 0 and `top`: Newton's steps (their slope is -q^2),
    halving where one leaves the bracket.
    """
    low, high, x = 0.0, top, 0.5 * top
    for _ in range(60):
        each = parts(x)
        excess = float(each.sum()) - total
        low, high = (x, high) if excess > 0.0 else (low, x)
        new = x + excess / float(each @ each)
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - x) <= 1e-10 * top:
            return new
        x = new
    return x


def _best(time_s: Floats, length_s: float) -> tuple[_Kernel, list[_Kernel]]:
    """The kernel of the highest likelihood, and all that were tried: a grid of decays, and a search about its peaks."""
    from scipy.optimize import minimize_scalar

    def kernel(log_beta: float) -> _Kernel:
        return _Kernel(time_s, length_s, exp(log_beta))

    grid = np.linspace(log(SLOWEST), log(FASTEST), 1 + round(A_DECADE * np.log10(FASTEST / SLOWEST)))
    tried = [kernel(each) for each in grid.tolist()]
    height = np.array([each.most for each in tried])
    around = np.concatenate(([-np.inf], height, [-np.inf]))
    # A maximum between two points of the grid is hardly higher than they are.
    peaks = np.flatnonzero((height >= around[:-2]) & (height >= around[2:]) & (height >= height.max() - INSIDE))
    for peak in peaks.tolist():
        ends = float(grid[max(peak - 1, 0)]), float(grid[min(peak + 1, len(grid) - 1)])
        found = minimize_scalar(lambda x: -kernel(x).most, bounds=ends, method="bounded", options={"xatol": 1e-3})
        tried.append(kernel(float(found.x)))
    best = max(tried, key=lambda each: each.most)
    near = [log(best.beta) + step for step in (-0.1, -0.03, -0.01, 0.01, 0.03, 0.1)]
    tried += [kernel(each) for each in near if log(SLOWEST) <= each <= log(FASTEST)]
    return best, tried


def _interval(best: _Kernel, kernels: list[_Kernel]) -> Estimate:
    """The branching ratios that some decay makes likely enough (profile likelihood)."""
    least = best.most - 0.5 * INSIDE
    low = high = best.branching
    for kernel in sorted(kernels, key=lambda each: -each.most):  # the likeliest reach farthest: the others soon end
        if kernel.most >= least:
            low = _end(kernel, least, min(low, kernel.branching), 0.0)
            high = _end(kernel, least, max(high, kernel.branching), MOST_BRANCHING)
    if best.most - best.given(0.0) <= 0.5 * AT_ZERO:
        low = 0.0
    return Estimate(best.branching, low, 1.0 if high == MOST_BRANCHING else high)


def _end(kernel: _Kernel, least: float, inside: float, limit: float) -> float:
    """How far from `inside` towards `limit` a kernel is likely enough; it is concave in the branching ratio."""
    from scipy.optimize import brentq

    def beyond(branching: float) -> float:
        return kernel.given(branching) - least

    if inside == limit or beyond(inside) <= 0.0:
        return inside
    return limit if beyond(limit) >= 0.0 else float(brentq(beyond, inside, limit, xtol=1e-4))


def _fit_p(best: _Kernel) -> float:
    """p-value of the time-rescaling test (Ogata 1988; Brown et al. 2002): waits by the fitted clock are exponential.

    Kolmogorov and Smirnov's largest distance.  Parameters that were fitted make it smaller than chance would; so each
    wait's share in it is taken less what the fit takes up of it, by regression on the scores, and the distances of such
    shares at random are what the one seen is held against (Kojadinovic and Yan 2012: the bootstrap with multipliers).
    """
    base, branching, _ = best.optimum
    reached = np.arange(len(best.time_s)) - best.excited  # kernels of earlier events, as far as they have run
    wait = np.diff(base * best.time_s + branching * reached, prepend=0.0)
    uniform = -np.expm1(-wait)
    places = (np.arange(GRID) + 0.5) / GRID
    share = (uniform[:, None] <= places) - places
    distance = float(np.abs(share.sum(axis=0)).max()) / sqrt(len(wait))
    scores = _scores(best)
    left = share - scores @ np.linalg.lstsq(scores, share, rcond=1e-8)[0]
    values, vectors = np.linalg.eigh(left.T @ left / len(wait))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = np.random.default_rng(1).normal(size=(DRAWS, GRID)) @ root.T
    return float((1 + np.count_nonzero(np.abs(draws).max(axis=1) >= distance)) / (1 + DRAWS))


def _scores(best: _Kernel) -> Floats:
    """What each wait adds to the derivatives of the log likelihood: by base rate, branching ratio and decay.

    A parameter at the end of its range was not fitted, and is left out.
    """
    base, branching, _ = best.optimum
    intensity = base + branching * best.beta * best.excited
    columns = [1.0 / intensity - np.diff(best.time_s, prepend=0.0)]
    if 0.0 < branching < MOST_BRANCHING:
        reached = np.arange(len(best.time_s)) - best.excited
        columns.append(best.beta * best.excited / intensity - np.diff(reached, prepend=0.0))
        if SLOWEST * 1.01 < best.beta < FASTEST / 1.01:
            step = 1e-4
            faster, slower = (_recursion(best.time_s, best.beta * (1.0 + sign * step)) for sign in (1, -1))
            slope = (faster - slower) / (2.0 * step * best.beta)
            columns.append((best.excited + best.beta * slope) / intensity + np.diff(slope, prepend=0.0))
    scores = np.stack(columns, axis=1)
    return np.asarray(scores / np.maximum(np.abs(scores).max(axis=0), 1e-300), np.float64)
