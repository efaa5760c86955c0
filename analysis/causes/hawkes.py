"""What an observer of liquidation times alone would estimate (eq. 176).

A Hawkes process with an exponential kernel, by maximum likelihood, and the Fano factor.  Both take everything that
comes in bunches for self-excitation: a fall of the outside price too.  The gap to the causal tree says how much.
"""

from dataclasses import dataclass
from math import nan
from typing import final

import numpy as np

from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.sim.core.typing import Floats

FANO_WINDOWS_S = (1, 10, 60)
LEAST_EVENTS = 20
MOST_EVENTS = 20_000
"""Of longer streams the first so many: the likelihood takes many passes."""


@final
@dataclass(frozen=True)
class Outsider:
    """`hawkes`: estimated branching ratio; `decay_s`: 1 / beta of its kernel; `fit_p`: of the time-rescaling test
    (Kolmogorov-Smirnov: small where the process does not fit); `fano`: window in seconds -> variance / mean of counts.
    """

    hawkes: Estimate
    decay_s: float
    fit_p: float
    fano: dict[int, float]


def as_an_outsider(time_s: Floats, clock_s: float, from_s: float, to_s: float) -> Outsider:
    """Estimates from event times between `from_s` and `to_s` that are known to `clock_s` seconds.

    Events of one tick of the clock are spread evenly over it, in order; anything else would be read as an infinitely
    fast kernel.
    """
    inside = np.sort(time_s[(time_s >= from_s) & (time_s <= to_s)])
    fano = {window: fano_factor(inside, from_s, to_s, window) for window in FANO_WINDOWS_S}
    if len(inside) < LEAST_EVENTS:
        return Outsider(UNKNOWN, nan, nan, fano)
    spread = _spread(inside, clock_s) - from_s
    length = to_s - from_s
    if len(spread) > MOST_EVENTS:
        spread = spread[:MOST_EVENTS]
        length = float(spread[-1])
    return _fit(spread, length, fano)


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
    excited = _recursion(time_s, beta)
    intensity = base + branching * beta * excited
    compensator = base * length_s + branching * float((1.0 - np.exp(-beta * (length_s - time_s))).sum())
    return float(np.log(intensity).sum()) - compensator


def _recursion(time_s: Floats, beta: float) -> Floats:
    """sum over j < i of exp(-beta (t_i - t_j)), in blocks short enough for exp not to overflow."""
    found = np.empty(len(time_s))
    carried = 0.0  # the sum just after the event before the block, as of that event
    start, before = 0, float(time_s[0])
    while start < len(time_s):
        stop = max(start + 1, int(np.searchsorted(time_s, time_s[start] + 300.0 / beta, side="right")))
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
    """Ties spread evenly over the tick of the clock that ends with them."""
    _, first, count = np.unique(time_s, return_index=True, return_counts=True)
    place = np.arange(len(time_s)) - np.repeat(first, count)
    return time_s - clock_s + clock_s * (place + 0.5) / np.repeat(count, count)


def _fit(time_s: Floats, length_s: float, fano: dict[int, float]) -> Outsider:
    from scipy.optimize import minimize
    from scipy.special import expit, kolmogorov, logit, ndtri

    time_s = np.maximum(time_s, 0.0)

    def loss(free: Floats) -> float:
        base, branching, beta = np.exp(free[0]), expit(free[1]), np.exp(free[2])
        return -log_likelihood(time_s, length_s, float(base), float(branching), float(beta))

    rate = len(time_s) / length_s
    starts = [np.array([np.log(0.3 * rate), logit(0.7), np.log(1.0 / decay)]) for decay in (1.0, 10.0, 60.0)]
    limits = [(-30.0, 15.0), (-10.0, 10.0), (np.log(1e-4), np.log(1e3))]
    fits = [minimize(loss, start, method="L-BFGS-B", bounds=limits) for start in starts]
    best = min(fits, key=lambda fit: float(fit.fun))
    free = np.asarray(best.x, np.float64)
    base, branching, beta = float(np.exp(free[0])), float(expit(free[1])), float(np.exp(free[2]))
    error = _standard_error(loss, free)
    low, high = expit(free[1] + ndtri([0.025, 0.975]) * error) if np.isfinite(error) else (nan, nan)
    excited = _recursion(time_s, beta)
    before = np.arange(len(time_s)) - excited
    rescaled = np.sort(-np.expm1(-np.diff(base * time_s + branching * before)))  # uniform on (0, 1) if it fits
    places = np.arange(len(rescaled) + 1) / len(rescaled)
    distance = float(max((places[1:] - rescaled).max(), (rescaled - places[:-1]).max()))
    fit_p = float(kolmogorov(np.sqrt(len(rescaled)) * distance))
    return Outsider(Estimate(branching, float(low), float(high)), 1.0 / beta, fit_p, fano)


def _standard_error(loss: object, free: Floats) -> float:
    """Standard error of the second parameter from the curvature of the loss; NaN where it has none."""
    assert callable(loss)
    step = 1e-3
    size = len(free)
    curvature = np.empty((size, size))
    moves = step * np.eye(size)
    for i in range(size):
        for j in range(size):
            curvature[i, j] = (
                loss(free + moves[i] + moves[j]) - loss(free + moves[i] - moves[j])
                - loss(free - moves[i] + moves[j]) + loss(free - moves[i] - moves[j])
            ) / (4 * step**2)  # fmt: skip
    try:
        variance = float(np.linalg.inv(curvature)[1, 1])
    except np.linalg.LinAlgError:
        return nan
    return float(np.sqrt(variance)) if variance > 0 else nan
