"""Regressions: a line over seeds, and logistic, on columns or as a smoothed surface of shares."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis.statistics.estimate import all_alike
from marginquake.analysis.statistics.intervals import interval_over_seeds
from marginquake.sim.core.typing import Bools, Floats

RESAMPLES = 2000


@final
@dataclass(frozen=True)
class SeedLine:
    """y = intercept + slope x by least squares; 95 % interval of the slope; `r_squared` of the fit; runs and seeds."""

    slope: float
    low: float
    high: float
    intercept: float
    r_squared: float
    runs: int
    seeds: int


def line_over_seeds(x: Floats, y: Floats, seed: NDArray[Any]) -> SeedLine:
    """Least squares; the interval is a percentile bootstrap over whole seeds (eq. 233).  Pairs with a gap are left out.

    NaN where all x are the same; no interval below five seeds.
    """
    good = np.isfinite(x) & np.isfinite(y)
    x, y, seed = np.asarray(x)[good], np.asarray(y)[good], np.asarray(seed)[good]
    names, member = np.unique(seed, return_inverse=True)
    count = len(names)
    if len(x) < 2 or all_alike(x):
        return SeedLine(math.nan, math.nan, math.nan, math.nan, math.nan, len(x), count)
    sums = np.stack([np.bincount(member, value, count) for value in (np.ones(len(x)), x, y, x * x, x * y)], axis=1)
    slope = float(_slopes(sums.sum(axis=0)))
    intercept = float(y.mean() - slope * x.mean())
    left = float(((y - intercept - slope * x) ** 2).sum())
    spread = float(((y - y.mean()) ** 2).sum())
    low, high = interval_over_seeds(count, lambda picks: _slopes(sums[picks].sum(axis=1)), resamples=RESAMPLES, seed=0)
    return SeedLine(slope, low, high, intercept, math.nan if all_alike(y) else 1.0 - left / spread, len(x), count)


def _slopes(sums: Floats) -> Floats:
    """Slope from (n, Σx, Σy, Σx², Σxy) along the last axis; NaN where all x are the same."""
    n, x, y, xx, xy = np.moveaxis(sums, -1, 0)
    spread = n * xx - x * x
    slope: Floats = np.divide(n * xy - x * y, spread, out=np.full_like(spread, np.nan), where=spread > 1e-12 * n * xx)
    return slope


RIDGE = 1.0
"""Penalty on half the sum of squared weights of standardised columns; the intercept goes free."""


@final
@dataclass(frozen=True)
class Logit:
    """A fitted model: `weights` of standardised columns, and what standardises them."""

    intercept: float
    weights: Floats
    centre: Floats
    scale: Floats

    def probability(self, columns: Floats) -> Floats:
        """Probability of the event for every row; an unknown value counts as the training mean."""
        from scipy.special import expit

        return np.asarray(
            expit(self.intercept + _standardised(columns, self.centre, self.scale) @ self.weights), np.float64
        )


def fit_logistic(columns: Floats, event: Bools, ridge: float = RIDGE) -> Logit:
    """Logistic regression of an event on columns (`_maximum`).

    A column that never changes, or is never known, gets weight 0.
    """
    known = np.isfinite(columns)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, columns, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, columns - centre, 0.0) ** 2).sum(axis=0) / count)
    scale = np.where(deviation > 1e-12 * np.maximum(np.abs(centre), 1e-300), deviation, np.inf)
    whole = np.column_stack((np.ones(len(event)), _standardised(columns, centre, scale)))
    found = _maximum(whole, event.astype(np.float64), np.ones(len(event)), ridge)
    return Logit(float(found[0]), found[1:], centre, scale)


SMOOTHING_RIDGE = 0.1
"""The same for a surface: keeps the fit finite where the event separates perfectly."""


@final
@dataclass(frozen=True)
class LogisticSurface:
    """logit P = coefficients . (1, u, v, u^2, v^2, u v), with u and v the standardised coordinates."""

    coefficients: Floats
    centre: Floats
    spread: Floats

    def at(self, x: Floats, y: Floats) -> Floats:
        """P(event) at coordinates of any one shape."""
        from scipy.special import expit

        return np.asarray(expit(_terms(x, y, self.centre, self.spread) @ self.coefficients), np.float64)


def fit_surface(x: Floats, y: Floats, events: Floats, runs: Floats) -> LogisticSurface:
    """A smoothed surface of shares; one entry a point: coordinates, runs with the event, runs."""
    centre = np.array([x.mean(), y.mean()])
    spread = np.array([1.0 if all_alike(each) else each.std() for each in (x, y)])
    return LogisticSurface(_maximum(_terms(x, y, centre, spread), events, runs, SMOOTHING_RIDGE), centre, spread)


def _maximum(design: Floats, events: Floats, trials: Floats, ridge: float) -> Floats:
    """Coefficients of maximum penalised likelihood (le Cessie and van Houwelingen 1992, R), by Newton steps in a trust
    region.  A row of `design` begins with 1 and stands for `trials`, of which `events` had the event.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    penalty = ridge * np.diag(np.concatenate(([0.0], np.ones(design.shape[1] - 1))))

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        z = design @ coefficients
        value = float((trials * np.logaddexp(0.0, z) - events * z).sum() + 0.5 * coefficients @ penalty @ coefficients)
        return value, np.asarray(design.T @ (trials * expit(z) - events) + penalty @ coefficients, np.float64)

    def curvature(coefficients: Floats) -> Floats:
        chance = expit(design @ coefficients)
        # Without BLAS, whose threads cost more than these few columns on a machine that is busy.
        weight = trials * chance * (1.0 - chance)
        return np.asarray(np.einsum("ij,ik,i->jk", design, design, weight) + penalty, np.float64)

    share = min(max(float(events.sum() / trials.sum()), 1e-6), 1.0 - 1e-6)
    start = np.concatenate(([np.log(share / (1.0 - share))], np.zeros(design.shape[1] - 1)))
    return np.asarray(minimize(loss, start, jac=True, hess=curvature, method="trust-exact").x, np.float64)


def _standardised(columns: Floats, centre: Floats, scale: Floats) -> Floats:
    return np.where(np.isfinite(columns), (columns - centre) / scale, 0.0)


def _terms(x: Floats, y: Floats, centre: Floats, spread: Floats) -> Floats:
    u, v = (x - centre[0]) / spread[0], (y - centre[1]) / spread[1]
    return np.stack([np.ones_like(u), u, v, u * u, v * v, u * v], axis=-1)
